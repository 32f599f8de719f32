//! Randomness from the kernel.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills up to 256 bytes with what nobody can foresee.
///
/// # Errors
/// `EAGAIN` in the first moments of a machine's life.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let filled = getrandom(&mut *bytes, GetRandomFlags::NONBLOCK)?;
    if filled == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_never_the_same() {
        let (mut one, mut other) = ([[0; 4]; 4], [[0; 4]; 4]);
        for bytes in one.iter_mut().chain(&mut other) {
            super::fill(bytes).unwrap();
        }
        assert_ne!(one, other);
    }
}
