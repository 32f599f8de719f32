//! The tracker's own life.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use mp_os::named_memory::Mapped;
use mp_os::process;

use crate::ledger::Ledger;
use crate::registry::{Kept, Kind, Registry};

/// The descriptor of the pipe that the tracker reads.
pub const PIPE: i32 = 3;
/// The descriptor of its ledger.
pub const LEDGER: i32 = 4;

/// What is written meanwhile waits in the pipe, and whoever writes it need not wake the tracker each time.
const REST: Duration = Duration::from_millis(1);

/// All was as it should be.
const CLEAN: u8 = 0;
/// Names were left.
const LEAKED: u8 = 1;
/// A name could not be taken away.
const FAILED: u8 = 2;
/// A message was none.
const MALFORMED: u8 = 3;

/// Keeps account until nobody is left who could write to the pipe, then takes away what is left. Returns
/// the exit code.
#[must_use]
pub fn run(pipe: OwnedFd, ledger: OwnedFd) -> u8 {
    // Without /dev/null the tracker holds its program's standard output, which is no reason to do nothing.
    let _ = process::detach(c"mp-tracker");
    let mut registry = Registry::default();
    let malformed = match keep(&pipe, ledger, &mut registry) {
        Ok(malformed) => malformed,
        Err(error) => {
            warn(&format!("its pipe cannot be read: {error}"));
            true
        }
    };
    let code = clean_up(&registry);
    if code == CLEAN && malformed {
        MALFORMED
    } else {
        code
    }
}

/// Says whether there was a message that was none.
fn keep(pipe: &OwnedFd, ledger: OwnedFd, registry: &mut Registry) -> io::Result<bool> {
    let (mut ledger, mut lines) = Ledger::open(ledger)?;
    let mut malformed = false;
    // What has gone wrong before was said by the tracker before.
    let mut silent = true;
    loop {
        let mut rest = &lines[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if let Err(reason) = registry.apply(&rest[..end]) {
                malformed = true;
                if !silent {
                    warn(&reason);
                }
            }
            rest = &rest[end + 1..];
        }
        silent = false;
        // What never ends is no line.
        let begun = if rest.len() > crate::message::LONGEST {
            Vec::new()
        } else {
            rest.to_vec()
        };
        if begun.is_empty() && ledger.is_long_for(registry.length()) {
            // If that fails, it stays long.
            let _ = ledger.rewrite(&registry.to_lines());
        }
        let more = ledger.enter(pipe.as_fd())?;
        if more.is_empty() {
            return Ok(malformed);
        }
        thread::sleep(REST);
        lines = [begun, more].concat();
    }
}

fn clean_up(registry: &Registry) -> u8 {
    let mut code = CLEAN;
    let mut mapped = None;
    for (kind, names) in registry.kinds() {
        code = code.max(LEAKED);
        let shown = |name: &[u8]| format!("'{}'", String::from_utf8_lossy(name).escape_debug());
        if kind != Kind::Dummy {
            let list: Vec<String> = names.iter().map(|name| shown(name)).collect();
            warn(&format!(
                "There appear to be {} leaked {} objects to clean up at shutdown: {{{}}}",
                names.len(),
                kind.name(),
                list.join(", ")
            ));
        }
        for name in names {
            match kind.unlink(name, mapped.get_or_insert_with(Mapped::look)) {
                Ok(()) => {}
                Err(Kept::InUse) => {
                    warn(&format!("{}: still in use by another program", shown(name)));
                }
                Err(Kept::Failed(error)) => {
                    code = FAILED;
                    let number = error.raw_os_error().unwrap_or(0);
                    let text = error.to_string();
                    let reason = text.split(" (os error").next().unwrap_or(&text);
                    warn(&format!("{}: [Errno {number}] {reason}", shown(name)));
                }
            }
        }
    }
    code
}

/// One call for each line, so that it is not mixed with what others write.
fn warn(text: &str) {
    let line = format!("resource_tracker: {text}\n");
    // There may be nobody to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}
