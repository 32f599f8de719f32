//! What Ctrl-C does to a process that has not asked for anything else.

use std::{
    ffi::{c_int, c_void},
    io, ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

/// A function without arguments that is safe to call in a signal handler, whose result is not
/// looked at: libuv's `uv_tty_reset_mode`.
pub type ResetTerminal = extern "C" fn() -> c_int;

/// All that the handler needs, made before any signal can arrive.
struct Farewell {
    banner: Box<[u8]>,
    reset_terminal: Option<ResetTerminal>,
}

/// Written by [`raise_keyboard_interrupt_by_default`] (release), read by the handler (acquire).
/// What it points at is never freed, because a handler may be reading it on another thread.
static FAREWELL: AtomicPtr<Farewell> = AtomicPtr::new(ptr::null_mut());

/// From now on SIGINT writes `banner` to standard error and ends the process at once with exit
/// code 1, as an uncaught `KeyboardInterrupt` does.
///
/// It is the default only: a program that listens for SIGINT replaces it, and when its last
/// listener goes the kernel's default stands in its place. `reset_terminal` is called first, so
/// that a terminal in raw mode is put back. Calling again replaces both; the few bytes of the
/// former banner stay allocated.
///
/// # Errors
///
/// That of sigaction(2), which has none for SIGINT.
pub fn raise_keyboard_interrupt_by_default(
    banner: &str,
    reset_terminal: Option<ResetTerminal>,
) -> io::Result<()> {
    let farewell = Box::new(Farewell {
        banner: banner.as_bytes().into(),
        reset_terminal,
    });
    FAREWELL.store(Box::leak(farewell), Ordering::Release);

    // SAFETY: all zeros is a valid sigaction (no flags, empty mask, default handler).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_interrupt as extern "C" fn(c_int) as usize;
    // SAFETY: `action` is a sigaction of our own; the handler calls async-signal-safe functions
    // only (see there) and never returns, so it can interrupt anything.
    let result = unsafe {
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGINT, &raw const action, ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// From now on SIGINT does nothing to this process, unless it listens for it: whoever started it says when it
/// is to end.
pub fn ignore() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}

extern "C" fn on_interrupt(_signal: c_int) {
    let farewell = FAREWELL.load(Ordering::Acquire);
    // SAFETY: the pointer was stored before the handler was installed, and is never freed.
    if let Some(farewell) = unsafe { farewell.as_ref() } {
        if let Some(reset_terminal) = farewell.reset_terminal {
            reset_terminal();
        }
        write_to_stderr(&farewell.banner);
    }
    // SAFETY: _exit(2) may be called in a signal handler; unlike exit(3) it runs no code of ours.
    unsafe { libc::_exit(1) }
}

/// Writes as much as standard error takes; there is nobody to tell about a failure.
fn write_to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length are those of a live slice; write(2) may be called in a
        // signal handler. With all signals blocked it is not interrupted.
        let written = unsafe {
            libc::write(
                libc::STDERR_FILENO,
                bytes.as_ptr().cast::<c_void>(),
                bytes.len(),
            )
        };
        match usize::try_from(written) {
            Ok(written @ 1..) => bytes = bytes.get(written..).unwrap_or_default(),
            _ => return,
        }
    }
}
