//! Pipes whose reader comes later, or anew.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags};

/// The end to write to of a new pipe that nobody reads. No new program inherits it.
///
/// # Errors
/// `EMFILE` when the process may open no more.
pub fn without_reader() -> io::Result<OwnedFd> {
    let (_, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    Ok(writer)
}

/// Another end to read from of the pipe that is written to here. What was written while there was no reader
/// is not lost.
///
/// # Errors
/// `EMFILE`, and `ENOENT` where there is no `/proc`.
pub fn new_reader(writer: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    // Opening does not wait for a writer, as there is one.
    Ok(rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Moves what has been written to a file, at most so many bytes, and says how much that was; 0 is the end.
/// Waits until there is something. There is no moment at which bytes are in neither of the two.
///
/// # Errors
/// What splice(2) gives: `ENOSPC`, `ENOMEM`, `EINVAL` where it cannot be done.
#[cfg(target_os = "linux")]
pub fn move_to_file(
    reader: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    mut offset: u64,
    most: usize,
) -> io::Result<usize> {
    loop {
        let moved = rustix::pipe::splice(
            reader,
            None,
            file,
            Some(&mut offset),
            most,
            SpliceFlags::empty(),
        );
        match moved {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Writes a short message, which is not mixed with others'. Waits while the pipe is full.
///
/// # Errors
/// `EPIPE` when nobody reads, `EMSGSIZE` for more than [`SHORT`] bytes.
pub fn write_message(writer: BorrowedFd<'_>, message: &[u8]) -> io::Result<()> {
    if message.len() > SHORT {
        return Err(Errno::MSGSIZE.into());
    }
    loop {
        match rustix::io::write(writer, message) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            // Somebody who holds the pipe too has made it non-blocking.
            Err(Errno::AGAIN) => wait_for_room(writer)?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// What every system writes at once (`PIPE_BUF` is never less).
pub const SHORT: usize = 512;

fn wait_for_room(writer: BorrowedFd<'_>) -> io::Result<()> {
    let mut wanted = [rustix::event::PollFd::from_borrowed_fd(
        writer.as_fd(),
        rustix::event::PollFlags::OUT,
    )];
    match rustix::event::poll(&mut wanted, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn readers_may_come_and_go() {
        let writer = without_reader().unwrap();
        let refused = write_message(writer.as_fd(), b"lost").unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPIPE));
        let reader = new_reader(writer.as_fd()).unwrap();
        write_message(writer.as_fd(), b"unread").unwrap();
        drop(reader);
        let mut reader = File::from(new_reader(writer.as_fd()).unwrap());
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "unread");
    }

    #[test]
    fn what_is_moved_is_in_the_file() {
        let writer = without_reader().unwrap();
        let reader = new_reader(writer.as_fd()).unwrap();
        let file = crate::memory_file::create(&[b"before "]).unwrap();
        write_message(writer.as_fd(), b"after").unwrap();
        let moved = move_to_file(reader.as_fd(), file.as_fd(), 7, 1 << 16).unwrap();
        assert_eq!(moved, 5);
        drop(writer);
        let end = move_to_file(reader.as_fd(), file.as_fd(), 12, 1 << 16).unwrap();
        assert_eq!(end, 0);
        let content = crate::memory_file::map(file.as_fd()).unwrap();
        assert_eq!(content.as_slice(), b"before after");
    }
}
