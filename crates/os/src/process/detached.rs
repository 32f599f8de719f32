//! A process that goes on when what started it is interrupted.

use std::io;

use rustix::process::setsid;
use rustix::stdio::{dup2_stdin, dup2_stdout};

/// Makes the calling process one that a terminal cannot interrupt, and that neither reads nor writes what its
/// parent does; standard error stays what it was. It is called `name` from now on, in its first 15 bytes.
///
/// # Errors
/// When there is no `/dev/null`; the rest is done.
pub fn detach(name: &std::ffi::CStr) -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGXFSZ] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // A leader of a group is refused; it is not when it was just started.
    let _ = setsid();
    // It is for people to read.
    let _ = rustix::thread::set_name(name);
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok(())
}
