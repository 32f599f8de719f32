//! Memory of ours as `ArrayBuffer`s.
//!
//! Node-API can make them, but two things that it does are not for shared memory:
//!
//! - V8 adds their length to what it believes that collecting garbage would free. Two arrays of 1 GiB, and it
//!   collects all of its heap, at once, before it makes the second.
//! - What is to happen when one was collected waits for the event loop. A loop that blocks the thread never
//!   gives anything back.
//!
//! V8 itself can be told not to count (`v8::BackingStore::EmptyDeleter`), and lets go of memory where it
//! collects, on whatever thread. So its functions are called here, by their mangled names: in the versions of
//! Node that are known, each of which has promised to keep what they look like to a caller. Everywhere else it
//! is Node-API after all.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering, fence};

use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, Error, Result, Status, sys};
use napi_derive::napi;

use crate::garbage;

/// Versions of Node whose ABI has been looked at.
const KNOWN: [u32; 6] = [20, 22, 23, 24, 25, 26];

/// Shared memory of more bytes is not counted by V8. Less it may count: its limits are far above that.
#[napi]
pub const LARGEST_COUNTED: u32 = 2 << 20;

/// From here on it is asked whether there is garbage to be collected, before V8 has more to count.
const WORTH_ASKING: usize = 64 << 10;

/// Who has the memory.
#[derive(Clone, Copy, PartialEq)]
pub enum Owner {
    /// The buffer: the memory is free when `kept` is dropped.
    Buffer,
    /// Others, too. V8 is not to count it, unless it is little.
    Shared,
}

/// An `ArrayBuffer` over memory. `kept` is dropped when no buffer is over it any more, on any thread.
///
/// # Errors
/// `NoExternalBuffersAllowed` where all memory has to be V8's own (Electron).
///
/// # Safety
/// The memory is valid for reads and writes of `length` bytes until `kept` is dropped. It changes as that of
/// a `SharedArrayBuffer` does; nobody has a reference to it.
pub unsafe fn array_buffer<'env, K: Send + 'static>(
    env: &'env Env,
    start: NonNull<u8>,
    length: usize,
    owner: Owner,
    kept: K,
) -> Result<Unknown<'env>> {
    let start = start.as_ptr().cast::<c_void>();
    let value = match V8::of(env) {
        Some(v8) if owner == Owner::Shared && length > LARGEST_COUNTED as usize => {
            let kept = (kept, garbage::count(env, length)?);
            // SAFETY: the caller's promise.
            unsafe { v8.array_buffer(start, length, v8.empty_deleter, kept) }
        }
        Some(v8) => {
            if length >= WORTH_ASKING {
                garbage::collect_counted(env)?;
            }
            // SAFETY: the caller's promise.
            unsafe { v8.array_buffer(start, length, leave_alone, kept) }
        }
        // SAFETY: the caller's promise.
        None => unsafe { external_array_buffer(env.raw(), start, length, kept) }?,
    };
    // SAFETY: the value was made in this environment just now.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}

/// `void (*)(void* data, size_t length, void* deleter_data)`
type Deleter = unsafe extern "C" fn(*mut c_void, usize, *mut c_void);

/// What V8 calls when it lets go of counted memory. The control block does what is to be done.
unsafe extern "C" fn leave_alone(_data: *mut c_void, _length: usize, _deleter_data: *mut c_void) {}

/// `std::unique_ptr<v8::BackingStore>`. As that has a destructor, C++ returns it through a hidden pointer to
/// memory of the caller's. Rust does so with structures of more than 16 bytes; hence the filling, which nobody
/// writes.
#[repr(C)]
struct UniquePointer {
    store: *mut c_void,
    _filling: [MaybeUninit<usize>; 3],
}

/// `std::shared_ptr<v8::BackingStore>` of libstdc++. Where it is another library's, the name of
/// `new_array_buffer` is another one, too.
#[repr(C)]
struct SharedPointer<K> {
    store: *mut c_void,
    control: *mut Control<K>,
}

/// `std::_Sp_counted_base`, with atomic counts as it has them on these machines, and what is ours.
#[repr(C)]
struct Control<K> {
    functions: *const [Function<K>; 5],
    uses: AtomicI32,
    weak_uses: AtomicI32,
    store: *mut c_void,
    v8: &'static V8,
    kept: Option<K>,
}

type Function<K> = unsafe extern "C" fn(*mut Control<K>) -> *mut c_void;

/// A table of virtual functions, as the C++ ABI has it. An object points to the functions.
#[repr(C)]
struct Table<K> {
    offset_to_top: isize,
    type_info: *const c_void,
    functions: [Function<K>; 5],
}

impl<K: 'static> Control<K> {
    const TABLE: &'static Table<K> = &Table {
        offset_to_top: 0,
        type_info: ptr::null(),
        functions: [
            // Two destructors, which only `destroy` of the library's own classes calls.
            Self::nothing,
            Self::nothing,
            Self::dispose,
            Self::destroy,
            // What `std::get_deleter` asks.
            Self::nothing,
        ],
    };

    unsafe extern "C" fn nothing(_control: *mut Self) -> *mut c_void {
        ptr::null_mut()
    }

    /// `_M_dispose`: nobody uses the store any more. V8 calls it, through the last pointer that it drops, on
    /// the thread that collects.
    unsafe extern "C" fn dispose(control: *mut Self) -> *mut c_void {
        // SAFETY: the last use is over, and this is called once: nobody else is at the control block. The
        // store was made by V8 for us alone, by `new`.
        unsafe {
            let Self { store, v8, .. } = *control;
            (v8.destroy_store)(store);
            (v8.delete)(store);
            drop((*control).kept.take());
        }
        ptr::null_mut()
    }

    /// `_M_destroy`: nobody knows of the control block any more.
    unsafe extern "C" fn destroy(control: *mut Self) -> *mut c_void {
        // SAFETY: it was made as a box, and this is called once, after all else.
        drop(unsafe { Box::from_raw(control) });
        ptr::null_mut()
    }

    /// Drops one of the pointers, as `std::shared_ptr` does.
    ///
    /// # Safety
    /// The pointer is the caller's, and not used any more.
    unsafe fn release(control: *mut Self) {
        // SAFETY: the control block lives for as long as there are uses of it, and all uses together are one
        // weak use. Release and Acquire, on both counts: what others did with it before they let go happens
        // before its end.
        unsafe {
            if (*control).uses.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
            Self::dispose(control);
            if (*control).weak_uses.fetch_sub(1, Ordering::Release) == 1 {
                fence(Ordering::Acquire);
                Self::destroy(control);
            }
        }
    }
}

/// Functions of V8's.
struct V8 {
    /// `static Isolate* Isolate::GetCurrent()`
    current_isolate: unsafe extern "C" fn() -> *mut c_void,
    /// `static std::unique_ptr<BackingStore> ArrayBuffer::NewBackingStore(void* data, size_t length,
    /// BackingStore::DeleterCallback deleter, void* deleter_data)`
    new_store: unsafe extern "C" fn(*mut c_void, usize, Deleter, *mut c_void) -> UniquePointer,
    /// `static Local<ArrayBuffer> ArrayBuffer::New(Isolate*, std::shared_ptr<BackingStore>)`; what has a
    /// destructor is passed by its address.
    new_array_buffer: unsafe extern "C" fn(*mut c_void, *mut c_void) -> sys::napi_value,
    /// `static void BackingStore::EmptyDeleter(void*, size_t, void*)`: V8 knows its address, and that such
    /// memory does not become free.
    empty_deleter: Deleter,
    /// `BackingStore::~BackingStore()`
    destroy_store: unsafe extern "C" fn(*mut c_void),
    /// `operator delete(void*)`
    delete: unsafe extern "C" fn(*mut c_void),
}

impl V8 {
    /// The functions, where they can be relied on.
    fn of(env: &Env) -> Option<&'static Self> {
        static FOUND: OnceLock<Option<V8>> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return found.as_ref();
        }
        let is_known = KNOWN.contains(&env.get_node_version().ok()?.major);
        // An error, in a thread that is about to end, says nothing about the next one.
        let found = (is_known && allows_external(env).ok()?).then(Self::find);
        FOUND.get_or_init(|| found.flatten()).as_ref()
    }

    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    fn find() -> Option<Self> {
        use crate::symbol::find;
        // SAFETY: their mangled names say what arguments these functions take, and the versions of Node that
        // are known say what they return.
        unsafe {
            Some(Self {
                current_isolate: find(c"_ZN2v87Isolate10GetCurrentEv")?,
                new_store: find(c"_ZN2v811ArrayBuffer15NewBackingStoreEPvmPFvS1_mS1_ES1_")?,
                new_array_buffer: find(
                    c"_ZN2v811ArrayBuffer3NewEPNS_7IsolateESt10shared_ptrINS_12BackingStoreEE",
                )?,
                empty_deleter: find(c"_ZN2v812BackingStore12EmptyDeleterEPvmS1_")?,
                destroy_store: find(c"_ZN2v812BackingStoreD1Ev")?,
                delete: find(c"_ZdlPv")?,
            })
        }
    }

    /// What the C++ ABI is there, nobody has looked.
    #[cfg(not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )))]
    fn find() -> Option<Self> {
        None
    }

    /// # Safety
    /// As [`array_buffer`]; on the thread of an environment, in a call from it.
    unsafe fn array_buffer<K: Send + 'static>(
        &'static self,
        start: *mut c_void,
        length: usize,
        deleter: Deleter,
        kept: K,
    ) -> sys::napi_value {
        // SAFETY: the functions are what they are said to be. The call from JavaScript that we are in has
        // entered its isolate and has a scope for handles; a `napi_value` is a `Local`. V8 takes a use of its
        // own from the pointer, or empties it; what it leaves is ours to drop.
        unsafe {
            let store = (self.new_store)(start, length, deleter, ptr::null_mut()).store;
            let mut pointer = SharedPointer {
                store,
                control: Box::into_raw(Box::new(Control {
                    functions: &raw const Control::<K>::TABLE.functions,
                    uses: AtomicI32::new(1),
                    weak_uses: AtomicI32::new(1),
                    store,
                    v8: self,
                    kept: Some(kept),
                })),
            };
            let value =
                (self.new_array_buffer)((self.current_isolate)(), (&raw mut pointer).cast());
            if !pointer.control.is_null() {
                Control::release(pointer.control);
            }
            value
        }
    }
}

/// Whether memory may be somebody else's than V8's: not in Electron, whose V8 is not Node's either.
fn allows_external(env: &Env) -> Result<bool> {
    static BYTE: AtomicU8 = AtomicU8::new(0);
    let start = BYTE.as_ptr().cast::<c_void>();
    // SAFETY: the byte is always there.
    match unsafe { external_array_buffer(env.raw(), start, 1, ()) } {
        Ok(_) => Ok(true),
        Err(error) if error.status == Status::NoExternalBuffersAllowed => Ok(false),
        Err(error) => Err(error),
    }
}

/// The same by Node-API, which drops `kept` in a turn of the event loop.
///
/// # Errors
/// As [`array_buffer`].
///
/// # Safety
/// As [`array_buffer`].
pub unsafe fn external_array_buffer<K>(
    env: sys::napi_env,
    start: *mut c_void,
    length: usize,
    kept: K,
) -> Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    let hint = Box::into_raw(Box::new(kept));
    // SAFETY: an out-pointer of this frame; `drop_kept` is called once, with this hint.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env,
            start,
            length,
            Some(drop_kept::<K>),
            hint.cast(),
            &raw mut value,
        )
    };
    if status == sys::Status::napi_ok {
        return Ok(value);
    }
    // SAFETY: the call has failed, so it did not take the hint over.
    drop(unsafe { Box::from_raw(hint) });
    let status = Status::from(status);
    Err(Error::new(
        status,
        "this runtime does not allow memory of an addon's own",
    ))
}

unsafe extern "C" fn drop_kept<K>(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: the box of `external_array_buffer`; Node calls this once.
    drop(unsafe { Box::from_raw(hint.cast::<K>()) });
}
