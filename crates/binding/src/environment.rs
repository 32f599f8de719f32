//! The end of an environment, seen from others.

use std::os::fd::{AsFd, OwnedFd};

use mp_os::{descriptor, socket};
use napi::{Env, Result};
use napi_derive::napi;

/// At the end of this environment, and when all that has been had in it after this call is given back, the
/// other end of a pair of sockets reads its end. Takes over this one.
///
/// It does not take JavaScript to end: a thread that is terminated says so, too.
#[napi]
pub fn end_with_environment(env: Env, fd: i32) -> Result<()> {
    let end = descriptor::adopt(fd).map_err(|error| napi::Error::from_reason(error.to_string()))?;
    env.add_env_cleanup_hook(end, |end: OwnedFd| {
        // A copy of this process may have a copy of the socket, so closing it would not do.
        let _ = socket::end(end.as_fd());
    })?;
    Ok(())
}
