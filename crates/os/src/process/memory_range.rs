//! Pieces of this process's memory, and what the kernel says of their pages.

use std::{fs, io, os::unix::fs::FileExt, ptr};

/// The size of a page.
pub(super) const PAGE: usize = 4096;

/// A piece of this process's memory, of whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The address of its first byte.
    pub(super) start: usize,
    /// The address behind its last byte.
    pub(super) end: usize,
}

impl Range {
    /// Of the address that a line of `/proc/self/maps` begins with.
    pub(super) fn parse(range: &str) -> Option<Self> {
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        (start < end).then_some(Self { start, end })
    }

    pub(super) fn len(self) -> usize {
        self.end - self.start
    }

    pub(super) fn as_ptr<T>(self) -> *mut T {
        ptr::with_exposed_provenance_mut(self.start)
    }

    /// What is in both.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(Self { start, end })
    }

    /// What madvise(2) says.
    ///
    /// # Safety
    ///
    /// The advice changes no content of memory.
    pub(super) unsafe fn advise(self, advice: i32) -> io::Result<()> {
        // SAFETY: as the caller has promised; memory that is not there is an error.
        match unsafe { libc::madvise(self.as_ptr(), self.len(), advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A line of `/proc/self/maps`: `start-end rwxp offset device inode name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping<'a> {
    pub(super) range: Range,
    pub(super) permissions: &'a str,
    /// Whether it is of a file: one that has a name, had one, or never had.
    pub(super) of_file: bool,
    pub(super) name: &'a str,
}

impl<'a> Mapping<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (range, permissions) = (fields.next()?, fields.next()?);
        let inode = fields.nth(2)?;
        Some(Self {
            range: Range::parse(range)?,
            permissions,
            of_file: inode != "0",
            name: fields.next().unwrap_or_default(),
        })
    }

    /// Whether what is written to it is seen by this process only.
    pub(super) fn is_private(&self) -> bool {
        self.permissions.ends_with('p')
    }
}

/// What the kernel says of a page of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page(u64);

impl Page {
    const PRESENT: u64 = 1 << 63;
    const OF_FILE_OR_SHARED: u64 = 1 << 61;
    const EXCLUSIVE: u64 = 1 << 56;

    /// It is in the page tables, and a file's: nobody has written to it here.
    pub(super) fn is_of_file(self) -> bool {
        self.has(Self::PRESENT | Self::OF_FILE_OR_SHARED)
    }

    /// It is in the page tables, of no file, whoever shares it.
    pub(super) fn is_anonymous(self) -> bool {
        self.has(Self::PRESENT) && !self.has(Self::OF_FILE_OR_SHARED)
    }

    /// It is this process's alone, and of no file.
    pub(super) fn is_own(self) -> bool {
        self.is_anonymous() && self.has(Self::EXCLUSIVE)
    }

    fn has(self, flags: u64) -> bool {
        self.0 & flags == flags
    }
}

/// `/proc/self/pagemap`.
#[derive(Debug)]
pub(super) struct PageMap(fs::File);

impl PageMap {
    pub(super) fn open() -> io::Result<Self> {
        fs::File::open("/proc/self/pagemap").map(Self)
    }

    /// Calls with each run of pages of a range of which something is so. Allocates nothing, so that
    /// it can be done to the memory that would be allocated from.
    pub(super) fn runs(&self, range: Range, so: fn(Page) -> bool, mut found: impl FnMut(Range)) {
        let mut window = [0; WINDOW * ENTRY];
        let mut run: Option<Range> = None;
        let mut address = range.start;
        while address < range.end {
            let count = ((range.end - address) / PAGE).min(WINDOW);
            let bytes = &mut window[..count * ENTRY];
            let offset = (address / PAGE * ENTRY) as u64;
            if count == 0 || self.0.read_exact_at(bytes, offset).is_err() {
                break;
            }
            for entry in bytes.as_chunks().0 {
                let end = address + PAGE;
                match &mut run {
                    Some(run) if so(Page(u64::from_ne_bytes(*entry))) => run.end = end,
                    None if so(Page(u64::from_ne_bytes(*entry))) => {
                        run = Some(Range {
                            start: address,
                            end,
                        });
                    }
                    _ => run.take().into_iter().for_each(&mut found),
                }
                address = end;
            }
        }
        run.into_iter().for_each(found);
    }

    /// How many pages of a range are so.
    pub(super) fn count(&self, range: Range, so: fn(Page) -> bool) -> usize {
        let mut count = 0;
        self.runs(range, so, |run| count += run.len() / PAGE);
        count
    }
}

const ENTRY: usize = size_of::<u64>();

/// How many pages are asked about at once: as many entries as fill a page.
const WINDOW: usize = PAGE / ENTRY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_understood() {
        let heap = "5581c0de0000-5581c0e01000 rw-p 00000000 00:00 0          [heap]";
        assert_eq!(
            Mapping::parse(heap),
            Some(Mapping {
                range: Range {
                    start: 0x5581_c0de_0000,
                    end: 0x5581_c0e0_1000
                },
                permissions: "rw-p",
                of_file: false,
                name: "[heap]",
            })
        );
        let library = "7f00-7f10 r--s 00001000 fe:00 4711       /usr/lib/libc.so.6";
        let library = Mapping::parse(library).unwrap();
        assert!(library.of_file && !library.is_private());
        for line in [
            "",
            "7f00-7f10",
            "7f10-7f00 rw-p 0 0 0",
            "nonsense rw-p 0 0 0",
        ] {
            assert_eq!(Mapping::parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_two_ranges_share() {
        let range = |start, end| Range { start, end };
        assert_eq!(range(1, 5).and(range(3, 9)), Some(range(3, 5)));
        assert_eq!(range(1, 5).and(range(5, 9)), None);
    }

    #[test]
    fn own_pages_are_seen() {
        let Ok(pages) = PageMap::open() else {
            return;
        };
        let here = 0_u8;
        let here = (&raw const here).expose_provenance() / PAGE * PAGE;
        let range = Range {
            start: here,
            end: here + PAGE,
        };
        assert_eq!(pages.count(range, Page::is_own), 1);
        assert_eq!(pages.count(range, Page::is_anonymous), 1);
        assert_eq!(pages.count(range, Page::is_of_file), 0);
        // Where nothing can be mapped, there is nothing.
        let nowhere = Range {
            start: 0,
            end: PAGE,
        };
        assert_eq!(pages.count(nowhere, Page::is_anonymous), 0);
    }
}
