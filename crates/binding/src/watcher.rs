//! Descriptors watched by the event loop: when one is ready, a function of the facade is called.
//!
//! A watcher is a `uv_poll_t` of the environment's own loop, so that waiting costs no thread. All of an
//! environment's watchers call one function, `dispatch(watcher, events)`.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use mp_os::descriptor;
use napi::bindgen_prelude::{Function, JsValue};
use napi::{Env, Result, check_status, sys};
use napi_derive::napi;

use crate::slab::Slab;
use crate::status;

const UV_POLL: c_int = 8;
const UV_EEXIST: c_int = -libc::EEXIST;

type PollCallback = unsafe extern "C" fn(handle: *mut c_void, status: c_int, events: c_int);
type CloseCallback = unsafe extern "C" fn(handle: *mut c_void);

unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_poll_init(event_loop: *mut c_void, handle: *mut c_void, fd: c_int) -> c_int;
    fn uv_poll_start(handle: *mut c_void, events: c_int, callback: PollCallback) -> c_int;
    fn uv_poll_stop(handle: *mut c_void) -> c_int;
    fn uv_close(handle: *mut c_void, callback: CloseCallback);
    fn uv_ref(handle: *mut c_void);
    fn uv_unref(handle: *mut c_void);
    fn uv_handle_set_data(handle: *mut c_void, data: *mut c_void);
    fn uv_handle_get_data(handle: *const c_void) -> *mut c_void;
}

thread_local! {
    static ENVIRONMENT: RefCell<Option<Environment>> = const { RefCell::new(None) };
}

/// What one environment (one thread) has.
struct Environment {
    raw: sys::napi_env,
    event_loop: *mut c_void,
    dispatch: sys::napi_ref,
    watchers: Slab<Watcher>,
    /// Handles that libuv has not let go of yet.
    open: usize,
    /// Set once the environment is ending: what to remove when the last handle is closed.
    ending: Option<sys::napi_async_cleanup_hook_handle>,
}

struct Watcher {
    /// Allocated by [`allocate`], freed by [`on_closed`].
    handle: *mut c_void,
    /// A copy of the descriptor, where the loop already watches the original.
    _copy: Option<OwnedFd>,
}

/// Sets the function that is called with a watcher's number and the events (1 readable, 2 writable, a
/// negative number for an error). Once per environment, before the first watcher.
#[napi(ts_args_type = "dispatch: (watcher: number, events: number) => void")]
pub fn set_dispatch(env: Env, dispatch: Function<'_, (), ()>) -> Result<()> {
    let mut reference = ptr::null_mut();
    // SAFETY: the function is alive in this environment; the reference is never deleted, as the
    // environment needs it until its end.
    check_status!(unsafe {
        sys::napi_create_reference(env.raw(), dispatch.value().value, 1, &raw mut reference)
    })?;
    let event_loop = env.get_uv_event_loop()?.cast::<c_void>();
    ENVIRONMENT.with_borrow_mut(|environment| {
        *environment = Some(Environment {
            raw: env.raw(),
            event_loop,
            dispatch: reference,
            watchers: Slab::new(),
            open: 0,
            ending: None,
        });
    });
    // SAFETY: `on_environment_end` takes no argument and runs on this thread.
    check_status!(unsafe {
        sys::napi_add_async_cleanup_hook(
            env.raw(),
            Some(on_environment_end),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    })
}

/// Watches a descriptor; nothing is reported before `startWatcher`. Returns the watcher's number or a
/// status: `EPERM` for what cannot be watched, such as a file.
#[napi]
pub fn create_watcher(fd: i32) -> f64 {
    let created = descriptor::borrow(fd).and_then(|fd| {
        with_environment(|environment| environment.create(fd))
            .unwrap_or_else(|| Err(std::io::ErrorKind::NotConnected.into()))
    });
    status::of(created)
}

/// Reports from now on that the descriptor is readable (1), writable (2), or either (3), each time the
/// loop finds it so.
#[napi]
pub fn start_watcher(watcher: u32, events: i32) -> f64 {
    // SAFETY: a watcher in the table is an initialised handle that is not closing.
    on_watcher(watcher, |handle| unsafe {
        uv_poll_start(handle, events, on_ready)
    })
}

/// Reports nothing any more.
#[napi]
pub fn stop_watcher(watcher: u32) -> f64 {
    // SAFETY: as above.
    on_watcher(watcher, |handle| unsafe { uv_poll_stop(handle) })
}

/// Whether the loop stays alive for this watcher while it is started.
#[napi]
pub fn set_watcher_ref(watcher: u32, referenced: bool) -> f64 {
    on_watcher(watcher, |handle| {
        // SAFETY: as above.
        unsafe {
            if referenced {
                uv_ref(handle)
            } else {
                uv_unref(handle)
            }
        }
        0
    })
}

/// Ends a watcher; the descriptor may be closed after it.
#[napi]
pub fn close_watcher(watcher: u32) -> f64 {
    let removed = with_environment(|environment| environment.watchers.remove(watcher)).flatten();
    let Some(removed) = removed else {
        return status::NO_HANDLE;
    };
    removed.close();
    0.0
}

impl Environment {
    fn create(&mut self, fd: BorrowedFd<'_>) -> std::io::Result<u32> {
        let handle = allocate();
        let mut copy = None;
        let mut code = init(self.event_loop, handle, fd);
        if code == UV_EEXIST {
            let duplicate = descriptor::duplicate(fd)?;
            code = init(self.event_loop, handle, duplicate.as_fd());
            copy = Some(duplicate);
        }
        if code != 0 {
            free(handle);
            return Err(std::io::Error::from_raw_os_error(-code));
        }
        self.open += 1;
        let watcher = self.watchers.insert(Watcher {
            handle,
            _copy: copy,
        });
        // SAFETY: the handle is initialised; its data is a number, never dereferenced.
        unsafe { uv_handle_set_data(handle, ptr::without_provenance_mut(watcher as usize)) };
        Ok(watcher)
    }
}

impl Watcher {
    fn close(self) {
        // SAFETY: the handle is initialised and, being out of the table, closed only here. libuv stops
        // it before the call returns, so the copy may be closed after it.
        unsafe { uv_close(self.handle, on_closed) };
    }
}

/// libuv makes the descriptor non-blocking, for everybody who shares it; what it was is put back, as
/// nothing here relies on it.
fn init(event_loop: *mut c_void, handle: *mut c_void, fd: BorrowedFd<'_>) -> c_int {
    descriptor::keeping_status_flags(fd, || {
        // SAFETY: the loop is this environment's, the handle is a fresh allocation of the right size.
        unsafe { uv_poll_init(event_loop, handle, fd.as_raw_fd()) }
    })
}

fn allocate() -> *mut c_void {
    // SAFETY: no arguments that could be wrong; the size is libuv's own.
    let units = unsafe { uv_handle_size(UV_POLL) }.div_ceil(size_of::<u128>());
    Box::into_raw(vec![0_u128; units].into_boxed_slice()).cast()
}

fn free(handle: *mut c_void) {
    // SAFETY: as above.
    let units = unsafe { uv_handle_size(UV_POLL) }.div_ceil(size_of::<u128>());
    // SAFETY: made by `allocate` with this many units, and nobody uses it any more.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(handle.cast::<u128>(), units)) });
}

fn with_environment<T>(action: impl FnOnce(&mut Environment) -> T) -> Option<T> {
    ENVIRONMENT.with_borrow_mut(|environment| environment.as_mut().map(action))
}

fn on_watcher(watcher: u32, action: impl FnOnce(*mut c_void) -> c_int) -> f64 {
    let code = with_environment(|environment| {
        environment
            .watchers
            .get_mut(watcher)
            .map(|watcher| action(watcher.handle))
    });
    match code.flatten() {
        Some(0) => 0.0,
        Some(code) => status::system(&std::io::Error::from_raw_os_error(-code)),
        None => status::NO_HANDLE,
    }
}

unsafe extern "C" fn on_ready(handle: *mut c_void, code: c_int, events: c_int) {
    // SAFETY: libuv hands us the handle we started.
    let watcher = unsafe { uv_handle_get_data(handle) }.addr();
    let Some((raw, dispatch)) = with_environment(|environment| {
        environment
            .ending
            .is_none()
            .then_some((environment.raw, environment.dispatch))
    })
    .flatten() else {
        return;
    };
    let watcher = u32::try_from(watcher).unwrap_or(u32::MAX);
    // SAFETY: called by this environment's loop, on its thread, while it is not ending.
    unsafe { call(raw, dispatch, watcher, if code < 0 { code } else { events }) };
}

/// Calls the facade's function. What it throws is the program's uncaught exception.
///
/// # Safety
/// On the environment's thread, from its loop.
unsafe fn call(raw: sys::napi_env, dispatch: sys::napi_ref, watcher: u32, events: c_int) {
    // SAFETY: every value is made and used within this scope, and `raw` is alive.
    unsafe {
        let mut scope = ptr::null_mut();
        if sys::napi_open_handle_scope(raw, &raw mut scope) != sys::Status::napi_ok {
            return;
        }
        let (mut global, mut function) = (ptr::null_mut(), ptr::null_mut());
        let mut arguments = [ptr::null_mut(); 2];
        sys::napi_get_global(raw, &raw mut global);
        sys::napi_get_reference_value(raw, dispatch, &raw mut function);
        sys::napi_create_uint32(raw, watcher, &raw mut arguments[0]);
        sys::napi_create_int32(raw, events, &raw mut arguments[1]);
        let outcome = sys::napi_make_callback(
            raw,
            ptr::null_mut(),
            global,
            function,
            arguments.len(),
            arguments.as_ptr(),
            ptr::null_mut(),
        );
        if outcome == sys::Status::napi_pending_exception {
            let mut exception = ptr::null_mut();
            sys::napi_get_and_clear_last_exception(raw, &raw mut exception);
            sys::napi_fatal_exception(raw, exception);
        }
        sys::napi_close_handle_scope(raw, scope);
    }
}

unsafe extern "C" fn on_closed(handle: *mut c_void) {
    free(handle);
    let finished = with_environment(|environment| {
        environment.open -= 1;
        if environment.open == 0 {
            environment.ending.take()
        } else {
            None
        }
    });
    if let Some(hook) = finished.flatten() {
        // SAFETY: the hook's handle was given to `on_environment_end` and is removed once.
        unsafe { sys::napi_remove_async_cleanup_hook(hook) };
    }
}

/// A loop must not end with handles open: they are closed, and the environment waits until they are.
unsafe extern "C" fn on_environment_end(
    hook: sys::napi_async_cleanup_hook_handle,
    _argument: *mut c_void,
) {
    let watchers: Vec<_> = with_environment(|environment| {
        environment.ending = Some(hook);
        environment.watchers.drain().collect()
    })
    .unwrap_or_default();
    watchers.into_iter().for_each(Watcher::close);
    let idle = with_environment(|environment| {
        if environment.open == 0 {
            environment.ending.take()
        } else {
            None
        }
    });
    if let Some(hook) = idle.flatten() {
        // SAFETY: as in `on_closed`.
        unsafe { sys::napi_remove_async_cleanup_hook(hook) };
    }
}
