//! The event loop of a process that was made by a fork.
//!
//! Node itself, when its loop has nothing left to do, waits for V8's helper threads before it ends. They
//! are not there after a fork, and what was given to them may still count as under way: it would wait for
//! ever. So the loop never ends by itself here. A handle of our own keeps it going and looks, each time
//! round, whether anything else does; if not, the facade is called, and ends the process.

use std::cell::RefCell;
use std::ffi::{c_int, c_ulong, c_void};
use std::ptr;

use napi::bindgen_prelude::{Function, JsValue};
use napi::{Env, Error, Result, check_status, sys};
use napi_derive::napi;

use crate::stack;

const UV_ASYNC: c_int = 1;
const UV_IDLE: c_int = 6;
const UV_PREPARE: c_int = 9;

type Callback = unsafe extern "C" fn(handle: *mut c_void);
type Visitor = unsafe extern "C" fn(handle: *mut c_void, argument: *mut c_void);

unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_handle_get_type(handle: *const c_void) -> c_int;
    fn uv_walk(event_loop: *mut c_void, visitor: Visitor, argument: *mut c_void);
    fn uv_loop_fork(event_loop: *mut c_void) -> c_int;
    fn uv_loop_alive(event_loop: *const c_void) -> c_int;
    fn uv_prepare_init(event_loop: *mut c_void, handle: *mut c_void) -> c_int;
    fn uv_prepare_start(handle: *mut c_void, callback: Callback) -> c_int;
    fn uv_idle_init(event_loop: *mut c_void, handle: *mut c_void) -> c_int;
    fn uv_idle_start(handle: *mut c_void, callback: Callback) -> c_int;
    fn uv_idle_stop(handle: *mut c_void) -> c_int;
    fn uv_ref(handle: *mut c_void);
    fn uv_unref(handle: *mut c_void);
}

thread_local! {
    static KEEPER: RefCell<Option<Keeper>> = const { RefCell::new(None) };
}

/// Keeps the loop going; there is one, on the first thread, and it lives as long as the process.
#[derive(Clone, Copy)]
struct Keeper {
    raw: sys::napi_env,
    event_loop: *mut c_void,
    on_idle: sys::napi_ref,
    prepare: *mut c_void,
    idle: *mut c_void,
    /// Whether the loop has been round once more since there was nothing left, for what other parts of
    /// Node have put in line for it without counting as alive.
    turned: bool,
    /// Whether `on_idle` was called, and nothing has kept the loop alive since.
    called: bool,
}

/// Makes the loop usable in a child: it gets descriptors of its own from the kernel.
pub fn renew(env: &Env) -> Result<()> {
    let event_loop = env.get_uv_event_loop()?.cast::<c_void>();
    // SAFETY: this environment's own loop, on its thread, right after the fork.
    match unsafe { uv_loop_fork(event_loop) } {
        0 => Ok(()),
        code => Err(Error::from_reason(format!(
            "the event loop cannot be used after a fork: error {code}"
        ))),
    }
}

/// From now on the loop does not end; `onIdle` is called each time round that nothing keeps it alive, with
/// whether nothing has since the last call. A second function is not called.
#[napi(ts_args_type = "onIdle: (again: boolean) => void")]
pub fn keep_loop(env: Env, on_idle: Function<'_, (), ()>) -> Result<()> {
    // A copy of a copy has the handles of the first.
    if KEEPER.with_borrow(Option::is_some) {
        return Ok(());
    }
    let mut reference = ptr::null_mut();
    // SAFETY: the function is alive in this environment; the reference is never deleted.
    check_status!(unsafe {
        sys::napi_create_reference(env.raw(), on_idle.value().value, 1, &raw mut reference)
    })?;
    let event_loop = env.get_uv_event_loop()?.cast::<c_void>();
    let keeper = Keeper {
        raw: env.raw(),
        event_loop,
        on_idle: reference,
        prepare: allocate(UV_PREPARE),
        idle: allocate(UV_IDLE),
        turned: false,
        called: false,
    };
    // SAFETY: fresh allocations of the right size, initialised before they are used, and never freed:
    // the loop holds them until the process ends.
    unsafe {
        uv_prepare_init(event_loop, keeper.prepare);
        uv_prepare_start(keeper.prepare, on_prepare);
        uv_idle_init(event_loop, keeper.idle);
        uv_unref(keeper.idle);
    }
    KEEPER.set(Some(keeper));
    Ok(())
}

/// The beginning of `uv_loop_t`, which libuv keeps as it is in all of its versions 1.
#[repr(C)]
struct EventLoop {
    data: *mut c_void,
    active_handles: u32,
    handle_queue: Queue,
    active_requests: usize,
    internal_fields: *mut c_void,
    stop_flag: u32,
    flags: c_ulong,
    backend_fd: c_int,
    pending_queue: Queue,
    watcher_queue: Queue,
    watchers: *mut c_void,
    watcher_count: u32,
    descriptor_count: u32,
    /// What the thread pool is done with, and the loop has not taken notice of.
    done: Queue,
}

/// The head of a list that goes round.
#[repr(C)]
struct Queue {
    next: *mut Queue,
    previous: *mut Queue,
}

/// How many requests are under way on the event loop: work in libuv's thread pool, writes, look-ups.
#[napi]
pub fn active_requests(env: Env) -> Result<u32> {
    let event_loop = env.get_uv_event_loop()?.cast::<EventLoop>();
    // SAFETY: the loop of this environment, on its thread. The count is the first half of its word.
    Ok(unsafe {
        (&raw const (*event_loop).active_requests)
            .cast::<u32>()
            .read()
    })
}

/// In a copy of a process: the loop does not wait for what the thread pool had to do when the copy was
/// made, nor hears of what it had done. `kept` is the number of other requests under way.
#[napi]
pub fn forget_requests(env: Env, kept: u32) -> Result<()> {
    let event_loop = env.get_uv_event_loop()?.cast::<EventLoop>();
    // SAFETY: the loop of this environment, on its thread. No thread of the pool is there that could
    // change it as well, and none was about to when the copy was made, as all slept.
    unsafe {
        let count = (&raw mut (*event_loop).active_requests).cast::<u32>();
        count.write(kept);
        let done = &raw mut (*event_loop).done;
        (*done).next = done;
        (*done).previous = done;
    }
    Ok(())
}

/// In a copy of a process: the loop does not wait for what other threads were to tell it. They are not
/// there, and Node's own handle for its worker threads can be had in no other way.
#[napi]
pub fn forget_threads(env: Env) -> Result<()> {
    let event_loop = env.get_uv_event_loop()?.cast::<c_void>();
    // SAFETY: the loop of this environment, on its thread; the visitor neither makes nor closes handles.
    unsafe { uv_walk(event_loop, expect_nothing, ptr::null_mut()) };
    Ok(())
}

unsafe extern "C" fn expect_nothing(handle: *mut c_void, _argument: *mut c_void) {
    // SAFETY: a living handle of the loop that is walked, on its thread.
    unsafe {
        if uv_handle_get_type(handle) == UV_ASYNC {
            uv_unref(handle);
        }
    }
}

/// Whether anything but our own handle keeps the loop alive.
#[napi]
pub fn is_loop_alive() -> bool {
    KEEPER.with_borrow(|keeper| keeper.as_ref().is_some_and(Keeper::alive))
}

impl Keeper {
    fn alive(&self) -> bool {
        // SAFETY: an initialised handle of a living loop, on its thread.
        unsafe {
            uv_unref(self.prepare);
            let alive = uv_loop_alive(self.event_loop) != 0;
            uv_ref(self.prepare);
            alive
        }
    }
}

unsafe extern "C" fn on_prepare(_handle: *mut c_void) {
    stack::cleared();
    let Some(keeper) = KEEPER.with_borrow(|keeper| *keeper) else {
        return;
    };
    let alive = keeper.alive();
    let call = !alive && keeper.turned;
    let turned = !alive && !keeper.turned;
    // SAFETY: an initialised handle of a living loop, on its thread. While it is started the loop does
    // not sleep.
    unsafe {
        if alive {
            uv_idle_stop(keeper.idle);
        } else {
            uv_idle_start(keeper.idle, on_turn);
        }
    }
    KEEPER.with_borrow_mut(|keeper| {
        if let Some(keeper) = keeper {
            keeper.turned = turned;
            keeper.called = !alive && (keeper.called || call);
        }
    });
    if call {
        // SAFETY: called by this environment's loop, on its thread.
        unsafe { call_back(keeper) };
        // What it began may be over before the loop comes here again, and counts all the same.
        if keeper.alive() {
            KEEPER.with_borrow_mut(|keeper| {
                if let Some(keeper) = keeper {
                    keeper.called = false;
                }
            });
        }
    }
}

unsafe extern "C" fn on_turn(_handle: *mut c_void) {}

/// # Safety
/// On the environment's thread, from its loop.
unsafe fn call_back(keeper: Keeper) {
    // SAFETY: every value is made and used within this scope, and the environment is alive.
    unsafe {
        let mut scope = ptr::null_mut();
        if sys::napi_open_handle_scope(keeper.raw, &raw mut scope) != sys::Status::napi_ok {
            return;
        }
        let (mut global, mut function) = (ptr::null_mut(), ptr::null_mut());
        let mut again = ptr::null_mut();
        sys::napi_get_boolean(keeper.raw, keeper.called, &raw mut again);
        sys::napi_get_global(keeper.raw, &raw mut global);
        sys::napi_get_reference_value(keeper.raw, keeper.on_idle, &raw mut function);
        let outcome = sys::napi_make_callback(
            keeper.raw,
            ptr::null_mut(),
            global,
            function,
            1,
            &raw const again,
            ptr::null_mut(),
        );
        if outcome == sys::Status::napi_pending_exception {
            let mut exception = ptr::null_mut();
            sys::napi_get_and_clear_last_exception(keeper.raw, &raw mut exception);
            sys::napi_fatal_exception(keeper.raw, exception);
        }
        sys::napi_close_handle_scope(keeper.raw, scope);
    }
}

fn allocate(kind: c_int) -> *mut c_void {
    // SAFETY: no arguments that could be wrong; the size is libuv's own.
    let units = unsafe { uv_handle_size(kind) }.div_ceil(size_of::<u128>());
    Box::into_raw(vec![0_u128; units].into_boxed_slice()).cast()
}
