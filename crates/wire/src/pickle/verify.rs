//! What a program promises, checked; for tests, and for hostile bytes.
use super::program::{HEADER, Program, StringKind, op};

/// What does not hold, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// The place of the instruction, or of the table's entry, in words.
    pub at: usize,
    /// What is wrong.
    pub what: &'static str,
}

struct Checker<'a> {
    words: &'a [u32],
    stream: usize,
    stack: usize,
    at: usize,
    end: usize,
    kept: Vec<bool>,
}

impl Checker<'_> {
    fn fail<T>(&self, what: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at, what })
    }

    fn hold(&self, holds: bool, what: &'static str) -> Result<(), Broken> {
        if holds { Ok(()) } else { self.fail(what) }
    }

    fn word(&self, place: usize) -> Result<u32, Broken> {
        match self.words.get(place) {
            Some(word) => Ok(*word),
            None => self.fail("a word that is not there"),
        }
    }

    fn header(&self, place: usize) -> Result<usize, Broken> {
        Ok(self.word(place)? as usize)
    }

    fn beside(&self) -> Result<usize, Broken> {
        Ok((self.words.len() - self.header(7)?) * 4)
    }

    fn pop(&mut self, count: u32) -> Result<(), Broken> {
        match self.stack.checked_sub(count as usize) {
            Some(left) => {
                self.stack = left;
                Ok(())
            }
            None => self.fail("more is taken than there is"),
        }
    }

    fn range(&self, start: u32, length: usize, all: usize) -> Result<(), Broken> {
        let end = (start as usize).checked_add(length);
        self.hold(end.is_some_and(|end| end <= all), "bytes that are not there")
    }

    fn text(&self, kind: u32, start: u32, length: u32) -> Result<(), Broken> {
        let length = length as usize;
        if kind == StringKind::Latin1 as u32 || kind == StringKind::Utf8 as u32 {
            self.range(start, length, self.stream)
        } else if kind == StringKind::Utf16Beside as u32 {
            self.range(start, 2 * length, self.beside()?)
        } else {
            self.hold(kind == StringKind::Latin1Beside as u32, "no kind of string")?;
            self.range(start, length, self.beside()?)
        }
    }

    fn slot(&mut self, place: usize) -> Result<(), Broken> {
        let slot = self.word(place)? as usize;
        match self.kept.get_mut(slot) {
            Some(kept) => {
                *kept = true;
                Ok(())
            }
            None => self.fail("no such slot"),
        }
    }

    fn tables(&mut self) -> Result<(), Broken> {
        let (strings, globals) = (self.header(1)?, self.header(3)?);
        let texts = (0..self.header(2)?).map(|number| strings + 3 * number);
        let names = (0..2 * self.header(4)?).map(|number| globals + 3 * number);
        for place in texts.chain(names) {
            self.at = place;
            self.text(self.word(place)?, self.word(place + 1)?, self.word(place + 2)?)?;
        }
        self.at = self.header(5)?;
        for _ in 0..self.header(6)? {
            let count = self.header(self.at)?;
            for place in 0..count {
                let number = self.header(self.at + 1 + place)?;
                self.hold(number < self.header(2)?, "no such string")?;
            }
            self.at += 1 + count;
        }
        self.hold(self.at == self.header(7)?, "the shapes end elsewhere")
    }

    fn shape(&self, number: u32) -> Result<u32, Broken> {
        self.hold((number as usize) < self.header(6)?, "no such shape")?;
        let mut at = self.header(5)?;
        for _ in 0..number {
            at += 1 + self.header(at)?;
        }
        self.word(at)
    }

    /// Does what the instruction does to the stack; false at the end.
    fn step(&mut self) -> Result<bool, Broken> {
        let at = self.at;
        self.hold(at < self.end, "no end")?;
        let instruction = self.word(at)?;
        let (takes, makes, length) = match instruction & 0xff {
            op::SKIP => (0, 0, (instruction >> 8) as usize),
            op::NONE | op::TRUE | op::FALSE => (0, 1, 1),
            op::INT => (0, 1, 2),
            op::NUMBER | op::FLOAT => (0, 1, 3),
            op::LONG | op::LONG_TEXT | op::BYTEARRAY => {
                self.range(self.word(at + 1)?, self.header(at + 2)?, self.stream)?;
                self.slot(at + 3)?;
                (0, 1, 4)
            }
            op::BYTES => {
                let beside = instruction >> 8 == 1;
                let all = if beside { self.beside()? } else { self.stream };
                self.range(self.word(at + 1)?, self.header(at + 2)?, all)?;
                self.slot(at + 3)?;
                (0, 1, 4)
            }
            op::STRING => {
                self.text(instruction >> 8, self.word(at + 1)?, self.word(at + 2)?)?;
                (0, 1, 3)
            }
            op::TABLE_STRING => {
                self.hold(self.header(at + 1)? < self.header(2)?, "no such string")?;
                (0, 1, 3)
            }
            op::TUPLE | op::LIST_OF | op::FROZENSET => {
                self.slot(at + 2)?;
                (self.word(at + 1)?, 1, 3)
            }
            op::OBJECT_OF | op::MAP_OF => {
                self.slot(at + 2)?;
                (2 * self.word(at + 1)?, 1, 3)
            }
            op::RECORD | op::RECORD_MAP => {
                self.slot(at + 2)?;
                (self.shape(self.word(at + 1)?)?, 1, 3)
            }
            op::LIST | op::OBJECT | op::MAP | op::SET => {
                self.slot(at + 1)?;
                (0, 1, 2)
            }
            op::APPENDS | op::ADD_ITEMS => (self.word(at + 1)? + 1, 1, 2),
            op::SET_ITEMS => (2 * self.word(at + 1)? + 1, 1, 2),
            op::APPEND_INTS => (1, 1, 2 + self.header(at + 1)?),
            op::APPEND_FLOATS => (1, 1, 2 + 2 * self.header(at + 1)?),
            op::GLOBAL => {
                self.hold(self.header(at + 1)? < self.header(4)?, "no such global")?;
                (0, 1, 2)
            }
            op::REDUCE | op::NEWOBJ => {
                self.slot(at + 1)?;
                (2, 1, 2)
            }
            op::NEWOBJ_EX => {
                self.slot(at + 1)?;
                (3, 1, 2)
            }
            op::OBJ => {
                self.slot(at + 2)?;
                (self.word(at + 1)? + 1, 1, 3)
            }
            op::INST => {
                self.hold(self.header(at + 1)? < self.header(4)?, "no such global")?;
                self.slot(at + 3)?;
                (self.word(at + 2)?, 1, 4)
            }
            op::BUILD => (2, 1, 1),
            op::GET => {
                let slot = self.header(at + 1)?;
                self.hold(slot != 0, "the slot that nobody needs")?;
                let kept = self.kept.get(slot).copied().unwrap_or(false);
                self.hold(kept, "a slot before it is filled")?;
                (0, 1, 2)
            }
            op::POP => (self.word(at + 1)?, 0, 2),
            op::END => {
                self.hold(self.stack > 0, "nothing is left")?;
                self.hold(at + 1 == self.header(1)?, "the end is elsewhere")?;
                return Ok(false);
            }
            _ => return self.fail("no instruction"),
        };
        self.hold(length > 0, "no length")?;
        self.pop(takes)?;
        self.stack += makes;
        self.at = at + length;
        Ok(true)
    }
}

/// Checks that a program, made of a stream of so many bytes, keeps all that the module promises.
///
/// # Errors
/// [`Broken`], when it does not.
pub fn verify(program: &Program, stream: usize) -> Result<(), Broken> {
    let words = program.words();
    let mut checker = Checker {
        words,
        stream,
        stack: 0,
        at: 0,
        end: 0,
        kept: Vec::new(),
    };
    checker.hold(checker.header(0)? == HEADER, "the header has another length")?;
    checker.tables()?;
    checker.kept = vec![false; checker.header(8)?];
    checker.end = checker.header(1)?;
    checker.at = HEADER;
    while checker.step()? {}
    Ok(())
}
