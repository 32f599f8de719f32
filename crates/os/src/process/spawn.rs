//! Starting a program in a new process, as fast whether the parent holds one MiB or a hundred GiB.
//!
//! fork(2) copies page tables, which takes time in proportion to the parent's memory. Here the
//! child is made by clone(2) with `CLONE_VM | CLONE_VFORK`: it borrows the parent's memory, on a
//! stack of its own, while the calling thread sleeps until the child has called execve(2) or has
//! ended. So a failure in the child needs no pipe to be told: it is written where the parent
//! reads it.
//!
//! Between clone and exec the other threads of the parent run on and may hold any lock. The child
//! therefore allocates nothing, locks nothing, cannot panic, and calls async-signal-safe functions
//! only; all it needs is prepared before. Signals are blocked around the whole, so that no handler
//! of the parent runs in the child on the shared memory.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    fmt, io,
    os::fd::{AsFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap},
    process::{WaitId, WaitIdOptions, waitid},
};

/// The descriptor at which inherited ones start in the child.
const FIRST_INHERITED: RawFd = 3;

/// Room for the child's few frames and its directory buffer, in pages that are only touched when
/// used.
const STACK_SIZE: usize = 64 * 1024;

/// The kernel's last signal, on every machine that Node runs on.
const HIGHEST_SIGNAL: c_int = 64;

/// A program to be started in a process of its own.
#[derive(Clone, Debug)]
pub struct Spawn<'a> {
    /// The path of the program; it is not looked for in `PATH`, and a relative one starts at
    /// `cwd`.
    pub program: CString,
    /// The arguments, the first of which is by custom the program's name. At least one.
    pub argv: Vec<CString>,
    /// The whole environment, each entry as `NAME=value`.
    pub env: Vec<CString>,
    /// The directory to start in, or that of this process.
    pub cwd: Option<CString>,
    /// These become descriptors 3, 4, 5, … of the child, in this order and in any arrangement:
    /// the same one may stand twice, and 0, 1 and 2 may be among them.
    ///
    /// Beside them the child has standard input (`/dev/null`), output and error (this process's
    /// own, or `/dev/null` where it has none) and nothing else.
    pub inherit: &'a [RawFd],
    /// The signal that the kernel sends the child when the calling *thread* ends, by itself or
    /// with its process. Ask for it only on a thread that lives as long as the process.
    pub die_with_parent: Option<i32>,
}

/// A process that was started.
#[derive(Debug)]
pub struct Child {
    /// Its number.
    pub pid: i32,
    /// Its pidfd, close-on-exec; readable when the process has ended. Dropping it neither ends
    /// the process nor collects its status.
    pub pidfd: OwnedFd,
}

/// What was being done when a process could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SpawnStep {
    /// Looking through what was asked for, and making room for it.
    Prepare = 1,
    /// Making the process.
    Clone,
    /// Tying its life to the parent's.
    DieWithParent,
    /// Putting an inherited descriptor in its place.
    Inherit,
    /// Opening `/dev/null` for the standard streams.
    StandardStreams,
    /// Closing what is not inherited.
    CloseDescriptors,
    /// Entering the working directory.
    ChangeDirectory,
    /// Executing the program.
    Execute,
}

impl SpawnStep {
    /// The system call that failed, as Node's errors name it in `syscall`.
    #[must_use]
    pub fn syscall(self) -> &'static str {
        match self {
            Self::Prepare => "mmap",
            Self::Clone => "clone",
            Self::DieWithParent => "prctl",
            Self::Inherit => "dup2",
            Self::StandardStreams => "open",
            Self::CloseDescriptors => "close_range",
            Self::ChangeDirectory => "chdir",
            Self::Execute => "execve",
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            2 => Self::Clone,
            3 => Self::DieWithParent,
            4 => Self::Inherit,
            5 => Self::StandardStreams,
            6 => Self::CloseDescriptors,
            7 => Self::ChangeDirectory,
            8 => Self::Execute,
            _ => Self::Prepare,
        }
    }
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct SpawnError {
    /// What was being done.
    pub step: SpawnStep,
    /// What was being done, with what it was done to, in words: "execute /bin/nothing".
    pub action: String,
    /// What the system said.
    pub source: io::Error,
}

impl From<SpawnError> for io::Error {
    /// Keeps the system's error number, for callers that have no use for the step.
    fn from(error: SpawnError) -> Self {
        error.source
    }
}

/// Starts a program and returns when it has taken over the new process, so that everything that
/// can go wrong before that is an error here. Blocks the calling thread, for as long as the system
/// takes to load the program.
///
/// The child starts with the default action for every signal and with none blocked, in the process
/// group and session of this process.
///
/// # Errors
///
/// [`SpawnError`] with the step that failed and the system's reason: `ENOENT` or `EACCES` from
/// [`SpawnStep::Execute`] or [`SpawnStep::ChangeDirectory`], `EBADF` from [`SpawnStep::Inherit`],
/// `EAGAIN` from [`SpawnStep::Clone`] at the limit of processes, and so on. No process is left
/// behind.
pub fn spawn(request: &Spawn<'_>) -> Result<Child, SpawnError> {
    let fail = |step, detail, source| SpawnError {
        step,
        action: describe(step, detail, request),
        source,
    };
    if request.argv.is_empty() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "argv is empty");
        return Err(fail(SpawnStep::Prepare, 0, source));
    }

    let argv = null_terminated(&request.argv);
    let env = null_terminated(&request.env);
    let mut sources = request.inherit.to_vec();
    let plan = Plan {
        program: request.program.as_ptr(),
        argv: argv.as_ptr(),
        env: env.as_ptr(),
        cwd: request.cwd.as_deref().map_or(ptr::null(), CStr::as_ptr),
        sources: sources.as_mut_ptr(),
        sources_length: sources.len(),
        die_with_parent: request.die_with_parent.unwrap_or(0),
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        descriptor_limit: descriptor_limit(),
        #[cfg(test)]
        without_close_range: tests::WITHOUT_CLOSE_RANGE.get(),
        failure: AtomicU64::new(0),
    };
    let stack = Stack::new().map_err(|source| fail(SpawnStep::Prepare, 0, source))?;

    let child = with_signals_blocked(|| clone_child(&plan, &stack))
        .map_err(|source| fail(SpawnStep::Clone, 0, source))?;

    match Failure::unpack(plan.failure.load(Ordering::Acquire)) {
        None => {
            mp_log::debug!("process {} is spawned", child.pid);
            Ok(child)
        }
        Some(failure) => {
            // The child is leaving or has left; nothing but its exit status is still there.
            let _ = retry(|| waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED));
            let source = io::Error::from_raw_os_error(failure.errno);
            Err(fail(failure.step, failure.detail, source))
        }
    }
}

/// Runs `body` with every signal blocked on this thread, those that the C library keeps to itself
/// included.
pub(super) fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            set_signal_mask(self.0);
        }
    }
    let _restore = Restore(set_signal_mask(u64::MAX));
    body()
}

/// Replaces this thread's signal mask, one bit per signal, and returns the former one.
///
/// This is the kernel's call rather than the C library's, which never blocks the signals by which
/// it changes the user of all threads at once; their handler must not run in the child either.
fn set_signal_mask(mask: u64) -> u64 {
    let mut former = 0_u64;
    // SAFETY: both pointers are to 8 bytes, the size that is given, and outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut former,
            size_of::<u64>(),
        );
    }
    former
}

fn null_terminated(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

/// One more than the highest descriptor this process may open.
fn descriptor_limit() -> RawFd {
    RawFd::try_from(crate::descriptor::most()).unwrap_or(RawFd::MAX)
}

fn describe(step: SpawnStep, detail: u16, request: &Spawn<'_>) -> String {
    let program = request.program.to_string_lossy();
    match step {
        SpawnStep::Prepare => format!("prepare the start of {program}"),
        SpawnStep::Clone => format!("make a process for {program}"),
        SpawnStep::DieWithParent => format!(
            "have signal {} sent to {program} when its parent ends",
            request.die_with_parent.unwrap_or(0)
        ),
        SpawnStep::Inherit => match request.inherit.get(usize::from(detail)) {
            Some(descriptor) => format!("pass descriptor {descriptor} on to {program}"),
            None => format!("pass descriptors on to {program}"),
        },
        SpawnStep::StandardStreams => format!("open /dev/null for {program}"),
        SpawnStep::CloseDescriptors => format!("close descriptors that {program} is not given"),
        SpawnStep::ChangeDirectory => match &request.cwd {
            Some(cwd) => format!(
                "enter the directory {} for {program}",
                cwd.to_string_lossy()
            ),
            None => format!("enter a directory for {program}"),
        },
        SpawnStep::Execute => format!("execute {program}"),
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result,
        }
    }
}

/// The child's stack, with a page below it that nobody may touch.
struct Stack {
    base: *mut c_void,
    length: usize,
}

impl Stack {
    fn new() -> io::Result<Self> {
        let guard = rustix::param::page_size();
        let length = STACK_SIZE.next_multiple_of(guard) + guard;
        // SAFETY: a fresh mapping where the kernel likes it; nothing else is affected.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::STACK | MapFlags::NORESERVE,
            )?
        };
        let stack = Self { base, length };
        // SAFETY: the first page of a mapping that is ours alone and holds nothing yet.
        unsafe { mprotect(base, guard, MprotectFlags::empty())? };
        Ok(stack)
    }

    /// Stacks grow downwards on everything Node runs on; a page's boundary is aligned enough.
    fn top(&self) -> *mut c_void {
        self.base.wrapping_byte_add(self.length)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the child that ran on it has left it: this thread slept
        // until then.
        let _ = unsafe { munmap(self.base, self.length) };
    }
}

/// Makes the child and sleeps until it has executed the program or has ended. Call it with all
/// signals blocked.
fn clone_child(plan: &Plan, stack: &Stack) -> io::Result<Child> {
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the child runs `child_main` on a stack of its own, with `plan` as its argument; both
    // outlive its use of them, because this thread sleeps until it has executed or ended.
    // `child_main` keeps to what may be done beside the parent's other threads. CLONE_PIDFD makes
    // the kernel store a descriptor through the first optional argument.
    let pid = unsafe {
        libc::clone(
            child_main,
            stack.top(),
            flags,
            ptr::from_ref(plan).cast_mut().cast::<c_void>(),
            &raw mut pidfd,
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd })
}

/// All that the child needs, prepared by the parent, and the one word it answers with.
struct Plan {
    program: *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    /// Null to stay.
    cwd: *const c_char,
    /// A copy of what is to be inherited; the child writes to it.
    sources: *mut RawFd,
    sources_length: usize,
    /// 0 for none.
    die_with_parent: c_int,
    parent: libc::pid_t,
    descriptor_limit: RawFd,
    #[cfg(test)]
    without_close_range: bool,
    /// Written by the child (release) before it ends, read by the parent (acquire) after it has
    /// slept. 0 while nothing has failed; a child that is killed before it can write counts as
    /// started, and its exit status tells.
    failure: AtomicU64,
}

/// A failure in the child: bits 0-31 the error number, 32-47 which of several things it was done
/// to, 48-55 the step.
#[derive(Clone, Copy)]
struct Failure {
    step: SpawnStep,
    detail: u16,
    errno: c_int,
}

impl Failure {
    /// What errno says now, about `step`.
    fn last(step: SpawnStep) -> Self {
        // SAFETY: the C library's address of this thread's errno, which is always readable. The
        // child shares it with the thread that sleeps.
        let errno = unsafe { *libc::__errno_location() };
        Self {
            step,
            detail: 0,
            errno,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.step as u8) << 48
            | u64::from(self.detail) << 32
            | u64::from(self.errno.cast_unsigned())
    }

    fn unpack(word: u64) -> Option<Self> {
        let [e0, e1, e2, e3, d0, d1, step, _] = word.to_le_bytes();
        (word != 0).then(|| Self {
            step: SpawnStep::from_number(step),
            detail: u16::from_le_bytes([d0, d1]),
            errno: c_int::from_le_bytes([e0, e1, e2, e3]),
        })
    }
}

/// The child, from clone to exec.
extern "C" fn child_main(plan: *mut c_void) -> c_int {
    // SAFETY: `clone_child` passes a `Plan` that lives until this process has executed or ended.
    let plan = unsafe { &*plan.cast_const().cast::<Plan>() };
    let failure = execute(plan);
    plan.failure.store(failure.pack(), Ordering::Release);
    // SAFETY: _exit(2) ends this process alone and runs nothing of the parent's.
    unsafe { libc::_exit(127) }
}

/// Returns only when something has failed.
fn execute(plan: &Plan) -> Failure {
    // SAFETY: the parent's copy, which nobody else touches while it sleeps.
    let sources = unsafe { std::slice::from_raw_parts_mut(plan.sources, plan.sources_length) };
    reset_signal_actions();
    let prepared = tie_to_parent(plan)
        .and_then(|()| arrange_descriptors(sources))
        .and_then(|()| close_above(plan))
        .and_then(|()| enter_directory(plan));
    if let Err(failure) = prepared {
        return failure;
    }
    // From here on a signal acts on the child as it would on the program: no handler is left.
    set_signal_mask(0);
    // SAFETY: all three are null-terminated and live until the program has replaced them.
    unsafe { libc::execve(plan.program, plan.argv, plan.env) };
    Failure::last(SpawnStep::Execute)
}

/// Ignored signals would stay ignored in the program, and handlers would run before it does.
///
/// As with the mask, this is the kernel's call: the C library's refuses the signals that it keeps
/// to itself, and whoever started this process may have left them ignored.
fn reset_signal_actions() {
    // A null handler, which is the default action, no flags and an empty mask, in whatever order
    // the machine has them: at most four words.
    let default = [0_u64; 4];
    for signal in 1..=HIGHEST_SIGNAL {
        // SAFETY: the kernel reads its `struct sigaction` from at most 32 readable bytes, with a
        // mask of 8, and writes nothing. The table of actions is this process's own (CLONE_SIGHAND
        // is not asked for). SIGKILL and SIGSTOP cannot be changed, nor could they have been.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                ptr::null_mut::<c_void>(),
                size_of::<u64>(),
            );
        }
    }
}

fn tie_to_parent(plan: &Plan) -> Result<(), Failure> {
    if plan.die_with_parent == 0 {
        return Ok(());
    }
    // SAFETY: these calls touch no memory of ours.
    unsafe {
        let signal = libc::c_ulong::from(plan.die_with_parent.cast_unsigned());
        if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
            return Err(Failure::last(SpawnStep::DieWithParent));
        }
        // The parent may have died before the kernel was told. A parent in another pid namespace
        // has the number 0 here, and so does a dead one's successor: then nothing can be said.
        let parent = libc::getppid();
        if parent != plan.parent && parent != 0 {
            libc::_exit(128_i32.saturating_add(plan.die_with_parent));
        }
    }
    Ok(())
}

/// Puts `sources` at 3, 4, 5, … and the standard streams below them.
fn arrange_descriptors(sources: &mut [RawFd]) -> Result<(), Failure> {
    // Descriptors come as small non-negative ints, so these fit.
    let end = FIRST_INHERITED.saturating_add(sources.len() as RawFd);

    // All must be open now: a closed one's number could be taken by a copy made below.
    for (position, source) in sources.iter().enumerate() {
        if set_flags(*source) < 0 {
            return Err(Failure {
                detail: position as u16,
                ..Failure::last(SpawnStep::Inherit)
            });
        }
    }
    // What stands where another is to stand, or where standard input is to stand, moves out of
    // the way first; then no order of the moves below can overwrite what is still needed.
    for (position, source) in sources.iter_mut().enumerate() {
        let target = FIRST_INHERITED.saturating_add(position as RawFd);
        if *source < end && *source != target {
            // SAFETY: fcntl(2) with F_DUPFD takes an int and touches no memory.
            let copy = unsafe { libc::fcntl(*source, libc::F_DUPFD, end) };
            if copy < 0 {
                return Err(Failure {
                    detail: position as u16,
                    ..Failure::last(SpawnStep::Inherit)
                });
            }
            *source = copy;
        }
    }
    standard_streams()?;
    for (position, source) in sources.iter().enumerate() {
        let target = FIRST_INHERITED.saturating_add(position as RawFd);
        // SAFETY: dup2(2) touches no memory; what it closes is this process's own copy.
        if *source != target && unsafe { libc::dup2(*source, target) } < 0 {
            return Err(Failure {
                detail: position as u16,
                ..Failure::last(SpawnStep::Inherit)
            });
        }
    }
    Ok(())
}

/// Clears close-on-exec; negative when the descriptor is closed.
fn set_flags(descriptor: RawFd) -> c_int {
    // SAFETY: fcntl(2) with F_SETFD takes an int and touches no memory.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }
}

/// Standard input from `/dev/null`; output and error as they are, or to it where they are closed.
fn standard_streams() -> Result<(), Failure> {
    let failed = || Failure::last(SpawnStep::StandardStreams);
    // SAFETY: the path is a literal; open, dup2 and close touch no memory of ours and change this
    // process's descriptors only.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null < 0 {
            return Err(failed());
        }
        // dup2 of a descriptor to itself does nothing, which is right.
        if libc::dup2(null, libc::STDIN_FILENO) < 0 {
            return Err(failed());
        }
        for stream in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            if set_flags(stream) < 0 && libc::dup2(null, stream) < 0 {
                return Err(failed());
            }
        }
        if null > libc::STDERR_FILENO {
            libc::close(null);
        }
    }
    Ok(())
}

/// Closes everything from the first descriptor that is not inherited.
fn close_above(plan: &Plan) -> Result<(), Failure> {
    let first = FIRST_INHERITED.saturating_add(plan.sources_length as RawFd);
    #[cfg(test)]
    if plan.without_close_range {
        return close_listed(first, plan.descriptor_limit);
    }
    // SAFETY: close_range(2) touches no memory and closes this process's own copies.
    let closed = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first.cast_unsigned(),
            u32::MAX,
            0_u32,
        )
    };
    if closed == 0 {
        return Ok(());
    }
    // Older than Linux 5.9, or forbidden by a filter that is.
    close_listed(first, plan.descriptor_limit)
}

/// Closes the descriptors from `first` that `/proc` lists, or every number up to the limit where
/// there is no `/proc`.
fn close_listed(first: RawFd, limit: RawFd) -> Result<(), Failure> {
    /// As getdents64(2) writes them: 8 bytes inode, 8 offset, 2 length of the record, 1 kind, name.
    const RECORD_LENGTH: usize = 16;
    const NAME: usize = 19;
    #[repr(align(8))]
    struct Buffer([u8; 4096]);

    // SAFETY: the path is a literal.
    let directory = unsafe {
        libc::open(
            c"/proc/self/fd".as_ptr(),
            libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC,
        )
    };
    if directory < 0 {
        for descriptor in first..limit {
            // SAFETY: closes this process's own copy, or nothing.
            unsafe { libc::close(descriptor) };
        }
        return Ok(());
    }
    let mut buffer = Buffer([0; 4096]);
    loop {
        // SAFETY: the kernel writes at most as many bytes as the buffer has.
        let filled = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                directory,
                buffer.0.as_mut_ptr(),
                buffer.0.len(),
            )
        };
        let mut records = match usize::try_from(filled) {
            Err(_) => return Err(Failure::last(SpawnStep::CloseDescriptors)),
            // The directory itself is closed when the program is executed.
            Ok(0) => return Ok(()),
            Ok(filled) => buffer.0.get(..filled).unwrap_or_default(),
        };
        while let (Some(&[low, high]), Some(name)) =
            (records.get(RECORD_LENGTH..NAME - 1), records.get(NAME..))
        {
            if let Some(descriptor) = number(name)
                && descriptor >= first
                && descriptor != directory
            {
                // SAFETY: closes this process's own copy. Closing while the list is read skips
                // none: /proc lists by number, not by position.
                unsafe { libc::close(descriptor) };
            }
            let length = usize::from(u16::from_ne_bytes([low, high])).max(1);
            records = records.get(length..).unwrap_or_default();
        }
    }
}

/// A descriptor's number, from the null-terminated digits that `name` begins with.
fn number(name: &[u8]) -> Option<RawFd> {
    let mut number: Option<RawFd> = None;
    for byte in name {
        match byte {
            b'0'..=b'9' => {
                let digit = RawFd::from(byte.wrapping_sub(b'0'));
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            }
            0 => return number,
            _ => return None,
        }
    }
    None
}

fn enter_directory(plan: &Plan) -> Result<(), Failure> {
    // SAFETY: `cwd` is null or a null-terminated path. The working directory is this process's own
    // (CLONE_FS is not asked for).
    if !plan.cwd.is_null() && unsafe { libc::chdir(plan.cwd) } != 0 {
        return Err(Failure::last(SpawnStep::ChangeDirectory));
    }
    Ok(())
}

impl fmt::Display for SpawnStep {
    /// The name of the system call.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.syscall())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io::Read};

    use super::*;
    use crate::process::{ExitStatus, wait};
    use std::os::fd::AsRawFd;

    thread_local! {
        /// Makes spawns of this thread behave as on a kernel without close_range(2).
        pub(super) static WITHOUT_CLOSE_RANGE: Cell<bool> = const { Cell::new(false) };
    }

    #[test]
    fn failures_survive_the_word_they_travel_in() {
        assert!(Failure::unpack(0).is_none());
        for step in [
            SpawnStep::Prepare,
            SpawnStep::Clone,
            SpawnStep::DieWithParent,
            SpawnStep::Inherit,
            SpawnStep::StandardStreams,
            SpawnStep::CloseDescriptors,
            SpawnStep::ChangeDirectory,
            SpawnStep::Execute,
        ] {
            for (detail, errno) in [(0, 0), (u16::MAX, i32::MAX), (7, libc::ENOENT)] {
                let seen = Failure::unpack(
                    Failure {
                        step,
                        detail,
                        errno,
                    }
                    .pack(),
                );
                let seen = seen.expect("a failure is never zero");
                assert_eq!((seen.step, seen.detail, seen.errno), (step, detail, errno));
            }
        }
    }

    #[test]
    fn numbers_are_read_from_directory_names() {
        assert_eq!(number(b"0\0rest"), Some(0));
        assert_eq!(number(b"12345\0"), Some(12345));
        assert_eq!(number(b".\0"), None);
        assert_eq!(number(b"12x\0"), None);
        assert_eq!(number(b"\0"), None);
        assert_eq!(number(b"99999999999\0"), None);
        assert_eq!(number(b"12"), None);
    }

    /// Looks at each number by itself: a shell's `*` would open a descriptor to read the directory.
    const LIST: &CStr = c"i=0; while [ $i -lt 1000 ]; do
        if [ -e /proc/$$/fd/$i ]; then seen=\"$seen$i \"; fi; i=$((i+1)); done; echo \"$seen\" >&3";

    #[test]
    fn nothing_leaks_where_close_range_is_missing() {
        // Enough that the directory does not fit the child's buffer at once.
        let many: Vec<OwnedFd> = (0..600)
            .map(|_| {
                let null = std::fs::File::open("/dev/null").expect("/dev/null");
                let copy = null.as_fd().try_clone_to_owned().expect("a copy");
                // Not close-on-exec, so that only the walk can close it.
                assert_eq!(set_flags(copy.as_raw_fd()), 0);
                copy
            })
            .collect();
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let request = Spawn {
            program: c"/bin/sh".into(),
            argv: [c"sh", c"-c", LIST].map(Into::into).into(),
            env: Vec::new(),
            cwd: None,
            inherit: &[writer.as_raw_fd()],
            die_with_parent: None,
        };
        WITHOUT_CLOSE_RANGE.set(true);
        let child = spawn(&request);
        WITHOUT_CLOSE_RANGE.set(false);
        let child = child.expect("a child");
        drop(writer);
        drop(many);
        let mut seen = String::new();
        reader.read_to_string(&mut seen).expect("the child's list");
        assert_eq!(
            wait(child.pidfd.as_fd(), None).expect("an end"),
            Some(ExitStatus::Exited(0))
        );
        assert_eq!(seen, "0 1 2 3 \n");
    }
}
