//! Where a C compiler puts things: the sizes and alignments of the fundamental types, and of structures,
//! unions and arrays made of them; the offsets of their members, and which bits a bit field has.
//!
//! The rules are those of the System V ABI as gcc follows it, with and without `#pragma pack`. Byte order
//! changes no offset; it only says from which end of a byte the bits of a bit field are counted.
#![forbid(unsafe_code)]

mod error;
mod fundamental;
mod record;
mod types;

pub use error::LayoutError;
pub use fundamental::{Class, FUNDAMENTALS, Fundamental};
pub use record::{Kind, Member, Place, Record, RecordLayout, lay_out};
pub use types::{Field, Type};

/// The largest size that is laid out: what JavaScript can count exactly.
pub const MAXIMUM_SIZE: u64 = (1 << 53) - 1;
