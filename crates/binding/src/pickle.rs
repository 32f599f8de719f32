//! Python's pickles, checked and made quick to build objects from.

use mp_wire::pickle::{Encoding, read};
use napi::bindgen_prelude::Uint32Array;
use napi::{Error, Result};
use napi_derive::napi;

/// Reads a pickle: its program, as `mp_wire::pickle` describes it. Throws, with the reason, for what is no
/// pickle.
///
/// `encoding` says what the strings of Python 2 are: 0 ASCII, 1 Latin-1, 2 UTF-8, 3 bytes.
#[napi]
pub fn read_pickle(bytes: &[u8], encoding: u32) -> Result<Uint32Array> {
    let encoding = match encoding {
        0 => Encoding::Ascii,
        1 => Encoding::Latin1,
        2 => Encoding::Utf8,
        _ => Encoding::Bytes,
    };
    let program = read(bytes, encoding).map_err(|error| Error::from_reason(error.to_string()))?;
    Ok(Uint32Array::new(program.into_words()))
}
