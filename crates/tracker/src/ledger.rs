//! The account that outlives its keeper: a file in memory.
//!
//! | Offset | Size | Content |
//! |---|---|---|
//! | 0 | 8 | where to begin to read, little-endian |
//! | 8 | 4 | the number of the tracker that was started last, little-endian; 0 before there was one |
//! | 16 | … | the lines of all messages, one after the other; whoever does what they say, in order, knows all there is to know |
//!
//! What is in front of the beginning has no memory. Lines that were overtaken go when there are many: those
//! that lead to the same are appended, and only then does the beginning move there.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use mp_os::{memory_file, pipe, shared_file};

/// Where the lines begin.
const HEADER: u64 = 16;
/// Where the tracker's number is.
const TRACKER: u64 = 8;
/// How much is read at once.
const MOST: usize = 1 << 16;

/// The ledger in the hands of its keeper.
pub struct Ledger {
    file: File,
    start: u64,
    end: u64,
}

/// An empty ledger.
///
/// # Errors
/// `EMFILE`, `ENOMEM`.
pub fn create() -> io::Result<OwnedFd> {
    let mut header = [0; HEADER as usize];
    header[..8].copy_from_slice(&HEADER.to_le_bytes());
    memory_file::create(&[&header])
}

/// The number of the tracker that was started last; 0 before there was one.
///
/// # Errors
/// What pread(2) gives.
pub fn tracker(ledger: BorrowedFd<'_>) -> io::Result<u32> {
    let mut number = [0; 4];
    File::from(ledger.try_clone_to_owned()?).read_exact_at(&mut number, TRACKER)?;
    Ok(u32::from_le_bytes(number))
}

/// Notes the number of a tracker that was started.
///
/// # Errors
/// What pwrite(2) gives.
pub fn set_tracker(ledger: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    File::from(ledger.try_clone_to_owned()?).write_all_at(&number.to_le_bytes(), TRACKER)
}

impl Ledger {
    /// Takes over a ledger; returns what is in it.
    ///
    /// # Errors
    /// What reading it gives, and `InvalidData` for what is none.
    pub fn open(file: OwnedFd) -> io::Result<(Self, Vec<u8>)> {
        let file = File::from(file);
        let mut start = [0; 8];
        file.read_exact_at(&mut start, 0)?;
        let (start, end) = (u64::from_le_bytes(start), file.metadata()?.len());
        let length = end
            .checked_sub(start.max(HEADER))
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut lines = vec![0; length];
        file.read_exact_at(&mut lines, start)?;
        Ok((Self { file, start, end }, lines))
    }

    /// Waits until something is written to the pipe and enters it. Returns what it was; nothing at the end.
    ///
    /// # Errors
    /// What reading the pipe gives.
    pub fn enter(&mut self, reader: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
        match pipe::move_to_file(reader, self.file.as_fd(), self.end, MOST) {
            Ok(length) => {
                let mut lines = vec![0; length];
                self.file.read_exact_at(&mut lines, self.end)?;
                self.end += length as u64;
                Ok(lines)
            }
            // There is no room for it, or it cannot be done in one step here.
            Err(_) => self.enter_in_two_steps(reader),
        }
    }

    fn enter_in_two_steps(&mut self, reader: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
        let mut lines = vec![0; MOST];
        let length = loop {
            match mp_os::descriptor::read(reader, &mut lines) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        lines.truncate(length);
        // Without room this tracker still knows; only one that replaces it would not.
        if self.file.write_all_at(&lines, self.end).is_ok() {
            self.end += length as u64;
        }
        Ok(lines)
    }

    /// Whether so few bytes would say what is in it that it should be rewritten.
    #[must_use]
    pub fn is_long_for(&self, length: usize) -> bool {
        self.end - self.start > MOST as u64 + 4 * length as u64
    }

    /// Replaces what is in it by lines that lead to the same. Call it only between whole lines.
    ///
    /// # Errors
    /// What writing gives; it is as good as before then.
    pub fn rewrite(&mut self, lines: &[u8]) -> io::Result<()> {
        let start = self.end;
        self.file.write_all_at(lines, start)?;
        self.end += lines.len() as u64;
        self.file.write_all_at(&start.to_le_bytes(), 0)?;
        self.start = start;
        shared_file::punch(self.file.as_fd(), HEADER, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(ledger: &OwnedFd) -> (Ledger, Vec<u8>) {
        Ledger::open(ledger.try_clone().unwrap()).unwrap()
    }

    #[test]
    fn what_was_entered_is_there_for_the_next_keeper() {
        let file = create().unwrap();
        let writer = pipe::without_reader().unwrap();
        let reader = pipe::new_reader(writer.as_fd()).unwrap();
        let (mut ledger, before) = reopened(&file);
        assert!(before.is_empty());
        for line in [&b"one\n"[..], b"two\n"] {
            pipe::write_message(writer.as_fd(), line).unwrap();
            assert_eq!(ledger.enter(reader.as_fd()).unwrap(), line);
        }
        drop(ledger);
        let (mut ledger, lines) = reopened(&file);
        assert_eq!(lines, b"one\ntwo\n");
        drop(writer);
        assert!(ledger.enter(reader.as_fd()).unwrap().is_empty());
    }

    #[test]
    fn what_was_rewritten_takes_no_more_memory() {
        let file = create().unwrap();
        let writer = pipe::without_reader().unwrap();
        let reader = pipe::new_reader(writer.as_fd()).unwrap();
        let (mut ledger, _) = reopened(&file);
        while !ledger.is_long_for(4) {
            pipe::write_message(writer.as_fd(), &[b'x'; 500]).unwrap();
            ledger.enter(reader.as_fd()).unwrap();
        }
        ledger.rewrite(b"all\n").unwrap();
        pipe::write_message(writer.as_fd(), b"more\n").unwrap();
        ledger.enter(reader.as_fd()).unwrap();
        assert_eq!(reopened(&file).1, b"all\nmore\n");
        let blocks = std::os::unix::fs::MetadataExt::blocks(&ledger.file.metadata().unwrap());
        assert!(blocks * 512 <= 3 * 4096, "{blocks}");
    }

    #[test]
    fn the_last_tracker_is_noted() {
        let file = create().unwrap();
        assert_eq!(tracker(file.as_fd()).unwrap(), 0);
        set_tracker(file.as_fd(), 4711).unwrap();
        assert_eq!(tracker(file.as_fd()).unwrap(), 4711);
        assert!(reopened(&file).1.is_empty());
    }

    #[test]
    fn other_files_are_refused() {
        for content in [&b""[..], b"short", &[0xFF; 16], &[0; 8]] {
            let file = memory_file::create(&[content]).unwrap();
            assert!(Ledger::open(file).is_err());
        }
    }
}
