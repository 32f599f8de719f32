//! Taking bytes off a stream, never more than there are.
use super::error::PickleError;

/// A place in a stream.
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been taken.
    pub fn at(&self) -> usize {
        self.at
    }

    /// All bytes.
    pub fn all(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn byte(&mut self) -> Result<u8, PickleError> {
        let byte = *self.bytes.get(self.at).ok_or(PickleError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let rest = self.bytes.get(self.at..).ok_or(PickleError::Truncated)?;
        let taken = rest.first_chunk::<N>().ok_or(PickleError::Truncated)?;
        self.at += N;
        Ok(*taken)
    }

    /// So many bytes, and where they begin. The length may say anything.
    pub fn take(&mut self, length: u64) -> Result<(usize, &'a [u8]), PickleError> {
        let length = usize::try_from(length).map_err(|_| PickleError::Truncated)?;
        let start = self.at;
        let end = start.checked_add(length).ok_or(PickleError::Truncated)?;
        let taken = self.bytes.get(start..end).ok_or(PickleError::Truncated)?;
        self.at = end;
        Ok((start, taken))
    }

    /// What is left of a line, without its end.
    pub fn line(&mut self) -> Result<(usize, &'a [u8]), PickleError> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(PickleError::Truncated)?;
        self.at += length + 1;
        Ok((start, rest.get(..length).unwrap_or_default()))
    }
}
