//! Memory that processes share.
//!
//! A *segment* is a file in memory that nobody can make smaller, mapped once per process. Small *blocks*
//! share one, larger ones have one of their own. Nothing has a name, and everything that says who uses
//! what is a lock of the kernel's, so that nothing outlives the processes that use it:
//!
//! | Bytes of the file | Locked by | Says |
//! |---|---|---|
//! | those of a block | all who have it but the process that made the segment, and each message that holds it; shared | the block is in use |
//! | 2^40 + tag | the thread with that tag; exclusively | it lives |
//!
//! The first page of a segment is its header:
//!
//! | Offset | Size | Content |
//! |---|---|---|
//! | 0 | 8 | `mp.shmem`, as a number |
//! | 8 | 4 | the version of this layout, 1 |
//! | 12 | 4 | the next member's tag, counted up by whoever joins |
//! | 16 | 8 | the size of the file |
//!
//! The process that made a segment decides alone where its blocks are.

pub mod allocator;
pub mod heap;
pub mod member;
pub mod segment;

pub use heap::{Block, Heap, Word};
pub use segment::{AttachError, Segment};
