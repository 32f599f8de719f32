//! Enough stack for sources however deeply they are nested.
//!
//! The parser and what walks over its tree go some calls deeper for each level of nesting, and have no
//! limit of their own. No level can begin without a character or word that opens one, so those in a
//! source, wherever they stand, are a limit to what it needs, and the analysis has a thread with that
//! much stack. Most of it is never touched, and costs nothing but addresses.

use std::thread;

use crate::error::SourceError;

/// What an analysis needs that has nothing nested, in bytes.
const BASE: usize = 512 * 1024;

/// The most there is for an analysis, in bytes.
const MOST: usize = 16 << 30;

// What a level takes, in bytes: at least twice what was measured. Without optimization it is more.
const UNIT: usize = if cfg!(debug_assertions) { 6 } else { 1 };
const BRACKET: usize = 4096 * UNIT;
const RECURSIVE: usize = 2048 * UNIT;
const CHAINED: usize = 256 * UNIT;

/// Words that can begin a level or continue a chain.
const WORDS: [&[u8]; 26] = [
    b"async",
    b"await",
    b"case",
    b"catch",
    b"class",
    b"delete",
    b"do",
    b"else",
    b"extends",
    b"finally",
    b"for",
    b"function",
    b"if",
    b"import",
    b"in",
    b"instanceof",
    b"new",
    b"of",
    b"static",
    b"switch",
    b"try",
    b"typeof",
    b"void",
    b"while",
    b"with",
    b"yield",
];

/// Runs `work`, which goes no deeper than `source` is nested, where that cannot overflow the stack.
pub fn with_enough<T: Send>(
    source: &str,
    work: impl FnOnce() -> Result<T, SourceError> + Send,
) -> Result<T, SourceError> {
    let needed = BASE.saturating_add(nesting(source));
    if needed > MOST {
        return Err(SourceError::TooLarge);
    }
    thread::scope(|scope| {
        thread::Builder::new()
            .name("source".to_owned())
            .stack_size(needed)
            .spawn_scoped(scope, work)?
            .join()
            .unwrap_or(Err(SourceError::Failed))
    })
}

/// How many bytes of stack the nesting in a source can take at most.
fn nesting(source: &str) -> usize {
    let mut bytes = source.as_bytes();
    let mut total = 0_usize;
    while let [first, rest @ ..] = bytes {
        if is_word(*first) {
            let length = bytes.iter().position(|&byte| !is_word(byte));
            let (word, after) = bytes.split_at(length.unwrap_or(bytes.len()));
            if WORDS.contains(&word) {
                total = total.saturating_add(RECURSIVE);
            }
            bytes = after;
        } else {
            total = total.saturating_add(match first {
                b'(' | b'[' | b'{' | b'`' => BRACKET,
                b'=' | b'?' | b':' | b'@' => RECURSIVE,
                b'.' | b'!' | b'~' | b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' | b'^'
                | b'<' | b'>' => CHAINED,
                _ => 0,
            });
            bytes = rest;
        }
    }
    total
}

/// Whether a byte belongs to a word; one that is not ASCII ends it, which can only make it count.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_a_level_counts() {
        assert_eq!(nesting("([{`"), 4 * BRACKET);
        assert_eq!(nesting("a = b ? c : d"), 3 * RECURSIVE);
        assert_eq!(nesting("a.b + !c"), 3 * CHAINED);
        assert_eq!(nesting("new typeof yield"), 3 * RECURSIVE);
        assert_eq!(nesting("newer _new new_ $new a, b; 'c')]}"), 0);
    }

    #[test]
    fn there_is_a_limit() {
        let source = "(".repeat(MOST / BRACKET + 1);
        let refused = with_enough(&source, || Ok(()));
        assert!(matches!(refused, Err(SourceError::TooLarge)));
    }

    #[test]
    fn a_panic_is_an_error() {
        let failed = with_enough("", || -> Result<(), SourceError> {
            std::panic::resume_unwind(Box::new(()))
        });
        assert!(matches!(failed, Err(SourceError::Failed)));
    }
}
