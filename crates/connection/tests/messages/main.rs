//! Messages over sockets and pipes: how they arrive, how they are sent, what goes beside them, and what
//! happens when the other end goes.

mod channel;
mod descriptors;
mod endings;
mod in_pieces;
mod large;
mod lengths;
mod sending;
mod waiting;
