//! Descriptors by number.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::time::Duration;

use mp_os::readiness::{self, Deadline, Interest};
use mp_os::{descriptor, socket};
use napi_derive::napi;

use crate::status;

/// Milliseconds as the facade counts them; less than zero is for ever.
pub(crate) fn deadline(milliseconds: f64) -> Deadline {
    let endless = milliseconds < 0.0 || !milliseconds.is_finite();
    Deadline::after(
        (!endless)
            .then(|| Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(Duration::MAX)),
    )
}

/// Two connected stream sockets: `[one, other]`, or `[status]` when none can be had. `oneWay` makes
/// the first an end to read from and the second one to write to.
#[napi]
pub fn socket_pair(one_way: bool) -> Vec<f64> {
    let made = || -> io::Result<Vec<f64>> {
        let (one, other) = socket::pair()?;
        if one_way {
            socket::make_one_way(one.as_fd(), other.as_fd())?;
        }
        Ok(vec![one.into_raw_fd().into(), other.into_raw_fd().into()])
    };
    made().unwrap_or_else(|error| vec![status::system(&error)])
}

/// A copy of a descriptor, or a status.
#[napi]
pub fn duplicate_descriptor(fd: i32) -> f64 {
    let copy = || descriptor::duplicate(descriptor::borrow(fd)?);
    status::of(copy().map(IntoRawFd::into_raw_fd))
}

/// Closes a descriptor: 0 or a status.
#[napi]
pub fn close_descriptor(fd: i32) -> f64 {
    status::of_unit(descriptor::close(fd))
}

/// Keeps a descriptor from programs started later: 0 or a status.
#[napi]
pub fn set_close_on_exec(fd: i32) -> f64 {
    status::of_unit(descriptor::borrow(fd).and_then(descriptor::set_close_on_exec))
}

/// Blocks until one of the descriptors can be read, or one of the others written to, at most so many
/// milliseconds (less than zero: for ever). Returns the indices of those that can, the writers counted on
/// after the readers; a descriptor that is not open gives `[status]`.
#[napi]
pub fn wait_ready(readers: Vec<i32>, writers: Vec<i32>, timeout: f64) -> Vec<f64> {
    let of = |interest| move |fd: &i32| Ok((descriptor::borrow(*fd)?, interest));
    let wait = || {
        let all: Vec<(BorrowedFd<'_>, Interest)> = (readers.iter().map(of(Interest::Readable)))
            .chain(writers.iter().map(of(Interest::Writable)))
            .collect::<io::Result<_>>()?;
        readiness::wait(&all, deadline(timeout))
    };
    match wait() {
        Ok(ready) => ready.into_iter().map(|index| index as f64).collect(),
        Err(error) => vec![status::system(&error)],
    }
}

/// Receives one byte and the descriptors beside it, without blocking: `[byte, ...descriptors]` or
/// `[status]`.
#[napi]
pub fn receive_descriptors(socket_fd: i32) -> Vec<f64> {
    let (mut byte, mut descriptors) = ([0], Vec::new());
    let received = descriptor::borrow(socket_fd)
        .and_then(|socket| socket::receive(socket, &mut byte, &mut descriptors));
    match received {
        Ok(0) => vec![status::END],
        Ok(_) => std::iter::once(byte[0].into())
            .chain(
                descriptors
                    .into_iter()
                    .map(|fd| f64::from(fd.into_raw_fd())),
            )
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => vec![status::NOT_YET],
        Err(error) => vec![status::system(&error)],
    }
}
