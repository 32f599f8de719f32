//! POSIX shared memory: objects with a name, which any process of the same user can map.

use std::ffi::{CStr, c_void};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::{self, NonNull};

use rustix::fs::{FallocateFlags, Mode};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::process::Resource;
use rustix::shm::OFlags;

/// The kernel breaks off an allocation when a signal comes, and begins anew; in pieces of this size it gets on.
const PIECE: u64 = 16 << 20;

/// The memory of an object, mapped into this process. Others write to it at any time, so there is no
/// reference to it, only an address.
pub struct SharedMemory {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: a mapping is plain memory with one owner; nothing in it belongs to a thread.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Makes an object of so many bytes, all zero, and maps it. All of its memory is taken at once: there is
    /// none missing when it is written to.
    ///
    /// # Errors
    /// `EEXIST` when there is one of that name, `ENOSPC` or `ENOMEM` when there is no memory for it, `EFBIG`
    /// for more than a file may have (`RLIMIT_FSIZE`), `EINVAL` for a name with a slash and for a length of
    /// 0, `ENAMETOOLONG`. There is no object then that was not there before.
    pub fn create(name: &CStr, length: u64) -> io::Result<Self> {
        let wanted = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        let object = retry(|| rustix::shm::open(name, wanted, Mode::RUSR | Mode::WUSR))?;
        let made = allocate(object.as_fd(), length).and_then(|()| Self::map(object.as_fd()));
        if made.is_err() {
            // It was made here, a moment ago.
            let _ = unlink(name);
        }
        made
    }

    /// Maps the object of that name.
    ///
    /// # Errors
    /// `ENOENT` when there is none, `EACCES` when it is another user's, `EINVAL` for an empty one.
    pub fn open(name: &CStr) -> io::Result<Self> {
        let object = retry(|| rustix::shm::open(name, OFlags::RDWR, Mode::empty()))?;
        Self::map(object.as_fd())
    }

    fn map(object: BorrowedFd<'_>) -> io::Result<Self> {
        let length = usize::try_from(rustix::fs::fstat(object)?.st_size)
            .map_err(|_| io::Error::from(Errno::FBIG))?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so no memory in use is replaced; no reference to the
        // content is ever made.
        let start = unsafe {
            rustix::mm::mmap(ptr::null_mut(), length, access, MapFlags::SHARED, object, 0)?
        };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// Its first byte; valid for [`SharedMemory::length`] bytes as long as this lives.
    #[must_use]
    pub fn start(&self) -> NonNull<c_void> {
        self.start
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Lets go of the object and its memory at once, and keeps the addresses: whoever still reads or writes
    /// there meets memory of this process's own.
    ///
    /// # Errors
    /// `ENOMEM` when the process has too many mappings; nothing has changed then.
    pub fn detach(&mut self) -> io::Result<()> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: the range is this mapping's own, so what is replaced is nobody else's memory.
        unsafe { rustix::mm::mmap_anonymous(self.start.as_ptr(), self.length, access, flags)? };
        Ok(())
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this start and length, and its only owner is going.
        // Unmapping whole pages of our own cannot fail.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr(), self.length) };
    }
}

/// Takes an object's name away. Its memory goes when nobody maps it any more.
///
/// # Errors
/// `ENOENT` when there is none of that name.
pub fn unlink(name: &CStr) -> io::Result<()> {
    Ok(rustix::shm::unlink(name)?)
}

/// Whether there is an object of that name.
#[must_use]
pub fn exists(name: &CStr) -> bool {
    !matches!(
        retry(|| rustix::shm::open(name, OFlags::RDONLY, Mode::empty())),
        Err(Errno::NOENT)
    )
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Gives an empty object its length, and memory for all of it.
fn allocate(object: BorrowedFd<'_>, length: u64) -> io::Result<()> {
    // Beyond the limit the kernel sends a signal that ends the process.
    let limit = rustix::process::getrlimit(Resource::Fsize).current;
    if i64::try_from(length).is_err() || limit.is_some_and(|limit| length > limit) {
        return Err(Errno::FBIG.into());
    }
    // What can never be had is not begun with, as that would take all there is for a while.
    let space = rustix::fs::fstatvfs(object)?;
    if space.f_blocks > 0 && length > space.f_bavail.saturating_mul(space.f_frsize) {
        return Err(Errno::NOSPC.into());
    }
    let mut start = 0;
    while start < length {
        let piece = PIECE.min(length - start);
        match reserve(object, start, piece) {
            Ok(()) => start += piece,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn reserve(object: BorrowedFd<'_>, start: u64, length: u64) -> Result<(), Errno> {
    rustix::fs::fallocate(object, FallocateFlags::empty(), start, length)
}

/// Elsewhere an object is given its length, once, and its memory as it is used.
#[cfg(not(target_os = "linux"))]
fn reserve(object: BorrowedFd<'_>, start: u64, length: u64) -> Result<(), Errno> {
    rustix::fs::ftruncate(object, start + length)
}

/// What all processes map that is shared. Those of other users cannot be looked at, and do not count.
#[cfg(target_os = "linux")]
#[derive(Debug, Default)]
pub struct Mapped(std::collections::HashSet<(u32, u32, u64)>);

#[cfg(target_os = "linux")]
impl Mapped {
    /// Looks at every process there is.
    #[must_use]
    pub fn look() -> Self {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let maps = processes
            .filter(|entry| {
                let name = entry.file_name();
                name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
            })
            // A process may end meanwhile, or be somebody else's.
            .filter_map(|entry| std::fs::read(entry.path().join("maps")).ok());
        Self(
            maps.flat_map(|maps| {
                String::from_utf8_lossy(&maps)
                    .lines()
                    .filter_map(shared_file)
                    .collect::<Vec<_>>()
            })
            .collect(),
        )
    }

    /// Whether the object of that name is among it; one that is not there is not.
    #[must_use]
    pub fn contains(&self, name: &CStr) -> bool {
        let status = retry(|| rustix::shm::open(name, OFlags::RDONLY, Mode::empty()))
            .and_then(rustix::fs::fstat);
        status.is_ok_and(|status| {
            let device = status.st_dev;
            let file = (
                rustix::fs::major(device),
                rustix::fs::minor(device),
                status.st_ino,
            );
            self.0.contains(&file)
        })
    }
}

/// The file of a shared mapping: a line of `/proc/*/maps` is
/// `start-end rwxs offset major:minor inode name`.
#[cfg(target_os = "linux")]
fn shared_file(line: &str) -> Option<(u32, u32, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    if !fields.next()?.ends_with('s') {
        return None;
    }
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let number = |text| u32::from_str_radix(text, 16).ok();
    Some((number(major)?, number(minor)?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    fn unique(what: &str) -> CString {
        CString::new(format!("/mp-os-test-{what}-{}", std::process::id())).unwrap()
    }

    #[test]
    fn two_mappings_are_the_same_memory() {
        let name = unique("same");
        let one = SharedMemory::create(&name, 5000).unwrap();
        let other = SharedMemory::open(&name).unwrap();
        assert_eq!((one.length(), other.length()), (5000, 5000));
        // SAFETY: within mappings that live; nobody else writes to them.
        unsafe {
            one.start().cast::<u8>().add(4999).write_volatile(7);
            assert_eq!(other.start().cast::<u8>().add(4999).read_volatile(), 7);
        }
        assert!(exists(&name));
        unlink(&name).unwrap();
        assert!(!exists(&name));
        let gone = SharedMemory::open(&name).err().unwrap();
        assert_eq!(gone.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn what_is_detached_can_still_be_written_to() {
        let name = unique("detached");
        let mut one = SharedMemory::create(&name, 100).unwrap();
        let other = SharedMemory::open(&name).unwrap();
        one.detach().unwrap();
        // SAFETY: within mappings that live; nobody else writes to them.
        unsafe {
            one.start().cast::<u8>().write_volatile(7);
            assert_eq!(other.start().cast::<u8>().read_volatile(), 0);
        }
        unlink(&name).unwrap();
    }

    #[test]
    fn what_cannot_be_had_leaves_nothing() {
        let name = unique("refused");
        for (length, errno) in [
            (0, libc::EINVAL),
            (u64::MAX, libc::EFBIG),
            (1 << 62, libc::ENOSPC),
        ] {
            let error = SharedMemory::create(&name, length).err().unwrap();
            // Which of the two a file system says first is its own affair.
            let too_large = [libc::EFBIG, libc::ENOSPC, libc::ENOMEM];
            let seen = error.raw_os_error().unwrap();
            assert!(
                seen == errno || (errno != libc::EINVAL && too_large.contains(&seen)),
                "{error}"
            );
            assert!(!exists(&name));
        }
    }

    #[test]
    fn an_existing_object_stays_as_it_is() {
        let name = unique("existing");
        let _object = SharedMemory::create(&name, 10).unwrap();
        let error = SharedMemory::create(&name, 20).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
        assert_eq!(SharedMemory::open(&name).unwrap().length(), 10);
        unlink(&name).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_maps_an_object_is_found() {
        let name = unique("mapped");
        let object = SharedMemory::create(&name, 10).unwrap();
        assert!(Mapped::look().contains(&name));
        drop(object);
        assert!(!Mapped::look().contains(&name));
        unlink(&name).unwrap();
        assert!(!Mapped::look().contains(&name));
    }
}
