//! What can be wrong with a source.

use std::io;

use thiserror::Error;

/// Why a source cannot be analysed.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It is not JavaScript of this kind.
    #[error("the source cannot be parsed: {0}")]
    Syntax(String),
    /// It is so long, or so deeply nested, that analysing it could need more stack than there may be.
    #[error("the source is too large to be analysed")]
    TooLarge,
    /// The thread that should have analysed it could not be made.
    #[error("no thread for the analysis of the source: {0}")]
    NoThread(#[from] io::Error),
    /// The parser gave up on it in a way it should not.
    #[error("the source cannot be analysed: the parser failed")]
    Failed,
}
