//! The resource tracker: a small process that outlives its program and takes away the names that the program
//! has left in the system.
//!
//! - [`client`] is what a program's processes have of it: they write messages to a pipe, and start the
//!   tracker when nobody reads.
//! - [`serve`] is what it does: it keeps account, and tidies up when the last process that could write is
//!   gone.
//! - [`ledger`] is the account. It is in a file in memory that the program's processes hold too, so that a
//!   tracker that is killed is replaced by one that knows as much.
//! - [`message`] is what is written to the pipe.

#![cfg(target_os = "linux")]

pub mod client;
pub mod ledger;
pub mod message;
pub mod registry;
pub mod serve;
