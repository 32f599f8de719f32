//! Waking a thread that waits in its event loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A descriptor that is readable from the time somebody calls until the caller is heard.
#[derive(Debug)]
pub struct WakeUp(OwnedFd);

impl WakeUp {
    /// A new one, which nobody has called.
    ///
    /// # Errors
    /// `EMFILE` when no more descriptors can be had; `Unsupported` where there is nothing like it.
    pub fn new() -> io::Result<Self> {
        sys::new().map(Self)
    }

    /// Makes it readable. There is nobody to tell about a failure, which cannot be.
    pub fn call(&self) {
        sys::call(self.0.as_fd());
    }

    /// Makes it unreadable until the next call.
    pub fn hear(&self) {
        sys::hear(self.0.as_fd());
    }
}

/// One that came from another process.
impl From<OwnedFd> for WakeUp {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl AsFd for WakeUp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::event::{EventfdFlags, eventfd};

    pub fn new() -> io::Result<OwnedFd> {
        Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
    }

    pub fn call(fd: BorrowedFd<'_>) {
        let _ = rustix::io::write(fd, &1_u64.to_ne_bytes());
    }

    pub fn hear(fd: BorrowedFd<'_>) {
        let _ = rustix::io::read(fd, &mut [0_u8; 8]);
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    pub fn new() -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn call(_: BorrowedFd<'_>) {}

    pub fn hear(_: BorrowedFd<'_>) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::readiness::{Deadline, Interest, wait_one};

    #[test]
    fn it_is_readable_from_the_call_until_it_is_heard() {
        let wake_up = WakeUp::new().unwrap();
        let is_readable = || {
            let now = Deadline::after(Some(std::time::Duration::ZERO));
            wait_one(wake_up.as_fd(), Interest::Readable, now).unwrap()
        };
        assert!(!is_readable());
        wake_up.call();
        wake_up.call();
        assert!(is_readable());
        wake_up.hear();
        assert!(!is_readable());
        wake_up.hear();
    }
}
