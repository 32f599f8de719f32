//! Threads, as the kernel numbers them.

/// The number of the calling thread, unique in the system while the thread lives; on the main
/// thread it equals the number of the process.
#[must_use]
pub fn gettid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Whether the calling thread is the one the process started with.
#[must_use]
pub fn is_main_thread() -> bool {
    gettid() == rustix::process::getpid().as_raw_nonzero().get()
}
