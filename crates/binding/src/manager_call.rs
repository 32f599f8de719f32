//! A call of a manager's that asks and answers with simple values: strings, numbers, truths, null.
//!
//! With many clients on few processors every call begins with cold caches, and what costs is how much
//! memory it touches. What is here is touched by all of them, in one place; the codec in JavaScript has
//! its code and its tables once in every process. It is what the codec writes and reads (`format.ts`), no
//! other language: whatever is not simple goes through that.

use std::cell::Cell;
use std::io::IoSlice;
use std::ptr;

use mp_connection::Connection;
use mp_wire::{frame, framing};
use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, sys};
use napi_derive::napi;

use crate::connection::{on, read_ahead, receive_scratch};
use crate::descriptor::deadline;
use crate::status;

/// A request as long as this, and no longer, is simple.
const LONGEST: usize = 512;
/// And so is a string of so many characters.
const LONGEST_STRING: usize = 127;

const HEADER: u8 = 0x50;
const SHORT_STRING: u8 = 0x80;
const SHORT_STRING_LIMIT: usize = 32;
const SHORT_ARRAY: u8 = 0xa0;
const SHORT_ARRAY_LIMIT: u32 = 16;
const UNDEFINED: u8 = 0xc0;
const NULL: u8 = 0xc1;
const TRUE: u8 = 0xc2;
const FALSE: u8 = 0xc3;
const UINT8: u8 = 0xc6;
const INT8: u8 = 0xc7;
const INT16: u8 = 0xc8;
const INT32: u8 = 0xc9;
const FLOAT64: u8 = 0xca;
const LATIN1: u8 = 0xce;

/// The kind of a reply that brings what the method returned.
const RETURN: u8 = 0;

thread_local! {
    static OUTCOME: Cell<f64> = const { Cell::new(status::REFUSED) };
}

/// As `direct` calls it, without what is generated around it.
///
/// # Safety
/// The values must be those of the call that is running in the environment.
pub(crate) unsafe fn call_directly(
    env: sys::napi_env,
    (handle, request, timeout, interruptible): (u32, u32, f64, bool),
    [ident, method, args]: [sys::napi_value; 3],
) -> sys::napi_value {
    let call = Call {
        handle,
        request,
        timeout,
        interruptible,
    };
    // SAFETY: the caller's promise.
    unsafe { call.perform(env, ident, method, args) }
}

/// Asks a manager's server on a connection where nothing is under way, and waits for the answer. Returns
/// what the method returned. When that is not simple, or there is more to it, undefined, and
/// `managerCallOutcome` says what has come into the receive scratch: how many bytes, or a status; `REFUSED`
/// when the call is not simple, and has not been made.
#[napi(
    ts_args_type = "handle: number, request: number, ident: string, method: string, args: readonly unknown[], timeout: number, interruptible: boolean",
    ts_return_type = "unknown"
)]
#[allow(clippy::too_many_arguments)]
pub fn manager_call<'env>(
    env: &'env Env,
    handle: u32,
    request: u32,
    ident: Unknown<'_>,
    method: Unknown<'_>,
    args: Unknown<'_>,
    timeout: f64,
    interruptible: bool,
) -> Unknown<'env> {
    let numbers = (handle, request, timeout, interruptible);
    let values = [ident.raw(), method.raw(), args.raw()];
    // SAFETY: the values are the running call's arguments, and what is made is one of its environment.
    unsafe {
        let value = call_directly(env.raw(), numbers, values);
        Unknown::from_raw_unchecked(env.raw(), value)
    }
}

/// What has become of the last `managerCall` of this thread.
#[napi]
pub fn manager_call_outcome() -> f64 {
    OUTCOME.get()
}

/// What it takes beside the values.
struct Call {
    handle: u32,
    request: u32,
    timeout: f64,
    interruptible: bool,
}

impl Call {
    /// # Safety
    /// The values must be those of the call that is running in the environment.
    unsafe fn perform(
        &self,
        env: sys::napi_env,
        ident: sys::napi_value,
        method: sys::napi_value,
        args: sys::napi_value,
    ) -> sys::napi_value {
        let mut message = Message::new();
        message.number(f64::from(self.request));
        // SAFETY: the caller's promise.
        let simple = unsafe {
            message.text(env, ident) && message.text(env, method) && message.array(env, args)
        };
        let Some(bytes) = message.framed().filter(|_| simple) else {
            OUTCOME.set(status::REFUSED);
            return ptr::null_mut();
        };
        // SAFETY: the facade holds the registered array, and this borrow ends with the call.
        let scratch = unsafe { receive_scratch().bytes() };
        let outcome = on(self.handle, |entry| {
            let connection = &mut entry.connection;
            match sent(connection, bytes) {
                Ok(()) => {
                    // The answer cannot be there yet, and the server may need this very processor.
                    std::thread::yield_now();
                    read_ahead(connection, scratch, self.timeout, self.interruptible)
                }
                Err(status) => status,
            }
        });
        OUTCOME.set(outcome);
        if outcome <= 0.0 {
            return ptr::null_mut();
        }
        let came = scratch.get(..outcome as usize).unwrap_or_default();
        match answer(came, self.request) {
            // SAFETY: the environment is that of the call that is running.
            Some(value) => unsafe { value.into_js(env) },
            None => ptr::null_mut(),
        }
    }
}

/// Sends all of it. Nothing else is on its way, so that the other side takes it as soon as it runs.
fn sent(connection: &mut Connection, bytes: &[u8]) -> Result<(), f64> {
    match connection.send(&mut [IoSlice::new(bytes)], &[], deadline(-1.0)) {
        Ok(_) => Ok(()),
        Err(error) => Err(status::send(&error)),
    }
}

/// A request as it is written; what does not fit makes it none.
struct Message {
    bytes: [u8; LONGEST],
    length: usize,
    fits: bool,
}

/// The length of the header of a short message, and the kind of a plain frame.
const BEFORE: usize = framing::SHORT_HEADER + 1;

impl Message {
    fn new() -> Self {
        let mut message = Self {
            bytes: [0; LONGEST],
            length: BEFORE,
            fits: true,
        };
        message.put(&[HEADER, SHORT_ARRAY | 4]);
        message
    }

    fn framed(&mut self) -> Option<&[u8]> {
        if !self.fits {
            return None;
        }
        let payload = u32::try_from(self.length - framing::SHORT_HEADER).ok()?;
        self.bytes[..framing::SHORT_HEADER].copy_from_slice(&payload.to_be_bytes());
        self.bytes[framing::SHORT_HEADER] = frame::PLAIN;
        self.bytes.get(..self.length)
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        match self.bytes.get_mut(self.length..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.fits = false,
        }
    }

    fn number(&mut self, number: f64) {
        let whole = number as i32;
        if f64::from(whole).to_bits() != number.to_bits() {
            self.put(&[FLOAT64]);
            self.put(&number.to_le_bytes());
        } else if let Ok(small @ 0..128) = u8::try_from(whole) {
            self.put(&[small]);
        } else {
            self.put(&[INT32]);
            self.put(&whole.to_le_bytes());
        }
    }

    /// Whether it is a short string of ASCII characters.
    ///
    /// # Safety
    /// The value must be one of the call that is running in the environment.
    unsafe fn text(&mut self, env: sys::napi_env, value: sys::napi_value) -> bool {
        // One more character than is simple, and the zero at the end.
        let mut text = [0_u8; LONGEST_STRING + 2];
        let mut length = 0;
        // SAFETY: the caller's promise; as many bytes are said to be there as are.
        let read = unsafe {
            sys::napi_get_value_string_utf8(
                env,
                value,
                text.as_mut_ptr().cast(),
                text.len(),
                &raw mut length,
            )
        };
        let text = text.get(..length).unwrap_or_default();
        if read != sys::Status::napi_ok || length > LONGEST_STRING || !text.is_ascii() {
            return false;
        }
        if length < SHORT_STRING_LIMIT {
            self.put(&[SHORT_STRING | length as u8]);
        } else {
            self.put(&[LATIN1, length as u8]);
        }
        self.put(text);
        true
    }

    /// Whether it is an array of few simple values.
    ///
    /// # Safety
    /// The value must be one of the call that is running in the environment.
    unsafe fn array(&mut self, env: sys::napi_env, array: sys::napi_value) -> bool {
        let mut length = 0;
        // SAFETY: the caller's promise; the place is this frame's. What is no array is refused.
        let is_array = unsafe { sys::napi_get_array_length(env, array, &raw mut length) };
        if is_array != sys::Status::napi_ok || length >= SHORT_ARRAY_LIMIT {
            return false;
        }
        self.put(&[SHORT_ARRAY | length as u8]);
        (0..length).all(|index| {
            let mut value = ptr::null_mut();
            // SAFETY: the caller's promise; the place is this frame's, and what is put there is one of the
            // call's values.
            unsafe {
                sys::napi_get_element(env, array, index, &raw mut value) == sys::Status::napi_ok
                    && self.simple(env, value)
            }
        })
    }

    /// # Safety
    /// The value must be one of the call that is running in the environment.
    unsafe fn simple(&mut self, env: sys::napi_env, value: sys::napi_value) -> bool {
        let mut kind = 0;
        // SAFETY: the caller's promise; the places are this frame's.
        unsafe {
            if sys::napi_typeof(env, value, &raw mut kind) != sys::Status::napi_ok {
                return false;
            }
            match kind {
                sys::ValueType::napi_string => return self.text(env, value),
                sys::ValueType::napi_number => {
                    let mut number = 0.0;
                    sys::napi_get_value_double(env, value, &raw mut number);
                    self.number(number);
                }
                sys::ValueType::napi_boolean => {
                    let mut truth = false;
                    sys::napi_get_value_bool(env, value, &raw mut truth);
                    self.put(&[if truth { TRUE } else { FALSE }]);
                }
                sys::ValueType::napi_undefined => self.put(&[UNDEFINED]),
                sys::ValueType::napi_null => self.put(&[NULL]),
                _ => return false,
            }
        }
        true
    }
}

/// What a method returned.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Null,
    Truth(bool),
    Number(f64),
    Text(&'a [u8]),
}

/// The value that a reply to this request brings, if the bytes are that and nothing more, and it is simple.
fn answer(bytes: &[u8], request: u32) -> Option<Value<'_>> {
    let (length, rest) = bytes.split_first_chunk::<{ framing::SHORT_HEADER }>()?;
    if u32::from_be_bytes(*length) as usize != rest.len() {
        return None;
    }
    let rest = rest.strip_prefix(&[frame::PLAIN, HEADER, SHORT_ARRAY | 3])?;
    let (Value::Number(number), rest) = value(rest)? else {
        return None;
    };
    let rest = rest.strip_prefix(&[RETURN])?;
    let (value, rest) = value(rest)?;
    (number == f64::from(request) && rest.is_empty()).then_some(value)
}

/// The value that these bytes begin with, and the rest of them.
fn value(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let simple = |value| Some((value, rest));
    match *tag {
        small @ 0..SHORT_STRING => simple(Value::Number(small.into())),
        short @ SHORT_STRING..SHORT_ARRAY => {
            let (text, rest) = rest.split_at_checked((short & 0x1f).into())?;
            Some((Value::Text(text), rest))
        }
        NULL => simple(Value::Null),
        TRUE => simple(Value::Truth(true)),
        FALSE => simple(Value::Truth(false)),
        UINT8 => number(rest, |[byte]: [u8; 1]| byte.into()),
        INT8 => number(rest, |bytes| i8::from_le_bytes(bytes).into()),
        INT16 => number(rest, |bytes| i16::from_le_bytes(bytes).into()),
        INT32 => number(rest, |bytes| i32::from_le_bytes(bytes).into()),
        FLOAT64 => number(rest, f64::from_le_bytes),
        LATIN1 => {
            let (length @ 0..128, rest) = rest.split_first().map(|(a, b)| (*a, b))? else {
                return None;
            };
            let (text, rest) = rest.split_at_checked(length.into())?;
            Some((Value::Text(text), rest))
        }
        _ => None,
    }
}

fn number<const N: usize>(
    bytes: &[u8],
    read: impl FnOnce([u8; N]) -> f64,
) -> Option<(Value<'_>, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<N>()?;
    Some((Value::Number(read(*number)), rest))
}

impl Value<'_> {
    /// # Safety
    /// The environment must be that of the call that is running.
    unsafe fn into_js(self, env: sys::napi_env) -> sys::napi_value {
        let mut made = ptr::null_mut();
        // SAFETY: the caller's promise; the place is this frame's, and the text as long as is said.
        unsafe {
            match self {
                Self::Null => sys::napi_get_null(env, &raw mut made),
                Self::Truth(truth) => sys::napi_get_boolean(env, truth, &raw mut made),
                Self::Number(number) => {
                    let whole = number as i32;
                    if f64::from(whole).to_bits() == number.to_bits() {
                        sys::napi_create_int32(env, whole, &raw mut made)
                    } else {
                        sys::napi_create_double(env, number, &raw mut made)
                    }
                }
                Self::Text(text) => sys::napi_create_string_latin1(
                    env,
                    text.as_ptr().cast(),
                    text.len() as isize,
                    &raw mut made,
                ),
            };
        }
        made
    }
}
