//! Files in memory without a name.

use std::os::fd::IntoRawFd;

use mp_os::{descriptor, memory_file, publication};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::status;

/// Writes the parts one after the other to a new file in memory: its descriptor or a status.
#[napi]
pub fn create_memory_file(parts: Vec<Uint8Array>) -> f64 {
    let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
    status::of(memory_file::create(&parts).map(IntoRawFd::into_raw_fd))
}

/// Fills a shared file in memory for all who hold it, unless somebody has: 1 if this did, 0, or a status.
#[napi]
pub fn publish_memory_file(fd: i32, content: &[u8]) -> f64 {
    let published = descriptor::borrow(fd).and_then(|file| publication::publish(file, content));
    status::of(published.map(u8::from))
}
