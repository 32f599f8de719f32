//! Files mapped into memory.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags};

/// The content of a file: nothing is copied until it is changed, and nobody else sees the changes.
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping is plain memory with one owner; nothing in it belongs to a thread.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference the memory is only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first bytes of a file.
    ///
    /// # Errors
    /// What `mmap(2)` gives.
    pub fn private(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                length,
            });
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so no memory in use is replaced; the mapping is
        // private, so other processes' later writes to these pages matter only for the values read.
        let start = unsafe {
            rustix::mm::mmap(ptr::null_mut(), length, access, MapFlags::PRIVATE, file, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// Memory of one's own, all zero, which takes none before it is written to.
    ///
    /// # Errors
    /// `ENOMEM` when there is not so much.
    pub fn anonymous(length: usize) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                length,
            });
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so no memory in use is replaced.
        let start = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), length, access, MapFlags::PRIVATE)?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its first byte. Valid for [`Mapping::len`] bytes as long as the mapping lives, wherever the
    /// object itself is moved.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the mapping has `length` readable bytes (for length 0 the pointer is dangling and
        // aligned, which an empty slice allows), and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.length) }
    }

    /// Its bytes, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`; nobody else has a reference to them.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the mapping was made with this start and length, and its only owner is going.
            // Unmapping whole pages of our own cannot fail.
            let _ = unsafe { rustix::mm::munmap(self.as_ptr().cast(), self.length) };
        }
    }
}
