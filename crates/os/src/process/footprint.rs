//! What the children of a fork server do to its memory, as one that practised did it.

use std::{
    fs, io,
    os::{fd::AsFd, unix::fs::FileExt},
};

use super::{
    fork_memory,
    memory_range::{Mapping, PAGE, Page, PageMap, Range},
};

/// The pages that a child is likely to use.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What it writes to.
    written: Vec<Range>,
    /// What it reads of files, in the order of addresses.
    read: Vec<Range>,
}

impl Footprint {
    /// Of this process, since it was made by a fork, if it has called [`forget`] first. Nothing where
    /// the kernel does not tell.
    #[must_use]
    pub fn of_this_process() -> Self {
        let mut footprint = Self::default();
        let (Ok(maps), Ok(pages)) = (maps(), PageMap::open()) else {
            return footprint;
        };
        for mapping in maps.lines().filter_map(Mapping::parse) {
            if mapping.permissions == "rw-p" {
                pages.runs(mapping.range, Page::is_own, |run| {
                    footprint.written.push(run)
                });
            }
            if is_noted_by_page(&mapping) {
                pages.runs(mapping.range, Page::is_of_file, |run| {
                    footprint.read.push(run)
                });
            }
        }
        footprint
    }

    /// Has this process copy now what it is likely to write to, all at once, which is quicker than one
    /// page at a time.
    pub fn copy_now(&self) {
        for range in &self.written {
            // SAFETY: populating changes no content. Memory that is not there any more, or a kernel
            // that cannot (before Linux 5.14), is an error, and nothing needs this to succeed.
            let _ = unsafe { range.advise(libc::MADV_POPULATE_WRITE) };
        }
    }

    /// Has each child that this process makes from now on begin with what it is likely to read in its
    /// page tables, and with nothing else of files. Finding a page when it is needed costs ten times
    /// as much as copying an entry, and an entry that is not needed has to be taken back as well.
    ///
    /// fork(2) copies entries only of mappings that something was written to. So something is, if need
    /// be: what is there already.
    ///
    /// # Errors
    ///
    /// Those of [`fork_memory::keep_in_file`].
    pub fn expect(&self) -> io::Result<()> {
        if self.read.is_empty() {
            // Nobody has practised, and everything is as likely.
            return Ok(());
        }
        fork_memory::make_code_huge(|piece| self.pages_read(piece) >= 2 * WORTH_IT)?;
        let (Ok(maps), Ok(pages)) = (maps(), PageMap::open()) else {
            return Ok(());
        };
        let memory = fs::OpenOptions::new()
            .write(true)
            .read(true)
            .open("/proc/self/mem");
        for mapping in maps.lines().filter_map(Mapping::parse) {
            if !is_noted_by_page(&mapping) {
                continue;
            }
            forget_all_but(&pages, mapping.range, &self.read);
            let kept = self.read.iter().filter_map(|kept| kept.and(mapping.range));
            for range in kept.clone() {
                // SAFETY: as in `copy_now`.
                let _ = unsafe { range.advise(libc::MADV_POPULATE_READ) };
            }
            let count = self.pages_read(mapping.range);
            let sparse = count < mapping.range.len() / PAGE / SPARSE;
            if count < WORTH_IT || sparse || pages.count(mapping.range, Page::is_anonymous) > 0 {
                continue;
            }
            if let (Some(first), Ok(memory)) = (kept.clone().next(), &memory) {
                // Without it the pages are found when they are needed.
                let _ = write_what_is_there(memory, first.start);
            }
        }
        Ok(())
    }

    fn pages_read(&self, range: Range) -> usize {
        let common = self.read.iter().filter_map(|read| read.and(range));
        common.map(Range::len).sum::<usize>() / PAGE
    }

    /// As bytes, for a pipe.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = |ranges: &[Range]| -> Vec<usize> {
            (ranges.iter().flat_map(|range| [range.start, range.end])).collect()
        };
        let count = std::iter::once(self.written.len());
        count
            .chain(numbers(&self.written))
            .chain(numbers(&self.read))
            .flat_map(usize::to_ne_bytes)
            .collect()
    }

    /// From the bytes that [`Self::to_bytes`] has made in a process of the same layout.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (numbers, _) = bytes.as_chunks();
        let mut numbers = numbers.iter().map(|bytes| usize::from_ne_bytes(*bytes));
        let count = numbers.next().unwrap_or_default();
        let mut ranges = Vec::new();
        while let (Some(start), Some(end)) = (numbers.next(), numbers.next()) {
            if start < end {
                ranges.push(Range { start, end });
            }
        }
        let read = ranges.split_off(count.min(ranges.len()));
        Self {
            written: ranges,
            read,
        }
    }
}

/// Fewer pages than the kernel maps around one that is missed are as well found when they are needed.
const WORTH_IT: usize = 16;

/// In how many times as many pages they may lie, as each is looked at.
const SPARSE: usize = 8;

/// In a child that is to practise: takes all pages of files out of its page tables, so that what is in
/// there at the end is what it has used.
pub fn forget() {
    let (Ok(maps), Ok(pages)) = (maps(), PageMap::open()) else {
        return;
    };
    for mapping in maps.lines().filter_map(Mapping::parse) {
        if is_noted_by_page(&mapping) {
            forget_all_but(&pages, mapping.range, &[]);
        }
    }
}

fn maps() -> io::Result<String> {
    fs::read_to_string("/proc/self/maps")
}

/// Whether it is a private mapping of a file that has an entry for each page, and not for each huge one.
fn is_noted_by_page(mapping: &Mapping<'_>) -> bool {
    let huge = fork_memory::is_moved(mapping) && !mapping.permissions.contains('w');
    mapping.is_private() && mapping.of_file && mapping.permissions.starts_with('r') && !huge
}

/// Takes the pages of files out of the page tables, but for those to keep, which are in order.
fn forget_all_but(pages: &PageMap, range: Range, keep: &[Range]) {
    // Nothing in here allocates memory: what is forgotten may be where it would come from, and
    // something that was written after it was seen to be the file's would be lost.
    let first = keep.partition_point(|kept| kept.end <= range.start);
    pages.runs(range, Page::is_of_file, |mut run| {
        for kept in &keep[first..] {
            let Some(common) = kept.and(run) else {
                if kept.start >= run.end {
                    break;
                }
                continue;
            };
            forget_run(run.start, common.start);
            run.start = common.end;
        }
        forget_run(run.start, run.end);
    });
}

fn forget_run(start: usize, end: usize) {
    if start < end {
        // SAFETY: nobody has written to these pages, and nobody has run since that was seen but this
        // function, which writes to its stack only; what comes back is what was there, from the file.
        let _ = unsafe { Range { start, end }.advise(libc::MADV_DONTNEED) };
    }
}

/// Writes to a page what is there. The kernel lets a process do that to memory of its own that it must
/// not write to otherwise, and copies the page as for any other write.
fn write_what_is_there(memory: &fs::File, address: usize) -> io::Result<()> {
    let mut byte = [0];
    memory.read_exact_at(&mut byte, address as u64)?;
    rustix::io::pwrite(memory.as_fd(), &byte, address as u64)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::fd::OwnedFd, ptr};

    use rustix::{
        fs::MemfdFlags,
        mm::{MapFlags, ProtFlags},
        pipe::pipe,
    };

    use super::*;

    #[test]
    fn it_travels_as_bytes() {
        let range = |start, end| Range {
            start: start * PAGE,
            end: end * PAGE,
        };
        let footprint = Footprint {
            written: vec![range(1, 3), range(9, 10)],
            read: vec![range(4, 5)],
        };
        assert_eq!(Footprint::from_bytes(&footprint.to_bytes()), footprint);
        for bytes in [&[][..], &[1, 2, 3], &usize::MAX.to_ne_bytes()] {
            assert_eq!(Footprint::from_bytes(bytes), Footprint::default());
        }
    }

    /// What this gives in a copy of the process, of which no other thread is there.
    fn in_a_copy(act: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
        let (reader, writer): (OwnedFd, OwnedFd) = pipe().unwrap();
        // SAFETY: the copy waits for no other thread, and ends at once.
        match unsafe { libc::fork() } {
            0 => {
                rustix::io::write(&writer, &act()).unwrap();
                // SAFETY: it runs nothing of this process's.
                unsafe { libc::_exit(0) }
            }
            pid => {
                drop(writer);
                let mut bytes = Vec::new();
                File::from(reader).read_to_end(&mut bytes).unwrap();
                // SAFETY: it is the child from above.
                unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
                bytes
            }
        }
    }

    const PAGES: usize = 96;

    /// A private mapping of a file, all of it in the page tables.
    fn mapping(access: ProtFlags) -> &'static [u8] {
        let file = rustix::fs::memfd_create(c"a test's own", MemfdFlags::CLOEXEC).unwrap();
        for page in 0..PAGES {
            rustix::io::pwrite(&file, &[page as u8; PAGE], (page * PAGE) as u64).unwrap();
        }
        let flags = MapFlags::PRIVATE;
        // SAFETY: a new mapping, that stays.
        unsafe {
            let start =
                rustix::mm::mmap(ptr::null_mut(), PAGES * PAGE, access, flags, &file, 0).unwrap();
            libc::madvise(start, PAGES * PAGE, libc::MADV_POPULATE_READ);
            std::slice::from_raw_parts(start.cast(), PAGES * PAGE)
        }
    }

    fn range_of(bytes: &[u8], page: usize) -> Range {
        let start = bytes.as_ptr().expose_provenance() + page * PAGE;
        Range {
            start,
            end: start + PAGE,
        }
    }

    fn has(ranges: &[Range], range: Range) -> bool {
        ranges.iter().any(|other| other.and(range) == Some(range))
    }

    #[test]
    fn what_was_used_is_seen() {
        let Ok(pages) = PageMap::open() else {
            return;
        };
        let bytes = mapping(ProtFlags::READ | ProtFlags::WRITE);
        assert_eq!(pages.count(range_of(bytes, 50), Page::is_of_file), 1);
        let told = in_a_copy(|| {
            forget();
            assert_eq!(bytes[3 * PAGE], 3);
            // SAFETY: the page may be written to, and nobody else is here to see it.
            unsafe { bytes.as_ptr().cast_mut().add(40 * PAGE).write_volatile(7) };
            Footprint::of_this_process().to_bytes()
        });
        let footprint = Footprint::from_bytes(&told);
        assert!(has(&footprint.read, range_of(bytes, 3)));
        assert!(has(&footprint.written, range_of(bytes, 40)));
        for unused in [35, 50] {
            assert!(!has(&footprint.read, range_of(bytes, unused)));
            assert!(!has(&footprint.written, range_of(bytes, unused)));
        }
    }

    #[test]
    fn what_is_expected_is_in_the_page_tables_of_copies() {
        if PageMap::open().is_err() {
            return;
        }
        for access in [ProtFlags::READ, ProtFlags::READ | ProtFlags::WRITE] {
            let bytes = mapping(access);
            let mut read = range_of(bytes, 32);
            read.end = range_of(bytes, 56).start;
            let footprint = Footprint {
                written: Vec::new(),
                read: vec![read],
            };
            let told = in_a_copy(|| {
                footprint.expect().unwrap();
                in_a_copy(|| {
                    let of_all = |page| pages_now().count(range_of(bytes, page), Page::is_of_file);
                    vec![
                        of_all(35) as u8,
                        of_all(55) as u8,
                        of_all(90) as u8,
                        of_all(3) as u8,
                    ]
                })
            });
            assert_eq!(told, [1, 1, 0, 0]);
            for (index, page) in bytes.chunks(PAGE).enumerate() {
                assert_eq!(page, [index as u8; PAGE]);
            }
        }
    }

    /// Of the process that asks: the file is of the one that has opened it.
    fn pages_now() -> PageMap {
        PageMap::open().unwrap()
    }
}
