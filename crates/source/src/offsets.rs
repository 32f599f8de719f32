//! Offsets: the parser counts bytes of UTF-8, JavaScript units of UTF-16, V8 lines and columns.

/// The byte at which a UTF-16 offset lies; nothing beyond the end or within a character.
pub fn to_byte(source: &str, offset: u32) -> Option<u32> {
    let wanted = usize::try_from(offset).ok()?;
    // The first bytes are ASCII as a rule, and stand for a unit each.
    let ascii = source
        .bytes()
        .take(wanted)
        .position(|byte| !byte.is_ascii())
        .unwrap_or(wanted.min(source.len()));
    let (mut byte, mut units) = (ascii, ascii);
    for character in source[ascii..].chars() {
        if units >= wanted {
            break;
        }
        units += character.len_utf16();
        byte += character.len_utf8();
    }
    if units == wanted {
        u32::try_from(byte).ok()
    } else {
        None
    }
}

/// How many UTF-16 units a text has.
pub fn units(text: &str) -> u32 {
    // What goes on in a character's bytes adds nothing; the four-byte ones are two units.
    text.bytes()
        .map(|byte| u32::from(byte & 0xC0 != 0x80) + u32::from(byte >= 0xF0))
        .sum()
}

/// The line and column of the end of a text, both from zero, lines counted as V8 does.
pub fn line_and_column(before: &str) -> (u32, u32) {
    let (mut line, mut start) = (0, 0);
    let mut characters = before.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        let ends = match character {
            '\n' | '\u{2028}' | '\u{2029}' => true,
            '\r' => characters.peek().is_none_or(|&(_, next)| next != '\n'),
            _ => false,
        };
        if ends {
            line += 1;
            start = index + character.len_utf8();
        }
    }
    (line, units(&before[start..]))
}
