//! A file in memory that many processes hold, and that one of them at a time has to itself.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

/// Opens the file once more and locks it; nothing when somebody has. The lock goes with the last copy of
/// what is returned, in this process or in one that it is given to.
///
/// # Errors
/// `EMFILE`, and `ENOENT` where there is no `/proc`.
pub fn try_lock(file: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let own = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    match flock(&own, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(own)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Frees the memory of whole pages in a range; they read as zeros then.
///
/// # Errors
/// `EOPNOTSUPP` where a file cannot have holes.
#[cfg(target_os = "linux")]
pub fn punch(file: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let page = rustix::param::page_size() as u64;
    let (start, end) = (start.next_multiple_of(page), end - end % page);
    if start < end {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(file, hole, start, end - start)?;
    }
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::{descriptor, memory_file};

    #[test]
    fn a_lock_lasts_as_long_as_any_copy_of_it() {
        let file = memory_file::create(&[]).unwrap();
        let lock = try_lock(file.as_fd()).unwrap().expect("nobody has it");
        let copy = descriptor::duplicate(lock.as_fd()).unwrap();
        drop(lock);
        assert!(try_lock(file.as_fd()).unwrap().is_none());
        drop(copy);
        assert!(try_lock(file.as_fd()).unwrap().is_some());
    }

    #[test]
    fn a_hole_reads_as_zeros_and_leaves_the_rest() {
        let file = memory_file::create(&[&[7; 20_000]]).unwrap();
        punch(file.as_fd(), 1, 19_999).unwrap();
        let content = memory_file::map(file.as_fd()).unwrap();
        assert_eq!((content.len(), content.as_slice()[0]), (20_000, 7));
        assert_eq!(content.as_slice()[8192], 0);
        assert_eq!(content.as_slice()[19_999], 7);
    }
}
