//! Memory for what is too large to be copied twice: whole pages, taken from the kernel and given back
//! late.
//!
//! The first touch of a fresh page costs more than the copy into it. So regions are made of huge pages
//! where the system has them, and a region that is let go waits in a small pool for the next one of
//! its size. While it waits the kernel may take its pages back (`MADV_FREE`).

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::Mutex;

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Regions are multiples of this, which is also what a huge page wants.
const GRAIN: usize = 2 << 20;

/// What the pool holds at most, over all regions.
const POOL_BYTES: usize = 256 << 20;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    regions: Vec::new(),
    bytes: 0,
});

struct Pool {
    regions: Vec<Mapping>,
    bytes: usize,
}

/// Pages of this process alone.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping is plain memory with one owner; nothing in it belongs to a thread.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference the memory is only read.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: the mapping was made with this start and length, and its only owner is going.
            // Unmapping whole pages of our own cannot fail.
            let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
        }
    }
}

/// A run of bytes in pages of its own; what it holds at first is unspecified.
pub struct Region {
    mapping: Mapping,
    length: usize,
    pooled: bool,
}

impl Region {
    /// A region of so many bytes. Memory is taken as it is written, not before: a region larger than
    /// the machine's memory costs nothing until somebody fills it.
    ///
    /// # Errors
    /// `ENOMEM` when the address space has no room for it.
    pub fn new(length: usize) -> io::Result<Self> {
        let out_of_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
        let bytes = length
            .max(1)
            .checked_next_multiple_of(GRAIN)
            .ok_or_else(out_of_memory)?;
        let mapping = match take(bytes) {
            Some(mapping) => mapping,
            None => map_fresh(bytes)?,
        };
        Ok(Self {
            mapping,
            length,
            pooled: true,
        })
    }

    /// The first bytes of a file, copied only where they are changed.
    ///
    /// # Errors
    /// What `mmap(2)` gives.
    pub fn map_private(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        if length == 0 {
            let mapping = Mapping {
                start: NonNull::dangling(),
                bytes: 0,
            };
            return Ok(Self {
                mapping,
                length,
                pooled: false,
            });
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so no memory in use is replaced; the mapping is
        // private, so other processes' later writes to these pages matter only for the values read.
        let start = unsafe {
            rustix::mm::mmap(ptr::null_mut(), length, access, MapFlags::PRIVATE, file, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            mapping: Mapping {
                start,
                bytes: length,
            },
            length,
            pooled: false,
        })
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its first byte. Valid for [`Region::len`] bytes as long as the region lives, wherever the
    /// region itself is moved.
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapping.start.as_ptr()
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the mapping holds at least `length` readable bytes (for length 0 the pointer is
        // dangling and aligned, which an empty slice allows), and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.length) }
    }

    /// Its bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.length) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.pooled {
            let empty = Mapping {
                start: NonNull::dangling(),
                bytes: 0,
            };
            give_back(std::mem::replace(&mut self.mapping, empty));
        }
    }
}

fn map_fresh(bytes: usize) -> io::Result<Mapping> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: the kernel chooses the address, so no memory in use is replaced.
    let start = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), bytes, access, flags)? };
    let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    let mapping = Mapping { start, bytes };
    #[cfg(target_os = "linux")]
    // SAFETY: the advice concerns pages of the mapping just made and changes no content. A system
    // without huge pages refuses it, which costs speed and nothing else.
    let _ = unsafe { rustix::mm::madvise(start.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
    Ok(mapping)
}

/// The pool's smallest region that fits and does not waste more than half of itself.
fn take(bytes: usize) -> Option<Mapping> {
    let mut pool = POOL.lock().ok()?;
    let fits = |mapping: &Mapping| mapping.bytes >= bytes && mapping.bytes / 2 <= bytes;
    let (index, _) = (pool.regions.iter().enumerate())
        .filter(|(_, mapping)| fits(mapping))
        .min_by_key(|(_, mapping)| mapping.bytes)?;
    let mapping = pool.regions.swap_remove(index);
    pool.bytes -= mapping.bytes;
    Some(mapping)
}

fn give_back(mapping: Mapping) {
    let Ok(mut pool) = POOL.lock() else { return };
    if pool.bytes + mapping.bytes > POOL_BYTES {
        return;
    }
    // SAFETY: the pages belong to the mapping, whose content nobody will read again before writing it.
    let _ = unsafe {
        rustix::mm::madvise(
            mapping.start.as_ptr().cast(),
            mapping.bytes,
            Advice::LinuxFree,
        )
    };
    pool.bytes += mapping.bytes;
    pool.regions.push(mapping);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_is_written() {
        let mut region = Region::new(3 << 20).unwrap();
        region.as_mut_slice().fill(9);
        assert_eq!(region.len(), 3 << 20);
        assert!(region.as_slice().iter().all(|byte| *byte == 9));
    }

    #[test]
    fn memory_is_taken_only_when_written() {
        let region = Region::new(1 << 42).unwrap();
        assert_eq!(region.len(), 1 << 42);
    }

    #[test]
    fn more_than_the_address_space_is_an_error() {
        for length in [usize::MAX, usize::MAX - GRAIN, 1 << 60] {
            assert_eq!(
                Region::new(length).err().unwrap().raw_os_error(),
                Some(libc::ENOMEM)
            );
        }
    }

    #[test]
    fn a_region_let_go_is_used_again() {
        let length = 77 << 20;
        let first = Region::new(length).unwrap();
        let at = first.as_ptr();
        drop(first);
        assert_eq!(Region::new(length).unwrap().as_ptr(), at);
    }
}
