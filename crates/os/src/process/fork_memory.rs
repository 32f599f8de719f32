//! What fork(2) does with memory, and what that costs.
//!
//! The child shares all pages with its parent until one of them writes to a page, which is copied
//! then. So the kernel notes each page down twice, in the child's page tables when it is made and
//! in none when it ends: with much memory that is most of what a short life costs. Pages of a file
//! that nobody has written to are left out, as they can be found again when they are needed.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    ptr,
};

use rustix::{
    fs::{FallocateFlags, MemfdFlags, fallocate},
    mm::{Advice, MapFlags, ProtFlags},
    process::{Resource, getrlimit},
};

const PAGE: usize = 4096;

/// A piece of this process's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: usize,
    end: usize,
}

impl Range {
    /// Of a line of `/proc/self/maps`, if it is of memory that is private and of no file: a line
    /// is `start-end rwxp offset device inode name`.
    fn private_anonymous(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (range, permissions) = (fields.next()?, fields.next()?);
        let inode = fields.nth(2)?;
        if !permissions.ends_with('p') || inode != "0" {
            return None;
        }
        Self::parse(range)
    }

    fn parse(range: &str) -> Option<Self> {
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        (start < end).then_some(Self { start, end })
    }

    fn len(self) -> usize {
        self.end - self.start
    }

    fn as_ptr<T>(self) -> *mut T {
        ptr::with_exposed_provenance_mut(self.start)
    }

    /// Whether this process has a good part of it in memory.
    fn is_used(self) -> bool {
        let Ok(pages) = fs::File::open("/proc/self/pagemap") else {
            return false;
        };
        let present = entries(self, &pages).filter(|(_, entry)| entry & PRESENT != 0);
        present.count() >= self.len() / PAGE / 4
    }

    /// What madvise(2) says.
    ///
    /// # Safety
    ///
    /// The advice changes no content of memory.
    unsafe fn advise(self, advice: i32) -> io::Result<()> {
        // SAFETY: as the caller has promised; memory that is not there is an error.
        match unsafe { libc::madvise(self.as_ptr(), self.len(), advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Has fork(2) copy all memory that is this process's own.
///
/// A process can exempt memory from being copied, and V8 exempts its heap. That is undone here for
/// everything that is private and belongs to no file. It has to be done again when memory was
/// mapped since.
///
/// # Errors
///
/// When `/proc` cannot be read, or the kernel refuses.
pub fn carry_over() -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    (maps.lines().filter_map(Range::private_anonymous)).try_for_each(|range| {
        // SAFETY: MADV_DOFORK changes no content; it only says what a fork does with the range.
        let advised = unsafe { range.advise(libc::MADV_DOFORK) };
        match advised {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOMEM)) => {
                Err(error)
            }
            // Special mappings of the kernel's own refuse it; so may one that is gone by now.
            _ => Ok(()),
        }
    })
}

/// Has the memory that is exempt from being copied (V8's heap), and the C library's heap, be a
/// file's, with what is in it now: mapped in the same place, and still this process's own to write
/// to.
///
/// To be called before [`carry_over`], and by a process that writes to little of it afterwards. Both
/// heaps give memory back by MADV_DONTNEED, and find there what is in the file when they use it
/// again; they count on nothing, as with MADV_FREE they would find anything. Memory that cannot be
/// had is no error: what is left is as it was.
///
/// # Errors
///
/// When `/proc` cannot be read. And when the kernel takes the old memory away without giving the
/// new: the process cannot go on then.
pub fn keep_in_file() -> io::Result<()> {
    trim();
    let smaps = fs::read_to_string("/proc/self/smaps")?;
    put_in_file(&heaps(&smaps), ProtFlags::READ | ProtFlags::WRITE)?;
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let text = text(&smaps, &program.to_string_lossy());
    let used: Vec<_> = text.into_iter().filter(|piece| piece.is_used()).collect();
    put_in_file(&used, ProtFlags::READ | ProtFlags::EXEC)
}

fn put_in_file(ranges: &[Range], access: ProtFlags) -> io::Result<()> {
    let total = ranges.iter().map(|range| range.len() as u64).sum();
    // More than the limit would be a signal that ends the process.
    if getrlimit(Resource::Fsize)
        .current
        .is_some_and(|limit| limit < total)
    {
        return Ok(());
    }
    let Ok(file) = rustix::fs::memfd_create(c"node-multiprocessing", MemfdFlags::CLOEXEC) else {
        return Ok(());
    };
    let huge = make_huge(&file, total);
    if huge.is_err() && !access.contains(ProtFlags::WRITE) {
        // It is in a file already, and that has pages as small.
        return Ok(());
    }
    let mut offset = 0;
    // Nothing in here allocates memory: what is copied may be the heap that it would come from.
    for &range in ranges {
        if copy(range, &file, offset).is_err() {
            break;
        }
        replace(range, access, &file, offset)?;
        offset += range.len() as u64;
    }
    Ok(())
}

/// Gives back what the C library keeps for later, so that children need not know of it.
fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches memory only that nobody has allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The size of a huge page, where there are any.
const HUGE: usize = 2 << 20;

/// Since Linux 6.1. Not every C library names it.
const MADV_COLLAPSE: i32 = 25;

/// Has a file in memory be of huge pages, but for its end. A process that reads one of its pages
/// is given those around it as well, which costs a third then: they are one thing to the kernel.
fn make_huge(file: &OwnedFd, size: u64) -> io::Result<()> {
    rustix::fs::ftruncate(file, size)?;
    let size = size as usize / HUGE * HUGE;
    if size == 0 {
        return Ok(());
    }
    // There has to be something in each.
    for offset in (0..size).step_by(HUGE) {
        rustix::io::pwrite(file, &[0], offset as u64)?;
    }
    let (nothing, access) = (ProtFlags::empty(), ProtFlags::READ | ProtFlags::WRITE);
    let shared = MapFlags::SHARED | MapFlags::FIXED;
    // SAFETY: the file is mapped into an area that was free, and that is as before at the end.
    unsafe {
        let area =
            rustix::mm::mmap_anonymous(ptr::null_mut(), size + HUGE, nothing, MapFlags::PRIVATE)?;
        let start = area.map_addr(|address| address.next_multiple_of(HUGE));
        let done = match rustix::mm::mmap(start, size, access, shared, file, 0) {
            Ok(mapped) => libc::madvise(mapped, size, MADV_COLLAPSE),
            Err(_) => -1,
        };
        rustix::mm::munmap(area, size + HUGE)?;
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// What of `/proc/self/smaps` is writable, private, of no file, and either not to be copied by
/// fork(2) or the C library's heap.
fn heaps(smaps: &str) -> Vec<Range> {
    let mut range = None;
    let mut ranges = Vec::new();
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if flags.split_ascii_whitespace().any(|flag| flag == "dc") {
                ranges.extend(range.take());
            }
        } else if !line.starts_with(|first: char| first.is_ascii_uppercase()) {
            // The line that begins the description of a mapping.
            range = line
                .contains(" rw-p ")
                .then(|| Range::private_anonymous(line))
                .flatten();
            if line.ends_with("[heap]") {
                ranges.extend(range.take());
            }
        }
    }
    ranges
}

/// The code of a program, as far as it fills huge pages: a piece for each. The kernel would map it
/// sixteen small pages at a time, in each child anew.
fn text(smaps: &str, program: &str) -> Vec<Range> {
    let range = smaps
        .lines()
        .filter(|line| line.contains(" r-xp ") && line.ends_with(program))
        .filter_map(|line| Range::parse(line.split_ascii_whitespace().next()?))
        .max_by_key(|range| range.len());
    let Some(Range { start, end }) = range else {
        return Vec::new();
    };
    let pieces = (start.next_multiple_of(HUGE)..=end.saturating_sub(HUGE)).step_by(HUGE);
    let piece = |start| Range {
        start,
        end: start + HUGE,
    };
    pieces.map(piece).collect()
}

fn copy(range: Range, file: &OwnedFd, offset: u64) -> io::Result<()> {
    fallocate(file, FallocateFlags::empty(), offset, range.len() as u64)?;
    let mut written = 0;
    while written < range.len() {
        // SAFETY: the kernel has just listed the range as mapped and readable; nobody else runs who
        // could unmap it. Bytes may be of any kind, as they are only copied, by the kernel.
        let rest = unsafe {
            std::slice::from_raw_parts(range.as_ptr::<u8>().add(written), range.len() - written)
        };
        written += rustix::io::pwrite(file, rest, offset + written as u64)?;
    }
    Ok(())
}

fn replace(range: Range, access: ProtFlags, file: &OwnedFd, offset: u64) -> io::Result<()> {
    let fixed = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: the range is mapped, and what is mapped there now has the same content and may be
    // used as before. Nobody else runs meanwhile. Reading all of it in has children
    // share what they read of the file with this process.
    unsafe {
        rustix::mm::mmap(range.as_ptr(), range.len(), access, fixed, file, offset)?;
        // Where the kernel cannot (before Linux 5.14), pages are read when they are needed.
        let _ = rustix::mm::madvise(range.as_ptr(), range.len(), Advice::LinuxPopulateRead);
    }
    Ok(())
}

/// Pages that are likely to be written to.
#[derive(Debug, Default)]
pub struct Written(Vec<Range>);

impl Written {
    /// The pages that this process, made by a fork, has copies of its own of: it has written to
    /// them. None where the kernel does not tell.
    #[must_use]
    pub fn since_fork() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let Ok(pages) = fs::File::open("/proc/self/pagemap") else {
            return Self::default();
        };
        let mut written = Self::default();
        for line in maps.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (range, permissions) = (fields.next(), fields.next());
            if permissions.is_some_and(|permissions| permissions == "rw-p") {
                let range = range.and_then(Range::parse);
                written.add(range.map_or_else(Vec::new, |range| own_pages(range, &pages)));
            }
        }
        written
    }

    fn add(&mut self, pages: Vec<usize>) {
        for start in pages {
            match self.0.last_mut() {
                Some(last) if last.end == start => last.end += PAGE,
                _ => self.0.push(Range {
                    start,
                    end: start + PAGE,
                }),
            }
        }
    }

    /// Has this process copy them now, all at once, which is quicker than one at a time.
    pub fn copy_now(&self) {
        for range in &self.0 {
            // SAFETY: populating changes no content. Memory that is not there any more, or a kernel
            // that cannot (before Linux 5.14), is an error, and nothing needs this to succeed.
            let _ = unsafe { range.advise(libc::MADV_POPULATE_WRITE) };
        }
    }

    /// As bytes, for a pipe.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.0.iter().flat_map(|range| [range.start, range.end]);
        numbers.flat_map(usize::to_ne_bytes).collect()
    }

    /// From the bytes that [`Self::to_bytes`] has made in a process of the same layout.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (numbers, _) = bytes.as_chunks();
        let mut numbers = numbers.iter().map(|bytes| usize::from_ne_bytes(*bytes));
        let mut ranges = Vec::new();
        while let (Some(start), Some(end)) = (numbers.next(), numbers.next()) {
            if start < end {
                ranges.push(Range { start, end });
            }
        }
        Self(ranges)
    }
}

/// The addresses of the pages of a range that are in memory, of no file, and nobody else's.
fn own_pages(range: Range, pages: &fs::File) -> Vec<usize> {
    const FLAGS: u64 = PRESENT | OF_FILE_OR_SHARED | EXCLUSIVE;
    entries(range, pages)
        .filter(|(_, entry)| entry & FLAGS == PRESENT | EXCLUSIVE)
        .map(|(address, _)| address)
        .collect()
}

const PRESENT: u64 = 1 << 63;
const OF_FILE_OR_SHARED: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;

/// What `/proc/self/pagemap` says of each page of a range; nothing if it does not.
fn entries(range: Range, pages: &fs::File) -> impl Iterator<Item = (usize, u64)> {
    const ENTRY: usize = size_of::<u64>();
    let mut bytes = vec![0; range.len() / PAGE * ENTRY];
    let first = (range.start / PAGE * ENTRY) as u64;
    if pages.read_exact_at(&mut bytes, first).is_err() {
        bytes.clear();
    }
    let count = bytes.len() / ENTRY;
    (0..count).map(move |index| {
        let (entries, _) = bytes.as_chunks();
        (
            range.start + index * PAGE,
            u64::from_ne_bytes(entries[index]),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAP: &str = "5581c0de0000-5581c0e01000 rw-p 00000000 00:00 0          [heap]";

    #[test]
    fn only_private_memory_of_no_file_is_carried_over() {
        let heap = Range {
            start: 0x5581_c0de_0000,
            end: 0x5581_c0e0_1000,
        };
        assert_eq!(Range::private_anonymous(HEAP), Some(heap));
        for line in [
            "7f00-7f10 r--p 00001000 fe:00 4711       /usr/lib/libc.so.6",
            "7f00-7f10 rw-s 00000000 00:01 0          /dev/zero (deleted)",
            "",
            "7f00-7f10",
            "7f10-7f00 rw-p 0 0 0",
            "nonsense rw-p 0 0 0",
        ] {
            assert_eq!(Range::private_anonymous(line), None, "{line}");
        }
    }

    #[test]
    fn memory_can_be_carried_over() {
        carry_over().unwrap();
    }

    #[test]
    fn only_heaps_go_into_the_file() {
        let smaps = format!(
            "{HEAP}\nRss: 4 kB\nTHPeligible:    0\nVmFlags: rd wr mr mw me ac\n\
             1000-2000 rw-p 00000000 00:00 0\nRss: 4 kB\nVmFlags: rd wr mr mw me dc ac\n\
             2000-3000 r-xp 00000000 00:00 0\nVmFlags: rd ex mr mw me dc\n\
             3000-4000 rw-p 00000000 08:01 77 /file\nVmFlags: rd wr mr mw me dc\n"
        );
        let exempt = Range {
            start: 0x1000,
            end: 0x2000,
        };
        let of_the_c_library = Range::private_anonymous(HEAP).unwrap();
        assert_eq!(heaps(&smaps), [of_the_c_library, exempt]);
    }

    #[test]
    fn the_code_of_the_program_is_found_in_whole_huge_pages() {
        let smaps = "400000-b6f000 r--p 00000000 fe:00 4711       /usr/bin/node\n\
                     b72000-c00000 r-xp 00772000 fe:00 4711       /usr/bin/node\n\
                     c10000-1210000 r-xp 00800000 fe:00 4711       /usr/bin/node\n\
                     7f0000000000-7f0000c00000 r-xp 0 fe:00 815       /usr/lib/libc.so.6\n";
        let pieces = [0xe0_0000, 0x100_0000].map(|start| Range {
            start,
            end: start + HUGE,
        });
        assert_eq!(text(smaps, "/usr/bin/node"), pieces);
        assert_eq!(text(smaps, "/usr/bin/other"), []);
    }

    #[test]
    fn memory_in_a_file_keeps_its_content() {
        // A huge page and a bit, at any address.
        let size = HUGE + 4 * PAGE;
        // SAFETY: a new mapping of this test's own, at an address that the kernel chooses.
        let start = unsafe {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            rustix::mm::mmap_anonymous(ptr::null_mut(), size, access, MapFlags::PRIVATE).unwrap()
        };
        let range = Range {
            start: start.expose_provenance(),
            end: start.expose_provenance() + size,
        };
        // SAFETY: the mapping has so many bytes, and only this test knows of it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start.cast::<u8>(), size) };
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = (index % 251) as u8;
        }
        put_in_file(&[range], ProtFlags::READ | ProtFlags::WRITE).unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps
            .lines()
            .find(|line| line.starts_with(&format!("{:x}-", range.start)));
        assert!(line.is_some_and(|line| line.contains("memfd:node-multiprocessing")));
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(index, byte)| *byte == (index % 251) as u8)
        );
        bytes[PAGE] = 7;
        assert_eq!(
            (bytes[PAGE], bytes[PAGE + 1]),
            (7, ((PAGE + 1) % 251) as u8)
        );
    }

    #[test]
    fn pages_travel_as_bytes() {
        let mut written = Written::default();
        written.add(vec![PAGE, 2 * PAGE, 9 * PAGE]);
        assert_eq!(written.0.len(), 2);
        assert_eq!(Written::from_bytes(&written.to_bytes()).0, written.0);
        assert!(Written::from_bytes(&[1, 2, 3]).0.is_empty());
    }

    #[test]
    fn own_pages_are_seen_and_can_be_copied() {
        let written = Written::since_fork();
        // Without access to pagemap there is nothing to see.
        if !written.0.is_empty() {
            let here = 0_u8;
            let here = (&raw const here).expose_provenance();
            assert!(
                written
                    .0
                    .iter()
                    .any(|range| (range.start..range.end).contains(&here))
            );
        }
        written.copy_now();
    }
}
