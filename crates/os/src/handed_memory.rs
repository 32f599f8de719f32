//! Memory that is handed to other processes, and used again when they have let go of it.
//!
//! Large contents are copied once, into a file in memory. Whoever gets the file maps it in the place of
//! memory that it has allocated, so that nothing is copied there, and so that giving that memory free is all
//! it takes to let go of it. Memory that is used again is warm: copying into it is ten times as fast as
//! into pages that nobody has touched.
//!
//! Each time it is handed out under another open file description, with a lock on it. The kernel keeps the
//! lock for as long as there is a descriptor of it or a mapping made with it, on the way or anywhere, and
//! gives it back in whatever way the processes end. So whether the memory is used is never a question of
//! what somebody has said.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise};

use crate::file_lock::{self, Access};
use crate::shared_memory::{self, SharedMapping};

/// What is handed over begins so many bytes into a page, as what the C library allocates by itself for one
/// object does: only so it can be mapped there.
pub const START: usize = 16;

/// At most so much is handed out and kept.
const MOST: usize = 384 << 20;

/// What has been out of use for so long is given back.
const KEPT: Duration = Duration::from_secs(1);

/// When all is with others, somebody may be about to let go of some: that is waited for, so long and looking
/// so often, as everything else takes longer.
const PATIENCE: Duration = Duration::from_millis(20);
const GLANCE: Duration = Duration::from_micros(300);

/// What is handed out at a time, and kept to be used again.
#[derive(Debug, Default)]
pub struct Pool {
    all: Mutex<Vec<Handed>>,
    /// It was waited for in vain, and nothing has come back since.
    hopeless: AtomicBool,
}

#[derive(Debug)]
struct Handed {
    file: OwnedFd,
    mapping: SharedMapping,
    used: Instant,
}

/// A file with contents, for somebody else, and where each of them begins.
#[derive(Debug)]
pub struct Parcel {
    /// The file.
    pub file: OwnedFd,
    /// The places.
    pub offsets: Vec<u64>,
}

impl Pool {
    /// A pool with nothing in it.
    pub const fn new() -> Self {
        Self {
            all: Mutex::new(Vec::new()),
            hopeless: AtomicBool::new(false),
        }
    }

    /// Copies contents into memory that nobody uses; nothing when there is none to be had, or too much is
    /// with others.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`; `ENOENT` where `/proc` is missing.
    pub fn pack(&self, contents: &[&[u8]]) -> io::Result<Option<Parcel>> {
        let page = rustix::param::page_size();
        let mut offsets = Vec::new();
        let mut length = 0_usize;
        for content in contents {
            offsets.push((length + START) as u64);
            length = (length + START)
                .checked_add(content.len())
                .and_then(|end| end.checked_next_multiple_of(page))
                .ok_or(io::ErrorKind::OutOfMemory)?;
        }
        let Some(mut handed) = self.find_soon(length)? else {
            return Ok(None);
        };
        for (content, offset) in contents.iter().zip(&offsets) {
            handed.fill(*offset as usize, content);
        }
        let file = handed.hand_out();
        handed.used = Instant::now();
        self.lock().push(handed);
        file.map(|file| Some(Parcel { file, offsets }))
    }

    /// Maps memory that nobody uses in the place of what `target` holds, whose content is lost: whole pages of
    /// it, and shared with nobody but a copy of this process. Says whether it has; it has not where that cannot
    /// be done, or when too much is in use.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`; `ENOENT` where `/proc` is missing.
    pub fn place(&self, target: &mut [u8]) -> io::Result<bool> {
        let (_, middle, _) = whole_pages(target);
        if middle.is_empty() {
            return Ok(false);
        }
        let Some(mut handed) = self.find(middle.len())? else {
            return Ok(false);
        };
        let placed = handed
            .hand_out()
            .and_then(|file| map_over(middle, file.as_fd(), 0, MapFlags::SHARED));
        handed.used = Instant::now();
        self.lock().push(handed);
        placed?;
        let start = middle.as_mut_ptr().cast();
        // SAFETY: the mapping that was made just now, whose content is not changed.
        let _ = unsafe { madvise(start, middle.len(), Advice::LinuxPopulateRead) };
        Ok(true)
    }

    fn find_soon(&self, length: usize) -> io::Result<Option<Handed>> {
        let start = Instant::now();
        loop {
            let found = self.find(length)?;
            if found.is_some() || length > MOST || self.hopeless.load(Relaxed) {
                return Ok(found);
            }
            if start.elapsed() > PATIENCE {
                self.hopeless.store(true, Relaxed);
                return Ok(None);
            }
            thread::sleep(GLANCE);
        }
    }

    /// Memory of that length, taken out of the pool.
    fn find(&self, length: usize) -> io::Result<Option<Handed>> {
        if length > MOST {
            return Ok(None);
        }
        let mut all = self.lock();
        // The last that was used is the warmest.
        let fits = |handed: &Handed| {
            (length..=length.saturating_mul(2)).contains(&handed.mapping.len()) && handed.is_free()
        };
        if let Some(place) = all.iter().rposition(fits) {
            self.hopeless.store(false, Relaxed);
            return Ok(Some(all.remove(place)));
        }
        let kept = |all: &[Handed]| all.iter().map(|each| each.mapping.len()).sum::<usize>();
        if kept(&all).saturating_add(length) > MOST {
            all.retain(|each| !each.is_free());
        }
        if kept(&all).saturating_add(length) > MOST {
            return Ok(None);
        }
        drop(all);
        Handed::new(length).map(Some)
    }

    /// Gives back what has not been used for a while; says whether anything is left.
    pub fn trim(&self) -> bool {
        let mut all = self.lock();
        all.retain(|each| each.used.elapsed() < KEPT);
        !all.is_empty()
    }

    /// In a copy of the process: all of it is the original's.
    pub fn become_copy(&self) {
        // All other threads slept when the copy was made, none of them with this lock.
        if let Ok(mut all) = self.all.try_lock() {
            all.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Handed>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handed {
    fn new(length: usize) -> io::Result<Self> {
        let file = shared_memory::create(length as u64)?;
        let mapping = SharedMapping::new(file.as_fd(), length)?;
        if let Some(start) = mapping.at(0) {
            // All of its pages in one go. Without that they are found one by one.
            // SAFETY: the mapping's own memory, whose content is not changed.
            let _ = unsafe { madvise(start.as_ptr().cast(), length, Advice::LinuxPopulateWrite) };
        }
        Ok(Self {
            file,
            mapping,
            used: Instant::now(),
        })
    }

    /// Whether it is with nobody else.
    fn is_free(&self) -> bool {
        file_lock::is_locked_elsewhere(self.file.as_fd(), 0, 1).is_ok_and(|locked| !locked)
    }

    fn fill(&self, offset: usize, content: &[u8]) {
        let end = offset.checked_add(content.len());
        let (Some(start), Some(true)) = (
            self.mapping.at(offset),
            end.map(|end| end <= self.mapping.len()),
        ) else {
            return;
        };
        // SAFETY: inside, and nobody else has it: it was taken out of the pool, and is with nobody.
        unsafe {
            start
                .as_ptr()
                .copy_from_nonoverlapping(content.as_ptr(), content.len());
        }
    }

    fn hand_out(&self) -> io::Result<OwnedFd> {
        let file = shared_memory::reopen(self.file.as_fd())?;
        if !file_lock::try_lock(file.as_fd(), 0, 1, Access::Shared)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(file)
    }
}

/// Puts contents that were handed over in the place of what `target` holds: whole pages are mapped there,
/// where that can be done, and seen to nobody else when they are changed; the rest is copied.
///
/// # Errors
/// `InvalidInput` for a file that is none of those, or is shorter; `ENOMEM`.
pub fn unpack(file: BorrowedFd<'_>, offset: u64, target: &mut [u8]) -> io::Result<()> {
    let end = offset.checked_add(target.len() as u64);
    let length = shared_memory::final_length(file)?;
    if !matches!((end, length), (Some(end), Some(length)) if end <= length) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let page = rustix::param::page_size();
    let (head, middle, tail) = whole_pages(target);
    if middle.is_empty() || !(offset as usize + head.len()).is_multiple_of(page) {
        return read(file, offset, target);
    }
    let begin = offset + head.len() as u64;
    read(file, offset, head)?;
    read(file, begin + middle.len() as u64, tail)?;
    map_over(middle, file, begin, MapFlags::PRIVATE)
}

/// The whole pages of an object that the C library has mapped memory for, and what is around them; no pages
/// of any other.
fn whole_pages(object: &mut [u8]) -> (&mut [u8], &mut [u8], &mut [u8]) {
    let page = rustix::param::page_size();
    let first = object.as_ptr().align_offset(page).min(object.len());
    let whole = (object.len() - first) & !(page - 1);
    let whole = if is_allocated_alone(object) { whole } else { 0 };
    let (head, rest) = object.split_at_mut(first);
    let (middle, tail) = rest.split_at_mut(whole);
    (head, middle, tail)
}

/// Maps a file in the place of such pages. It is no shorter, and never will be.
fn map_over(
    pages: &mut [u8],
    file: BorrowedFd<'_>,
    offset: u64,
    sharing: MapFlags,
) -> io::Result<()> {
    let start = pages.as_mut_ptr().cast();
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = sharing | MapFlags::FIXED;
    // SAFETY: these are whole pages inside an object that the caller has to itself, of memory that was mapped
    // for that object alone, and is unmapped with it.
    unsafe { rustix::mm::mmap(start, pages.len(), access, flags, file, offset)? };
    Ok(())
}

fn read(file: BorrowedFd<'_>, offset: u64, into: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < into.len() {
        match rustix::io::pread(file, &mut into[filled..], offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether the C library has mapped memory for this object alone. It does so for all that are larger than
/// 32 MiB, and unmaps it when the object is freed, whatever is mapped there by then.
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
fn is_allocated_alone(object: &[u8]) -> bool {
    /// `IS_MMAPPED`
    const ALONE: u64 = 2;
    const FLAGS: u64 = 7;
    let page = rustix::param::page_size();
    if object.len() <= (32 << 20) || object.as_ptr().addr() % page != START {
        return false;
    }
    // SAFETY: in the same page as the object's first byte, and aligned.
    let word = unsafe { object.as_ptr().cast::<u64>().sub(1).read() };
    let length = word & !FLAGS;
    word & ALONE != 0
        && length.is_multiple_of(page as u64)
        && length >= (object.len() + START) as u64
        && length <= (object.len() + START + 2 * page) as u64
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
fn is_allocated_alone(_: &[u8]) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const LARGE: usize = (40 << 20) + 5;

    fn content(seed: u8, length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| (at / 4096) as u8 ^ at as u8 ^ seed)
            .collect()
    }

    #[test]
    fn contents_arrive_mapped_or_copied() {
        let pool = Pool::new();
        let contents = [content(1, LARGE), content(2, 0), content(3, 5000)];
        let parts: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let parcel = pool.pack(&parts).unwrap().unwrap();
        for (content, offset) in contents.iter().zip(parcel.offsets) {
            let mut target = vec![9; content.len()];
            unpack(parcel.file.as_fd(), offset, &mut target).unwrap();
            assert_eq!(&target, content);
            if let Some(first) = target.first_mut() {
                *first ^= 1;
                assert_eq!(target[1..], content[1..]);
            }
        }
    }

    #[test]
    fn memory_is_placed_under_an_object_and_used_again_after_it() {
        let pool = Pool::new();
        let kept = |pool: &Pool| pool.lock().len();
        for _ in 0..3 {
            let mut target = vec![9; LARGE];
            assert!(pool.place(&mut target).unwrap());
            target.copy_from_slice(&content(1, LARGE));
            let mut other = vec![9; LARGE];
            assert!(pool.place(&mut other).unwrap());
            other.fill(3);
            assert_eq!(kept(&pool), 2);
            assert!(target == content(1, LARGE) && other.iter().all(|byte| *byte == 3));
        }
        let mut small = vec![9; 1 << 20];
        assert!(!pool.place(&mut small).unwrap());
        assert!(small.iter().all(|byte| *byte == 9));
        let mut part = vec![9; LARGE];
        assert!(!pool.place(&mut part[4096..]).unwrap());
        assert!(part.iter().all(|byte| *byte == 9));
        assert_eq!(kept(&pool), 2);
    }

    #[test]
    fn no_more_is_placed_than_may_be_kept() {
        let pool = Pool::new();
        let mut targets = Vec::new();
        while targets.len() < 20 {
            let mut target = vec![9_u8; LARGE];
            let placed = pool.place(&mut target).unwrap();
            targets.push(target);
            if !placed {
                break;
            }
        }
        assert_eq!(targets.len(), MOST / LARGE + 1);
        targets.clear();
        assert!(pool.place(&mut vec![9; 100 << 20]).unwrap());
    }

    #[test]
    fn memory_is_used_again_when_nobody_has_it() {
        let pool = Pool::new();
        let (one, other) = (content(1, LARGE), content(2, LARGE));
        let first = pool.pack(&[&one]).unwrap().unwrap();
        let number = shared_memory::identity(first.file.as_fd()).unwrap();
        let mut target = vec![0; LARGE];
        unpack(first.file.as_fd(), first.offsets[0], &mut target).unwrap();
        drop(first);
        // It is mapped where the C library has a chunk of its own, which a vector of that length is.
        let second = pool.pack(&[&other]).unwrap().unwrap();
        assert_ne!(
            shared_memory::identity(second.file.as_fd()).unwrap(),
            number
        );
        assert_eq!(target, one);
        target[LARGE / 2] ^= 1;
        drop(target);
        let third = pool.pack(&[&other]).unwrap().unwrap();
        assert_eq!(shared_memory::identity(third.file.as_fd()).unwrap(), number);
        let mut target = vec![0; LARGE];
        unpack(third.file.as_fd(), third.offsets[0], &mut target).unwrap();
        assert_eq!(target, other);
    }

    #[test]
    fn there_is_only_so_much() {
        let pool = Pool::new();
        let content = vec![1; MOST / 3];
        let held: Vec<_> = (0..3).map(|_| pool.pack(&[&content]).unwrap()).collect();
        assert!(held[1].is_some() && held[2].is_none());
        drop(held);
        assert!(pool.pack(&[&content]).unwrap().is_some());
        assert!(
            pool.pack(&[&content, &content, &content])
                .unwrap()
                .is_none()
        );
        assert!(pool.trim());
    }

    #[test]
    fn what_is_no_parcel_is_refused() {
        let loose = crate::memory_file::create(&[&[0; 4096]]).unwrap();
        assert!(unpack(loose.as_fd(), 0, &mut [0; 16]).is_err());
        let file = shared_memory::create(4096).unwrap();
        assert!(unpack(file.as_fd(), 0, &mut [0; 4096]).is_ok());
        assert!(unpack(file.as_fd(), 1, &mut [0; 4096]).is_err());
        assert!(unpack(file.as_fd(), u64::MAX, &mut [0; 16]).is_err());
    }
}
