//! Shared memory with a name, as an `ArrayBuffer`.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mp_os::named_memory::{self as os, SharedMemory};
use napi::bindgen_prelude::{ArrayBuffer, Either, FromNapiValue, Unknown};
use napi::{Env, JsValue, Result, check_status, sys};
use napi_derive::napi;

use crate::{backing_store, status};

/// The memory that buffers of this process are over, by its address. A buffer's finalizer takes it out.
static MAPPED: Mutex<Option<HashMap<usize, SharedMemory>>> = Mutex::new(None);

fn mapped() -> MutexGuard<'static, Option<HashMap<usize, SharedMemory>>> {
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes an object of so many bytes under a name and maps it: an `ArrayBuffer`, or a status.
#[napi(ts_return_type = "ArrayBuffer | number")]
pub fn create_shared_memory(
    env: Env,
    name: String,
    size: f64,
) -> Result<Either<f64, Unknown<'static>>> {
    let made = || SharedMemory::create(&c_string(name)?, size as u64);
    of(&env, made())
}

/// Maps the object of a name: an `ArrayBuffer`, or a status. One of more bytes than `most` is `EFBIG`.
#[napi(ts_return_type = "ArrayBuffer | number")]
pub fn open_shared_memory(
    env: Env,
    name: String,
    most: f64,
) -> Result<Either<f64, Unknown<'static>>> {
    let opened = || {
        let memory = SharedMemory::open(&c_string(name)?)?;
        if memory.length() as f64 > most {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        Ok(memory)
    };
    of(&env, opened())
}

/// Takes the buffer its memory: it and all views of it have the length 0 from now on. One that was
/// transferred, or closed before, is left alone. Returns 0 or a status.
#[napi]
pub fn close_shared_memory(env: Env, buffer: ArrayBuffer<'_>) -> Result<f64> {
    let address = buffer.as_ptr().addr();
    if buffer.is_empty() || !is_ours(address) {
        return Ok(0.0);
    }
    // SAFETY: the value is an ArrayBuffer of this environment.
    check_status!(unsafe { sys::napi_detach_arraybuffer(env.raw(), buffer.raw()) })?;
    // The buffer's finalizer may have come already, and unmapped it.
    let mut mapped = mapped();
    let memory = mapped.as_mut().and_then(|all| all.get_mut(&address));
    Ok(status::of_unit(memory.map_or(Ok(()), SharedMemory::detach)))
}

/// Takes an object's name away: 0 or a status.
#[napi]
pub fn unlink_shared_memory(name: String) -> f64 {
    status::of_unit(c_string(name).and_then(|name| os::unlink(&name)))
}

/// Whether there is an object of that name.
#[napi]
pub fn shared_memory_exists(name: String) -> bool {
    c_string(name).is_ok_and(|name| os::exists(&name))
}

fn is_ours(address: usize) -> bool {
    (mapped().as_ref()).is_some_and(|all| all.contains_key(&address))
}

fn c_string(name: String) -> io::Result<CString> {
    CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn of(env: &Env, outcome: io::Result<SharedMemory>) -> Result<Either<f64, Unknown<'static>>> {
    match outcome {
        Ok(memory) => array_buffer(env, memory).map(Either::B),
        Err(error) => Ok(Either::A(status::system(&error))),
    }
}

fn array_buffer(env: &Env, memory: SharedMemory) -> Result<Unknown<'static>> {
    let (start, length) = (memory.start().as_ptr(), memory.length());
    mapped()
        .get_or_insert_default()
        .insert(start.addr(), memory);
    // SAFETY: the memory is mapped until the use is dropped, which is when no buffer is over it any more. No
    // other buffer of this process is over the same addresses. The value is made in this environment, and
    // returned to it at once.
    unsafe {
        let kept = Use(start.addr());
        let value = backing_store::external_array_buffer(env.raw(), start, length, kept)?;
        Unknown::from_napi_value(env.raw(), value)
    }
}

/// The use of the memory at an address.
struct Use(usize);

impl Drop for Use {
    fn drop(&mut self) {
        let memory = mapped().as_mut().and_then(|all| all.remove(&self.0));
        drop(memory);
    }
}
