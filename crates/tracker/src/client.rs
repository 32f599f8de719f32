//! The tracker as the processes of its program see it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use mp_os::executable::Executable;
use mp_os::process::{self, Spawn};
use mp_os::{pipe, shared_file};

use crate::ledger;
use crate::message::{Command, Message};

/// What became of the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was running.
    Running,
    /// It was started, for the first time.
    Started,
    /// It had died, and was started again.
    Restarted,
}

/// A tracker: the pipe that leads to it, and its ledger. Nothing runs before it is needed.
pub struct Tracker {
    pipe: OwnedFd,
    ledger: OwnedFd,
    /// Its pidfd, where this process has started it.
    child: Option<OwnedFd>,
}

/// How long another process that is starting the tracker is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

impl Tracker {
    /// One that was never used.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Ok(Self::of(pipe::without_reader()?, ledger::create()?))
    }

    /// The one that another process has made.
    #[must_use]
    pub fn of(pipe: OwnedFd, ledger: OwnedFd) -> Self {
        Self {
            pipe,
            ledger,
            child: None,
        }
    }

    /// The pipe and the ledger, for processes of the same program.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.pipe.as_fd(), self.ledger.as_fd()]
    }

    /// The number of the tracker that was started last; 0 before there was one.
    #[must_use]
    pub fn number(&self) -> u32 {
        ledger::tracker(self.ledger.as_fd()).unwrap_or(0)
    }

    /// Its pidfd, where this process has started it.
    #[must_use]
    pub fn child(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref().map(AsFd::as_fd)
    }

    /// It is not this process's child: this process is a copy.
    pub fn disown(&mut self) {
        self.child = None;
    }

    /// Sees to it that the tracker runs; starts `program` where it does not.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn ensure_running(&mut self, program: &[u8]) -> io::Result<Outcome> {
        self.send(Command::Probe, b"0", "noop", program)
    }

    /// Sends a message; starts `program` where nobody reads it.
    ///
    /// # Errors
    /// `EMSGSIZE` for one that is too long, and why the tracker cannot be started.
    pub fn send(
        &mut self,
        command: Command,
        name: &[u8],
        kind: &str,
        program: &[u8],
    ) -> io::Result<Outcome> {
        let message = Message {
            command,
            name: name.to_vec(),
            kind: kind.to_owned(),
        };
        let line = message.to_line();
        let mut outcome = Outcome::Running;
        let mut end = None;
        loop {
            match pipe::write_message(self.pipe.as_fd(), &line) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                result => return result.map(|()| outcome),
            }
            match self.start(program)? {
                Some(started) => outcome = started,
                // Another process is starting it, or it is just dying.
                None if Instant::now() < *end.get_or_insert_with(|| Instant::now() + PATIENCE) => {
                    thread::sleep(Duration::from_micros(50));
                }
                None => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Starts the tracker, unless there is one.
    fn start(&mut self, program: &[u8]) -> io::Result<Option<Outcome>> {
        // In this order: who finds the ledger locked finds a reader, too.
        let reader = pipe::new_reader(self.pipe.as_fd())?;
        let Some(ledger) = shared_file::try_lock(self.ledger.as_fd())? else {
            return Ok(None);
        };
        let before = self.number();
        self.collect();
        let executable = Executable::in_memory(program)?;
        let started = launch(&reader, &ledger, &executable).or_else(|_| {
            // Not all systems execute what is in memory.
            launch(
                &reader,
                &ledger,
                &Executable::in_temporary_directory(program)?,
            )
        })?;
        ledger::set_tracker(self.ledger.as_fd(), started.pid.unsigned_abs())?;
        mp_log::debug!("the resource tracker is process {}", started.pid);
        self.child = Some(started.pidfd);
        Ok(Some(if before == 0 {
            Outcome::Started
        } else {
            Outcome::Restarted
        }))
    }

    /// Collects the exit code of one that has died.
    fn collect(&mut self) {
        if let Some(child) = self.child.take() {
            // Somebody else may have done so.
            let _ = process::try_wait(child.as_fd());
        }
    }

    /// Lets go of the tracker, and waits at most so long for it to end, which it does when nobody else
    /// holds it. Returns its exit code, if it has and was started here.
    ///
    /// # Errors
    /// What waiting for a process gives.
    pub fn stop(self, patience: Duration) -> io::Result<Option<i32>> {
        let Self { pipe, child, .. } = self;
        drop(pipe);
        let Some(child) = child else { return Ok(None) };
        let status = process::wait(child.as_fd(), Some(patience))?;
        Ok(status.map(process::ExitStatus::code))
    }
}

fn launch(
    reader: &OwnedFd,
    ledger: &OwnedFd,
    executable: &Executable,
) -> io::Result<process::Child> {
    // In the tracker these are 3, 4 and 5.
    let inherit = [
        reader.as_raw_fd(),
        ledger.as_raw_fd(),
        executable.descriptor(),
    ];
    Ok(process::spawn(&Spawn {
        program: executable.path_in_child(5),
        argv: [c"node-multiprocessing", c"resource_tracker"]
            .map(Into::into)
            .into(),
        env: Vec::new(),
        cwd: Some(c"/".into()),
        inherit: &inherit,
        die_with_parent: None,
    })?)
}
