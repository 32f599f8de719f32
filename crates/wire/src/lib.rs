//! What travels between processes.
#![forbid(unsafe_code)]
