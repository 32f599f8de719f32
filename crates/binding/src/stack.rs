//! The way out of a stack that belongs to another process.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use napi::{Env, Error, Result};
use napi_derive::napi;

use crate::symbol;

const UV_TIMER: c_int = 13;

/// Milliseconds; whatever is to happen before has long happened.
const LATER: u64 = 60_000;

type Visit = unsafe extern "C" fn(handle: *mut c_void, argument: *mut c_void);

unsafe extern "C" {
    fn uv_walk(event_loop: *mut c_void, visit: Visit, argument: *mut c_void);
    fn uv_handle_get_type(handle: *const c_void) -> c_int;
    fn uv_is_active(handle: *const c_void) -> c_int;
    fn uv_timer_again(handle: *mut c_void) -> c_int;
    fn uv_timer_set_repeat(handle: *mut c_void, repeat: u64);
}

type OfIsolate = unsafe extern "C" fn(isolate: *mut c_void);

thread_local! {
    /// What takes back the end of execution, and for which isolate, until it has been done.
    static ABANDONED: Cell<Option<(OfIsolate, *mut c_void)>> = const { Cell::new(None) };
    /// Timers that were put off until then.
    static TIMERS: RefCell<Vec<*mut c_void>> = const { RefCell::new(Vec::new()) };
}

/// Ends all JavaScript that is under way on this thread, without running another line of it: neither
/// handlers nor `finally` blocks. What the event loop has in line goes on after that.
///
/// In a copy of a process, what called is the parent's, and is not to go on here.
#[napi]
pub fn abandon_stack(env: Env) -> Result<()> {
    let event_loop = env.get_uv_event_loop()?.cast::<c_void>();
    // SAFETY: these are `static Isolate* v8::Isolate::GetCurrent()`, `void TerminateExecution()` and
    // `void CancelTerminateExecution()`, the same in all versions of V8 that Node has had; the object is
    // their only argument. This thread is inside an isolate, as it has called us.
    unsafe {
        let current: unsafe extern "C" fn() -> *mut c_void = find(c"_ZN2v87Isolate10GetCurrentEv")?;
        let terminate: OfIsolate = find(c"_ZN2v87Isolate18TerminateExecutionEv")?;
        let cancel: OfIsolate = find(c"_ZN2v87Isolate24CancelTerminateExecutionEv")?;
        let isolate = current();
        ABANDONED.set(Some((cancel, isolate)));
        terminate(isolate);
        // The loop's first turn may begin with timers, and Node calls theirs until JavaScript runs.
        uv_walk(event_loop, put_off, ptr::null_mut());
    }
    Ok(())
}

unsafe extern "C" fn put_off(handle: *mut c_void, _argument: *mut c_void) {
    // SAFETY: libuv shows us its handles; these calls change when a timer fires and nothing else.
    unsafe {
        if uv_handle_get_type(handle) != UV_TIMER || uv_is_active(handle) == 0 {
            return;
        }
        fire_in(handle, LATER);
        TIMERS.with_borrow_mut(|timers| timers.push(handle));
    }
}

/// # Safety
/// An active timer of this thread's loop, which does not repeat: Node's never do.
unsafe fn fire_in(timer: *mut c_void, milliseconds: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        uv_timer_set_repeat(timer, milliseconds);
        uv_timer_again(timer);
        uv_timer_set_repeat(timer, 0);
    }
}

/// To be called from the event loop, with no JavaScript on the stack: it may run again.
pub fn cleared() {
    if let Some((cancel, isolate)) = ABANDONED.take() {
        // SAFETY: see `abandon_stack`; this is the isolate's own thread.
        unsafe { cancel(isolate) };
        for timer in TIMERS.take() {
            // SAFETY: no JavaScript has run since it was put off, so it is still there. What is not due
            // yet when it fires, Node starts it for again.
            unsafe { fire_in(timer, 1) };
        }
    }
}

/// # Safety
/// As [`symbol::find`].
unsafe fn find<F: Copy>(name: &CStr) -> Result<F> {
    // SAFETY: the caller's promise.
    let found = unsafe { symbol::find(name) };
    found.ok_or_else(|| Error::from_reason(format!("this node has no {}", name.to_string_lossy())))
}
