//! Blocks of shared memory as `ArrayBuffer`s.
//!
//! The heap belongs to the process. A block's number belongs to the environment that made it or took it
//! up; it is given back when no buffer is over its memory any more.

use std::cell::Cell;
use std::io;
use std::mem;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mp_os::descriptor;
use mp_shm::heap::{Handle, Leases};
use mp_shm::{AttachError, Block, Heap, Word};
use napi::bindgen_prelude::{Array, Either, Unknown};
use napi::{Env, Error, Result};
use napi_derive::napi;

use crate::backing_store::{self, Owner};
use crate::status;
use crate::{garbage, known_buffers};

static HEAP: Mutex<Option<Heap>> = Mutex::new(None);

/// Tells environments apart, also those that ended; 0 is none.
static ENVIRONMENTS: AtomicU32 = AtomicU32::new(1);

thread_local! {
    static ENVIRONMENT: Cell<u32> = const { Cell::new(0) };
}

/// Makes a block of zeros: `[handle, segment, offset, buffer]`, or a status. A block of no bytes has no
/// memory that a buffer could be made over: its buffer is undefined, and `releaseBlock` gives it back.
#[napi(ts_return_type = "number | [number, number, number, ArrayBuffer | undefined]")]
pub fn allocate_block(env: &Env, size: f64) -> Result<Either<f64, Array<'_>>> {
    let environment = this_environment(env)?;
    let allocate =
        || whole(size).and_then(|size| with_heap(|heap| heap.allocate(environment, size)));
    let block = match or_after_collection(env, allocate, |error| Some(error))? {
        Ok(block) => block,
        Err(error) => return Ok(Either::A(status::system(&error))),
    };
    let buffer = array_buffer(env, &block, Use(block.handle))?;
    let mut parts = env.create_array(4)?;
    parts.set(0, block.handle as f64)?;
    parts.set(1, block.place)?;
    parts.set(2, block.offset as f64)?;
    if let Some(buffer) = buffer {
        parts.set(3, buffer)?;
    }
    Ok(Either::B(parts))
}

/// Takes up a block that came in a message beside this descriptor, which stays open: `[handle, segment,
/// buffer]`, or a status. Where this thread knows a buffer over the block, it is that, and its handle. The
/// buffer is undefined for a block of no bytes. Throws for what is no block.
#[napi(ts_return_type = "number | [number, number, ArrayBuffer | undefined]")]
pub fn attach_block(env: &Env, fd: i32, offset: f64, size: f64) -> Result<Either<f64, Array<'_>>> {
    let environment = this_environment(env)?;
    let attach = || {
        let (offset, size) = (whole(offset)?, whole(size)?);
        let file = descriptor::borrow(fd)?;
        with_heap(|heap| heap.attach(environment, file, offset, size))
    };
    let block = match or_after_collection(env, attach, AttachError::system)? {
        Ok(block) => block,
        Err(AttachError::Malformed(why)) => return Err(Error::from_reason(why)),
        Err(AttachError::System(error)) => return Ok(Either::A(status::system(&error))),
    };
    let new_use = Use(block.handle);
    let mut parts = env.create_array(3)?;
    parts.set(1, block.place)?;
    if let Some((handle, buffer)) = known_buffers::get(env, &block)? {
        parts.set(0, handle as f64)?;
        parts.set(2, buffer)?;
        return Ok(Either::B(parts));
    }
    parts.set(0, block.handle as f64)?;
    if let Some(buffer) = array_buffer(env, &block, new_use)? {
        known_buffers::insert(env, &block, &buffer)?;
        parts.set(2, buffer)?;
    }
    Ok(Either::B(parts))
}

/// A block of this thread's may come in, and its buffer is to be this one then.
#[napi]
pub fn know_block(
    env: &Env,
    handle: i64,
    #[napi(ts_arg_type = "ArrayBuffer")] buffer: Unknown<'_>,
) -> Result<()> {
    match block(handle) {
        Some(block) => known_buffers::insert(env, &block, &buffer),
        None => Ok(()),
    }
}

/// Makes a range of a block quick to use here, all of which is about to be used, and that others have
/// written to.
#[napi]
pub fn touch_block(handle: i64, offset: f64, length: f64) {
    if let Some(block) = block(handle) {
        let start = offset as usize;
        block.touch(start..start.saturating_add(length as usize));
    }
}

/// Another number for a block, which keeps it in use until `releaseBlock` or the end of the thread; or a
/// status.
#[napi]
pub fn use_block(handle: i64) -> f64 {
    match with_heap(|heap| heap.take_again(number(handle))) {
        Ok(block) => block.handle as f64,
        Err(error) => status::system(&error),
    }
}

/// Gives back a block that has no buffer to do it.
#[napi]
pub fn release_block(handle: i64) {
    with_heap(|heap| heap.release(number(handle)));
}

/// Keeps no segment in which nothing is in use, not even one for blocks to come.
#[napi]
pub fn leave_empty_heap() {
    with_heap(Heap::leave_last_arena);
}

/// A descriptor for a message that is to hold the block, and others of its segment: see `leaseBlock`. Or a
/// status.
#[napi]
pub fn open_lease(handle: i64) -> f64 {
    status::of(with_heap(|heap| heap.open_lease(number(handle))).map(IntoRawFd::into_raw_fd))
}

/// Keeps the block in use for as long as the descriptor, or a copy of it, is open anywhere: 0 or a status.
#[napi]
pub fn lease_block(handle: i64, lease: i32) -> f64 {
    let hold = || {
        let lease = descriptor::borrow(lease)?;
        with_heap(|heap| heap.lease(number(handle), lease))
    };
    status::of_unit(hold())
}

/// The tag of this thread as a member of the block's segment, or a status.
#[napi]
pub fn block_tag(handle: i64) -> f64 {
    status::of(with_heap(|heap| heap.tag(number(handle))))
}

/// Whether the member of the block's segment with that tag still lives: 1, 0, or a status.
#[napi]
pub fn member_is_alive(handle: i64, tag: u32) -> f64 {
    status::of(is_alive(handle, tag).map(u8::from))
}

/// How many segments this process has mapped, and how many bytes of blocks are in use in those that it
/// divides up.
#[napi]
pub fn heap_usage() -> Vec<f64> {
    let (segments, bytes) = with_heap(|heap| heap.usage());
    vec![segments as f64, bytes as f64]
}

/// Whether the member of the block's segment with that tag still lives.
pub fn is_alive(handle: i64, tag: u32) -> io::Result<bool> {
    with_heap(|heap| heap.is_alive(number(handle), tag))
}

/// Whether the member of the block's segment with that tag is a thread of this process.
pub fn is_of_this_process(handle: i64, tag: u32) -> bool {
    with_heap(|heap| heap.is_of_this_process(number(handle), tag))
}

/// A block by its number.
pub fn block(handle: i64) -> Option<Block> {
    with_heap(|heap| heap.block(number(handle)).cloned())
}

/// The word at an offset within a block; nothing for a block that is not there, and outside of one.
pub fn word(handle: i64, offset: u32) -> Option<Word> {
    with_heap(|heap| heap.block(number(handle))?.word(offset as usize))
}

/// A child has ended, and with it its use of blocks.
pub fn child_ended() {
    if let Some(heap) = &mut *lock() {
        heap.look_elsewhere();
    }
}

/// The heap while the process is copied: nobody else is at it then, and nothing in it is given away.
pub struct Copying {
    heap: MutexGuard<'static, Option<Heap>>,
    leases: Leases,
}

/// Before the process is copied. The parent drops what this returns.
///
/// # Errors
/// When no descriptors can be had for what the copy is to keep.
pub fn before_fork() -> io::Result<Copying> {
    let mut heap = lock();
    let leases = heap.get_or_insert_default().leases()?;
    Ok(Copying { heap, leases })
}

/// Before a fork server copies itself, over and over. It gives nothing back any more, so that its children
/// can still keep what they find.
pub fn before_forks() -> Copying {
    let leases = Leases::default();
    Copying {
        heap: lock(),
        leases,
    }
}

impl Copying {
    /// In the copy: everything is as it was, but this is another process.
    ///
    /// # Errors
    /// When no descriptors can be had.
    pub fn become_copy(mut self) -> io::Result<()> {
        match &mut *self.heap {
            Some(heap) => heap.become_copy(ENVIRONMENT.get(), self.leases),
            None => Ok(()),
        }
    }
}

fn lock() -> MutexGuard<'static, Option<Heap>> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_heap<T>(action: impl FnOnce(&mut Heap) -> T) -> T {
    action(lock().get_or_insert_default())
}

/// The number of the environment that calls. Its end gives back what it has.
fn this_environment(env: &Env) -> Result<u32> {
    let known = ENVIRONMENT.get();
    if known != 0 {
        return Ok(known);
    }
    let number = ENVIRONMENTS.fetch_add(1, Ordering::Relaxed);
    env.add_env_cleanup_hook(number, |number| {
        ENVIRONMENT.set(0);
        known_buffers::forget();
        with_heap(|heap| heap.leave(number));
    })?;
    ENVIRONMENT.set(number);
    Ok(number)
}

/// Tries again when there was too little of something, and V8 has let go of what nobody uses.
fn or_after_collection<T, E>(
    env: &Env,
    attempt: impl Fn() -> std::result::Result<T, E>,
    system_error: impl Fn(&E) -> Option<&io::Error>,
) -> Result<std::result::Result<T, E>> {
    let outcome = attempt();
    let error = outcome.as_ref().err().and_then(system_error);
    match error.and_then(io::Error::raw_os_error) {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOSPC) => {
            garbage::collect(env)?;
            Ok(attempt())
        }
        _ => Ok(outcome),
    }
}

/// The block's bytes, if there are any; its use ends when the buffer is collected, and at once when there can
/// be none. That of a block of no bytes does not end here.
fn array_buffer<'env>(env: &'env Env, block: &Block, kept: Use) -> Result<Option<Unknown<'env>>> {
    if block.size == 0 {
        mem::forget(kept);
        return Ok(None);
    }
    let start = (block.start()).ok_or_else(|| Error::from_reason("the block is outside"))?;
    with_heap(|heap| heap.hold(block.handle));
    // SAFETY: the memory is mapped for as long as the block is in the heap, and one that is held is taken out
    // by `release` alone. Others write to it, in this process too.
    unsafe { backing_store::array_buffer(env, start, block.size, Owner::Shared, kept) }.map(Some)
}

/// One use of a block.
struct Use(Handle);

impl Drop for Use {
    fn drop(&mut self) {
        with_heap(|heap| heap.release(self.0));
    }
}

/// A number that comes from JavaScript as a size.
fn whole(number: f64) -> io::Result<usize> {
    let whole = number as usize;
    if whole as f64 == number && number <= 9_007_199_254_740_991.0 {
        Ok(whole)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// A block's number; there is none less than zero.
fn number(handle: i64) -> Handle {
    Handle::try_from(handle).unwrap_or(0)
}
