//! What travels between processes: the length in front of every message, and the frame around
//! every object, and how two of them prove to each other that they hold a key. Bytes in, ranges out: no I/O, no unsafe code, and no input that panics.
#![forbid(unsafe_code)]

pub mod challenge;
pub mod frame;
pub mod framing;
pub mod pickle;
