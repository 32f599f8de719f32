//! Proving who holds the key.

use mp_os::random;
use mp_wire::challenge::{self, Digest, RANDOM};
use napi::bindgen_prelude::Buffer;
use napi::{Error, Result};
use napi_derive::napi;

/// A challenge that asks for a digest by its name, or nothing when there is none of that name.
#[napi]
pub fn new_challenge(digest: String) -> Result<Option<Buffer>> {
    let Some(digest) = Digest::named(digest.as_bytes()) else {
        return Ok(None);
    };
    let mut bytes = [0; RANDOM];
    random::fill(&mut bytes).map_err(reason)?;
    Ok(Some(challenge::challenge(digest, &bytes).into()))
}

/// The answer to a challenge; throws why there is none.
#[napi]
pub fn answer_to_challenge(key: &[u8], message: &[u8]) -> Result<Buffer> {
    Ok(challenge::respond(key, message).map_err(reason)?.into())
}

/// Why an answer to a challenge does not prove that the other end has the key; nothing when it does.
#[napi]
pub fn refuse_answer(key: &[u8], message: &[u8], response: &[u8]) -> Option<String> {
    let refused = challenge::verify(key, message, response).err()?;
    Some(refused.to_string())
}

fn reason(error: impl std::fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}
