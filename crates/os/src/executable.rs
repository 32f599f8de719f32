//! A program that this process brings along.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;

/// A program in a file of its own, for as long as this lives.
pub struct Executable {
    file: OwnedFd,
    /// Where it is, when it could not be in memory alone.
    path: Option<PathBuf>,
}

impl Executable {
    /// A program in memory.
    ///
    /// # Errors
    /// `EACCES` where programs in memory are forbidden, `ENOMEM`, `EMFILE`.
    #[cfg(target_os = "linux")]
    pub fn in_memory(program: &[u8]) -> io::Result<Self> {
        let open = |flags| rustix::fs::memfd_create(c"node-multiprocessing-tracker", flags);
        let file = match open(MemfdFlags::CLOEXEC | MemfdFlags::EXEC) {
            // An older kernel, where all may be executed.
            Err(Errno::INVAL) => open(MemfdFlags::CLOEXEC),
            result => result,
        }?;
        write_all(&file, program)?;
        Ok(Self { file, path: None })
    }

    /// A program in the temporary directory, which only this user may execute.
    ///
    /// # Errors
    /// What opening and writing a file gives.
    pub fn in_temporary_directory(program: &[u8]) -> io::Result<Self> {
        let mut random = [0; 4];
        crate::random::fill(&mut random)?;
        let name = format!("pymp-tracker-{:08x}", u32::from_ne_bytes(random));
        let path = std::env::temp_dir().join(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let written = rustix::fs::open(&path, flags, Mode::RWXU)?;
        // From here on it is removed again, whatever fails.
        let mut made = Self {
            file: written,
            path: Some(path.clone()),
        };
        write_all(&made.file, program)?;
        // What is open to be written to cannot be executed.
        made.file = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(made)
    }

    /// The descriptor that a child has to inherit to execute it.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// The path for a child that has it as this descriptor.
    #[must_use]
    pub fn path_in_child(&self, descriptor: i32) -> CString {
        let path = match &self.path {
            Some(path) => CString::new(path.as_os_str().as_encoded_bytes()),
            None => CString::new(format!("/proc/self/fd/{descriptor}")),
        };
        // A path that was opened holds no NUL.
        path.unwrap_or_default()
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Somebody may have tidied up.
            let _ = rustix::fs::unlink(path);
        }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::process::{ExitStatus, Spawn, spawn, wait};
    use std::os::fd::AsFd;

    fn exit_status_of(executable: &Executable) -> Option<ExitStatus> {
        let inherit = [executable.descriptor()];
        let child = spawn(&Spawn {
            program: executable.path_in_child(3),
            argv: [c"sh", c"-c", c"exit 7"].map(Into::into).into(),
            env: Vec::new(),
            cwd: Some(c"/".into()),
            inherit: &inherit,
            die_with_parent: None,
        });
        wait(child.unwrap().pidfd.as_fd(), None).unwrap()
    }

    #[test]
    fn a_program_runs_from_memory_and_from_the_temporary_directory() {
        let shell = std::fs::read("/bin/sh").unwrap();
        let in_memory = Executable::in_memory(&shell).unwrap();
        assert_eq!(exit_status_of(&in_memory), Some(ExitStatus::Exited(7)));
        let in_file = Executable::in_temporary_directory(&shell).unwrap();
        let path = in_file.path.clone().unwrap();
        assert_eq!(exit_status_of(&in_file), Some(ExitStatus::Exited(7)));
        drop(in_file);
        assert!(!path.exists());
    }
}
