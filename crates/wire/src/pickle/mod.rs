//! Python's pickle: any stream of protocols 0 to 5, checked and put into a form that is quick to build
//! objects from. Nothing is looked up and nothing is called: what the stream names stays a name.
//!
//! A [`Program`] is an array of words, the same in the facade (`src/pickle/program.ts`):
//!
//! | Words | What |
//! |---|---|
//! | 0 | where the instructions begin; they end with `END` |
//! | 1, 2 | where the table of strings begins, and how many there are: kind, start, length |
//! | 3, 4 | where the table of globals begins, and how many: module and name, each as kind, start, length |
//! | 5, 6 | where the shapes begin, and how many: count, then so many numbers of strings |
//! | 7 | where bytes begin that are not in the stream, such as strings that had escapes |
//! | 8 | how many slots there are |
//!
//! The instructions work on a stack, in the order of the stream, with these differences:
//!
//! - There are no marks: whoever takes values says how many.
//! - There is no memo. A value that is needed again has a *slot* (0: it is not needed) that it is kept
//!   in; a string that is needed again is in the table.
//! - Numbers that are put into a list one after the other are one instruction.
//! - Dictionaries whose keys are strings have a *shape*, the list of their keys, which no instruction
//!   pushes.
//! - Lengths and counts are right: no instruction takes more than there is.
mod error;
mod input;
mod keys;
mod opcode;
mod program;
mod reader;
mod text;
mod verify;

pub use error::PickleError;
pub use program::{Program, op};
pub use reader::{Encoding, MAXIMUM_DEPTH, read};
pub use verify::{Broken, verify};
