//! Sets of descriptors that are waited for again and again.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mp_os::descriptor;
use mp_os::wait_set::WaitSet;
use napi_derive::napi;

use crate::slab::Slab;
use crate::status;

thread_local! {
    static SETS: RefCell<Slab<WaitSet>> = const { RefCell::new(Slab::new()) };
}

/// An empty set: its number or a status.
#[napi]
pub fn new_wait_set() -> f64 {
    let made = WaitSet::new();
    status::of(made.map(|set| SETS.with_borrow_mut(|table| table.insert(set))))
}

/// The descriptor of a set, which is readable when one of those in it is.
#[napi]
pub fn wait_set_descriptor(set: u32) -> f64 {
    on(set, |set| Ok(set.as_fd().as_raw_fd().into()))
}

/// Puts descriptors in, numbered as given: 0 or a status.
#[napi]
pub fn add_to_wait_set(set: u32, descriptors: Vec<i32>, numbers: Vec<u32>) -> f64 {
    on(set, |set| {
        for (fd, number) in descriptors.iter().zip(&numbers) {
            set.add(descriptor::borrow(*fd)?, *number)?;
        }
        Ok(0.0)
    })
}

/// Takes descriptors out: 0 or a status.
#[napi]
pub fn remove_from_wait_set(set: u32, descriptors: Vec<i32>) -> f64 {
    on(set, |set| {
        for fd in &descriptors {
            set.remove(descriptor::borrow(*fd)?)?;
        }
        Ok(0.0)
    })
}

/// The numbers of those that are readable now, at most so many, or `[status]`.
#[napi]
pub fn ready_in_wait_set(set: u32, most: u32) -> Vec<f64> {
    let ready = SETS.with_borrow_mut(|table| {
        let set = table.get_mut(set)?;
        Some(set.ready(most as usize))
    });
    match ready {
        Some(Ok(ready)) => ready.into_iter().map(f64::from).collect(),
        Some(Err(error)) => vec![status::system(&error)],
        None => vec![status::NO_HANDLE],
    }
}

/// Closes a set: 0 or a status.
#[napi]
pub fn close_wait_set(set: u32) -> f64 {
    match SETS.with_borrow_mut(|table| table.remove(set)) {
        Some(_) => 0.0,
        None => status::NO_HANDLE,
    }
}

fn on(set: u32, action: impl FnOnce(&WaitSet) -> io::Result<f64>) -> f64 {
    SETS.with_borrow_mut(|table| match table.get_mut(set) {
        Some(set) => status::of(action(set)),
        None => status::NO_HANDLE,
    })
}
