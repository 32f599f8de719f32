//! Locks on ranges of a file that belong to an open file description: the kernel gives them back when its
//! last descriptor is closed, in whatever way the processes that hold it end.
//!
//! Descriptions made by opening are rivals; copies of a descriptor share one.

use std::io;
use std::os::fd::BorrowedFd;

/// Who else may have a lock on the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Others who share.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Takes a lock on a range of bytes, which need not exist; false when others hold one that forbids it.
/// Never blocks.
///
/// # Errors
/// `EINVAL` for a range beyond what a file can have, `ENOLCK` when the kernel has no memory for it;
/// `Unsupported` where there are no such locks.
pub fn try_lock(file: BorrowedFd<'_>, start: u64, length: u64, access: Access) -> io::Result<bool> {
    sys::try_lock(file, start, length, access)
}

/// Gives back what this description holds of a range.
///
/// # Errors
/// As [`try_lock`].
pub fn unlock(file: BorrowedFd<'_>, start: u64, length: u64) -> io::Result<()> {
    sys::unlock(file, start, length)
}

/// Whether another description holds a lock, of either kind, on any byte of a range.
///
/// # Errors
/// As [`try_lock`].
pub fn is_locked_elsewhere(file: BorrowedFd<'_>, start: u64, length: u64) -> io::Result<bool> {
    sys::is_locked_elsewhere(file, start, length)
}

#[cfg(target_os = "linux")]
mod sys {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd};

    use super::Access;

    pub fn try_lock(
        file: BorrowedFd<'_>,
        start: u64,
        length: u64,
        access: Access,
    ) -> io::Result<bool> {
        let kind = match access {
            Access::Shared => libc::F_RDLCK,
            Access::Exclusive => libc::F_WRLCK,
        };
        match control(file, libc::F_OFD_SETLK, &mut range(kind, start, length)?) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn unlock(file: BorrowedFd<'_>, start: u64, length: u64) -> io::Result<()> {
        control(
            file,
            libc::F_OFD_SETLK,
            &mut range(libc::F_UNLCK, start, length)?,
        )
    }

    pub fn is_locked_elsewhere(file: BorrowedFd<'_>, start: u64, length: u64) -> io::Result<bool> {
        let mut asked = range(libc::F_WRLCK, start, length)?;
        control(file, libc::F_OFD_GETLK, &mut asked)?;
        Ok(libc::c_int::from(asked.l_type) != libc::F_UNLCK)
    }

    fn range(kind: libc::c_int, start: u64, length: u64) -> io::Result<libc::flock> {
        let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
        // SAFETY: all of its fields are integers.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = kind as libc::c_short;
        range.l_whence = libc::SEEK_SET as libc::c_short;
        range.l_start = start.try_into().map_err(invalid)?;
        range.l_len = length.try_into().map_err(invalid)?;
        // To the kernel this is a range without an end.
        if range.l_len == 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(range)
    }

    fn control(
        file: BorrowedFd<'_>,
        command: libc::c_int,
        range: &mut libc::flock,
    ) -> io::Result<()> {
        // SAFETY: these commands take a pointer to such a structure, which outlives the call.
        let outcome = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(range)) };
        if outcome < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::io;
    use std::os::fd::BorrowedFd;

    use super::Access;

    pub fn try_lock(_: BorrowedFd<'_>, _: u64, _: u64, _: Access) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn unlock(_: BorrowedFd<'_>, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn is_locked_elsewhere(_: BorrowedFd<'_>, _: u64, _: u64) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::{descriptor, shared_memory};

    #[test]
    fn a_lock_lasts_as_long_as_its_description() {
        let one = shared_memory::create(4096).unwrap();
        let other = shared_memory::reopen(one.as_fd()).unwrap();
        assert!(try_lock(one.as_fd(), 1 << 40, 1, Access::Exclusive).unwrap());
        assert!(!try_lock(other.as_fd(), 1 << 40, 1, Access::Exclusive).unwrap());
        assert!(is_locked_elsewhere(other.as_fd(), 1 << 40, 1).unwrap());
        assert!(!is_locked_elsewhere(one.as_fd(), 1 << 40, 1).unwrap());
        let copy = descriptor::duplicate(one.as_fd()).unwrap();
        drop(one);
        assert!(is_locked_elsewhere(other.as_fd(), 1 << 40, 1).unwrap());
        drop(copy);
        assert!(!is_locked_elsewhere(other.as_fd(), 1 << 40, 1).unwrap());
    }

    #[test]
    fn shared_locks_are_seen_and_given_back_in_part() {
        let [one, two] = {
            let file = shared_memory::create(4096).unwrap();
            let again = shared_memory::reopen(file.as_fd()).unwrap();
            [file, again]
        };
        assert!(try_lock(one.as_fd(), 64, 128, Access::Shared).unwrap());
        assert!(try_lock(two.as_fd(), 64, 64, Access::Shared).unwrap());
        assert!(is_locked_elsewhere(two.as_fd(), 0, 65).unwrap());
        unlock(one.as_fd(), 64, 64).unwrap();
        assert!(!is_locked_elsewhere(two.as_fd(), 64, 64).unwrap());
        assert!(is_locked_elsewhere(two.as_fd(), 128, 64).unwrap());
    }

    #[test]
    fn impossible_ranges_are_errors() {
        let file = shared_memory::create(4096).unwrap();
        for (start, length) in [(u64::MAX, 1), (0, u64::MAX), (0, 0), (i64::MAX as u64, 2)] {
            assert!(try_lock(file.as_fd(), start, length, Access::Shared).is_err());
        }
    }
}
