//! What is written to the tracker's pipe: lines, each by one call, so that they do not mix.
//!
//! | Form | For |
//! |---|---|
//! | `REGISTER:name:type` | a name that the tracker is to look after |
//! | `UNREGISTER:name:type` | a name that is gone |
//! | `PROBE:0:noop` | nothing: whether the tracker is there |
//! | `{"cmd":"REGISTER","rtype":"type","base64_name":"…"}` | the same for names that are not printable ASCII |

/// The longest line, its end included: what a pipe takes at once.
pub const LONGEST: usize = mp_os::pipe::SHORT;

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The name is to be looked after.
    Register,
    /// The name is gone.
    Unregister,
    /// Nothing.
    Probe,
}

/// A line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it asks for.
    pub command: Command,
    /// The name, as the system has it.
    pub name: Vec<u8>,
    /// What has that name.
    pub kind: String,
}

impl Command {
    fn word(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Unregister => "UNREGISTER",
            Self::Probe => "PROBE",
        }
    }

    fn of(word: &[u8]) -> Option<Self> {
        [Self::Register, Self::Unregister, Self::Probe]
            .into_iter()
            .find(|command| command.word().as_bytes() == word)
    }
}

impl Message {
    /// The line, with its end.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let (word, kind) = (self.command.word(), &self.kind);
        if self.name.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            let mut line = format!("{word}:").into_bytes();
            line.extend_from_slice(&self.name);
            line.extend_from_slice(format!(":{kind}\n").as_bytes());
            return line;
        }
        let name = to_base64(&self.name);
        format!("{{\"cmd\":\"{word}\",\"rtype\":\"{kind}\",\"base64_name\":\"{name}\"}}\n")
            .into_bytes()
    }

    /// What a line without its end says; nothing when it is none of the above.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if line.first() == Some(&b'{') {
            return Self::parse_object(line);
        }
        let first = line.iter().position(|byte| *byte == b':')?;
        let last = line.iter().rposition(|byte| *byte == b':')?;
        if first == last {
            return None;
        }
        Some(Self {
            command: Command::of(&line[..first])?,
            name: line[first + 1..last].to_vec(),
            kind: String::from_utf8(line[last + 1..].to_vec()).ok()?,
        })
    }

    fn parse_object(line: &[u8]) -> Option<Self> {
        let (mut command, mut kind, mut name) = (None, None, None);
        let mut rest = Text(line);
        rest.expect(b'{')?;
        loop {
            let key = rest.string()?;
            rest.expect(b':')?;
            let value = rest.string()?;
            match key {
                b"cmd" => command = Some(Command::of(value)?),
                b"rtype" => kind = Some(String::from_utf8(value.to_vec()).ok()?),
                b"base64_name" => name = Some(from_base64(value)?),
                _ => {}
            }
            match rest.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        let (command, kind) = (command?, kind?);
        rest.is_empty().then_some(())?;
        // A probe has no name.
        let name = match command {
            Command::Probe => name.unwrap_or_default(),
            _ => name?,
        };
        Some(Self {
            command,
            name,
            kind,
        })
    }
}

/// What is left of an object of strings.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn next(&mut self) -> Option<u8> {
        let text = self.0.trim_ascii_start();
        let (first, rest) = text.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// A string without anything that has to be written otherwise, as no word of ours has.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let end = self.0.iter().position(|byte| *byte == b'"')?;
        let (string, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        (!string.contains(&b'\\')).then_some(string)
    }

    fn is_empty(&self) -> bool {
        self.0.trim_ascii().is_empty()
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize % 64];
            text.push(if place <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

/// Takes both alphabets, the usual one and the one for file names.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().position(|byte| *byte == b'=');
    let (digits, padding) = text.split_at(end.unwrap_or(text.len()));
    if !text.len().is_multiple_of(4) || padding.len() > 2 || padding.iter().any(|b| *b != b'=') {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits {
        let digit = match digit {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        };
        let value = DIGITS.iter().position(|known| *known == digit)?;
        bits = (bits << 6 | value as u32) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(command: Command, name: &[u8], kind: &str) -> Message {
        Message {
            command,
            name: name.to_vec(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn lines_are_those_of_the_reference() {
        let registered = message(Command::Register, b"/psm_1", "shared_memory");
        assert_eq!(registered.to_line(), b"REGISTER:/psm_1:shared_memory\n");
        let probe = message(Command::Probe, b"0", "noop");
        assert_eq!(probe.to_line(), b"PROBE:0:noop\n");
        let odd = message(Command::Unregister, b"/a\nb", "dummy");
        assert_eq!(
            odd.to_line(),
            b"{\"cmd\":\"UNREGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2EKYg==\"}\n"
        );
    }

    #[test]
    fn every_name_comes_back() {
        let mut name = Vec::new();
        for length in 0..300_u32 {
            for command in [Command::Register, Command::Unregister] {
                let sent = message(command, &name, "shared_memory");
                let line = sent.to_line();
                let (end, text) = line.split_last().unwrap();
                assert_eq!((*end, text.contains(&b'\n')), (b'\n', false));
                assert_eq!(Message::parse(text), Some(sent));
            }
            name.push((length * 7) as u8);
        }
    }

    #[test]
    fn colons_are_part_of_the_name() {
        let parsed = Message::parse(b"REGISTER:/a:b::c:dummy");
        assert_eq!(
            parsed,
            Some(message(Command::Register, b"/a:b::c", "dummy"))
        );
    }

    #[test]
    fn objects_are_read_in_any_order_and_with_spaces() {
        let line = br#" {"rtype": "noop", "x": "y", "cmd": "PROBE"} "#;
        assert_eq!(
            Message::parse(&line[1..]),
            Some(message(Command::Probe, b"", "noop"))
        );
    }

    #[test]
    fn what_is_no_message_is_nothing() {
        for line in [
            &b""[..],
            b":",
            b"::",
            b"REGISTER",
            b"REGISTER:x",
            b"register:x:dummy",
            b"REGISTER:x:\xFF",
            b"{",
            b"{}",
            b"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\"}",
            b"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2E\"}",
            b"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2E!\"}",
            b"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"====\"}",
            b"{\"cmd\":\"PROBE\",\"rtype\":\"noop\"} more",
            b"{\"cmd\":\"PROBE\" \"rtype\":\"noop\"}",
            b"{\"cmd\":\"\\u0050ROBE\",\"rtype\":\"noop\"}",
        ] {
            assert_eq!(Message::parse(line), None, "{}", line.escape_ascii());
        }
    }
}
