//! Waiting until descriptors are ready, without losing time to signals.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes, a connection, an end of file, or the end of a process.
    Readable,
    /// Room for bytes.
    Writable,
}

impl Interest {
    const fn flags(self) -> PollFlags {
        match self {
            Self::Readable => PollFlags::IN,
            Self::Writable => PollFlags::OUT,
        }
    }
}

/// The moment a wait gives up; `None` is never.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A deadline so far from now; `None` is never, and so is more than the clock can say.
    pub fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// What is left until the deadline.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// Waits until one of the descriptors is ready and tells which are, in order. A closed or broken
/// descriptor counts as ready: the call that follows will say why. An empty answer is a time-out.
///
/// # Errors
/// `EINVAL` for more descriptors than the process may open, `EBADF` for one that is not open.
pub fn wait(
    descriptors: &[(BorrowedFd<'_>, Interest)],
    deadline: Deadline,
) -> io::Result<Vec<usize>> {
    let mut entries: Vec<_> = descriptors
        .iter()
        .map(|(fd, interest)| PollFd::from_borrowed_fd(*fd, interest.flags()))
        .collect();
    if poll_until(&mut entries, deadline)? == 0 {
        return Ok(Vec::new());
    }
    if entries
        .iter()
        .any(|entry| entry.revents().contains(PollFlags::NVAL))
    {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    let ready =
        |(index, entry): (usize, &PollFd<'_>)| (!entry.revents().is_empty()).then_some(index);
    Ok(entries.iter().enumerate().filter_map(ready).collect())
}

/// Waits for one descriptor; `false` is a time-out.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn wait_one(fd: BorrowedFd<'_>, interest: Interest, deadline: Deadline) -> io::Result<bool> {
    let mut entries = [PollFd::from_borrowed_fd(fd, interest.flags())];
    let ready = poll_until(&mut entries, deadline)? > 0;
    if entries[0].revents().contains(PollFlags::NVAL) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(ready)
}

/// The same, for so long at most, and only until a signal comes: `false` then, too.
///
/// # Errors
/// As [`wait_one`].
pub fn wait_until_signal(
    fd: BorrowedFd<'_>,
    interest: Interest,
    at_most: Duration,
) -> io::Result<bool> {
    let mut entries = [PollFd::from_borrowed_fd(fd, interest.flags())];
    let ready = match poll_once(&mut entries, Deadline::after(Some(at_most))) {
        Err(rustix::io::Errno::INTR) => 0,
        other => other?,
    };
    if entries[0].revents().contains(PollFlags::NVAL) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(ready > 0)
}

/// A signal ends a poll early; the wait goes on with the time that is left.
fn poll_until(entries: &mut [PollFd<'_>], deadline: Deadline) -> io::Result<usize> {
    loop {
        match poll_once(entries, deadline) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn poll_once(entries: &mut [PollFd<'_>], deadline: Deadline) -> rustix::io::Result<usize> {
    let timeout = deadline.remaining().map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    rustix::event::poll(entries, timeout.as_ref())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Some(Duration::from_millis(20)))
    }

    #[test]
    fn tells_which_are_ready() {
        let (a, _a) = crate::socket::pair().unwrap();
        let (b, peer) = crate::socket::pair().unwrap();
        let both = [
            (a.as_fd(), Interest::Readable),
            (b.as_fd(), Interest::Readable),
        ];
        assert!(wait(&both, soon()).unwrap().is_empty());
        rustix::io::write(&peer, b"x").unwrap();
        let never = Deadline::after(None);
        assert_eq!(wait(&both, never).unwrap(), [1]);
        let other = [both[0], (a.as_fd(), Interest::Writable)];
        assert_eq!(wait(&other, never).unwrap(), [1]);
    }

    #[test]
    fn a_closed_peer_is_ready() {
        let (a, peer) = crate::socket::pair().unwrap();
        drop(peer);
        assert!(wait_one(a.as_fd(), Interest::Readable, Deadline::after(None)).unwrap());
    }

    #[test]
    fn an_endless_timeout_is_never() {
        assert!(Deadline::after(Some(Duration::MAX)).remaining().is_none());
        assert_eq!(
            Deadline::after(Some(Duration::ZERO)).remaining(),
            Some(Duration::ZERO)
        );
    }
}
