//! All segments and blocks that a process has.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::{self, Deref};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use mp_os::file_lock::{self, Access};
use mp_os::shared_memory::{self, Identity};

use crate::allocator::{Allocator, rounded};
use crate::member::{self, Member};
use crate::segment::{AttachError, HEADER, Segment};

/// The room of the first arena.
const SMALLEST_ARENA: usize = 4 << 10;
/// The room of arenas once there is much in them.
const LARGEST_ARENA: usize = 4 << 20;
/// Larger blocks have a segment of their own.
const LARGEST_SHARING: usize = LARGEST_ARENA / 2;

/// The number of a block, of one use of it by one thread. No number is used twice.
pub type Handle = u64;

/// The number of a thread.
pub type Thread = u32;

/// A block, as one thread has it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its number.
    pub handle: Handle,
    /// The number of its segment in this process; no number is used twice.
    pub place: u32,
    /// Where in the segment it is.
    pub offset: usize,
    /// How many bytes were asked for.
    pub size: usize,
    segment: Arc<Segment>,
    thread: Thread,
    /// Whether only [`Heap::release`] ends its use.
    held: bool,
}

/// A word of a block. It stays mapped for as long as this exists.
#[derive(Clone, Debug)]
pub struct Word {
    segment: Arc<Segment>,
    offset: usize,
}

/// What keeps all blocks in use while the process is copied, and then for the copy.
#[derive(Debug, Default)]
pub struct Leases(HashMap<u32, OwnedFd>);

/// The segments that a process has mapped, and the blocks in them.
#[derive(Debug)]
pub struct Heap {
    places: BTreeMap<u32, Place>,
    numbers: HashMap<Identity, u32>,
    next_place: u32,
    /// The places with an allocator.
    arenas: Vec<u32>,
    next_arena: usize,
    blocks: HashMap<Handle, Block>,
    next_handle: Handle,
}

/// One segment.
#[derive(Debug)]
struct Place {
    segment: Arc<Segment>,
    /// The description that holds the locks on blocks of other processes' segments, and asks for locks on
    /// those of one's own.
    holder: OwnedFd,
    members: HashMap<Thread, Member>,
    /// The blocks that somebody here has.
    ranges: BTreeMap<(usize, usize), Range>,
    /// How a segment is divided up that this process has made.
    arena: Option<Allocator>,
    /// Blocks of the arena that nobody here has any more, but perhaps others.
    elsewhere: BTreeMap<usize, usize>,
    made_here: bool,
}

#[derive(Debug, Default)]
struct Range {
    uses: usize,
    /// Whether it was sent to somebody, and may come back.
    travelled: bool,
}

impl Heap {
    /// Nothing.
    pub fn new() -> Self {
        Self {
            places: BTreeMap::new(),
            numbers: HashMap::new(),
            next_place: 1,
            arenas: Vec::new(),
            next_arena: SMALLEST_ARENA,
            blocks: HashMap::new(),
            next_handle: 1,
        }
    }

    /// Makes a block of zeros.
    ///
    /// # Errors
    /// `ENOMEM`, `EFBIG`, `EMFILE`: see [`shared_memory::create`].
    pub fn allocate(&mut self, thread: Thread, size: usize) -> io::Result<Block> {
        let length = rounded(size).ok_or(io::ErrorKind::OutOfMemory)?;
        if length > LARGEST_SHARING {
            let place = self.create_place(length, false)?;
            return self.take(thread, place, HEADER, size, false);
        }
        let (place, offset) = match self.allocate_from_arenas(length) {
            Some(found) => found,
            None => {
                self.look_elsewhere();
                match self.allocate_from_arenas(length) {
                    Some(found) => found,
                    None => self.grow(length)?,
                }
            }
        };
        self.take(thread, place, offset, size, false)
    }

    /// Takes up a block that came in a message, with the description that has kept it in use. That may be
    /// closed afterwards.
    ///
    /// # Errors
    /// [`AttachError::Malformed`] for what is no segment or no block of it.
    pub fn attach(
        &mut self,
        thread: Thread,
        file: BorrowedFd<'_>,
        offset: usize,
        size: usize,
    ) -> Result<Block, AttachError> {
        let length = rounded(size).ok_or(AttachError::Malformed("the block is too large"))?;
        let identity = shared_memory::identity(file)?;
        let number = match self.numbers.get(&identity) {
            Some(number) => *number,
            None => {
                let segment = Segment::attach(file)?;
                let holder = shared_memory::reopen(file)?;
                self.insert(segment, holder, false)
            }
        };
        let taken = self.attach_within(thread, number, offset, size, length);
        self.leave_if_empty(number);
        taken
    }

    fn attach_within(
        &mut self,
        thread: Thread,
        number: u32,
        offset: usize,
        size: usize,
        length: usize,
    ) -> Result<Block, AttachError> {
        let place = place_of(&mut self.places, number)?;
        let inside = (offset >= HEADER && offset.is_multiple_of(crate::allocator::ALIGNMENT))
            && offset
                .checked_add(length)
                .is_some_and(|end| end <= place.segment.size());
        if !inside {
            return Err(AttachError::Malformed("the block is outside its segment"));
        }
        let known = place.ranges.contains_key(&(offset, length));
        if place.made_here && !known {
            // It has come back, after nobody here had it any more.
            if place.elsewhere.get(&offset) != Some(&length) {
                return Err(AttachError::Malformed("there is no such block"));
            }
            place.elsewhere.remove(&offset);
        } else if !known {
            let (holder, access) = (place.holder.as_fd(), Access::Shared);
            if !file_lock::try_lock(holder, offset as u64, length as u64, access)? {
                return Err(AttachError::Malformed("somebody else claims the block"));
            }
        }
        Ok(self.take(thread, number, offset, size, true)?)
    }

    /// Gives back one use of a block. What is not known, or was given back, is ignored.
    pub fn release(&mut self, handle: Handle) {
        let Some(block) = self.blocks.remove(&handle) else {
            return;
        };
        let Some(length) = rounded(block.size) else {
            return;
        };
        let Some(place) = self.places.get_mut(&block.place) else {
            return;
        };
        let Some(range) = place.ranges.get_mut(&(block.offset, length)) else {
            return;
        };
        range.uses -= 1;
        if range.uses > 0 {
            return;
        }
        let travelled = range.travelled;
        place.ranges.remove(&(block.offset, length));
        place.give_back(block.offset, length, travelled);
        self.leave_if_empty(block.place);
    }

    /// Takes back what was released here while others had it, if they need it no more. That happens when
    /// room is wanted; it is worth a call when a process has ended that may have had something.
    pub fn look_elsewhere(&mut self) {
        for place in self.places.values_mut() {
            for (offset, length) in std::mem::take(&mut place.elsewhere) {
                place.give_back(offset, length, true);
            }
        }
        for number in self.arenas.clone() {
            self.leave_if_empty(number);
        }
    }

    /// A block by its number.
    pub fn block(&self, handle: Handle) -> Option<&Block> {
        self.blocks.get(&handle)
    }

    /// A description of the block's segment that can hold it, and others of the segment, in use while they
    /// are on their way: see [`Heap::lease`].
    ///
    /// # Errors
    /// `EMFILE` when no more descriptors can be had.
    pub fn open_lease(&self, handle: Handle) -> io::Result<OwnedFd> {
        let place = self.block(handle).and_then(|b| self.places.get(&b.place));
        shared_memory::reopen(place.ok_or_else(unknown)?.holder.as_fd())
    }

    /// Keeps a block in use for as long as the description exists.
    ///
    /// # Errors
    /// What `fcntl(2)` gives.
    pub fn lease(&mut self, handle: Handle, lease: BorrowedFd<'_>) -> io::Result<()> {
        let block = self.blocks.get(&handle).ok_or_else(unknown)?;
        let length = rounded(block.size).ok_or_else(unknown)?;
        let range = (self.places.get_mut(&block.place))
            .and_then(|place| place.ranges.get_mut(&(block.offset, length)))
            .ok_or_else(unknown)?;
        range.travelled = true;
        hold(lease, block.offset, length)
    }

    /// The tag that the block's thread has as a member of the block's segment. It becomes one when first
    /// asked.
    ///
    /// # Errors
    /// As [`Member::join`].
    pub fn tag(&mut self, handle: Handle) -> io::Result<u32> {
        let block = self.blocks.get(&handle).ok_or_else(unknown)?;
        let place = place_of(&mut self.places, block.place)?;
        if let Some(member) = place.members.get(&block.thread) {
            return Ok(member.tag());
        }
        let member = Member::join(&place.segment, place.holder.as_fd())?;
        let tag = member.tag();
        place.members.insert(block.thread, member);
        Ok(tag)
    }

    /// Whether the member of the block's segment with that tag still lives.
    ///
    /// # Errors
    /// What `fcntl(2)` gives.
    pub fn is_alive(&self, handle: Handle, tag: u32) -> io::Result<bool> {
        let place = self.block(handle).and_then(|b| self.places.get(&b.place));
        member::is_alive(place.ok_or_else(unknown)?.holder.as_fd(), tag)
    }

    /// Whether the member of the block's segment with that tag is a thread of this process.
    pub fn is_of_this_process(&self, handle: Handle, tag: u32) -> bool {
        let place = self.block(handle).and_then(|b| self.places.get(&b.place));
        place.is_some_and(|place| place.members.values().any(|member| member.tag() == tag))
    }

    /// One more use of a block, by the same thread.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such block.
    pub fn take_again(&mut self, handle: Handle) -> io::Result<Block> {
        let block = self.block(handle).ok_or_else(unknown)?.clone();
        self.take(block.thread, block.place, block.offset, block.size, false)
    }

    /// The block is in use until it is given back, also when its thread ends before, and in a copy of the
    /// process: its memory may be another thread's by then.
    pub fn hold(&mut self, handle: Handle) {
        if let Some(block) = self.blocks.get_mut(&handle) {
            block.held = true;
        }
    }

    /// A thread has ended: it is no member any more, and has no blocks but those that are held.
    pub fn leave(&mut self, thread: Thread) {
        for place in self.places.values_mut() {
            place.members.remove(&thread);
        }
        self.release_all(|block| block.thread == thread && !block.held);
    }

    /// Keeps all blocks in use for a copy of the process that is about to be made.
    ///
    /// # Errors
    /// `EMFILE` when no more descriptors can be had.
    pub fn leases(&mut self) -> io::Result<Leases> {
        let mut leases = HashMap::new();
        for (number, place) in &mut self.places {
            if place.ranges.is_empty() {
                continue;
            }
            leases.insert(*number, place.lease_all()?);
            for range in place.ranges.values_mut() {
                range.travelled = true;
            }
        }
        Ok(Leases(leases))
    }

    /// In a copy of the process, of which only this thread is left: it has what its thread had, and what is
    /// held, but is
    /// nobody's member, and decides about no segment. For what it is not given leases of, it makes some.
    ///
    /// # Errors
    /// `EMFILE` when no more descriptors can be had.
    pub fn become_copy(&mut self, thread: Thread, leases: Leases) -> io::Result<()> {
        let Leases(mut leases) = leases;
        self.arenas.clear();
        self.next_arena = SMALLEST_ARENA;
        let numbers: Vec<u32> = self.places.keys().copied().collect();
        for number in numbers {
            let place = place_of(&mut self.places, number)?;
            place.holder = match leases.remove(&number) {
                Some(lease) => lease,
                None => place.lease_all()?,
            };
            place.members.clear();
            place.arena = None;
            place.elsewhere.clear();
            place.made_here = false;
        }
        // What is held may have become this thread's; if not, it stays until the copy ends.
        self.release_all(|block| block.thread != thread && !block.held);
        for number in self.places.keys().copied().collect::<Vec<_>>() {
            self.leave_if_empty(number);
        }
        Ok(())
    }

    /// Lets go of the last segment that is divided up, too, if nothing of it is in use.
    pub fn leave_last_arena(&mut self) {
        let places = &mut self.places;
        self.arenas.retain(|number| {
            let arena = places.get(number).and_then(|place| place.arena.as_ref());
            let is_empty = arena.is_none_or(Allocator::is_empty);
            if is_empty && let Some(place) = places.remove(number) {
                self.numbers.remove(&place.segment.identity());
            }
            !is_empty
        });
    }

    /// How many segments there are, and how many bytes of blocks are in use in those that are divided up.
    pub fn usage(&self) -> (usize, usize) {
        let used = |place: &Place| {
            let arena = place.arena.as_ref()?;
            Some(place.segment.size() - HEADER - arena.available())
        };
        (
            self.places.len(),
            self.places.values().filter_map(used).sum(),
        )
    }

    fn release_all(&mut self, which: impl Fn(&Block) -> bool) {
        let blocks = self.blocks.values().filter(|block| which(block));
        for handle in blocks.map(|block| block.handle).collect::<Vec<_>>() {
            self.release(handle);
        }
    }

    /// Notes one more use of a range that is this process's to use.
    fn take(
        &mut self,
        thread: Thread,
        number: u32,
        offset: usize,
        size: usize,
        travelled: bool,
    ) -> io::Result<Block> {
        let place = place_of(&mut self.places, number)?;
        let length = rounded(size).ok_or_else(unknown)?;
        let range = place.ranges.entry((offset, length)).or_default();
        range.uses += 1;
        range.travelled |= travelled;
        let block = Block {
            handle: self.next_handle,
            place: number,
            offset,
            size,
            segment: Arc::clone(&place.segment),
            thread,
            held: false,
        };
        self.next_handle += 1;
        self.blocks.insert(block.handle, block.clone());
        Ok(block)
    }

    fn allocate_from_arenas(&mut self, length: usize) -> Option<(u32, usize)> {
        for number in self.arenas.iter().rev() {
            let place = self.places.get_mut(number)?;
            if let Some(offset) = place.allocate(length) {
                return Some((*number, offset));
            }
        }
        None
    }

    fn grow(&mut self, length: usize) -> io::Result<(u32, usize)> {
        let mut room = self.next_arena;
        while room < length {
            room *= 2;
        }
        let number = self.create_place(room, true)?;
        self.next_arena = (room * 2).min(LARGEST_ARENA);
        let place = place_of(&mut self.places, number)?;
        let offset = place.allocate(length).ok_or_else(unknown)?;
        Ok((number, offset))
    }

    fn create_place(&mut self, room: usize, is_arena: bool) -> io::Result<u32> {
        let (segment, file) = Segment::create(room)?;
        let number = self.insert(segment, file, true);
        if is_arena {
            place_of(&mut self.places, number)?.arena = Some(Allocator::new(HEADER, room));
            self.arenas.push(number);
        }
        Ok(number)
    }

    fn insert(&mut self, segment: Segment, holder: OwnedFd, made_here: bool) -> u32 {
        let number = self.next_place;
        self.next_place += 1;
        self.numbers.insert(segment.identity(), number);
        let place = Place {
            segment: Arc::new(segment),
            holder,
            members: HashMap::new(),
            ranges: BTreeMap::new(),
            arena: None,
            elsewhere: BTreeMap::new(),
            made_here,
        };
        self.places.insert(number, place);
        number
    }

    /// Lets go of a segment of which nothing is in use. One that is divided up is kept if it is the last
    /// such one, as there will be another block.
    fn leave_if_empty(&mut self, number: u32) {
        let Some(place) = self.places.get(&number) else {
            return;
        };
        let in_use = match &place.arena {
            Some(arena) => !arena.is_empty() || self.arenas.len() == 1,
            None => !place.ranges.is_empty(),
        };
        if in_use {
            return;
        }
        self.numbers.remove(&place.segment.identity());
        self.arenas.retain(|arena| *arena != number);
        self.places.remove(&number);
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// The start of so many bytes of the arena, zeros.
    fn allocate(&mut self, length: usize) -> Option<usize> {
        let found = self.arena.as_mut()?.allocate(length)?;
        let start = self.segment.at(found.start)?;
        debug_assert!(found.start + length <= self.segment.size());
        // SAFETY: the range is inside the mapping, and nobody has it: not here, as it was free, and not
        // elsewhere, as nobody held a lock on it.
        unsafe { start.write_bytes(0, found.used_before) };
        Some(found.start)
    }

    /// A range that nobody here has any more.
    fn give_back(&mut self, offset: usize, length: usize, travelled: bool) {
        let Some(arena) = &mut self.arena else {
            if !self.made_here {
                // Should this fail, it stays in use until this process ends.
                let _ = file_lock::unlock(self.holder.as_fd(), offset as u64, length as u64);
            }
            return;
        };
        let is_held = || {
            let holder = self.holder.as_fd();
            file_lock::is_locked_elsewhere(holder, offset as u64, length as u64).unwrap_or(true)
        };
        if travelled && is_held() {
            self.elsewhere.insert(offset, length);
        } else {
            arena.free(offset, length);
        }
    }

    /// A new description that holds all that is in use here.
    fn lease_all(&self) -> io::Result<OwnedFd> {
        let lease = shared_memory::reopen(self.holder.as_fd())?;
        let mut run: Option<(usize, usize)> = None;
        for (offset, length) in self.ranges.keys().copied() {
            match &mut run {
                Some((start, run_length)) if *start + *run_length == offset => {
                    *run_length += length;
                }
                _ => {
                    if let Some((start, length)) = run.replace((offset, length)) {
                        hold(lease.as_fd(), start, length)?;
                    }
                }
            }
        }
        if let Some((start, length)) = run {
            hold(lease.as_fd(), start, length)?;
        }
        Ok(lease)
    }
}

impl Block {
    /// Its first byte.
    pub fn start(&self) -> Option<NonNull<u8>> {
        self.segment.at(self.offset)
    }

    /// Makes a range of it quick to use in this process, that others have written to.
    pub fn touch(&self, range: ops::Range<usize>) {
        let end = range.end.min(self.size);
        let start = range.start.min(end);
        self.segment.touch(self.offset + start..self.offset + end);
    }

    /// The word at an offset within the block; nothing outside, or where no word can be.
    pub fn word(&self, offset: usize) -> Option<Word> {
        if offset.checked_add(size_of::<AtomicU32>())? > self.size {
            return None;
        }
        let offset = self.offset + offset;
        self.segment.word(offset)?;
        let segment = Arc::clone(&self.segment);
        Some(Word { segment, offset })
    }
}

impl Deref for Word {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        (self.segment.word(self.offset)).expect("it was there when this was made")
    }
}

fn place_of(places: &mut BTreeMap<u32, Place>, number: u32) -> io::Result<&mut Place> {
    places.get_mut(&number).ok_or_else(unknown)
}

fn hold(lease: BorrowedFd<'_>, offset: usize, length: usize) -> io::Result<()> {
    if file_lock::try_lock(lease, offset as u64, length as u64, Access::Shared)? {
        Ok(())
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Somebody asks for what is not there, or no more.
fn unknown() -> io::Error {
    io::ErrorKind::InvalidInput.into()
}
