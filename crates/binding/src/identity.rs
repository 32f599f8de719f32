//! Who this process is, for every environment in it: a worker thread asks here, not its own module.

use std::sync::OnceLock;

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

static IDENTITY: OnceLock<Vec<u8>> = OnceLock::new();

/// Says, once and for the whole process, what it was started as. The bytes are the facade's own.
#[napi]
pub fn set_identity(identity: &[u8]) -> bool {
    IDENTITY.set(identity.to_vec()).is_ok()
}

/// What the process was started as; null in the main process.
#[napi]
pub fn identity() -> Option<Buffer> {
    IDENTITY.get().map(|identity| identity.clone().into())
}
