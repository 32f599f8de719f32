//! A file's content as an `ArrayBuffer` of JavaScript's, without a copy.

use std::ptr::{self, NonNull};
use std::sync::Arc;

use mp_os::mapping::Mapping;
use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, Result, Status, check_status, sys};

use crate::backing_store::{self, Owner};

/// An `ArrayBuffer` over a part of a mapping. The mapping lives until every buffer over it is collected
/// or detached. Where external memory is forbidden (Electron), the bytes are copied.
pub fn array_buffer<'env>(
    env: &'env Env,
    mapping: &Arc<Mapping>,
    start: usize,
    length: usize,
) -> Result<Unknown<'env>> {
    debug_assert!(start <= mapping.len() && length <= mapping.len() - start);
    let kept = Arc::clone(mapping);
    // SAFETY: the bytes are there as long as the mapping is. Two buffers over one mapping never overlap (a
    // frame's parts are disjoint), so JavaScript sees each byte once, and nobody here reads them any more.
    let made = unsafe {
        let start = NonNull::new_unchecked(mapping.as_ptr().add(start));
        backing_store::array_buffer(env, start, length, Owner::Buffer, kept)
    };
    match made {
        Err(error) if error.status == Status::NoExternalBuffersAllowed => {
            copy(env, &mapping.as_slice()[start..start + length])
        }
        made => made,
    }
}

fn copy<'env>(env: &'env Env, bytes: &[u8]) -> Result<Unknown<'env>> {
    let (mut data, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: out-pointers of this frame.
    check_status!(unsafe {
        sys::napi_create_arraybuffer(env.raw(), bytes.len(), &raw mut data, &raw mut value)
    })?;
    if !bytes.is_empty() {
        // SAFETY: the new buffer has this many bytes and nothing else knows of it yet.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast::<u8>(), bytes.len()) };
    }
    // SAFETY: the value was made in this environment just now.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}
