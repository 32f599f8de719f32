//! What belongs to the process and not to one environment: a worker thread asks here, not its own module.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mp_os::process::fork_server;
use mp_os::{descriptor, memory_file, process, socket};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::{resource_tracker, status};

/// What a process knows of itself, and what it holds for its children.
struct Identity {
    name: Option<Vec<u8>>,
    lifeline: Option<(OwnedFd, OwnedFd)>,
    code_cache: Option<OwnedFd>,
    fork_server: Option<ForkServer>,
    /// How many there have been.
    fork_servers: u32,
}

/// The fork server that a process uses: all of its threads the same one.
struct ForkServer {
    /// Tells it from those before it.
    number: u32,
    /// Threads that are asking it keep the socket open, whatever becomes of this.
    control: Arc<OwnedFd>,
    /// Its pidfd, where it is a child of this process.
    process: Option<OwnedFd>,
}

static IDENTITY: Mutex<Identity> = Mutex::new(Identity {
    name: None,
    lifeline: None,
    code_cache: None,
    fork_server: None,
    fork_servers: 0,
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
    // Its children are not this process's.
    if let Some(server) = &mut identity.fork_server {
        server.process = None;
    }
    drop(identity);
    resource_tracker::renew();
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

/// The number of the fork server that this process uses; null for none.
#[napi]
pub fn fork_server() -> Option<u32> {
    Some(this_process().fork_server.as_ref()?.number)
}

/// Says which fork server this process uses from now on, unless it has one; with its pidfd, or less than
/// zero where it is not a child of this process. Takes over both descriptors. Returns the number of the
/// one to use, or a status.
#[napi]
pub fn use_fork_server(control: i32, pidfd: i32) -> f64 {
    let adopt = || -> io::Result<u32> {
        let control = Arc::new(descriptor::adopt(control)?);
        let process = (pidfd >= 0).then(|| descriptor::adopt(pidfd)).transpose()?;
        let mut this = this_process();
        this.fork_servers += 1;
        let number = this.fork_servers;
        // Another thread may have been faster; without clients this one ends.
        let server = this.fork_server.get_or_insert(ForkServer {
            number,
            control,
            process,
        });
        Ok(server.number)
    };
    status::of(adopt())
}

/// This process does not use the fork server of that number any more, if it still did. Returns the exit
/// code of one that was its child and has ended.
#[napi]
pub fn forget_fork_server(number: i32) -> Option<i32> {
    let forgotten = this_process()
        .fork_server
        .take_if(|server| i64::from(server.number) == i64::from(number));
    // Its sockets are closed a moment before it can be collected.
    forgotten?.end(Duration::from_secs(1))
}

/// Ends the fork server, unless other processes use it too, and waits for that at most so many
/// milliseconds.
#[napi]
pub fn stop_fork_server(patience: u32) {
    let Some(server) = this_process().fork_server.take() else {
        return;
    };
    if let Some(process) = &server.process {
        // There is nobody to tell what went wrong.
        let _ = fork_server::part(
            server.control,
            process.as_fd(),
            Duration::from_millis(patience.into()),
        );
    }
}

/// The control socket of the fork server of a number, kept open for the caller.
pub fn control_of(number: u32) -> Option<Arc<OwnedFd>> {
    let this = this_process();
    let server = this.fork_server.as_ref()?;
    (server.number == number).then(|| Arc::clone(&server.control))
}

impl ForkServer {
    /// Gives up asking, waits for the server's end, and collects its exit code.
    fn end(self, patience: Duration) -> Option<i32> {
        let Self {
            control, process, ..
        } = self;
        drop(control);
        let status = process::wait(process?.as_fd(), Some(patience)).ok()??;
        Some(status.code())
    }
}

/// What is made once.
fn once<T>(place: &mut Option<T>, make: impl FnOnce() -> io::Result<T>) -> io::Result<&T> {
    match place {
        Some(value) => Ok(value),
        none => Ok(none.insert(make()?)),
    }
}
