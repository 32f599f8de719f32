//! The buffers over blocks that may come in, so that one block has one buffer in a thread.
//!
//! A `WeakRef` would keep its buffer until the current task of the event loop has ended, and a loop that
//! blocks the thread is one task.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;

use mp_shm::Block;
use mp_shm::heap::Handle;
use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, JsValue, Result, check_status, sys};

/// Before there are so many, none is looked for that is gone.
const FEW: usize = 64;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Where a block is: the same for all uses of it in this process.
#[derive(PartialEq, Eq, Hash)]
struct BlockPlace {
    segment: u32,
    offset: usize,
    size: usize,
}

#[derive(Default)]
struct Known {
    references: HashMap<BlockPlace, (Handle, WeakReference)>,
    /// How many there were when those that are gone had been taken out.
    left: usize,
}

/// A reference that does not keep its buffer.
struct WeakReference {
    env: sys::napi_env,
    raw: sys::napi_ref,
}

impl BlockPlace {
    fn of(block: &Block) -> Self {
        Self {
            segment: block.place,
            offset: block.offset,
            size: block.size,
        }
    }
}

/// The buffer that this thread has over a block, and the number of that use of it; if it is known and lives,
/// and still has its memory.
pub fn get<'env>(env: &'env Env, block: &Block) -> Result<Option<(Handle, Unknown<'env>)>> {
    KNOWN.with_borrow(|known| {
        let Some((handle, reference)) = known.references.get(&BlockPlace::of(block)) else {
            return Ok(None);
        };
        let Some(value) = reference.buffer()? else {
            return Ok(None);
        };
        // SAFETY: a value of this environment, had just now.
        let buffer = unsafe { Unknown::from_napi_value(env.raw(), value) }?;
        Ok(Some((*handle, buffer)))
    })
}

/// Notes down the buffer over this use of a block.
pub fn insert(env: &Env, block: &Block, buffer: &Unknown<'_>) -> Result<()> {
    let reference = WeakReference::new(env.raw(), buffer.raw())?;
    KNOWN.with_borrow_mut(|known| {
        let references = &mut known.references;
        references.insert(BlockPlace::of(block), (block.handle, reference));
        if references.len() > FEW.max(2 * known.left) {
            references.retain(|_, (_, buffer)| buffer.buffer().is_ok_and(|found| found.is_some()));
            known.left = references.len();
        }
    });
    Ok(())
}

/// At the end of the environment.
pub fn forget() {
    KNOWN.take();
}

impl WeakReference {
    fn new(env: sys::napi_env, buffer: sys::napi_value) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: a value of this environment, and an out-pointer of this frame.
        check_status!(unsafe { sys::napi_create_reference(env, buffer, 0, &raw mut raw) })?;
        Ok(Self { env, raw })
    }

    /// The buffer, unless it was collected or its memory is another buffer's now.
    fn buffer(&self) -> Result<Option<sys::napi_value>> {
        let mut value = ptr::null_mut();
        // SAFETY: the reference lives as long as this, and the environment longer; out-pointers of this frame.
        check_status!(unsafe {
            sys::napi_get_reference_value(self.env, self.raw, &raw mut value)
        })?;
        if value.is_null() {
            return Ok(None);
        }
        let mut is_detached = false;
        // SAFETY: as above.
        check_status!(unsafe {
            sys::napi_is_detached_arraybuffer(self.env, value, &raw mut is_detached)
        })?;
        Ok((!is_detached).then_some(value))
    }
}

impl Drop for WeakReference {
    fn drop(&mut self) {
        // SAFETY: nobody else has the reference. Should it fail, it stays until the environment ends.
        unsafe { sys::napi_delete_reference(self.env, self.raw) };
    }
}
