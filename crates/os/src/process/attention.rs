//! Noticing, in a call that blocks, that the user has pressed Ctrl-C.
//!
//! A program that listens for SIGINT hears of it from its event loop, which does not turn while a call
//! blocks. So for the time of such a call a handler stands in front of the program's own: it notes that
//! the signal came, and calls that one.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static CAME: AtomicBool = AtomicBool::new(false);

/// The program's own handler; 0 for none.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// While this exists, SIGINT interrupts what its thread sleeps in. There is one at a time, on the main
/// thread.
pub struct Attention {
    own: libc::sigaction,
}

impl Attention {
    /// Begins to notice; nothing where no handler of the program's stands.
    ///
    /// # Errors
    /// That of sigaction(2), which has none for SIGINT.
    pub fn begin() -> io::Result<Option<Self>> {
        let own = exchange(None)?;
        let handler = own.sa_sigaction;
        if handler == libc::SIG_DFL
            || handler == libc::SIG_IGN
            || own.sa_flags & (libc::SA_SIGINFO | libc::SA_RESETHAND) != 0
        {
            return Ok(None);
        }
        CAME.store(false, Ordering::SeqCst);
        NEXT.store(handler, Ordering::SeqCst);
        let mut action = own;
        action.sa_sigaction = on_interrupt as extern "C" fn(c_int) as usize;
        // What it interrupts is not to be taken up again.
        action.sa_flags &= !libc::SA_RESTART;
        exchange(Some(&action))?;
        Ok(Some(Self { own }))
    }

    /// Whether the signal came.
    pub fn is_wanted(&self) -> bool {
        CAME.load(Ordering::SeqCst)
    }
}

impl Drop for Attention {
    fn drop(&mut self) {
        let _ = exchange(Some(&self.own));
    }
}

/// What SIGINT does, and, if given, what it does from now on.
fn exchange(action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    let new = action.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both point to such structures, or nowhere, and outlive the call; what is installed is
    // either a handler that was installed before or ours, which does nothing that a handler may not.
    if unsafe { libc::sigaction(libc::SIGINT, new, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, and so has filled it in.
    Ok(unsafe { before.assume_init() })
}

extern "C" fn on_interrupt(signal: c_int) {
    CAME.store(true, Ordering::SeqCst);
    let next = NEXT.load(Ordering::SeqCst);
    if next != 0 {
        // SAFETY: it was the signal's handler, one that takes the signal's number only, and SIG_DFL and
        // SIG_IGN were ruled out.
        let next = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(next) };
        next(signal);
    }
}
