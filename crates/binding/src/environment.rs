//! The end of an environment: what is seen of it elsewhere, and what goes with it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};

use mp_os::{descriptor, socket};
use napi::{Env, Error, Result};
use napi_derive::napi;

thread_local! {
    /// The descriptors that are closed at the end; nothing before the first.
    static KEPT: RefCell<Option<HashMap<RawFd, OwnedFd>>> = const { RefCell::new(None) };
}

/// At the end of this environment, and when all that has been had in it after this call is given back, the
/// other end of a pair of sockets reads its end. Takes over this one.
///
/// It does not take JavaScript to end: a thread that is terminated says so, too.
#[napi]
pub fn end_with_environment(env: Env, fd: i32) -> Result<()> {
    env.add_env_cleanup_hook(adopt(fd)?, |end: OwnedFd| {
        // A copy of this process may have a copy of the socket, so closing it would not do.
        let _ = socket::end(end.as_fd());
    })?;
    Ok(())
}

/// Takes over a descriptor that is to be closed by `closeKeptDescriptor`, or else at the end of this
/// environment: a thread that ends collects no garbage.
#[napi]
pub fn keep_descriptor(env: Env, fd: i32) -> Result<()> {
    let descriptor = adopt(fd)?;
    KEPT.with_borrow_mut(|kept| {
        if kept.is_none() {
            env.add_env_cleanup_hook((), |()| KEPT.set(None))?;
        }
        kept.get_or_insert_default().insert(fd, descriptor);
        Ok(())
    })
}

/// Closes a descriptor that was kept, if it still is.
#[napi]
pub fn close_kept_descriptor(fd: i32) {
    KEPT.with_borrow_mut(|kept| kept.as_mut()?.remove(&fd));
}

/// Gives a descriptor that was kept to whoever calls.
#[napi]
pub fn release_kept_descriptor(fd: i32) {
    let released = KEPT.with_borrow_mut(|kept| kept.as_mut()?.remove(&fd));
    if let Some(descriptor) = released {
        let _ = descriptor.into_raw_fd();
    }
}

fn adopt(fd: RawFd) -> Result<OwnedFd> {
    descriptor::adopt(fd).map_err(|error| Error::from_reason(error.to_string()))
}
