//! Why a stream of bytes is no pickle, or none that is read.

/// Why a pickle is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The bytes end too early.
    #[error("pickle data was truncated")]
    Truncated,
    /// It is longer than offsets can say.
    #[error("a pickle of 4 GiB or more cannot be read")]
    TooLong,
    /// A protocol that is not known.
    #[error("unsupported pickle protocol: {0}")]
    Protocol(u8),
    /// No opcode.
    #[error("invalid load key, '\\x{code:02x}', at byte {at}")]
    Opcode {
        /// What stands there.
        code: u8,
        /// Where.
        at: usize,
    },
    /// An opcode that needs what this reader does not have.
    #[error("{0}")]
    Unsupported(&'static str),
    /// An opcode takes more values than there are.
    #[error("unpickling stack underflow at byte {0}")]
    Underflow(usize),
    /// There is no mark to go back to.
    #[error("could not find MARK, at byte {0}")]
    NoMark(usize),
    /// The memo has nothing under a number.
    #[error("memo value not found at index {0}")]
    Memo(u64),
    /// Text that does not say what its opcode wants.
    #[error("{what} is malformed at byte {at}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// A value is not of the kind that an opcode works on.
    #[error("{what}, at byte {at}")]
    Kind {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// Values in values in values.
    #[error("objects are nested deeper than {0} levels")]
    TooDeep(u32),
}
