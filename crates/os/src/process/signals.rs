//! Signals by name and by number, from one table.

/// The number and the name of every signal this system has, the usual name of a number first.
#[cfg(unix)]
const SIGNALS: &[(i32, &str)] = &[
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGABRT, "SIGIOT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGCHLD, "SIGCLD"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGIO, "SIGPOLL"),
    (libc::SIGSYS, "SIGSYS"),
    #[cfg(target_os = "linux")]
    (libc::SIGPWR, "SIGPWR"),
    #[cfg(all(
        target_os = "linux",
        not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))
    ))]
    (libc::SIGSTKFLT, "SIGSTKFLT"),
    #[cfg(target_vendor = "apple")]
    (libc::SIGEMT, "SIGEMT"),
    #[cfg(target_vendor = "apple")]
    (libc::SIGINFO, "SIGINFO"),
];

/// The signals that Windows' C library knows.
#[cfg(not(unix))]
const SIGNALS: &[(i32, &str)] = &[
    (2, "SIGINT"),
    (4, "SIGILL"),
    (8, "SIGFPE"),
    (11, "SIGSEGV"),
    (15, "SIGTERM"),
    (21, "SIGBREAK"),
    (22, "SIGABRT"),
];

/// The usual name of a signal (`SIGABRT` rather than `SIGIOT`), or `None` when the number is no
/// signal with a name.
#[must_use]
pub fn name(signal: i32) -> Option<&'static str> {
    table()
        .find(|(number, _)| *number == signal)
        .map(|(_, name)| name)
}

/// The number of a signal by its name, in capitals and with `SIG` in front, as in `SIGTERM`.
#[must_use]
pub fn number(name: &str) -> Option<i32> {
    table()
        .find(|(_, known)| *known == name)
        .map(|(number, _)| number)
}

fn table() -> impl Iterator<Item = (i32, &'static str)> {
    SIGNALS.iter().copied().chain(real_time())
}

/// The bounds of the real-time signals are the C library's to say, at run time.
#[cfg(target_os = "linux")]
fn real_time() -> [(i32, &'static str); 2] {
    [
        (libc::SIGRTMIN(), "SIGRTMIN"),
        (libc::SIGRTMAX(), "SIGRTMAX"),
    ]
}

#[cfg(not(target_os = "linux"))]
fn real_time() -> [(i32, &'static str); 0] {
    []
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (signal, known) in table() {
            assert_eq!(number(known), Some(signal), "{known}");
            let usual = name(signal).expect("a signal in the table has a name");
            assert_eq!(number(usual), Some(signal), "{usual}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_usual_name_wins_over_an_alias() {
        assert_eq!(name(libc::SIGTERM), Some("SIGTERM"));
        assert_eq!(name(libc::SIGABRT), Some("SIGABRT"));
        assert_eq!(name(libc::SIGCHLD), Some("SIGCHLD"));
        assert_eq!(number("SIGIOT"), Some(libc::SIGABRT));
    }

    #[test]
    fn what_is_no_signal_has_no_name_and_no_number() {
        for signal in [0, -1, 65, 1000, i32::MAX, i32::MIN] {
            assert_eq!(name(signal), None, "{signal}");
        }
        for name in ["", "TERM", "sigterm", "SIGNOTHING", "SIGTERM\0"] {
            assert_eq!(number(name), None, "{name:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_standard_signal_of_the_kernel_is_named() {
        for signal in 1..=31 {
            assert!(name(signal).is_some(), "signal {signal} has no name");
        }
    }
}
