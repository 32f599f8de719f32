//! A file in memory that many processes hold, and that one of them fills for all.
//!
//! | Offset | Size | Content |
//! |---|---|---|
//! | 0 | 8 | the length of the content in bytes, little-endian; 0 until all of it is there |
//! | 8 | n | the content |
//!
//! Readers take no lock: the length is written last, by one call. A writer that dies before that leaves
//! the length 0, and its lock to the next writer.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{FlockOperation, fcntl_lock};

const LENGTH: u64 = 8;

/// Fills the file, unless it is filled already or somebody else is at it; says whether it did.
///
/// # Errors
/// What the kernel says of reading or writing the file.
pub fn publish(file: BorrowedFd<'_>, content: &[u8]) -> io::Result<bool> {
    // The lock belongs to this process, not to the description that all holders share.
    if fcntl_lock(file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    let outcome = publish_locked(file, content);
    // It was held a moment ago. Should this fail, the process's end gives it back.
    let _ = fcntl_lock(file, FlockOperation::Unlock);
    outcome
}

fn publish_locked(file: BorrowedFd<'_>, content: &[u8]) -> io::Result<bool> {
    let mut length = [0; LENGTH as usize];
    let known = rustix::io::pread(file, &mut length, 0)?;
    if known == length.len() && u64::from_le_bytes(length) != 0 {
        return Ok(false);
    }
    let mut written = 0;
    while written < content.len() {
        match rustix::io::pwrite(file, &content[written..], LENGTH + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    rustix::io::pwrite(file, &(content.len() as u64).to_le_bytes(), 0)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::memory_file;

    #[test]
    fn the_first_content_stays() {
        let file = memory_file::create(&[]).unwrap();
        assert!(publish(file.as_fd(), b"first").unwrap());
        assert!(!publish(file.as_fd(), b"second").unwrap());
        let content = memory_file::map(file.as_fd()).unwrap();
        assert_eq!(content.as_slice(), b"\x05\0\0\0\0\0\0\0first");
    }

    #[test]
    fn what_a_dead_writer_left_is_written_over() {
        let file = memory_file::create(&[&[0; 8], b"half of somethi"]).unwrap();
        assert!(publish(file.as_fd(), b"whole").unwrap());
        let content = memory_file::map(file.as_fd()).unwrap();
        assert_eq!(&content.as_slice()[..13], b"\x05\0\0\0\0\0\0\0whole");
    }
}
