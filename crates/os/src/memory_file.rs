//! Files that live in memory and have no name: the kernel frees them with their last descriptor.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::mapping::Mapping;

/// The kernel takes at most so many parts in one call (`IOV_MAX`).
const PARTS: usize = 1024;

/// A new file in memory holding the parts one after the other; no new program inherits it.
///
/// # Errors
/// `ENOMEM` or `ENOSPC` when there is no memory for it, `EMFILE` when no more descriptors can be had.
pub fn create(parts: &[&[u8]]) -> io::Result<OwnedFd> {
    let file = open()?;
    let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let some = &rest[..rest.len().min(PARTS)];
        match rustix::io::writev(&file, some) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(file)
}

/// Copies the beginning of such a file, as much as there is room for, and says how much that is.
///
/// # Errors
/// What pread(2) says.
pub fn read(file: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match rustix::io::pread(file, &mut into[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// The whole content of such a file, mapped: nothing is copied until it is changed, and changes are
/// seen by nobody else.
///
/// # Errors
/// `ENOMEM` when the address space has no room, `EINVAL` for what is no file.
pub fn map(file: BorrowedFd<'_>) -> io::Result<Mapping> {
    let length = rustix::fs::fstat(file)?.st_size;
    Mapping::private(
        file,
        usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?,
    )
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn open() -> io::Result<OwnedFd> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    Ok(rustix::fs::memfd_create(c"node-multiprocessing", flags)?)
}

/// Without `memfd_create`, a file in the temporary directory that loses its name at once.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn open() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for attempt in 0..64 {
        let unique = (std::process::id(), std::time::SystemTime::now(), attempt);
        let path = std::env::temp_dir().join(format!("node-multiprocessing-{unique:?}"));
        match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                rustix::fs::unlink(&path)?;
                return Ok(file);
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn holds_its_parts_in_order() {
        let file = create(&[b"one", b"", b"two", &[7; 100_000]]).unwrap();
        let content = map(file.as_fd()).unwrap();
        assert_eq!(content.len(), 100_006);
        assert_eq!(&content.as_slice()[..6], b"onetwo");
        assert!(content.as_slice()[6..].iter().all(|byte| *byte == 7));
    }

    #[test]
    fn more_parts_than_one_call_takes() {
        let parts = vec![&b"ab"[..]; 3 * PARTS + 1];
        let content = map(create(&parts).unwrap().as_fd()).unwrap();
        assert_eq!(content.len(), 2 * parts.len());
    }

    #[test]
    fn may_be_empty() {
        assert_eq!(map(create(&[]).unwrap().as_fd()).unwrap().len(), 0);
    }
}
