//! The addon's surface: `#[napi]` functions over integer handles, and nothing else.

use napi_derive::napi;

/// The addon's version.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
