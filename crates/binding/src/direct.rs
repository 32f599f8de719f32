//! The functions that are called once for each small message, without what the generated glue does around
//! a call: that takes several times as long as they do.
//!
//! They are declared like all others, so that they are described in one place; when the addon is loaded,
//! what was generated for them is replaced. They take and return numbers and nothing else,
//! but for one.

use std::ffi::{CStr, c_void};
use std::io;
use std::panic::catch_unwind;
use std::ptr;

use napi::bindgen_prelude::Object;
use napi::{Env, JsValue, Result, check_status, sys};
use napi_derive::napi;

use crate::{manager_call, queue, status};

/// An argument. What is none becomes nothing.
trait Argument: Default {
    /// # Safety
    /// The value must be one of the call that is running in the environment.
    unsafe fn of(env: sys::napi_env, value: sys::napi_value) -> Self;
}

impl Argument for u32 {
    unsafe fn of(env: sys::napi_env, value: sys::napi_value) -> Self {
        let mut number = Self::default();
        // SAFETY: the caller's promise; the place is this frame's.
        unsafe { sys::napi_get_value_uint32(env, value, &raw mut number) };
        number
    }
}

impl Argument for f64 {
    unsafe fn of(env: sys::napi_env, value: sys::napi_value) -> Self {
        let mut number = Self::default();
        // SAFETY: the caller's promise; the place is this frame's.
        unsafe { sys::napi_get_value_double(env, value, &raw mut number) };
        number
    }
}

impl Argument for bool {
    unsafe fn of(env: sys::napi_env, value: sys::napi_value) -> Self {
        let mut truth = Self::default();
        // SAFETY: the caller's promise; the place is this frame's.
        unsafe { sys::napi_get_value_bool(env, value, &raw mut truth) };
        truth
    }
}

/// # Safety
/// The environment must be that of the call that is running.
unsafe fn number(env: sys::napi_env, number: f64) -> sys::napi_value {
    let mut value = ptr::null_mut();
    let whole = number as i32;
    // SAFETY: the caller's promise; the place is this frame's.
    unsafe {
        if f64::from(whole) == number {
            sys::napi_create_int32(env, whole, &raw mut value);
        } else {
            sys::napi_create_double(env, number, &raw mut value);
        }
    }
    value
}

/// The first arguments of a call. Those that were not given are undefined.
///
/// # Safety
/// The call must be running in the environment.
unsafe fn arguments<const COUNT: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> [sys::napi_value; COUNT] {
    let mut values = [ptr::null_mut(); COUNT];
    let mut count = COUNT;
    // SAFETY: the caller's promise; there are as many places as are said.
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            values.as_mut_ptr(),
            ptr::null_mut(),
            ptr::null_mut::<*mut c_void>(),
        );
    }
    values
}

macro_rules! direct {
    ($name:ident, $($argument:ident: $type:ty),+) => {
        unsafe extern "C" fn $name(
            env: sys::napi_env,
            info: sys::napi_callback_info,
        ) -> sys::napi_value {
            // SAFETY: the call is running, and these are its arguments.
            unsafe {
                let [$($argument),+] = arguments(env, info);
                let result = catch_unwind(|| {
                    queue::$name($(<$type as Argument>::of(env, $argument)),+)
                });
                let bug = || status::system(&io::ErrorKind::Other.into());
                number(env, result.unwrap_or_else(|_| bug()))
            }
        }
    };
}

direct!(queue_put, handle: u32, end: u32, direct: bool);
direct!(queue_take, handle: u32, timeout: f64, interruptible: bool);
direct!(queue_try_take, handle: u32);
direct!(queue_is_empty, handle: u32);
direct!(queue_pending, handle: u32);

/// The one that is given values, too.
unsafe extern "C" fn call_manager(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: the call is running, and these are its arguments.
    unsafe {
        let [handle, request, ident, method, args, timeout, interruptible] = arguments(env, info);
        let numbers = (
            u32::of(env, handle),
            u32::of(env, request),
            f64::of(env, timeout),
            bool::of(env, interruptible),
        );
        catch_unwind(|| manager_call::call_directly(env, numbers, [ident, method, args]))
            .unwrap_or(ptr::null_mut())
    }
}

const FUNCTIONS: [(&CStr, sys::napi_callback); 6] = [
    (c"managerCall", Some(call_manager)),
    (c"queuePut", Some(queue_put)),
    (c"queueTake", Some(queue_take)),
    (c"queueTryTake", Some(queue_try_take)),
    (c"queueIsEmpty", Some(queue_is_empty)),
    (c"queuePending", Some(queue_pending)),
];

/// Puts them in the place of what was generated.
#[napi(module_exports)]
pub fn replace_generated(exports: Object<'_>, env: Env) -> Result<()> {
    for (name, function) in FUNCTIONS {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is just loading the addon, and the name ends with a zero.
        unsafe {
            check_status!(sys::napi_create_function(
                env.raw(),
                name.as_ptr(),
                name.count_bytes() as isize,
                function,
                ptr::null_mut(),
                &raw mut value,
            ))?;
            check_status!(sys::napi_set_named_property(
                env.raw(),
                exports.raw(),
                name.as_ptr(),
                value,
            ))?;
        }
    }
    Ok(())
}
