//! What protocol 0 says in text, and what is in strings.

/// What `int` takes from text, as the reference limits it: the time for it grows with the square.
pub const MAXIMUM_DIGITS: usize = 4300;

/// A whole number in text.
pub enum Whole {
    Small(i64),
    /// Sign and digits, of which there are not too many.
    Large,
}

/// A whole number in text, with spaces around it and, if it was a `long`, an L behind it.
pub fn whole(text: &[u8]) -> Option<Whole> {
    let text = text.trim_ascii();
    let text = text.strip_suffix(b"L").unwrap_or(text);
    let digits = text
        .strip_prefix(b"-")
        .or_else(|| text.strip_prefix(b"+"))
        .unwrap_or(text);
    let fine = !digits.is_empty()
        && digits.len() <= MAXIMUM_DIGITS
        && digits.iter().all(u8::is_ascii_digit);
    if !fine {
        return None;
    }
    let parsed = std::str::from_utf8(text).ok()?.parse();
    Some(parsed.map_or(Whole::Large, Whole::Small))
}

/// A number in text.
pub fn float(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

fn digits(text: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    if text.starts_with('+') {
        return None;
    }
    u32::from_str_radix(text, radix).ok()
}

/// The bytes of a string between quotes, with the escapes of Python 2's `repr`.
pub fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let (quote, rest) = line.split_first()?;
    let (end, inside) = rest.split_last()?;
    if quote != end || !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escape, tail) = rest.split_first()?;
        rest = tail;
        match escape {
            b'\n' => {}
            b'\\' | b'\'' | b'"' => bytes.push(*escape),
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'v' => bytes.push(11),
            b'x' => {
                let (code, tail) = rest.split_at_checked(2)?;
                bytes.push(u8::try_from(digits(code, 16)?).ok()?);
                rest = tail;
            }
            b'0'..=b'7' => {
                let more = rest
                    .iter()
                    .take(2)
                    .take_while(|digit| matches!(digit, b'0'..=b'7'))
                    .count();
                let (others, tail) = rest.split_at_checked(more)?;
                let code = others.iter().fold(u32::from(escape - b'0'), |code, digit| {
                    code * 8 + u32::from(digit - b'0')
                });
                bytes.push((code & 0xff) as u8);
                rest = tail;
            }
            other => bytes.extend([b'\\', *other]),
        }
    }
    Some(bytes)
}

/// UTF-16 of a line in Python's `raw-unicode-escape`.
pub fn raw_unicode(line: &[u8]) -> Option<Vec<u16>> {
    let mut units = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, tail)) = rest.split_first() {
        let length = match (first, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                units.push(u16::from(*first));
                rest = tail;
                continue;
            }
        };
        let (code, after) = tail.get(1..)?.split_at_checked(length)?;
        push_code(&mut units, digits(code, 16)?)?;
        rest = after;
    }
    Some(units)
}

fn push_code(units: &mut Vec<u16>, code: u32) -> Option<()> {
    if let Ok(unit) = u16::try_from(code) {
        units.push(unit);
    } else {
        let character = char::from_u32(code)?;
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
    Some(())
}

/// UTF-16 of UTF-8 in which surrogates may stand alone, as Python's `surrogatepass` writes it.
pub fn with_surrogates(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                units.extend(text.encode_utf16());
                return Some(units);
            }
            Err(error) => {
                let (good, bad) = rest.split_at_checked(error.valid_up_to())?;
                units.extend(std::str::from_utf8(good).ok()?.encode_utf16());
                // A surrogate is ED, A0 to BF, and one more.
                let (code, tail) = bad.split_at_checked(3)?;
                match code {
                    [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf] => units.push(
                        0xd000 | (u16::from(second & 0x3f) << 6) | u16::from(third & 0x3f),
                    ),
                    _ => return None,
                }
                rest = tail;
            }
        }
    }
}
