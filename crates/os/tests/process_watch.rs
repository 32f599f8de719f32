//! A process that watches its parent ends with it; Ctrl-C ends one that has not asked for more.
#![cfg(target_os = "linux")]

use std::{
    env,
    ffi::{CString, c_int},
    fs,
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    time::Duration,
};

use mp_os::process::{
    Child, ExitStatus, Spawn, interrupt::raise_keyboard_interrupt_by_default, is_running,
    send_signal, spawn, wait, watch::watch_parent,
};

/// Ends a test that waits for what never comes, and stands for a grace that is never used up.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A process that runs the test of the same name once more, with its own role.
struct Helper {
    child: Child,
    /// What the helper writes to its descriptor 3.
    said: PipeReader,
}

impl Helper {
    /// `given` becomes descriptor 4 of the helper.
    fn start(test: &str, role: &str, given: &impl AsRawFd) -> Self {
        let (said, writer) = io::pipe().expect("a pipe");
        let program = env::current_exe().expect("this program");
        let program = CString::new(program.as_os_str().as_bytes()).expect("a path");
        let arguments = [test, "--exact", "--nocapture", "--test-threads=1"];
        let arguments = arguments.map(|argument| CString::new(argument).expect("an argument"));
        let child = spawn(&Spawn {
            program: program.clone(),
            argv: [program].into_iter().chain(arguments).collect(),
            env: vec![CString::new(format!("ROLE={role}")).expect("a variable")],
            cwd: None,
            inherit: &[writer.as_raw_fd(), given.as_raw_fd()],
            die_with_parent: None,
        })
        .expect("a helper");
        Self { child, said }
    }

    /// The helper's next line.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        while !line.ends_with('\n') && self.said.read(&mut byte).expect("a pipe") == 1 {
            line.push(char::from(byte[0]));
        }
        line
    }

    fn end(&self) -> ExitStatus {
        let status = wait(self.child.pidfd.as_fd(), Some(WATCHDOG)).expect("a status");
        status.expect("the helper's end in time")
    }
}

impl Drop for Helper {
    /// A test that fails must not leave a process behind; one that has succeeded has none.
    fn drop(&mut self) {
        if send_signal(self.child.pidfd.as_fd(), libc::SIGKILL).is_ok() {
            let _ = wait(self.child.pidfd.as_fd(), Some(WATCHDOG));
        }
    }
}

fn role() -> Option<String> {
    env::var("ROLE").ok()
}

/// Descriptor 3 of a helper.
fn answer() -> fs::File {
    // SAFETY: helpers are given a pipe there, and call this once.
    unsafe { fs::File::from_raw_fd(3) }
}

/// Descriptor 4 of a helper.
fn given() -> OwnedFd {
    // SAFETY: helpers are given a descriptor there, and call this once.
    unsafe { OwnedFd::from_raw_fd(4) }
}

fn for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

fn ignore(signal: c_int) {
    // SAFETY: a disposition of a process that exists for one test.
    let former = unsafe { libc::signal(signal, libc::SIG_IGN) };
    assert_ne!(former, libc::SIG_ERR);
}

/// Runs as the helper: watches descriptor 4, says so, and then does nothing.
fn watch_as_helper(grace: Duration) -> ! {
    let watch = watch_parent(given(), grace).expect("a watch");
    // The watch goes on without it.
    drop(watch);
    answer().write_all(b"watching\n").expect("the answer");
    for_ever()
}

#[test]
fn the_end_of_the_parent_is_a_sigterm() {
    if role().is_some() {
        watch_as_helper(WATCHDOG);
    }
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut helper = Helper::start("the_end_of_the_parent_is_a_sigterm", "child", &reader);
    assert_eq!(helper.line(), "watching\n");
    assert!(is_running(helper.child.pidfd.as_fd()).expect("a pidfd"));
    drop(writer);
    assert_eq!(helper.end(), ExitStatus::Signaled(libc::SIGTERM));
}

#[test]
fn sockets_are_watched_as_pipes_are() {
    if role().is_some() {
        watch_as_helper(WATCHDOG);
    }
    // One with unread bytes in it: nothing is read, and they do not hide the end.
    for unread in [&b""[..], b"unread"] {
        let (theirs, mut ours) = UnixStream::pair().expect("a pair");
        let mut helper = Helper::start("sockets_are_watched_as_pipes_are", "child", &theirs);
        drop(theirs);
        assert_eq!(helper.line(), "watching\n");
        ours.write_all(unread).expect("a socket");
        assert!(is_running(helper.child.pidfd.as_fd()).expect("a pidfd"));
        drop(ours);
        assert_eq!(helper.end(), ExitStatus::Signaled(libc::SIGTERM));
    }
}

#[test]
fn who_ignores_sigterm_is_killed_after_the_grace() {
    if role().is_some() {
        ignore(libc::SIGTERM);
        watch_as_helper(Duration::from_millis(20));
    }
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut helper = Helper::start(
        "who_ignores_sigterm_is_killed_after_the_grace",
        "child",
        &reader,
    );
    assert_eq!(helper.line(), "watching\n");
    drop(writer);
    assert_eq!(helper.end(), ExitStatus::Signaled(libc::SIGKILL));
}

#[test]
fn a_parent_that_is_killed_takes_its_watching_child_along() {
    const TEST: &str = "a_parent_that_is_killed_takes_its_watching_child_along";
    match role().as_deref() {
        None => {
            let null = fs::File::open("/dev/null").expect("a file");
            let mut parent = Helper::start(TEST, "parent", &null);
            let pid = parent.line().trim().parse().expect("a number");
            let child = mp_os::process::open(pid).expect("the grandchild");
            assert!(is_running(child.as_fd()).expect("a pidfd"));
            send_signal(parent.child.pidfd.as_fd(), libc::SIGKILL).expect("a running parent");
            assert_eq!(parent.end(), ExitStatus::Signaled(libc::SIGKILL));
            // Not our child, so how it ended is not for us to know.
            let status = wait(child.as_fd(), Some(WATCHDOG)).expect("a status");
            assert_eq!(status, Some(ExitStatus::Unknown));
        }
        Some("parent") => {
            let (reader, writer) = io::pipe().expect("a pipe");
            let mut helper = Helper::start(TEST, "child", &reader);
            assert_eq!(helper.line(), "watching\n");
            writeln!(answer(), "{}", helper.child.pid).expect("the answer");
            // The kernel closes this one.
            let _held: PipeWriter = writer;
            for_ever();
        }
        Some(_) => watch_as_helper(WATCHDOG),
    }
}

#[test]
fn an_exit_that_has_begun_is_left_to_finish() {
    if role().is_some() {
        let pipe = given();
        let seen = pipe.try_clone().expect("a copy");
        let watch = watch_parent(pipe, WATCHDOG).expect("a watch");
        watch.exiting();
        let mut answer = answer();
        answer.write_all(b"exiting\n").expect("the answer");
        // The end of the parent, seen here as the watch sees it; then time for a signal to come,
        // which is how long the thread takes to go to sleep for its grace.
        let mut end = [0];
        assert_eq!(fs::File::from(seen).read(&mut end).expect("a pipe"), 0);
        wait_until_asleep();
        answer.write_all(b"done\n").expect("the answer");
        std::process::exit(23);
    }
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut helper = Helper::start("an_exit_that_has_begun_is_left_to_finish", "child", &reader);
    assert_eq!(helper.line(), "exiting\n");
    drop(writer);
    assert_eq!(helper.line(), "done\n");
    assert_eq!(helper.end(), ExitStatus::Exited(23));
}

/// Waits until the watching thread sleeps on a clock rather than on a descriptor.
fn wait_until_asleep() {
    let thread = watching_thread();
    loop {
        let call = fs::read_to_string(format!("{thread}/syscall")).expect("/proc");
        let number = call
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok());
        if [libc::SYS_clock_nanosleep, libc::SYS_nanosleep]
            .map(Some)
            .contains(&number)
        {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_exit_that_hangs_is_killed_after_the_grace() {
    if role().is_some() {
        let watch = watch_parent(given(), Duration::from_millis(20)).expect("a watch");
        watch.exiting();
        answer().write_all(b"exiting\n").expect("the answer");
        for_ever();
    }
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut helper = Helper::start(
        "an_exit_that_hangs_is_killed_after_the_grace",
        "child",
        &reader,
    );
    assert_eq!(helper.line(), "exiting\n");
    drop(writer);
    assert_eq!(helper.end(), ExitStatus::Signaled(libc::SIGKILL));
}

#[test]
fn a_watch_that_is_stopped_lets_go() {
    if role().is_some() {
        let watch = watch_parent(given(), Duration::ZERO).expect("a watch");
        watch.stop();
        watch.stop();
        // The thread goes, and with it the reading end of the pipe.
        while fs::exists("/proc/self/fd/4").expect("/proc") {
            std::thread::yield_now();
        }
        answer().write_all(b"stopped\n").expect("the answer");
        for_ever();
    }
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let mut helper = Helper::start("a_watch_that_is_stopped_lets_go", "child", &reader);
    drop(reader);
    assert_eq!(helper.line(), "stopped\n");
    let broken = writer
        .write(b"anybody?")
        .expect_err("nobody holds the other end");
    assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
    drop(writer);
    assert!(is_running(helper.child.pidfd.as_fd()).expect("a pidfd"));
    send_signal(helper.child.pidfd.as_fd(), libc::SIGUSR1).expect("a running helper");
    assert_eq!(helper.end(), ExitStatus::Signaled(libc::SIGUSR1));
}

#[test]
fn the_watch_does_not_hold_up_an_exit_and_takes_no_signals() {
    const TEST: &str = "the_watch_does_not_hold_up_an_exit_and_takes_no_signals";
    if role().is_some() {
        let before = blocked("/proc/thread-self");
        let _watch = watch_parent(given(), WATCHDOG).expect("a watch");
        let after = blocked("/proc/thread-self");
        let mut answer = answer();
        writeln!(answer, "{} {before} {after}", blocked(&watching_thread())).expect("the answer");
        std::process::exit(5);
    }
    let (reader, _writer) = io::pipe().expect("a pipe");
    let mut helper = Helper::start(TEST, "child", &reader);
    let line = helper.line();
    let masks: Vec<u64> = line
        .split_whitespace()
        .filter_map(|mask| mask.parse().ok())
        .collect();
    let [watching, before, after] = masks[..] else {
        panic!("three masks, not {line:?}")
    };
    // Nobody can block SIGKILL and SIGSTOP, and the C library keeps 32 and 33 for itself.
    let exempt = [libc::SIGKILL, libc::SIGSTOP, 32, 33].map(|signal| 1_u64 << (signal - 1));
    assert_eq!(
        watching | exempt.iter().sum::<u64>(),
        u64::MAX,
        "{watching:x}"
    );
    assert_eq!(
        (before, after),
        (0, 0),
        "the thread that started it takes signals as before"
    );
    assert_eq!(helper.end(), ExitStatus::Exited(5));
}

/// The directory of this process's thread that watches, once it has given itself its name.
fn watching_thread() -> String {
    loop {
        let mut tasks = fs::read_dir("/proc/self/task")
            .expect("/proc")
            .filter_map(Result::ok);
        let found = tasks.find(|task| {
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            name.trim() == "mp-parent-watch"
        });
        if let Some(task) = found {
            return task.path().to_str().expect("digits").to_owned();
        }
        std::thread::yield_now();
    }
}

/// The signals that the thread with this directory has blocked, one bit each.
fn blocked(thread: &str) -> u64 {
    let status = fs::read_to_string(format!("{thread}/status")).expect("/proc");
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigBlk:\t"))
        .expect("the field");
    u64::from_str_radix(mask, 16).expect("a mask")
}

#[test]
fn ctrl_c_says_so_and_ends_with_one() {
    extern "C" fn reset_terminal() -> c_int {
        // SAFETY: write(2) from a literal, as a signal handler may.
        unsafe { libc::write(libc::STDERR_FILENO, b"reset\n".as_ptr().cast(), 6) };
        0
    }
    match role().as_deref() {
        None => {
            let expected = [
                (
                    "plain",
                    "Process SpawnProcess-1:\nKeyboardInterrupt\n",
                    ExitStatus::Exited(1),
                ),
                ("reset", "reset\nsecond\n", ExitStatus::Exited(1)),
                ("silent", "", ExitStatus::Exited(1)),
                // As Node does when the last listener is gone.
                ("default", "", ExitStatus::Signaled(libc::SIGINT)),
            ];
            for (role, said, status) in expected {
                let (mut reader, writer) = io::pipe().expect("a pipe");
                let mut helper = Helper::start("ctrl_c_says_so_and_ends_with_one", role, &writer);
                drop(writer);
                assert_eq!(helper.line(), "ready\n");
                send_signal(helper.child.pidfd.as_fd(), libc::SIGINT).expect("a running helper");
                assert_eq!(helper.end(), status, "{role}");
                let mut seen = String::new();
                reader
                    .read_to_string(&mut seen)
                    .expect("its standard error");
                assert_eq!(seen, said, "{role}");
            }
        }
        Some(role) => {
            let first = "Process SpawnProcess-1:\nKeyboardInterrupt\n";
            // SAFETY: this process exists for this test alone.
            let copy = unsafe { libc::dup2(4, libc::STDERR_FILENO) };
            assert_eq!(copy, libc::STDERR_FILENO);
            drop(given());
            match role {
                "silent" => raise_keyboard_interrupt_by_default("", None).expect("a handler"),
                _ => raise_keyboard_interrupt_by_default(first, None).expect("a handler"),
            }
            if role == "reset" {
                raise_keyboard_interrupt_by_default("second\n", Some(reset_terminal))
                    .expect("a handler");
            }
            if role == "default" {
                // SAFETY: a disposition of a process that exists for one test.
                unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
            }
            answer().write_all(b"ready\n").expect("the answer");
            // A lock on standard error does not matter to the handler.
            let _held = io::stderr().lock();
            for_ever();
        }
    }
}
