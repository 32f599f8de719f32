//! Not outliving the parent: a small thread that ends this process when its parent is gone.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::{Errno, FdFlags, fcntl_setfd},
};

use super::spawn::with_signals_blocked;

/// The thread needs next to nothing; the standard library raises this to the system's minimum.
const STACK_SIZE: usize = 64 * 1024;

/// What the watching thread and [`ParentWatch`] share.
struct Shared {
    /// Set by [`ParentWatch::exiting`] (release), read by the thread when the parent is gone
    /// (acquire).
    exiting: AtomicBool,
    /// Made readable by [`ParentWatch::stop`].
    stop: OwnedFd,
}

/// A running watch. Dropping it leaves the watch on.
#[derive(Clone)]
pub struct ParentWatch {
    shared: Arc<Shared>,
}

impl ParentWatch {
    /// This process has begun to leave by itself: if its parent goes now, it is not sent SIGTERM
    /// in the middle of that, but has the grace period to finish. Cannot be taken back.
    pub fn exiting(&self) {
        self.shared.exiting.store(true, Ordering::Release);
    }

    /// Ends the watch: the thread goes away, and this process lives on whatever becomes of its
    /// parent. Without effect once the parent's end has been noticed.
    pub fn stop(&self) {
        // An eventfd's counter cannot overflow by ones in the life of a process, and a blocking
        // write of one to it does not fail otherwise.
        let _ = rustix::io::write(&self.shared.stop, &1_u64.to_ne_bytes());
    }
}

impl std::fmt::Debug for ParentWatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ParentWatch")
            .field("exiting", &self.shared.exiting.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// Starts a thread that waits until every holder of the other end of `read_end` is gone, which
/// is when the parent has died, however it died. Then this process gets SIGTERM, and SIGKILL if
/// it is still there after `grace`.
///
/// `read_end` is the reading end of a pipe, or a connected socket; nothing is ever read from it,
/// and it is made close-on-exec so that children of this process do not hold it. The thread has
/// all signals blocked, does not hold up the end of the process, and is not carried over by a
/// fork.
///
/// A parent that ends normally terminates its daemons itself and waits for them, so it is still
/// there when they go. Only a child that leaves by itself at the same moment could be hit in the
/// middle of that; [`ParentWatch::exiting`] is for it.
///
/// # Errors
///
/// `EBADF` when `read_end` is closed, `EMFILE` or `ENFILE` when there are no descriptors left,
/// `EAGAIN` when no thread can be made.
pub fn watch_parent(read_end: OwnedFd, grace: Duration) -> io::Result<ParentWatch> {
    fcntl_setfd(&read_end, FdFlags::CLOEXEC)?;
    let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
    let shared = Arc::new(Shared {
        exiting: AtomicBool::new(false),
        stop,
    });
    let watch = ParentWatch {
        shared: Arc::clone(&shared),
    };
    let thread = thread::Builder::new()
        .name("mp-parent-watch".into())
        .stack_size(STACK_SIZE);
    // A new thread starts with the mask of its maker, so there is no moment at which it could
    // take a signal that is meant for the program.
    with_signals_blocked(|| {
        thread.spawn(move || {
            if parent_is_gone(&read_end, &shared.stop) {
                end_this_process(&shared, grace);
            }
        })
    })?;
    Ok(watch)
}

/// Blocks until the other end is closed (true) or the watch is stopped (false).
fn parent_is_gone(read_end: &OwnedFd, stop: &OwnedFd) -> bool {
    loop {
        // A closed other end is reported whatever is asked for, on pipes and local sockets; a TCP
        // peer that only shut down its sending side counts as gone too.
        let mut waited = [
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(read_end.as_fd(), PollFlags::RDHUP),
        ];
        match poll(&mut waited, None) {
            Ok(_) if !waited[0].revents().is_empty() => return false,
            // Somebody closed a descriptor that is ours. What happens to the parent can no longer
            // be known, and killing a healthy process is the greater harm.
            Ok(_) if waited[1].revents().contains(PollFlags::NVAL) => return false,
            Ok(_) if !waited[1].revents().is_empty() => return true,
            Ok(_) | Err(Errno::INTR) => {}
            // ENOMEM: nothing is known yet, and it passes.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn end_this_process(shared: &Shared, grace: Duration) {
    if !shared.exiting.load(Ordering::Acquire) {
        // SAFETY: kill(2) and getpid(2) touch no memory.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    }
    thread::sleep(grace);
    // SAFETY: kill(2), getpid(2) and _exit(2) touch no memory. The first process of a pid
    // namespace is immune to its own SIGKILL, but not to leaving.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
        libc::_exit(128 + libc::SIGKILL);
    }
}
