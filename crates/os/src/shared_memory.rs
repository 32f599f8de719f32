//! Memory that processes share: files without a name, of a size that nobody can change, and mappings in
//! which everybody sees what the others write.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise};

/// What tells a file from all others that exist at the same time: its device and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    device: u64,
    number: u64,
}

/// A new file of zeros in memory, of a size that is final; no new program inherits it. Pages that nobody
/// has written to take no memory.
///
/// # Errors
/// `ENOMEM` for more than the machine has, `EFBIG` for more than `RLIMIT_FSIZE` allows, `EMFILE` when no
/// more descriptors can be had; `Unsupported` where there are no such files.
pub fn create(length: u64) -> io::Result<OwnedFd> {
    // The kernel would end the process (SIGXFSZ).
    if exceeds_file_limit(length) {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    refuse_more_than_memory(length)?;
    sys::create(length)
}

/// What is larger than the machine's memory can be nowhere in it.
///
/// # Errors
/// `ENOMEM` for more bytes than that, where it is known.
pub fn refuse_more_than_memory(length: u64) -> io::Result<()> {
    if exceeds_memory(length) {
        return Err(io::Error::from_raw_os_error(libc::ENOMEM));
    }
    Ok(())
}

/// The size of such a file; nothing for anything else: a file that could be made smaller would end the
/// processes that have it mapped.
///
/// # Errors
/// `EBADF` when the descriptor is not open.
pub fn final_length(file: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    sys::final_length(file)
}

/// Which file this is.
///
/// # Errors
/// `EBADF` when the descriptor is not open.
pub fn identity(file: BorrowedFd<'_>) -> io::Result<Identity> {
    let status = rustix::fs::fstat(file)?;
    Ok(Identity {
        device: status.st_dev as u64,
        number: status.st_ino as u64,
    })
}

/// Opens the file once more: another description, which shares no locks with the first.
///
/// # Errors
/// `EMFILE` when no more descriptors can be had, `ENOENT` where `/proc` is missing.
pub fn reopen(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::open(
        path,
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn exceeds_file_limit(length: u64) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    limit.current.is_some_and(|limit| length > limit)
}

#[cfg(target_os = "linux")]
fn exceeds_memory(length: u64) -> bool {
    let info = rustix::system::sysinfo();
    let units = (info.totalram as u64).saturating_add(info.totalswap as u64);
    length > units.saturating_mul(u64::from(info.mem_unit))
}

#[cfg(not(target_os = "linux"))]
fn exceeds_memory(_length: u64) -> bool {
    false
}

#[cfg(target_os = "linux")]
mod sys {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals};

    /// What nobody may do any more.
    const FINAL: SealFlags = SealFlags::SHRINK
        .union(SealFlags::GROW)
        .union(SealFlags::SEAL);

    /// The file system of ordinary files in memory. Those of huge pages are none: a page of theirs may
    /// be missing when it is touched.
    const TMPFS_MAGIC: i64 = 0x0102_1994;

    pub fn create(length: u64) -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create(c"node-multiprocessing", flags)?;
        rustix::fs::ftruncate(&file, length)?;
        fcntl_add_seals(&file, FINAL)?;
        Ok(file)
    }

    pub fn final_length(file: BorrowedFd<'_>) -> io::Result<Option<u64>> {
        let Ok(seals) = fcntl_get_seals(file) else {
            rustix::io::fcntl_getfd(file)?;
            return Ok(None);
        };
        if !seals.contains(FINAL) || rustix::fs::fstatfs(file)?.f_type as i64 != TMPFS_MAGIC {
            return Ok(None);
        }
        Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).ok())
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    pub fn create(_: u64) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn final_length(_: BorrowedFd<'_>) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

/// In what pieces a mapping is touched.
const PIECE: usize = 2 << 20;

/// A whole file mapped so that all who map it see the same bytes. They change at any time, so nobody is
/// given a reference to plain ones.
#[derive(Debug)]
pub struct SharedMapping {
    start: NonNull<u8>,
    length: usize,
    /// Which pieces were touched as a whole; none of small mappings.
    touched: Box<[AtomicBool]>,
}

// SAFETY: the memory belongs to no thread, and is only given out as a pointer or as atomics.
unsafe impl Send for SharedMapping {}
// SAFETY: as above.
unsafe impl Sync for SharedMapping {}

impl SharedMapping {
    /// Maps the first bytes of a file whose length is final and at least that.
    ///
    /// # Errors
    /// `ENOMEM` when the address space has no room, `EINVAL` for no bytes, `EPERM` for a file that may not
    /// be written to.
    pub fn new(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so no memory in use is replaced.
        let start = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                length,
                access,
                MapFlags::SHARED,
                file.as_fd(),
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let pieces = if length < 2 * PIECE {
            0
        } else {
            length.div_ceil(PIECE)
        };
        Ok(Self {
            start,
            length,
            touched: (0..pieces).map(|_| AtomicBool::new(false)).collect(),
        })
    }

    /// Has the kernel note down in this process's page tables where the memory of a range is, all at once and
    /// not page by page as they are touched. What was noted down so before is not looked at again.
    pub fn touch(&self, range: Range<usize>) {
        let end = range.end.min(self.length);
        let mut start = range.start.min(end) & !(rustix::param::page_size() - 1);
        while start < end {
            let next = (start / PIECE + 1) * PIECE;
            let length = next.min(end) - start;
            // Relaxed: it is a hint, and guards nothing.
            let seen = self.touched.get(start / PIECE);
            if let Some(seen) = seen.filter(|seen| !seen.load(Ordering::Relaxed)) {
                let address = self.start.as_ptr().wrapping_add(start).cast();
                // SAFETY: the range is within the mapping, and keeps its content.
                if unsafe { madvise(address, length, Advice::LinuxPopulateRead) }.is_err() {
                    return;
                }
                if length == PIECE {
                    seen.store(true, Ordering::Relaxed);
                }
            }
            start = next;
        }
    }

    /// How many bytes it has; never none.
    #[allow(
        clippy::len_without_is_empty,
        reason = "there is no mapping of no bytes"
    )]
    pub fn len(&self) -> usize {
        self.length
    }

    /// The byte at an offset, for raw access to what follows it as long as the mapping lives; nothing for
    /// an offset outside.
    pub fn at(&self, offset: usize) -> Option<NonNull<u8>> {
        // SAFETY: the offset is within the mapping.
        (offset < self.length).then(|| unsafe { self.start.add(offset) })
    }

    /// The word at an offset; nothing when it is not wholly inside, or not at a multiple of four.
    pub fn word(&self, offset: usize) -> Option<&AtomicU32> {
        let inside = offset
            .checked_add(size_of::<AtomicU32>())
            .is_some_and(|end| end <= self.length);
        if !inside || !offset.is_multiple_of(align_of::<AtomicU32>()) {
            return None;
        }
        // SAFETY: inside the mapping, which begins at a page, so aligned; it lives as long as `self`.
        Some(unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(offset).cast()) })
    }
}

impl Drop for SharedMapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this start and length, and its only owner is going.
        // Unmapping whole pages of our own cannot fail.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn all_mappings_show_the_same_bytes() {
        let file = create(8192).unwrap();
        let again = reopen(file.as_fd()).unwrap();
        assert_eq!(
            identity(file.as_fd()).unwrap(),
            identity(again.as_fd()).unwrap()
        );
        let one = SharedMapping::new(file.as_fd(), 8192).unwrap();
        let other = SharedMapping::new(again.as_fd(), 8192).unwrap();
        drop((file, again));
        one.word(8188).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(other.word(8188).unwrap().load(Ordering::Relaxed), 7);
        assert_ne!(one.at(0), other.at(0));
    }

    #[test]
    fn touching_changes_nothing_and_goes_no_further_than_the_end() {
        for length in [4096, 2 * PIECE - 1, 2 * PIECE, 2 * PIECE + 4097] {
            let file = create(length as u64).unwrap();
            let mapping = SharedMapping::new(file.as_fd(), length).unwrap();
            let words = (0..length / 4).step_by(1000).map(|word| word * 4);
            for offset in words.clone() {
                mapping.word(offset).unwrap().store(7, Ordering::Relaxed);
            }
            for range in [
                1..2,
                5000..usize::MAX,
                length..length,
                PIECE - 1..PIECE + 1,
                0..length,
            ] {
                mapping.touch(range);
            }
            let touched = mapping
                .touched
                .iter()
                .filter(|each| each.load(Ordering::Relaxed));
            assert_eq!(touched.count(), if length < 2 * PIECE { 0 } else { 2 });
            for offset in words {
                assert_eq!(mapping.word(offset).unwrap().load(Ordering::Relaxed), 7);
            }
        }
    }

    #[test]
    fn words_outside_or_between_are_none() {
        let file = create(4096).unwrap();
        let mapping = SharedMapping::new(file.as_fd(), 4096).unwrap();
        for offset in [4096, 4093, 4095, 2, usize::MAX, usize::MAX - 3] {
            assert!(mapping.word(offset).is_none());
        }
        assert!(mapping.word(4092).is_some());
        assert!(mapping.at(4095).is_some() && mapping.at(4096).is_none());
    }

    #[test]
    fn the_length_is_final() {
        let file = create(4096).unwrap();
        assert_eq!(final_length(file.as_fd()).unwrap(), Some(4096));
        assert!(rustix::fs::ftruncate(&file, 0).is_err());
        assert!(rustix::fs::ftruncate(&file, 8192).is_err());
        let loose = crate::memory_file::create(&[&[0; 4096]]).unwrap();
        assert_eq!(final_length(loose.as_fd()).unwrap(), None);
        let (socket, _other) = crate::socket::pair().unwrap();
        assert_eq!(final_length(socket.as_fd()).unwrap(), None);
    }

    #[test]
    fn more_than_the_machine_has_is_an_error() {
        let error = create(1 << 52).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
    }
}
