//! A process that does nothing but duplicate itself, and those that ask it to.
//!
//! Nothing here has a name: who holds the *control* socket may ask, and nobody else can. For each
//! child there is a *channel*, a pair of sockets of its own, so that many processes and threads
//! can ask at once without hearing each other's answers:
//!
//! ```text
//! client → control          one byte, and the channel's far end beside it
//! client → channel → child  how many descriptors are to come in all; as many beside these messages
//! child → channel → client  STARTED, its number; its pidfd beside it
//! child → channel → client  LEFT, its exit code: just before it leaves by itself
//! server → channel → client ENDED, its exit code, once it has been collected
//! server → channel → client FAILED, an error number; or REFUSED: there is no child
//! client → control          another byte, for a farewell, and a channel's far end beside it
//! server → channel → client STAYING, when it has children that may ask; else the channel's end
//! ```
//!
//! A server that has nothing to do makes a *spare*: a child that has done all that it can before
//! it knows what it is for. It has a socket of its own, over which the server passes on the far end
//! of a channel; its first word on that is STARTED, as any child's.
//!
//! All sockets keep messages apart (`SOCK_SEQPACKET`). That the child itself says that it has
//! started leaves no doubt when the server dies: either there is such a message, or the channel's
//! end, and then there is no child.

use std::{
    collections::HashMap,
    ffi::c_int,
    io::{self, IoSlice},
    mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr,
    time::{Duration, Instant},
};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
    pipe::PipeFlags,
};

use super::{
    Child, ExitStatus,
    footprint::{self, Footprint},
    fork::{Fork, fork, own_pidfd},
    is_running,
    memory_range::PAGE,
    send_signal, try_wait, wait,
};
use crate::{
    readiness::{self, Deadline, Interest, wait_one},
    socket::{self, MAX_DESCRIPTORS},
};

/// What a message on a channel says: a kind and a value, four bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Started(i32),
    Left(i32),
    Ended(i32),
    Failed(i32),
    Refused,
    Staying,
}

const WORD_BYTES: usize = 8;

impl Word {
    fn to_bytes(self) -> [u8; WORD_BYTES] {
        let (kind, value) = match self {
            Self::Started(pid) => (1, pid),
            Self::Left(code) => (2, code),
            Self::Ended(code) => (3, code),
            Self::Failed(errno) => (4, errno),
            Self::Refused => (5, 0),
            Self::Staying => (6, 0),
        };
        let mut bytes = [0; WORD_BYTES];
        let (front, back) = bytes.split_at_mut(WORD_BYTES / 2);
        front.copy_from_slice(&i32::to_le_bytes(kind));
        back.copy_from_slice(&value.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, value) = bytes.split_first_chunk()?;
        let value = i32::from_le_bytes(value.try_into().ok()?);
        match i32::from_le_bytes(*kind) {
            1 => Some(Self::Started(value)),
            2 => Some(Self::Left(value)),
            3 => Some(Self::Ended(value)),
            4 => Some(Self::Failed(value)),
            5 => Some(Self::Refused),
            6 => Some(Self::Staying),
            _ => None,
        }
    }

    fn send(self, channel: BorrowedFd<'_>, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        socket::send(channel, &[IoSlice::new(&self.to_bytes())], descriptors).map(drop)
    }
}

/// A child that a server has made.
#[derive(Debug)]
pub struct Started {
    /// The process; it is the server's child, not this process's.
    pub child: Child,
    /// Where its exit code will come from, for [`collect`].
    pub channel: OwnedFd,
}

/// Why a server made no child.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no server at the other end.
    #[error("the fork server is gone")]
    Gone,
    /// The server runs something that does not survive a fork.
    #[error("the fork server cannot fork")]
    Refused,
    /// What the kernel said, here or to the server.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Asks for a child and waits until it is there. `descriptors` are for the child, see
/// [`receive_descriptors`]. Blocks as long as the server takes to answer.
///
/// # Errors
///
/// See [`StartError`].
pub fn start(
    control: BorrowedFd<'_>,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Started, StartError> {
    for _ in 1..ATTEMPTS {
        if let Some(started) = try_start(control, descriptors)? {
            return Ok(started);
        }
    }
    try_start(control, descriptors)?.ok_or(StartError::Gone)
}

/// How often a child may be killed before it could say that it has started.
const ATTEMPTS: usize = 10;

/// Nothing when the child ended before it began.
fn try_start(
    control: BorrowedFd<'_>,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Option<Started>, StartError> {
    let (channel, far_end) = socket::packet_pair()?;
    // What the child is to have lies there before it does.
    give(channel.as_fd(), descriptors)?;
    ask(control, REQUEST, far_end.as_fd())?;
    drop(far_end);
    wait_one(channel.as_fd(), Interest::Readable, Deadline::after(None))?;
    let mut came = Vec::new();
    match (receive(channel.as_fd(), &mut came)?, came.pop()) {
        (Some(Word::Started(pid)), Some(pidfd)) => {
            mp_log::debug!("the fork server has made process {pid}");
            let child = Child { pid, pidfd };
            Ok(Some(Started { child, channel }))
        }
        (Some(Word::Started(_)), None) => {
            // This process may not open any more descriptors.
            Err(io::Error::from_raw_os_error(libc::EMFILE).into())
        }
        (Some(Word::Failed(errno)), _) => Err(io::Error::from_raw_os_error(errno).into()),
        (Some(Word::Refused), _) => Err(StartError::Refused),
        (Some(Word::Ended(_) | Word::Left(_) | Word::Staying), _) => Ok(None),
        (None, _) => Err(StartError::Gone),
    }
}

/// Sends what [`receive_descriptors`] receives at the other end of a channel. Never blocks.
///
/// # Errors
///
/// `EAGAIN` for more than the channel holds, `ETOOMANYREFS` for more than may be under way.
pub fn give(channel: BorrowedFd<'_>, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let announced = u32::try_from(descriptors.len()).unwrap_or(u32::MAX);
    for group in groups(descriptors) {
        socket::send(channel, &[IoSlice::new(&announced.to_le_bytes())], group)?;
    }
    Ok(())
}

/// At least one group, so that there is a message even when there are no descriptors.
fn groups<'a, 'b>(descriptors: &'a [BorrowedFd<'b>]) -> impl Iterator<Item = &'a [BorrowedFd<'b>]> {
    let empty = descriptors.is_empty().then_some(&[][..]);
    descriptors.chunks(MAX_DESCRIPTORS).chain(empty)
}

/// What is asked of a server.
const REQUEST: u8 = 1;
const FAREWELL: u8 = 2;

/// Asks, waiting while more have asked than the server has answered.
fn ask(control: BorrowedFd<'_>, what: u8, far_end: BorrowedFd<'_>) -> Result<(), StartError> {
    loop {
        match socket::send(control, &[IoSlice::new(&[what])], &[far_end]) {
            Ok(_) => return Ok(()),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => {
                    wait_one(control, Interest::Writable, Deadline::after(None))?;
                }
                Some(Errno::PIPE | Errno::CONNRESET | Errno::CONNREFUSED) => {
                    return Err(StartError::Gone);
                }
                _ => return Err(error.into()),
            },
        }
    }
}

/// The next message on a channel; nothing at its end.
fn receive(channel: BorrowedFd<'_>, descriptors: &mut Vec<OwnedFd>) -> io::Result<Option<Word>> {
    let mut bytes = [0; WORD_BYTES];
    let received = match socket::receive(channel, &mut bytes, descriptors) {
        // It was closed over there with something unread. That is told first and once; what was
        // sent before is still to be had.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            socket::receive(channel, &mut bytes, descriptors)
        }
        received => received,
    };
    match received {
        Ok(0) => Ok(None),
        Ok(length) => Word::from_bytes(&bytes[..length])
            .map(Some)
            .ok_or_else(|| io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error),
    }
}

/// The exit status of a child that a server made, if it has ended; see [`super::try_wait`].
///
/// What the child said itself, or what the server says, which is waited for at most so long. It is
/// [`ExitStatus::Unknown`] when neither comes: the child was killed and the server is gone too.
///
/// # Errors
///
/// `EBADF` when a descriptor is closed.
pub fn collect(
    pidfd: BorrowedFd<'_>,
    channel: BorrowedFd<'_>,
    patience: Duration,
) -> io::Result<Option<ExitStatus>> {
    if is_running(pidfd)? {
        return Ok(None);
    }
    let deadline = Deadline::after(Some(patience));
    loop {
        match receive(channel, &mut Vec::new()) {
            Ok(Some(Word::Left(code) | Word::Ended(code))) if code >= 0 => {
                return Ok(Some(ExitStatus::Exited(code)));
            }
            Ok(Some(Word::Left(code) | Word::Ended(code))) => {
                return Ok(Some(ExitStatus::Signaled(-code)));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Some(ExitStatus::Unknown)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !wait_one(channel, Interest::Readable, deadline)? {
                    return Ok(Some(ExitStatus::Unknown));
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Lets go of a server that this process has started, and collects it if it ends then, which it does
/// unless others may ask it too: that it says at once. Waits for either at most so long.
///
/// # Errors
///
/// What the kernel says of waiting.
pub fn part(
    control: impl AsFd,
    server: BorrowedFd<'_>,
    patience: Duration,
) -> io::Result<Option<ExitStatus>> {
    let deadline = Deadline::after(Some(patience));
    let told = socket::packet_pair().and_then(|(channel, far_end)| {
        // One that has no room for it is too busy to end soon, and one that is gone is collected.
        let word = [IoSlice::new(&[FAREWELL])];
        socket::send(control.as_fd(), &word, &[far_end.as_fd()]).map(|_| channel)
    });
    drop(control);
    if let Ok(channel) = told {
        let either = [
            (server, Interest::Readable),
            (channel.as_fd(), Interest::Readable),
        ];
        readiness::wait(&either, deadline)?;
        if let Ok(Some(Word::Staying)) = receive(channel.as_fd(), &mut Vec::new()) {
            return Ok(None);
        }
    }
    wait(server, deadline.remaining())
}

/// Where a call to [`practise`] returns.
#[derive(Debug)]
pub enum Practice {
    /// In a child, with where to put what it has used: see [`Footprint::to_bytes`].
    Child(OwnedFd),
    /// In the server, when that child is gone.
    Over(Footprint),
}

/// Makes one child that goes through what all children do, to learn what memory they use. Blocks until
/// it has ended; returns in it, too.
///
/// # Errors
///
/// What the kernel says; there is no child then.
///
/// # Safety
///
/// That of [`fork`].
pub unsafe fn practise() -> io::Result<Practice> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: as the caller has promised.
    match unsafe { fork()? } {
        Fork::Child => {
            footprint::forget();
            Ok(Practice::Child(writer))
        }
        Fork::Parent(child) => {
            drop(writer);
            let bytes = read_within(&reader, PRACTICE);
            // What it has told is all that was wanted of it.
            let _ = send_signal(child.pidfd.as_fd(), libc::SIGKILL);
            wait(child.pidfd.as_fd(), None)?;
            Ok(Practice::Over(Footprint::from_bytes(
                &bytes.unwrap_or_default(),
            )))
        }
    }
}

/// How long a practising child may take, which needs a millisecond or two.
const PRACTICE: Duration = Duration::from_secs(1);

fn read_within(reader: &OwnedFd, time: Duration) -> io::Result<Vec<u8>> {
    let deadline = Deadline::after(Some(time));
    let mut bytes = Vec::new();
    loop {
        if !wait_one(reader.as_fd(), Interest::Readable, deadline)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut part = [0; PAGE];
        match rustix::io::read(reader, &mut part)? {
            0 => return Ok(bytes),
            length => bytes.extend_from_slice(&part[..length]),
        }
    }
}

/// Where a server's call to [`serve`] returns.
#[derive(Debug)]
pub enum Served {
    /// In a new child, with its end of the channel.
    Child(OwnedFd),
    /// In a new spare, with what [`await_request`] needs. SIGINT is ignored until then.
    Spare(OwnedFd),
    /// In the server, when nobody is left who could ask.
    Over,
}

/// Makes a child for whoever asks, collects those that have ended, and says so. Blocks until
/// nobody holds the other end of `control`; and returns in every child it makes. `footprint` is
/// what a child is likely to use, see [`practise`].
///
/// # Errors
///
/// What the kernel says of waiting; what goes wrong for one child is told to who asked for it.
///
/// # Safety
///
/// That of [`fork`], each time it forks.
pub unsafe fn serve(control: OwnedFd, footprint: Footprint) -> io::Result<Served> {
    // Ctrl-C is for the program and its children, each of which has its own answer to it.
    let deaf = Deaf::to(libc::SIGINT);
    let mut server = Server::new(control, footprint)?;
    let mut events = Vec::with_capacity(64);
    server.footprint.expect()?;
    loop {
        let idle = Timespec::default();
        let patience = server.wants_spare().then_some(&idle);
        match epoll::wait(
            &server.epoll,
            rustix::buffer::spare_capacity(&mut events),
            patience,
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if events.is_empty() && server.wants_spare() {
            // SAFETY: as the caller has promised.
            if let Some(job) = unsafe { server.make_spare() } {
                mem::forget(deaf);
                return Ok(Served::Spare(job));
            }
        }
        for event in events.drain(..) {
            match event.data.u64() {
                CONTROL => {
                    // SAFETY: as the caller has promised.
                    if let Some(served) = unsafe { server.answer()? } {
                        if matches!(served, Served::Over) {
                            server.dismiss();
                        }
                        return Ok(served);
                    }
                }
                key => server.reap(key),
            }
        }
    }
}

/// Tells whoever asks that there will be no children; until nobody is left who could ask.
///
/// # Errors
///
/// What the kernel says of waiting.
pub fn refuse(control: OwnedFd) -> io::Result<()> {
    loop {
        wait_one(control.as_fd(), Interest::Readable, Deadline::after(None))?;
        match asked(control.as_fd())? {
            Asked::For(channel) => {
                // Who is gone need not be told.
                let _ = Word::Refused.send(channel.as_fd(), &[]);
            }
            Asked::Leave(_) | Asked::Nothing => {}
            Asked::Over => return Ok(()),
        }
    }
}

/// Ignores a signal until it is dropped, which the child of a fork does too.
struct Deaf {
    signal: c_int,
    former: libc::sigaction,
}

impl Deaf {
    fn to(signal: c_int) -> Self {
        // SAFETY: all zeros is a valid sigaction; the calls read and write these two only.
        unsafe {
            let mut former: libc::sigaction = mem::zeroed();
            let mut ignore: libc::sigaction = mem::zeroed();
            ignore.sa_sigaction = libc::SIG_IGN;
            libc::sigaction(signal, &raw const ignore, &raw mut former);
            Self { signal, former }
        }
    }

    /// Dropping it brings back the default action.
    fn no_more(signal: c_int) -> Self {
        // SAFETY: all zeros is a valid sigaction, and that action.
        let former = unsafe { mem::zeroed() };
        Self { signal, former }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        // SAFETY: puts back what was there before.
        unsafe { libc::sigaction(self.signal, &raw const self.former, ptr::null_mut()) };
    }
}

enum Asked {
    For(OwnedFd),
    Leave(OwnedFd),
    Nothing,
    Over,
}

fn asked(control: BorrowedFd<'_>) -> io::Result<Asked> {
    let (mut byte, mut came) = ([0], Vec::new());
    match socket::receive(control, &mut byte, &mut came) {
        Ok(0) => Ok(Asked::Over),
        Ok(_) if byte == [FAREWELL] => Ok(came.pop().map_or(Asked::Nothing, Asked::Leave)),
        Ok(_) => Ok(came.pop().map_or(Asked::Nothing, Asked::For)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Asked::Nothing),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Asked::Over),
        Err(error) => Err(error),
    }
}

const CONTROL: u64 = u64::MAX;

/// How long a server that ends waits for children that do, too.
const LAST_ONES: Duration = Duration::from_millis(100);

struct Server {
    epoll: OwnedFd,
    control: OwnedFd,
    /// What has been made and not been collected, by pid.
    children: HashMap<u64, Kept>,
    spare: Option<Spare>,
    /// Cleared while there is no use in trying.
    may_make_spare: bool,
    /// What each child is likely to use.
    footprint: Footprint,
}

/// A child, and where to say how it ends; a spare has no such place yet.
struct Kept {
    child: Child,
    channel: Option<OwnedFd>,
}

struct Spare {
    key: u64,
    /// Where it waits for a request.
    job: OwnedFd,
}

impl Server {
    fn new(control: OwnedFd, footprint: Footprint) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(CONTROL);
        epoll::add(&epoll, &control, data, epoll::EventFlags::IN)?;
        let children = HashMap::new();
        Ok(Self {
            epoll,
            control,
            children,
            spare: None,
            may_make_spare: true,
            footprint,
        })
    }

    /// Nobody will ask any more: the spare is ended, and gone when this returns, and so are all children
    /// that have ended. Whatever this process leaves uncollected stays where it is until init comes by.
    fn dismiss(&mut self) {
        let spare = self.spare.take();
        if let Some(kept) = spare.and_then(|spare| self.children.remove(&spare.key)) {
            // It may have ended by itself by now.
            let _ = send_signal(kept.child.pidfd.as_fd(), libc::SIGKILL);
            let _ = wait(kept.child.pidfd.as_fd(), None);
        }
        // All children held the socket that nobody holds any more, so they are at their end, if they
        // have not closed it themselves.
        let end = Instant::now() + LAST_ONES;
        for Kept { child, channel } in mem::take(&mut self.children).into_values() {
            let left = end.saturating_duration_since(Instant::now());
            if let (Ok(Some(status)), Some(channel)) =
                (wait(child.pidfd.as_fd(), Some(left)), channel)
            {
                let _ = Word::Ended(status.code()).send(channel.as_fd(), &[]);
            }
        }
    }

    /// Somebody lets go of the server: only children that run can ask it then.
    fn part_from(&mut self, channel: BorrowedFd<'_>) {
        let all: Vec<u64> = self.children.keys().copied().collect();
        for key in all {
            self.reap(key);
        }
        if self.children.len() > usize::from(self.spare.is_some()) {
            // Who does not listen need not know.
            let _ = Word::Staying.send(channel, &[]);
        }
    }

    fn wants_spare(&self) -> bool {
        self.spare.is_none() && self.may_make_spare
    }

    /// Makes a spare; returns in it what it waits on.
    ///
    /// # Safety
    ///
    /// That of [`fork`].
    unsafe fn make_spare(&mut self) -> Option<OwnedFd> {
        // Only once for each request: what fails now (no memory, too many processes) fails again.
        self.may_make_spare = false;
        let (job, far_end) = socket::packet_pair().ok()?;
        // SAFETY: as the caller has promised.
        match unsafe { fork() } {
            Ok(Fork::Child) => {
                self.footprint.copy_now();
                return Some(far_end);
            }
            Ok(Fork::Parent(child)) => {
                let key = self.watch(child, None);
                self.spare = Some(Spare { key, job });
            }
            Err(_) => {}
        }
        None
    }

    /// # Safety
    ///
    /// That of [`fork`].
    unsafe fn answer(&mut self) -> io::Result<Option<Served>> {
        let channel = match asked(self.control.as_fd())? {
            Asked::For(channel) => channel,
            Asked::Leave(channel) => {
                self.part_from(channel.as_fd());
                return Ok(None);
            }
            Asked::Nothing => return Ok(None),
            Asked::Over => return Ok(Some(Served::Over)),
        };
        self.may_make_spare = true;
        let Some(channel) = self.hand_over(channel) else {
            return Ok(None);
        };
        // SAFETY: as the caller has promised.
        match unsafe { fork() } {
            Ok(Fork::Parent(child)) => drop(self.watch(child, Some(channel))),
            Ok(Fork::Child) => {
                self.footprint.copy_now();
                begin(channel.as_fd());
                return Ok(Some(Served::Child(channel)));
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
                let _ = Word::Failed(errno).send(channel.as_fd(), &[]);
            }
        }
        Ok(None)
    }

    /// Lets the spare answer a request; returns it when there is no spare.
    fn hand_over(&mut self, channel: OwnedFd) -> Option<OwnedFd> {
        let Some(Spare { key, job }) = self.spare.take() else {
            return Some(channel);
        };
        let handed = socket::send(job.as_fd(), &[IoSlice::new(&[REQUEST])], &[channel.as_fd()]);
        match (handed, self.children.get_mut(&key)) {
            (Ok(_), Some(kept)) => {
                kept.channel = Some(channel);
                None
            }
            // It was killed.
            _ => Some(channel),
        }
    }

    fn watch(&mut self, child: Child, channel: Option<OwnedFd>) -> u64 {
        let key = u64::from(child.pid.cast_unsigned());
        let data = epoll::EventData::new_u64(key);
        // Without it (ENOMEM, or the limit of watches) the child runs, and its own word counts.
        let _ = epoll::add(&self.epoll, &child.pidfd, data, epoll::EventFlags::IN);
        self.children.insert(key, Kept { child, channel });
        key
    }

    fn reap(&mut self, key: u64) {
        let Some(kept) = self.children.get(&key) else {
            return;
        };
        let status = match try_wait(kept.child.pidfd.as_fd()) {
            Ok(None) => return,
            Ok(Some(status)) => status,
            Err(_) => ExitStatus::Unknown,
        };
        let code = status.code();
        if let Some(Kept { channel, child }) = self.children.remove(&key) {
            // It is closed below, but descendants may hold it too.
            let _ = epoll::delete(&self.epoll, &child.pidfd);
            if let Some(channel) = channel {
                // Whoever asked for it may be gone.
                let _ = Word::Ended(code).send(channel.as_fd(), &[]);
            }
        }
        if self.spare.as_ref().is_some_and(|spare| spare.key == key) {
            self.spare = None;
        }
    }
}

/// In a spare: waits until it has something to do, and returns its end of the channel; nothing when
/// the server is gone, and nothing will come.
///
/// # Errors
///
/// What the kernel says of waiting.
pub fn await_request(job: OwnedFd) -> io::Result<Option<OwnedFd>> {
    loop {
        wait_one(job.as_fd(), Interest::Readable, Deadline::after(None))?;
        match asked(job.as_fd())? {
            Asked::For(channel) => {
                drop(Deaf::no_more(libc::SIGINT));
                begin(channel.as_fd());
                return Ok(Some(channel));
            }
            Asked::Leave(_) | Asked::Nothing => {}
            Asked::Over => return Ok(None),
        }
    }
}

/// A child says that it is there. If it cannot, there is no use in it.
fn begin(channel: BorrowedFd<'_>) {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let told = own_pidfd().and_then(|pidfd| Word::Started(pid).send(channel, &[pidfd.as_fd()]));
    if let Err(error) = told {
        let _ = Word::Failed(error.raw_os_error().unwrap_or(libc::EIO)).send(channel, &[]);
        // SAFETY: _exit(2) touches no memory.
        unsafe { libc::_exit(1) }
    }
}

/// In a child: the descriptors that were sent with the request for it, in order. Blocks until all
/// are there, which they were before the child was.
///
/// # Errors
///
/// `EMFILE` when not all could be taken in; `UnexpectedEof` when whoever asked is gone.
pub fn receive_descriptors(channel: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut came = Vec::new();
    loop {
        wait_one(channel, Interest::Readable, Deadline::after(None))?;
        let mut announced = [0; 4];
        if socket::receive(channel, &mut announced, &mut came)? != announced.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let announced = u32::from_le_bytes(announced) as usize;
        if came.len() >= announced {
            return Ok(came);
        }
        if came.len() % MAX_DESCRIPTORS != 0 {
            // Those that are missing were dropped by the kernel.
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
    }
}

/// Ends this process with an exit code (its low byte), without running anything of the program's,
/// having told so over the channel, if it has one.
pub fn leave(channel: Option<BorrowedFd<'_>>, code: i32) -> ! {
    if let Some(channel) = channel {
        // Should nobody listen, nobody need know.
        let _ = Word::Left(code & 0xff).send(channel, &[]);
    }
    // SAFETY: _exit(2) touches no memory.
    unsafe { libc::_exit(code) }
}
