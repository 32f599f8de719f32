//! Which names there are, by what has them.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;

use mp_os::named_memory::{self, Mapped};

use crate::message::{Command, Message};

/// What a name can belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Never registered; what a probe names.
    Noop,
    /// Nothing at all, for tests.
    Dummy,
    /// A POSIX semaphore.
    Semaphore,
    /// A POSIX shared memory object.
    SharedMemory,
}

/// Why a name is still there.
#[derive(Debug)]
pub enum Kept {
    /// Another program has the object mapped.
    InUse,
    /// The system's reason.
    Failed(io::Error),
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Noop, "noop"),
    (Kind::Dummy, "dummy"),
    (Kind::Semaphore, "semaphore"),
    (Kind::SharedMemory, "shared_memory"),
];

impl Kind {
    /// The kind that a message means.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        KINDS
            .iter()
            .find_map(|(kind, known)| (*known == name).then_some(*kind))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// Takes a name away, unless another program still has what it stands for: `mapped` is looked at for
    /// that.
    ///
    /// # Errors
    /// Why it is still there.
    pub fn unlink(self, name: &[u8], mapped: &Mapped) -> Result<(), Kept> {
        let failed = |kind: io::ErrorKind| Kept::Failed(kind.into());
        let c_string =
            |bytes: Vec<u8>| CString::new(bytes).map_err(|_| failed(io::ErrorKind::InvalidInput));
        match self {
            Self::Noop => Err(failed(io::ErrorKind::Unsupported)),
            Self::Dummy => Ok(()),
            Self::Semaphore => {
                let bare = name.strip_prefix(b"/").unwrap_or(name);
                let file = c_string([b"/sem.", bare].concat())?;
                named_memory::unlink(&file).map_err(Kept::Failed)
            }
            Self::SharedMemory => {
                let name = c_string(name.to_vec())?;
                if mapped.contains(&name) {
                    return Err(Kept::InUse);
                }
                named_memory::unlink(&name).map_err(Kept::Failed)
            }
        }
    }
}

/// The names that are looked after.
#[derive(Debug, Default)]
pub struct Registry {
    names: [BTreeSet<Vec<u8>>; KINDS.len()],
    /// How many bytes all names have.
    bytes: usize,
}

impl Registry {
    /// Does what a line says.
    ///
    /// # Errors
    /// What is wrong with it, in words; nothing has changed then.
    pub fn apply(&mut self, line: &[u8]) -> Result<(), String> {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Some(message) = Message::parse(line) else {
            return Err(format!("malformed message {:?}", shown(line)));
        };
        let Message {
            command,
            name,
            kind,
        } = message;
        let Some(known) = Kind::named(&kind) else {
            return Err(format!(
                "Cannot register {} for automatic cleanup: unknown resource type {kind}",
                shown(&name)
            ));
        };
        match command {
            Command::Probe => {}
            Command::Register => {
                let length = name.len();
                if self.names[known as usize].insert(name) {
                    self.bytes += length;
                }
            }
            Command::Unregister => {
                if !self.names[known as usize].remove(&name) {
                    return Err(format!("{kind} {:?} is not registered", shown(&name)));
                }
                self.bytes -= name.len();
            }
        }
        Ok(())
    }

    /// What there is of each kind that has any.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, &BTreeSet<Vec<u8>>)> {
        KINDS
            .iter()
            .map(|(kind, _)| (*kind, &self.names[*kind as usize]))
            .filter(|(_, names)| !names.is_empty())
    }

    /// About how many bytes the messages have that make the same registry.
    #[must_use]
    pub fn length(&self) -> usize {
        /// What a line has beside the name, for most.
        const REST: usize = 24;
        let count: usize = self.names.iter().map(BTreeSet::len).sum();
        self.bytes + REST * count
    }

    /// The messages that make the same registry.
    #[must_use]
    pub fn to_lines(&self) -> Vec<u8> {
        self.kinds()
            .flat_map(|(kind, names)| {
                names.iter().flat_map(move |name| {
                    Message {
                        command: Command::Register,
                        name: name.clone(),
                        kind: kind.name().to_owned(),
                    }
                    .to_line()
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_set() {
        let mut registry = Registry::default();
        for line in ["REGISTER:/a:dummy", "REGISTER:/a:dummy", "PROBE:0:noop"] {
            registry.apply(line.as_bytes()).unwrap();
        }
        assert_eq!(registry.to_lines(), b"REGISTER:/a:dummy\n");
        assert_eq!(registry.length(), 26);
        registry.apply(b"UNREGISTER:/a:dummy").unwrap();
        assert_eq!((registry.kinds().count(), registry.length()), (0, 0));
    }

    #[test]
    fn what_is_wrong_is_said_and_changes_nothing() {
        let mut registry = Registry::default();
        registry.apply(b"REGISTER:/a:shared_memory").unwrap();
        for (line, said) in [
            (&b"nonsense"[..], "malformed message \"nonsense\""),
            (
                b"REGISTER:/b:socket",
                "Cannot register /b for automatic cleanup: unknown resource type socket",
            ),
            (b"UNREGISTER:/b:dummy", "dummy \"/b\" is not registered"),
        ] {
            assert_eq!(registry.apply(line), Err(said.to_owned()));
        }
        assert_eq!(registry.to_lines(), b"REGISTER:/a:shared_memory\n");
    }

    #[test]
    fn kinds_stand_where_their_number_says() {
        for (index, (kind, name)) in KINDS.iter().enumerate() {
            assert_eq!((*kind as usize, kind.name()), (index, *name));
            assert_eq!(Kind::named(name), Some(*kind));
        }
    }
}
