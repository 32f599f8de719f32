//! Files in memory without a name.

use std::os::fd::IntoRawFd;
use std::sync::Arc;

use mp_os::{descriptor, memory_file};
use napi::bindgen_prelude::{Uint8Array, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{external, status};

/// Writes the parts one after the other to a new file in memory: its descriptor or a status.
#[napi]
pub fn create_memory_file(parts: Vec<Uint8Array>) -> f64 {
    let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
    status::of(memory_file::create(&parts).map(IntoRawFd::into_raw_fd))
}

/// The content of a file in memory as an `ArrayBuffer`, and closes it; or a status.
#[napi(ts_return_type = "ArrayBuffer | number")]
pub fn map_memory_file<'env>(env: &'env Env, fd: i32) -> Result<Unknown<'env>> {
    use napi::bindgen_prelude::ToNapiValue;
    use std::os::fd::AsFd;
    let mapped = descriptor::adopt(fd).and_then(|file| memory_file::map(file.as_fd()));
    match mapped {
        Ok(region) => {
            let length = region.len();
            external::array_buffer(env, &Arc::new(region), 0, length)
        }
        Err(error) => status::system(&error).into_unknown(env),
    }
}
