//! What belongs to the process and not to one environment: a worker thread asks here, not its own module.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;

use mp_os::{memory_file, socket};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::status;

static IDENTITY: OnceLock<Vec<u8>> = OnceLock::new();
static LIFELINE: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();
static CODE_CACHE: OnceLock<OwnedFd> = OnceLock::new();

/// Says, once and for the whole process, what it was started as. The bytes are the facade's own.
#[napi]
pub fn set_identity(identity: &[u8]) -> bool {
    IDENTITY.set(identity.to_vec()).is_ok()
}

/// What the process was started as; null in the main process.
#[napi]
pub fn identity() -> Option<Buffer> {
    IDENTITY.get().map(|identity| identity.clone().into())
}

/// A descriptor that reads its end when this process is gone, for its children; or a status.
#[napi]
pub fn lifeline() -> f64 {
    status::of(
        once(&LIFELINE, || {
            let (reader, writer) = socket::pair()?;
            Ok((reader, writer))
        })
        .map(|(reader, _)| reader.as_raw_fd()),
    )
}

/// A file in memory that this process's children share, for `publishMemoryFile`; or a status.
#[napi]
pub fn code_cache() -> f64 {
    status::of(once(&CODE_CACHE, || memory_file::create(&[])).map(AsRawFd::as_raw_fd))
}

/// What is made once; should two threads make it, one of the two is kept and the other dropped.
fn once<T>(place: &OnceLock<T>, make: impl FnOnce() -> io::Result<T>) -> io::Result<&T> {
    if let Some(value) = place.get() {
        return Ok(value);
    }
    let made = make()?;
    Ok(place.get_or_init(|| made))
}
