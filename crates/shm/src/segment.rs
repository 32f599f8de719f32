//! Segments: files in memory with a header, mapped.
//!
//! A mapping keeps the description alive that it was made through, and its locks with it, in copies of the
//! process too. So each is made through one of its own, which never has any.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use mp_os::shared_memory::{self, Identity, SharedMapping};

/// The header has a page for itself; what follows is for blocks.
pub const HEADER: usize = 4096;

const MAGIC: u64 = u64::from_le_bytes(*b"mp.shmem");
const VERSION: u32 = 1;

const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 8;
const AT_NEXT_MEMBER: usize = 12;
const AT_SIZE: usize = 16;

/// Why something that came from outside cannot be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// It is not what it was said to be.
    #[error("{0}")]
    Malformed(&'static str),
    /// The kernel says no.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A segment as this process has it mapped.
#[derive(Debug)]
pub struct Segment {
    mapping: SharedMapping,
    identity: Identity,
}

impl AttachError {
    /// What the kernel says, if it is that.
    pub fn system(&self) -> Option<&io::Error> {
        match self {
            Self::System(error) => Some(error),
            Self::Malformed(_) => None,
        }
    }
}

impl Segment {
    /// Makes a segment with room for so many bytes of blocks, all zero. Returns a descriptor of it, too, whose
    /// description is not the mapping's.
    ///
    /// # Errors
    /// As [`shared_memory::create`].
    pub fn create(room: usize) -> io::Result<(Self, OwnedFd)> {
        let size = room
            .checked_add(HEADER)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let file = shared_memory::create(size as u64)?;
        let segment = Self {
            mapping: SharedMapping::new(file.as_fd(), size)?,
            identity: shared_memory::identity(file.as_fd())?,
        };
        let holder = shared_memory::reopen(file.as_fd())?;
        for (offset, number) in [(AT_MAGIC, MAGIC), (AT_SIZE, size as u64)] {
            segment.set(offset, number as u32);
            segment.set(offset + 4, (number >> 32) as u32);
        }
        segment.set(AT_NEXT_MEMBER, 1);
        segment.set(AT_VERSION, VERSION);
        Ok((segment, holder))
    }

    /// Maps what is said to be a segment.
    ///
    /// # Errors
    /// [`AttachError::Malformed`] when it is none; what mapping it gives.
    pub fn attach(file: BorrowedFd<'_>) -> Result<Self, AttachError> {
        let malformed = AttachError::Malformed;
        let size = shared_memory::final_length(file)?
            .ok_or(malformed("it is not memory of a size that is final"))?;
        let size = usize::try_from(size).map_err(|_| malformed("it is too large"))?;
        if size < HEADER {
            return Err(malformed("it is too small"));
        }
        let own = shared_memory::reopen(file)?;
        let mapping =
            SharedMapping::new(own.as_fd(), size).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => malformed("it cannot be written to"),
                _ => AttachError::System(error),
            })?;
        let identity = shared_memory::identity(file)?;
        let segment = Self { mapping, identity };
        if segment.long(AT_MAGIC) != MAGIC || segment.get(AT_VERSION) != VERSION {
            return Err(malformed("it has no header that is understood"));
        }
        if segment.long(AT_SIZE) != size as u64 {
            return Err(malformed("its header tells of another size"));
        }
        Ok(segment)
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// How many bytes it has, the header included.
    pub fn size(&self) -> usize {
        self.mapping.len()
    }

    /// The byte at an offset, for as long as the segment is mapped; nothing outside.
    pub fn at(&self, offset: usize) -> Option<NonNull<u8>> {
        self.mapping.at(offset)
    }

    /// Makes a range quick to use here: see [`SharedMapping::touch`].
    pub fn touch(&self, range: Range<usize>) {
        self.mapping.touch(range);
    }

    /// The word at an offset; nothing outside, or where no word can be.
    pub fn word(&self, offset: usize) -> Option<&AtomicU32> {
        self.mapping.word(offset)
    }

    /// Where the tags of members come from.
    pub fn next_member(&self) -> &AtomicU32 {
        self.header(AT_NEXT_MEMBER)
    }

    fn header(&self, offset: usize) -> &AtomicU32 {
        self.mapping
            .word(offset)
            .expect("every segment has a header")
    }

    fn get(&self, offset: usize) -> u32 {
        self.header(offset).load(Ordering::Relaxed)
    }

    fn long(&self, offset: usize) -> u64 {
        u64::from(self.get(offset)) | u64::from(self.get(offset + 4)) << 32
    }

    fn set(&self, offset: usize, value: u32) {
        self.header(offset).store(value, Ordering::Relaxed);
    }
}
