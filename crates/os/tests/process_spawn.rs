//! Starting programs: what they get, what they do not get, and what is said when it fails.
#![cfg(target_os = "linux")]

use std::{
    env,
    ffi::CString,
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::PathBuf,
    time::Duration,
};

use mp_os::process::{
    self, Child, ExitStatus, Spawn, SpawnError, SpawnStep, spawn, threads, try_wait, wait,
};
use proptest::prelude::*;

/// Ends a test that waits for what never comes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Says which of its descriptors are open, one by one: a shell's `*` would open another.
const LIST_DESCRIPTORS: &str = "i=0; while [ $i -lt 700 ]; do
    if [ -e /proc/$$/fd/$i ]; then seen=\"$seen$i \"; fi; i=$((i+1)); done; echo \"$seen\" >&3";

fn shell<'a>(script: &str, inherit: &'a [RawFd]) -> Spawn<'a> {
    Spawn {
        program: c"/bin/sh".into(),
        argv: vec![
            c"sh".into(),
            c"-c".into(),
            CString::new(script).expect("a script"),
        ],
        env: vec![c"PATH=/usr/bin:/bin".into()],
        cwd: None,
        inherit,
        die_with_parent: None,
    }
}

fn end_of(child: &Child) -> ExitStatus {
    wait(child.pidfd.as_fd(), Some(WATCHDOG))
        .expect("a status")
        .expect("the child's end in time")
}

/// What the script writes to descriptor 3; `more` are its descriptors 4, 5, …
fn output_with(script: &str, more: &[RawFd], change: impl FnOnce(&mut Spawn<'_>)) -> String {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let inherit: Vec<RawFd> = [&[writer.as_raw_fd()], more].concat();
    let mut request = shell(script, &inherit);
    change(&mut request);
    let child = spawn(&request).expect("a child");
    drop(writer);
    let mut output = String::new();
    reader
        .read_to_string(&mut output)
        .expect("the child's output");
    assert_eq!(end_of(&child), ExitStatus::Exited(0), "{output}");
    output
}

fn output(script: &str) -> String {
    output_with(script, &[], |_| {})
}

fn failure(request: &Spawn<'_>) -> (SpawnStep, Option<i32>, String) {
    let error: SpawnError = spawn(request).expect_err("no child");
    (error.step, error.source.raw_os_error(), error.to_string())
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Runs the test of this name once more, alone in a process of its own, where `role` is set and
/// descriptor 3 is a pipe. Gives what it wrote there and how it ended.
fn in_own_process(test: &str, role: &str) -> (String, ExitStatus) {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let inherit = [writer.as_raw_fd()];
    let program = env::current_exe().expect("this program");
    let program = CString::new(program.as_os_str().as_bytes()).expect("a path");
    let arguments = [test, "--exact", "--nocapture", "--test-threads=1"];
    let child = spawn(&Spawn {
        program: program.clone(),
        argv: [program]
            .into_iter()
            .chain(arguments.map(|argument| CString::new(argument).expect("an argument")))
            .collect(),
        env: vec![CString::new(format!("ROLE={role}")).expect("a variable")],
        cwd: None,
        inherit: &inherit,
        die_with_parent: None,
    })
    .expect("a process for the test");
    drop(writer);
    let mut output = String::new();
    reader.read_to_string(&mut output).expect("its output");
    (output, end_of(&child))
}

fn role() -> Option<String> {
    env::var("ROLE").ok()
}

/// Descriptor 3 of a process that [`in_own_process`] made.
fn answer() -> fs::File {
    // SAFETY: that process was given a pipe there, and nothing else owns it.
    unsafe { fs::File::from_raw_fd(3) }
}

/// Puts a copy of `source` at `number`, in place of what is there.
fn replace(source: &impl AsRawFd, number: RawFd) {
    // SAFETY: dup2(2) touches no memory; only processes of a single test do this, to their own
    // standard streams.
    assert_eq!(unsafe { libc::dup2(source.as_raw_fd(), number) }, number);
}

#[test]
fn exit_codes_are_told() {
    for code in [0, 1, 7, 127, 255] {
        let child = spawn(&shell(&format!("exit {code}"), &[])).expect("a child");
        let status = end_of(&child);
        assert_eq!(status, ExitStatus::Exited(code));
        assert_eq!(status.code(), code);
    }
}

#[test]
fn signals_are_told() {
    for signal in [
        libc::SIGTERM,
        libc::SIGKILL,
        libc::SIGUSR1,
        libc::SIGRTMIN() + 1,
    ] {
        let child = spawn(&shell("kill -STOP $$", &[])).expect("a child");
        process::send_signal(child.pidfd.as_fd(), signal).expect("a running child");
        process::send_signal(child.pidfd.as_fd(), libc::SIGCONT).expect("a running child");
        let status = end_of(&child);
        assert_eq!(status, ExitStatus::Signaled(signal));
        assert_eq!(status.code(), -signal);
    }
}

#[test]
fn a_running_child_has_no_status() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let child = spawn(&shell("read line <&3", &[reader.as_raw_fd()])).expect("a child");
    let pidfd = child.pidfd.as_fd();
    assert_eq!(try_wait(pidfd).expect("a child"), None);
    assert_eq!(wait(pidfd, Some(Duration::ZERO)).expect("a child"), None);
    assert_eq!(
        wait(pidfd, Some(Duration::from_millis(5))).expect("a child"),
        None
    );
    assert!(process::is_running(pidfd).expect("a pidfd"));
    drop((reader, writer));
    assert_eq!(end_of(&child), ExitStatus::Exited(1));
}

#[test]
fn a_status_that_was_collected_is_unknown() {
    let child = spawn(&shell("exit 3", &[])).expect("a child");
    assert_eq!(end_of(&child), ExitStatus::Exited(3));
    assert_eq!(end_of(&child), ExitStatus::Unknown);
    assert_eq!(ExitStatus::Unknown.code(), 255);
    assert!(!process::is_running(child.pidfd.as_fd()).expect("a pidfd"));
    let gone = process::send_signal(child.pidfd.as_fd(), libc::SIGTERM).expect_err("it is gone");
    assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn other_processes_can_be_watched() {
    let parent = i32::try_from(std::os::unix::process::parent_id()).expect("a number");
    let parent = process::open(parent).expect("this test's parent runs");
    assert!(process::is_running(parent.as_fd()).expect("a pidfd"));
    // It is not ours to wait for, but it does run.
    assert_eq!(try_wait(parent.as_fd()).expect("a pidfd"), None);
    process::send_signal(parent.as_fd(), 0).expect("it may be asked for");
}

#[test]
fn what_is_no_process_is_refused() {
    for pid in [0, -1, i32::MIN] {
        assert_eq!(
            process::open(pid).expect_err("no process").kind(),
            io::ErrorKind::InvalidInput
        );
    }
    // The kernel's own limit is 4194304.
    let none = process::open(i32::MAX).expect_err("no process");
    assert_eq!(none.raw_os_error(), Some(libc::ESRCH));
    let file = fs::File::open("/dev/null").expect("a file");
    assert!(try_wait(file.as_fd()).is_err());
    let child = spawn(&shell("exit 0", &[])).expect("a child");
    let wrong = process::send_signal(child.pidfd.as_fd(), 1000).expect_err("no signal");
    assert_eq!(wrong.raw_os_error(), Some(libc::EINVAL));
    end_of(&child);
}

#[test]
fn the_child_has_what_it_was_given_and_nothing_else() {
    let file = fs::File::open("/dev/null").expect("a file");
    // Not close-on-exec: only the child's own care can keep it out.
    // SAFETY: F_DUPFD makes a descriptor that nobody else owns.
    let leaky = unsafe { OwnedFd::from_raw_fd(libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 500)) };
    assert_eq!(output(LIST_DESCRIPTORS), "0 1 2 3 \n");
    let more = [file.as_raw_fd(), leaky.as_raw_fd(), file.as_raw_fd()];
    assert_eq!(
        output_with(LIST_DESCRIPTORS, &more, |_| {}),
        "0 1 2 3 4 5 6 \n"
    );
}

#[test]
fn the_pidfd_is_not_inherited_by_other_programs() {
    let child = spawn(&shell("exit 0", &[])).expect("a child");
    let flags = rustix::io::fcntl_getfd(&child.pidfd).expect("an open descriptor");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    end_of(&child);
}

#[test]
fn standard_input_is_empty() {
    assert_eq!(
        output("readlink /proc/$$/fd/0 >&3; read line || echo end >&3"),
        "/dev/null\nend\n"
    );
}

#[test]
fn arguments_environment_and_directory_arrive() {
    assert_eq!(output("cat /proc/$$/environ >&3"), "PATH=/usr/bin:/bin\0");
    let seen = output_with(
        r#"echo "$1|$2|$A|$EMPTY" >&3; pwd -P >&3"#,
        &[],
        |request| {
            request
                .argv
                .extend([c"name".into(), c"one two".into(), c"\xC3\xA4".into()]);
            request.env = vec![c"A=b=c d".into(), c"EMPTY=".into()];
            request.cwd = Some(c"/usr".into());
        },
    );
    assert_eq!(seen, "one two|ä|b=c d|\n/usr\n");
}

#[test]
fn a_relative_program_starts_at_the_directory() {
    let mut request = shell("exit 9", &[]);
    request.program = c"./sh".into();
    request.cwd = Some(c"/bin".into());
    assert_eq!(
        end_of(&spawn(&request).expect("a child")),
        ExitStatus::Exited(9)
    );
}

#[test]
fn failures_say_what_failed() {
    let mut request = shell("exit 0", &[]);
    request.program = c"/no/such/program".into();
    let (step, errno, message) = failure(&request);
    assert_eq!((step, errno), (SpawnStep::Execute, Some(libc::ENOENT)));
    assert!(message.contains("/no/such/program"), "{message}");
    assert_eq!(step.to_string(), "execve");

    // A file without permission to execute it, and one that is no program.
    let mut path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    path.push(format!("no-program-{}", std::process::id()));
    fs::write(&path, "\u{1}\u{2}\u{3}\u{4}").expect("a file");
    request.program = CString::new(path.as_os_str().as_bytes()).expect("a path");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
    let denied = failure(&request);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("permissions");
    let no_program = failure(&request);
    fs::remove_file(&path).expect("the file");
    assert_eq!(
        (denied.0, denied.1),
        (SpawnStep::Execute, Some(libc::EACCES))
    );
    assert_eq!(
        (no_program.0, no_program.1),
        (SpawnStep::Execute, Some(libc::ENOEXEC))
    );

    let mut request = shell("exit 0", &[]);
    request.cwd = Some(c"/no/such/directory".into());
    let (step, errno, message) = failure(&request);
    assert_eq!(
        (step, errno),
        (SpawnStep::ChangeDirectory, Some(libc::ENOENT))
    );
    assert!(message.contains("/no/such/directory"), "{message}");
    request.cwd = Some(c"/dev/null".into());
    assert_eq!(failure(&request).1, Some(libc::ENOTDIR));

    for bad in [-1, 9999, i32::MAX] {
        let (step, errno, message) = failure(&shell("exit 0", &[2, bad]));
        assert_eq!((step, errno), (SpawnStep::Inherit, Some(libc::EBADF)));
        assert!(message.contains(&format!("descriptor {bad} ")), "{message}");
    }

    let mut request = shell("exit 0", &[]);
    request.die_with_parent = Some(1000);
    assert_eq!(failure(&request).0, SpawnStep::DieWithParent);
    request.argv.clear();
    assert_eq!(failure(&request).0, SpawnStep::Prepare);

    let mut request = shell("exit 0", &[]);
    request.program = c"/no/such/program".into();
    let plain: io::Error = spawn(&request).expect_err("no program").into();
    assert_eq!(plain.kind(), io::ErrorKind::NotFound);
}

#[test]
fn signals_are_as_new_in_the_child() {
    let Some(_) = role() else {
        let (seen, status) = in_own_process("signals_are_as_new_in_the_child", "parent");
        assert_eq!(status, ExitStatus::Exited(0), "{seen}");
        let ignored_and_blocked: Vec<&str> = seen.lines().collect();
        assert_eq!(ignored_and_blocked.len(), 3, "{seen}");
        for line in ignored_and_blocked {
            assert!(line.ends_with("\t0000000000000000"), "{line}");
        }
        return;
    };
    extern "C" fn handler(_signal: libc::c_int) {}
    // SAFETY: signal dispositions and the mask of a process that exists for this test alone.
    unsafe {
        for ignored in [libc::SIGPIPE, libc::SIGINT, libc::SIGUSR2, libc::SIGRTMIN()] {
            assert_ne!(libc::signal(ignored, libc::SIG_IGN), libc::SIG_ERR);
        }
        let handler = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        assert_ne!(libc::signal(libc::SIGUSR1, handler), libc::SIG_ERR);
        let mut mask = std::mem::zeroed();
        libc::sigfillset(&raw mut mask);
        assert_eq!(
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut()),
            0
        );
    }
    let blocked = own_status("SigBlk");
    let (mut reader, writer) = io::pipe().expect("a pipe");
    // Its standard output is this process's, so this process's is the pipe.
    replace(&writer, libc::STDOUT_FILENO);
    drop(writer);
    let child = spawn(&Spawn {
        program: c"/bin/cat".into(),
        argv: [c"cat", c"/proc/self/status"].map(Into::into).into(),
        env: vec![],
        cwd: None,
        inherit: &[],
        die_with_parent: None,
    })
    .expect("a child");
    assert_eq!(
        own_status("SigBlk"),
        blocked,
        "the mask of the calling thread is as it was"
    );
    assert_eq!(end_of(&child), ExitStatus::Exited(0));
    replace(&io::stderr(), libc::STDOUT_FILENO);
    let mut seen = String::new();
    reader.read_to_string(&mut seen).expect("its output");
    let mut answer = answer();
    for field in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        let line = seen
            .lines()
            .find(|line| line.starts_with(field))
            .expect("the field");
        writeln!(answer, "{line}").expect("the answer");
    }
    // SAFETY: leaves at once; the test's own report would go into the pipe.
    unsafe { libc::_exit(0) }
}

fn own_status(field: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").expect("/proc");
    status
        .lines()
        .find(|line| line.starts_with(field))
        .expect("the field")
        .to_owned()
}

#[test]
fn closed_standard_streams_become_null() {
    let Some(_) = role() else {
        let (seen, status) = in_own_process("closed_standard_streams_become_null", "parent");
        assert_eq!(
            (seen.as_str(), status),
            ("0 1 2 3 4 \nnull null null\npipe\n", ExitStatus::Exited(0))
        );
        return;
    };
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let inherit = [writer.as_raw_fd(), writer.as_raw_fd()];
    let kind = "kind() { case $(readlink /proc/$$/fd/$1) in /dev/null) echo null;; pipe*) echo pipe;; esac; }";
    let script =
        format!("{LIST_DESCRIPTORS}; {kind}; echo $(kind 0) $(kind 1) $(kind 2) >&3; kind 4 >&3");
    // SAFETY: this process exists for this test alone, and owns these.
    unsafe {
        libc::close(0);
        libc::close(1);
        libc::close(2);
    }
    let child = spawn(&shell(&script, &inherit));
    drop(writer);
    let mut seen = String::new();
    let read = reader.read_to_string(&mut seen);
    let ended = child.ok().map(|child| end_of(&child));
    let as_expected = read.is_ok() && ended == Some(ExitStatus::Exited(0));
    let _ = answer().write_all(seen.as_bytes());
    // SAFETY: leaves at once; there is nowhere left for the test's own report.
    unsafe { libc::_exit(i32::from(!as_expected)) }
}

/// A file whose contents tell it from all others.
fn marked(mark: usize) -> OwnedFd {
    let file = rustix::fs::memfd_create("mark", rustix::fs::MemfdFlags::CLOEXEC).expect("a file");
    let mut file = fs::File::from(file);
    write!(file, "{mark}").expect("a mark");
    file.into()
}

/// Opens a file marked `mark` at exactly `descriptor`, close-on-exec or not.
fn place(mark: usize, descriptor: RawFd) {
    // Made elsewhere first: nothing can be put where it is already.
    let file = rustix::io::fcntl_dupfd_cloexec(marked(mark), 2000).expect("a descriptor");
    let flags = if mark.is_multiple_of(2) {
        libc::O_CLOEXEC
    } else {
        0
    };
    // SAFETY: the process exists for this test alone, and uses these numbers for nothing else.
    assert!(unsafe { libc::dup3(file.as_raw_fd(), descriptor, flags) } >= 0);
}

/// The descriptors that `inherits_in_any_arrangement` chooses from; its file at `POOL[i]` is
/// marked `i`. Some lie where the child's own will, some beyond what fits a byte.
const POOL: [RawFd; 15] = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 40, 256, 257, 300, 1000];

#[test]
fn inherits_in_any_arrangement() {
    let Some(_) = role() else {
        let (seen, status) = in_own_process("inherits_in_any_arrangement", "parent");
        assert_eq!(
            (seen.as_str(), status),
            ("all as given", ExitStatus::Exited(0))
        );
        return;
    };
    // What this process was given at 3 moves away, so that 3 is free to be closed and opened.
    // SAFETY: this process exists for this test alone.
    let mut answer = unsafe { fs::File::from_raw_fd(libc::fcntl(3, libc::F_DUPFD_CLOEXEC, 600)) };
    for (mark, descriptor) in POOL.into_iter().enumerate() {
        place(mark, descriptor);
    }
    let (mut reader, writer) = io::pipe().expect("a pipe");
    replace(&writer, libc::STDOUT_FILENO);
    drop(writer);

    let check = |chosen: &[usize]| {
        let inherit: Vec<RawFd> = chosen.iter().map(|mark| POOL[*mark]).collect();
        let script =
            (0..chosen.len()).map(|index| format!("cat /proc/self/fd/{}; echo; ", index + 3));
        let script: String = script.collect::<String>() + "echo end";
        let child = spawn(&shell(&script, &inherit)).expect("a child");
        assert_eq!(end_of(&child), ExitStatus::Exited(0), "{inherit:?}");
        let mut seen = String::new();
        let mut piece = [0; 4096];
        while !seen.ends_with("end\n") {
            let length = reader.read(&mut piece).expect("its output");
            seen.push_str(std::str::from_utf8(&piece[..length]).expect("text"));
        }
        let expected: String = chosen.iter().map(|mark| format!("{mark}\n")).collect();
        assert_eq!(seen, expected + "end\n", "{inherit:?}");
    };
    // [5, 4], [6, 5, 4], a rotation, the same one twice and three times, far ones.
    let mut check = check;
    for chosen in [
        &[][..],
        &[1, 0],
        &[2, 1, 0],
        &[1, 2, 0],
        &[0, 0],
        &[2, 2, 2],
        &[14, 11, 0],
    ] {
        check(chosen);
    }
    let outcome = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
    .run(&prop::collection::vec(0..POOL.len(), 0..12), {
        let check = std::cell::RefCell::new(check);
        move |chosen| {
            (check.borrow_mut())(&chosen);
            Ok(())
        }
    });
    let said = outcome.map_or_else(|error| error.to_string(), |()| "all as given".to_owned());
    answer.write_all(said.as_bytes()).expect("the answer");
    // SAFETY: leaves at once; the test's own report would go into the pipe.
    unsafe { libc::_exit(0) }
}

#[test]
fn standard_streams_can_be_inherited_too() {
    let Some(_) = role() else {
        let (seen, status) = in_own_process("standard_streams_can_be_inherited_too", "parent");
        assert_eq!(
            (seen.as_str(), status),
            ("/dev/null 0 1 0\n", ExitStatus::Exited(0))
        );
        return;
    };
    let (answered, marked) = (answer(), [marked(0), marked(1)]);
    replace(&marked[0], libc::STDIN_FILENO);
    replace(&marked[1], libc::STDOUT_FILENO);
    let at = |number: i32| format!("$(cat /proc/$$/fd/{number})");
    let script = format!(
        "echo $(readlink /proc/$$/fd/0) {} {} {} >&6",
        at(3),
        at(4),
        at(5)
    );
    let child = spawn(&shell(&script, &[0, 1, 0, answered.as_raw_fd()])).expect("a child");
    let status = end_of(&child);
    // SAFETY: leaves at once; the test's own report would go into the file.
    unsafe { libc::_exit(i32::from(status != ExitStatus::Exited(0))) }
}

#[test]
fn many_children_leave_nothing_behind() {
    let Some(_) = role() else {
        let (seen, status) = in_own_process("many_children_leave_nothing_behind", "parent");
        assert_eq!(
            (seen.as_str(), status),
            ("0 descriptors more\n", ExitStatus::Exited(0))
        );
        return;
    };
    let before = open_descriptors();
    let mut answer = answer();
    let mut request = shell("exit 0", &[]);
    request.program = c"/bin/true".into();
    for round in 0..200 {
        if round % 4 == 0 {
            let mut failing = request.clone();
            failing.program = c"/no/such/program".into();
            spawn(&failing).expect_err("no program");
        }
        assert_eq!(
            end_of(&spawn(&request).expect("a child")),
            ExitStatus::Exited(0)
        );
    }
    // No child is left, neither running nor dead.
    // SAFETY: waitpid(2) with a null status writes nothing.
    let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    assert_eq!(left, -1);
    assert_eq!(
        io::Error::last_os_error().raw_os_error(),
        Some(libc::ECHILD)
    );
    writeln!(answer, "{} descriptors more", open_descriptors() - before).expect("the answer");
}

#[test]
fn threads_can_start_processes_side_by_side() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..25 {
                    let code = thread * 25 + round;
                    let child = spawn(&shell(&format!("exit {code}"), &[2])).expect("a child");
                    assert_eq!(end_of(&child), ExitStatus::Exited(code));
                }
            });
        }
    });
}

#[test]
fn a_child_that_is_tied_dies_with_its_parent() {
    let Some(_) = role() else {
        let (seen, status) = in_own_process("a_child_that_is_tied_dies_with_its_parent", "parent");
        assert_eq!(status, ExitStatus::Signaled(libc::SIGKILL));
        // The pipe has ended, so the child, which held it too, has died of its parent's death. It
        // had told that it was ready, and would have said more at any other end.
        assert_eq!(seen, "ready\n");
        return;
    };
    let (reader, writer) = io::pipe().expect("a pipe");
    let (blocked, held) = io::pipe().expect("a pipe");
    // It holds both ends of what it reads from, so nothing but a signal ends it.
    let inherit = [3, writer.as_raw_fd(), blocked.as_raw_fd(), held.as_raw_fd()];
    let script = "echo ready >&3; echo >&4; read line <&5; echo alive >&3";
    let mut request = shell(script, &inherit);
    request.die_with_parent = Some(libc::SIGKILL);
    spawn(&request).expect("a child");
    (&reader).read_exact(&mut [0]).expect("the child is ready");
    // SAFETY: ends this process, as the test wants.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

#[test]
fn a_child_that_is_not_tied_lives_on() {
    let Some(_) = role() else {
        let (seen, status) = in_own_process("a_child_that_is_not_tied_lives_on", "parent");
        assert_eq!(status, ExitStatus::Signaled(libc::SIGKILL));
        assert_eq!(seen, "alive\n");
        return;
    };
    let (reader, writer) = io::pipe().expect("a pipe");
    // Its end of this pipe closes when the parent has died.
    let inherit = [3, reader.as_raw_fd()];
    let child = spawn(&shell("read line <&4; echo alive >&3", &inherit)).expect("a child");
    assert!(process::is_running(child.pidfd.as_fd()).expect("a pidfd"));
    // SAFETY: ends this process, as the test wants.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    drop(writer);
}

#[test]
fn threads_have_numbers() {
    let here = threads::gettid();
    assert!(here > 0);
    let there = std::thread::spawn(|| (threads::gettid(), threads::is_main_thread())).join();
    let (there, main) = there.expect("a thread");
    assert_ne!(here, there);
    assert!(!main);
    assert_eq!(
        threads::is_main_thread(),
        std::process::id() == here.cast_unsigned()
    );
}
