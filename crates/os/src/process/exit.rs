//! How a process ended.

/// How a process ended, as far as this process can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It left by itself, with this code (0 to 255).
    Exited(i32),
    /// It was ended by this signal.
    Signaled(i32),
    /// It ended, but somebody else collected its status first.
    Unknown,
}

impl ExitStatus {
    /// The exit code as `Process.exitcode` has it: the code itself, the signal's number made
    /// negative, or 255 when the status is lost.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => -signal,
            Self::Unknown => 255,
        }
    }
}
