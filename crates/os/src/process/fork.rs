//! Duplicating this process.
//!
//! fork(2) gives the child a copy of this process's memory and descriptors and of one thread, the
//! calling one. What the other threads were about is left as it was at that instant, and never
//! goes on. So only a process that runs all of its program on one thread can be duplicated, and
//! what its other threads did for it has to be begun anew, or be done without, in the child.

use std::{fs, io, os::fd::OwnedFd, ptr, time::Duration};

use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use super::{Child, threads};

/// Which of the two processes this is.
#[derive(Debug)]
pub enum Fork {
    /// The one that was there before, and the other.
    Parent(Child),
    /// The new one.
    Child,
}

/// Has fork(2) copy all memory that is this process's own.
///
/// A process can exempt memory from being copied, and V8 exempts its heap. That is undone here for
/// everything that is private and belongs to no file. It has to be done again when memory was
/// mapped since.
///
/// # Errors
///
/// When `/proc` cannot be read, or the kernel refuses.
pub fn carry_memory_over() -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    maps.lines()
        .filter_map(private_anonymous)
        .try_for_each(|(start, end)| {
            // SAFETY: MADV_DOFORK changes no content; it only says what a fork does with the
            // range, which is one that the kernel has just listed.
            let advised = unsafe {
                libc::madvise(
                    ptr::with_exposed_provenance_mut(start),
                    end - start,
                    libc::MADV_DOFORK,
                )
            };
            let error = io::Error::last_os_error();
            // Special mappings of the kernel's own refuse it; so may one that is gone by now.
            match (advised, error.raw_os_error()) {
                (0, _) | (_, Some(libc::EINVAL | libc::ENOMEM)) => Ok(()),
                _ => Err(error),
            }
        })
}

/// Start and end of a mapping that is private and of no file: a line of `/proc/self/maps` is
/// `start-end rwxp offset device inode name`.
fn private_anonymous(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, permissions) = (fields.next()?, fields.next()?);
    let inode = fields.nth(2)?;
    if !permissions.ends_with('p') || inode != "0" {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some((address(start)?, address(end)?))
}

/// How long other threads have to come to rest.
const PATIENCE: Duration = Duration::from_secs(1);

/// Readies this process for being duplicated: [`carry_memory_over`], once its other threads have
/// nothing to do.
///
/// # Errors
///
/// `WouldBlock` when they always have, and those of [`carry_memory_over`].
pub fn prepare() -> io::Result<()> {
    if !threads::others_sleep(PATIENCE)? {
        return Err(io::Error::from_raw_os_error(libc::EAGAIN));
    }
    carry_memory_over()
}

/// Duplicates this process. Standard input of the child is `/dev/null`; it has all other
/// descriptors, its own copies of them.
///
/// # Errors
///
/// `EAGAIN` at the limit of processes, `ENOMEM`, and `EMFILE` when there is no descriptor for the
/// pidfd; there is no child then.
///
/// # Safety
///
/// Other threads are not in the child. The caller sees to it that nothing it does in the child
/// waits for one of them, or needs what one of them was holding.
pub unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: as the caller has promised. The C library holds its own locks over it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            empty_standard_input();
            Ok(Fork::Child)
        }
        pid => Ok(Fork::Parent(Child {
            pid,
            pidfd: pidfd_of(pid)?,
        })),
    }
}

/// A child without a pidfd could neither be waited for nor signalled, so it is not to be.
fn pidfd_of(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: fork(2) gave a positive number.
    let named = unsafe { Pid::from_raw_unchecked(pid) };
    pidfd_open(named, PidfdFlags::empty()).map_err(|error| {
        // SAFETY: these touch no memory; the child has not been collected, so the number is its.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, ptr::null_mut(), 0);
        }
        error.into()
    })
}

/// A pidfd of this process itself.
///
/// # Errors
///
/// `EMFILE` or `ENFILE` when there are no descriptors left.
pub fn own_pidfd() -> io::Result<OwnedFd> {
    Ok(pidfd_open(getpid(), PidfdFlags::empty())?)
}

fn empty_standard_input() {
    // SAFETY: the path is a literal, and the descriptors are this process's own. Should it fail,
    // standard input is what it was.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if null > libc::STDIN_FILENO {
            libc::dup2(null, libc::STDIN_FILENO);
            libc::close(null);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_memory_of_no_file_is_carried_over() {
        let heap = "5581c0de0000-5581c0e01000 rw-p 00000000 00:00 0          [heap]";
        assert_eq!(
            private_anonymous(heap),
            Some((0x5581_c0de_0000, 0x5581_c0e0_1000))
        );
        for line in [
            "7f00-7f10 r--p 00001000 fe:00 4711       /usr/lib/libc.so.6",
            "7f00-7f10 rw-s 00000000 00:01 0          /dev/zero (deleted)",
            "",
            "7f00-7f10",
            "nonsense rw-p 0 0 0",
        ] {
            assert_eq!(private_anonymous(line), None, "{line}");
        }
    }

    #[test]
    fn memory_can_be_carried_over() {
        carry_memory_over().unwrap();
    }
}
