//! What can be wrong with a declaration.

use thiserror::Error;

/// Why something cannot be laid out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// A bit field has no bits, or more than its type.
    #[error("number of bits invalid for bit field")]
    Bits,
    /// A bit field of a type that is no integer.
    #[error("bit fields not allowed for this type")]
    NoBitField,
    /// The packing is no power of two that a compiler knows.
    #[error("pack must be 1, 2, 4, 8 or 16")]
    Pack,
    /// An alignment that is no power of two.
    #[error("an alignment must be a power of two")]
    Alignment,
    /// It is larger than any memory.
    #[error("the type is too large")]
    TooLarge,
}
