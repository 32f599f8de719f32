//! What fork(2) does with memory, and what that costs.
//!
//! The child shares all pages with its parent until one of them writes to a page, which is copied
//! then. So the kernel notes each page down twice, in the child's page tables when it is made and
//! in none when it ends: with much memory that is most of what a short life costs. Pages of a file
//! that nobody has written to are left out, as they can be found again when they are needed.

use std::{ffi::c_void, fs, io, os::fd::OwnedFd, ptr};

use rustix::{
    fs::{FallocateFlags, MemfdFlags, fallocate},
    mm::{Advice, MapFlags, ProtFlags},
    process::{Resource, getrlimit},
};

use super::memory_range::{Mapping, PAGE, Range};

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
    (maps.lines().filter_map(private_anonymous)).try_for_each(|range| {
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
    fill_gaps();
    let smaps = fs::read_to_string("/proc/self/smaps")?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let heaps: Vec<_> = heaps(&smaps)
        .into_iter()
        .map(|range| (range, access))
        .collect();
    put_in_file(&heaps, false)
}

/// Has pieces of this process's code and constants be of huge pages: those that fill some, and that
/// are used enough. The kernel would map them sixteen small pages at a time, in each child anew.
/// What cannot be had in huge pages stays what it was.
///
/// # Errors
///
/// Those of [`keep_in_file`].
pub(super) fn make_code_huge(is_used: impl Fn(Range) -> bool) -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let pieces: Vec<_> = (maps.lines().filter_map(Mapping::parse).flat_map(code))
        .filter(|(piece, _)| is_used(*piece))
        .collect();
    put_in_file(&pieces, true)
}

/// The range of a line of `/proc/self/maps`, if it is of memory that is private and of no file.
fn private_anonymous(line: &str) -> Option<Range> {
    let mapping = Mapping::parse(line)?;
    (mapping.is_private() && !mapping.of_file).then_some(mapping.range)
}

/// With its content, and with the access that it is to have. Unless only huge pages are of use, small
/// ones do as well.
fn put_in_file(ranges: &[(Range, ProtFlags)], only_huge: bool) -> io::Result<()> {
    let total = ranges.iter().map(|(range, _)| range.len() as u64).sum();
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
    if huge.is_err() && only_huge {
        return Ok(());
    }
    let mut offset = 0;
    // Nothing in here allocates memory: what is copied may be the heap that it would come from.
    for &(range, access) in ranges {
        if copy(range, &file, offset).is_err() {
            break;
        }
        replace(range, access, &file, offset)?;
        offset += range.len() as u64;
    }
    if !only_huge {
        keep(&file, total as usize);
    }
    Ok(())
}

/// Maps all of a file, for good and for this process alone. So what children read of it is not taken for
/// theirs, as it would be where they are the only ones to have it mapped.
fn keep(file: &OwnedFd, size: usize) {
    if let Ok(start) = map_aligned(file, size, ProtFlags::READ) {
        // SAFETY: neither changes any content, and nobody knows the address.
        unsafe {
            libc::madvise(start, size, libc::MADV_DONTFORK);
            libc::madvise(start, size, libc::MADV_POPULATE_READ);
        }
    }
}

/// Maps so many bytes of a file, shared, where there was nothing and a huge page may begin.
fn map_aligned(file: &OwnedFd, size: usize, access: ProtFlags) -> io::Result<*mut c_void> {
    let shared = MapFlags::SHARED | MapFlags::FIXED;
    let (nothing, room) = (ProtFlags::empty(), size.next_multiple_of(PAGE) + HUGE);
    // SAFETY: the file is mapped into an area that was free, and what is left of that is free again.
    unsafe {
        let area = rustix::mm::mmap_anonymous(ptr::null_mut(), room, nothing, MapFlags::PRIVATE)?;
        let start = area.map_addr(|address| address.next_multiple_of(HUGE));
        if let Err(error) = rustix::mm::mmap(start, size, access, shared, file, 0) {
            rustix::mm::munmap(area, room)?;
            return Err(error.into());
        }
        let before = start.addr() - area.addr();
        let end = start.byte_add(size.next_multiple_of(PAGE));
        for (unused, length) in [(area, before), (end, HUGE - before)] {
            if length > 0 {
                rustix::mm::munmap(unused, length)?;
            }
        }
        Ok(start)
    }
}

/// Takes what the C library has free between pieces that are in use, for good. A child would be given
/// memory from there otherwise, a bit of each page, and has to copy each page that it writes to; now
/// what it is given lies together, at the end of the heap.
fn fill_gaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: nothing that is allocated here is written to, and what is none of the gaps is freed, once.
    // The break is only read.
    unsafe {
        let spare = libc::mallinfo().keepcost.cast_unsigned() as usize;
        let end = libc::sbrk(0).addr();
        let tail = end - spare;
        for size in [1 << 16, 1 << 13]
            .into_iter()
            .chain((0..64).rev().map(|class| 24 + 16 * class))
        {
            loop {
                let gap = libc::malloc(size);
                if gap.is_null() || (tail..).contains(&gap.addr()) {
                    libc::free(gap);
                    break;
                }
            }
        }
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
    let start = map_aligned(file, size, ProtFlags::READ | ProtFlags::WRITE)?;
    // SAFETY: it changes no content, and nobody knows the address.
    unsafe {
        let done = libc::madvise(start, size, MADV_COLLAPSE);
        let error = io::Error::last_os_error();
        rustix::mm::munmap(start, size)?;
        if done == 0 { Ok(()) } else { Err(error) }
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
                .then(|| private_anonymous(line))
                .flatten();
            if line.ends_with("[heap]") {
                ranges.extend(range.take());
            }
        }
    }
    ranges
}

/// What of a mapping fills huge pages, a piece for each, and what may be done with it; nothing of memory
/// that can be written to, is shared, or is of no file that has a name.
fn code(mapping: Mapping<'_>) -> impl Iterator<Item = (Range, ProtFlags)> {
    let access = match mapping.permissions {
        "r-xp" => Some(ProtFlags::READ | ProtFlags::EXEC),
        "r--p" => Some(ProtFlags::READ),
        _ => None,
    };
    let access = access.filter(|_| mapping.name.starts_with('/') && !is_moved(&mapping));
    let Range { start, end } = mapping.range;
    let pieces = (start.next_multiple_of(HUGE)..=end.saturating_sub(HUGE)).step_by(HUGE);
    let piece = |start| Range {
        start,
        end: start + HUGE,
    };
    access
        .into_iter()
        .flat_map(move |access| pieces.clone().map(move |start| (piece(start), access)))
}

/// Whether it is of a file that this module has made.
pub(super) fn is_moved(mapping: &Mapping<'_>) -> bool {
    mapping.name == "/memfd:node-multiprocessing"
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
        assert_eq!(private_anonymous(HEAP), Some(heap));
        for line in [
            "7f00-7f10 r--p 00001000 fe:00 4711       /usr/lib/libc.so.6",
            "7f00-7f10 rw-s 00000000 00:01 0          /dev/zero (deleted)",
            "",
            "7f00-7f10",
            "7f10-7f00 rw-p 0 0 0",
            "nonsense rw-p 0 0 0",
        ] {
            assert_eq!(private_anonymous(line), None, "{line}");
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
        let of_the_c_library = private_anonymous(HEAP).unwrap();
        assert_eq!(heaps(&smaps), [of_the_c_library, exempt]);
    }

    #[test]
    fn code_is_found_in_whole_huge_pages() {
        let (code_access, constant) = (ProtFlags::READ | ProtFlags::EXEC, ProtFlags::READ);
        let found = |line| -> Vec<_> { Mapping::parse(line).into_iter().flat_map(code).collect() };
        let piece = |start, access| {
            let end = start + HUGE;
            (Range { start, end }, access)
        };
        assert_eq!(
            found("c10000-1210000 r-xp 00800000 fe:00 4711       /usr/bin/node"),
            [
                piece(0xe0_0000, code_access),
                piece(0x100_0000, code_access)
            ]
        );
        assert_eq!(
            found("400000-b6f000 r--p 00000000 fe:00 4711       /usr/bin/node")[..1],
            [piece(0x40_0000, constant)]
        );
        for line in [
            "b72000-c00000 r-xp 00772000 fe:00 4711       /usr/bin/node",
            "400000-b6f000 rw-p 00000000 fe:00 4711       /usr/bin/node",
            "400000-b6f000 r--s 00000000 fe:00 4711       /usr/lib/locale",
            "400000-b6f000 r-xp 00000000 00:01 4711       /memfd:node-multiprocessing (deleted)",
            "400000-b6f000 r--p 00000000 00:00 0",
        ] {
            assert_eq!(found(line), [], "{line}");
        }
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
        put_in_file(&[(range, ProtFlags::READ | ProtFlags::WRITE)], false).unwrap();
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
}
