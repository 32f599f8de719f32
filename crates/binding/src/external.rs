//! Memory of ours as an `ArrayBuffer` of JavaScript's, without a copy.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use mp_os::mapping::Mapping;
use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, Result, check_status, sys};

/// An `ArrayBuffer` over a part of a mapping. The mapping lives until every buffer over it is collected
/// or detached. Where external memory is forbidden (Electron), the bytes are copied.
pub fn array_buffer<'env>(
    env: &'env Env,
    mapping: &Arc<Mapping>,
    start: usize,
    length: usize,
) -> Result<Unknown<'env>> {
    debug_assert!(start <= mapping.len() && length <= mapping.len() - start);
    let mut value = ptr::null_mut();
    // SAFETY: start is within the mapping, so the pointer stays inside its mapping (or is dangling and
    // unused for an empty one).
    let data = unsafe { mapping.as_ptr().add(start) }.cast::<c_void>();
    let hint = Box::into_raw(Box::new(Arc::clone(mapping))).cast::<c_void>();
    // SAFETY: `data` is valid for `length` bytes as long as the Arc behind `hint` lives, which is until
    // `release` drops it. Two buffers over one mapping never overlap (a frame's parts are disjoint), so
    // JavaScript sees each byte once.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env.raw(),
            data,
            length,
            Some(release),
            hint,
            &raw mut value,
        )
    };
    if status == sys::Status::napi_no_external_buffers_allowed {
        // SAFETY: the call above did not take the hint over.
        drop(unsafe { Box::from_raw(hint.cast::<Arc<Mapping>>()) });
        value = copy(env, &mapping.as_slice()[start..start + length])?;
    } else {
        check_status!(status)?;
    }
    // SAFETY: the value was made in this environment just now.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}

fn copy(env: &Env, bytes: &[u8]) -> Result<sys::napi_value> {
    let (mut data, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: out-pointers of this frame.
    check_status!(unsafe {
        sys::napi_create_arraybuffer(env.raw(), bytes.len(), &raw mut data, &raw mut value)
    })?;
    if !bytes.is_empty() {
        // SAFETY: the new buffer has this many bytes and nothing else knows of it yet.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast::<u8>(), bytes.len()) };
    }
    Ok(value)
}

unsafe extern "C" fn release(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is the box made in `array_buffer`, and Node calls this once.
    drop(unsafe { Box::from_raw(hint.cast::<Arc<Mapping>>()) });
}
