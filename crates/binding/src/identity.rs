//! What belongs to the process and not to one environment: a worker thread asks here, not its own module.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mp_os::{descriptor, memory_file, socket};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::status;

/// What a process knows of itself, and what it holds for its children.
struct Identity {
    name: Option<Vec<u8>>,
    lifeline: Option<(OwnedFd, OwnedFd)>,
    code_cache: Option<OwnedFd>,
    fork_server: Option<OwnedFd>,
}

static IDENTITY: Mutex<Identity> = Mutex::new(Identity {
    name: None,
    lifeline: None,
    code_cache: None,
    fork_server: None,
});

fn this_process() -> MutexGuard<'static, Identity> {
    IDENTITY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After a fork: who the parent was, and how its children know that it lives, is not for this process.
/// The fork server is, until the process is told of another.
pub fn renew() {
    let mut identity = this_process();
    identity.name = None;
    identity.lifeline = None;
}

/// Says for the whole process what it was started as. The bytes are the facade's own.
#[napi]
pub fn set_identity(identity: &[u8]) {
    this_process().name = Some(identity.to_vec());
}

/// What the process was started as; null in the main process.
#[napi]
pub fn identity() -> Option<Buffer> {
    this_process().name.clone().map(Into::into)
}

/// A descriptor that reads its end when this process is gone, for its children; or a status.
#[napi]
pub fn lifeline() -> f64 {
    status::of(
        once(&mut this_process().lifeline, socket::pair).map(|(reader, _)| reader.as_raw_fd()),
    )
}

/// A file in memory that this process's children share, for `publishMemoryFile`; or a status.
#[napi]
pub fn code_cache() -> f64 {
    status::of(
        once(&mut this_process().code_cache, || memory_file::create(&[]))
            .map(|file| file.as_raw_fd()),
    )
}

/// The clients' end of the control socket of the fork server that this process uses; null for none.
#[napi]
pub fn fork_server() -> Option<i32> {
    this_process().fork_server.as_ref().map(AsRawFd::as_raw_fd)
}

/// Says for the whole process which fork server it uses, and closes the one that it used: 0 or a status.
/// Less than zero is none.
#[napi]
pub fn set_fork_server(control: i32) -> f64 {
    let adopted = if control < 0 {
        Ok(None)
    } else {
        descriptor::adopt(control).map(Some)
    };
    status::of_unit(adopted.map(|control| this_process().fork_server = control))
}

/// What is made once.
fn once<T>(place: &mut Option<T>, make: impl FnOnce() -> io::Result<T>) -> io::Result<&T> {
    match place {
        Some(value) => Ok(value),
        none => Ok(none.insert(make()?)),
    }
}
