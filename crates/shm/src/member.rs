//! Threads that use a segment, and whether they live.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use mp_os::file_lock::{self, Access};
use mp_os::shared_memory;

use crate::segment::Segment;

/// Where the bytes are that tell of members: beyond all content.
const FIRST: u64 = 1 << 40;

/// Tags have so many bits, so that a lock's word has room for more.
pub const TAG_BITS: u32 = 29;

const TAGS: u32 = 1 << TAG_BITS;

/// Tags may be taken when they come round again; with so many taken in a row something is wrong.
const ATTEMPTS: u32 = 1000;

/// One thread's membership: its tag is taken for as long as this, or a copy of its process, exists.
#[derive(Debug)]
pub struct Member {
    _description: OwnedFd,
    tag: u32,
}

impl Member {
    /// Takes a tag that nobody else has.
    ///
    /// # Errors
    /// `EMFILE` when no more descriptors can be had, `WouldBlock` when hundreds of tags in a row are taken.
    pub fn join(segment: &Segment, file: BorrowedFd<'_>) -> io::Result<Self> {
        let description = shared_memory::reopen(file)?;
        for _ in 0..ATTEMPTS {
            let tag = segment.next_member().fetch_add(1, Ordering::Relaxed) % TAGS;
            if tag != 0
                && file_lock::try_lock(description.as_fd(), byte_of(tag), 1, Access::Exclusive)?
            {
                return Ok(Self {
                    _description: description,
                    tag,
                });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Its tag: from 1 to 2^29 - 1.
    pub fn tag(&self) -> u32 {
        self.tag
    }
}

/// Whether the member with that tag still lives; `file` is none of a member's own descriptions.
///
/// # Errors
/// What `fcntl(2)` gives.
pub fn is_alive(file: BorrowedFd<'_>, tag: u32) -> io::Result<bool> {
    file_lock::is_locked_elsewhere(file, byte_of(tag), 1)
}

fn byte_of(tag: u32) -> u64 {
    FIRST + u64::from(tag % TAGS)
}
