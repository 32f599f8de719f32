//! What a function's source says about it: where its text begins and ends, which variables of its
//! surroundings it uses, and what else it needs of the place where it stands.
//!
//! Sources come in as JavaScript has them, so all offsets are in UTF-16 units. No I/O, no unsafe code,
//! and no source that panics or overflows the stack.
#![forbid(unsafe_code)]

mod analysis;
mod bindings;
mod error;
mod evals;
mod offsets;
mod parse;
mod path;
mod private_names;
mod stack;
mod target;
mod uses;

pub use analysis::{Analysis, Capture, analyze, private_fields_of};
pub use error::SourceError;
pub use parse::Kind;
pub use target::Form;
