//! What a pickle becomes.

/// The instructions. An instruction is its number, in some with a kind of text or a length shifted left
/// by eight, and the words that the comments name.
pub mod op {
    /// Nothing; so many words, itself included.
    pub const SKIP: u32 = 0;
    /// Pushes None.
    pub const NONE: u32 = 1;
    /// Pushes True.
    pub const TRUE: u32 = 2;
    /// Pushes False.
    pub const FALSE: u32 = 3;
    /// Pushes an int: value.
    pub const INT: u32 = 4;
    /// Pushes an int that a double holds: low, high word of the double.
    pub const NUMBER: u32 = 5;
    /// Pushes any int: start, length in the stream (little-endian, two's complement), slot.
    pub const LONG: u32 = 6;
    /// Pushes any int: start, length of its decimal digits in the stream, slot.
    pub const LONG_TEXT: u32 = 7;
    /// Pushes a float: low, high word.
    pub const FLOAT: u32 = 8;
    /// Pushes a string of a kind: start, length.
    pub const STRING: u32 = 9;
    /// Pushes a string of the table: its number, 0.
    pub const TABLE_STRING: u32 = 10;
    /// Pushes bytes of a place (0: the stream, 1: the bytes beside it): start, length, slot.
    pub const BYTES: u32 = 11;
    /// Pushes a bytearray: start, length, slot.
    pub const BYTEARRAY: u32 = 12;
    /// Makes a tuple: count, slot.
    pub const TUPLE: u32 = 13;
    /// Pushes an empty list: slot.
    pub const LIST: u32 = 14;
    /// Makes a list: count, slot.
    pub const LIST_OF: u32 = 15;
    /// Appends: count.
    pub const APPENDS: u32 = 16;
    /// Appends ints: count, values.
    pub const APPEND_INTS: u32 = 17;
    /// Appends floats: count, low and high words.
    pub const APPEND_FLOATS: u32 = 18;
    /// Pushes an empty dictionary whose keys will all be strings: slot.
    pub const OBJECT: u32 = 19;
    /// Pushes an empty dictionary: slot.
    pub const MAP: u32 = 20;
    /// Makes a dictionary whose keys are all strings: count of pairs, slot.
    pub const OBJECT_OF: u32 = 21;
    /// Makes a dictionary: count of pairs, slot.
    pub const MAP_OF: u32 = 22;
    /// Sets items: count of pairs.
    pub const SET_ITEMS: u32 = 23;
    /// Makes a dictionary whose keys are all strings: shape, slot. The values are on the stack.
    pub const RECORD: u32 = 24;
    /// The same of one that gets other keys later: shape, slot.
    pub const RECORD_MAP: u32 = 25;
    /// Pushes an empty set: slot.
    pub const SET: u32 = 26;
    /// Makes a frozenset: count, slot.
    pub const FROZENSET: u32 = 27;
    /// Adds to a set: count.
    pub const ADD_ITEMS: u32 = 28;
    /// Pushes a global: its number.
    pub const GLOBAL: u32 = 29;
    /// Calls with a tuple: slot.
    pub const REDUCE: u32 = 30;
    /// Makes an instance, from a class and a tuple: slot.
    pub const NEWOBJ: u32 = 31;
    /// The same with keyword arguments: slot.
    pub const NEWOBJ_EX: u32 = 32;
    /// Calls with so many arguments, below which the callable is: count, slot.
    pub const OBJ: u32 = 33;
    /// Calls a global: its number, count of arguments, slot.
    pub const INST: u32 = 34;
    /// Sets the state of what is below it.
    pub const BUILD: u32 = 35;
    /// Pushes what a slot holds: slot.
    pub const GET: u32 = 36;
    /// Drops values: count.
    pub const POP: u32 = 37;
    /// Done: the value is on top.
    pub const END: u32 = 38;
}

/// Where the characters of a string are, and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StringKind {
    /// In the stream, a byte for each.
    Latin1 = 0,
    /// In the stream, in UTF-8.
    Utf8 = 1,
    /// Beside the stream, in UTF-16; the length is in units.
    Utf16Beside = 2,
    /// Beside the stream, a byte for each.
    Latin1Beside = 3,
}

/// A string: its kind, and where its bytes are.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub(crate) kind: StringKind,
    pub(crate) start: u32,
    pub(crate) length: u32,
}

/// How many words the header has.
pub(crate) const HEADER: usize = 9;

/// A checked pickle: see the module.
#[derive(Debug)]
pub struct Program {
    pub(crate) words: Vec<u32>,
}

impl Program {
    /// Its words.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Its words, without a copy.
    #[must_use]
    pub fn into_words(self) -> Vec<u32> {
        self.words
    }
}

/// What is collected while a stream is read.
pub(crate) struct Tables {
    pub strings: Vec<Text>,
    pub globals: Vec<(Text, Text)>,
    pub shapes: Vec<Vec<u32>>,
    pub beside: Vec<u8>,
    pub slots: u32,
}

fn push_text(words: &mut Vec<u32>, text: Text) {
    words.extend([text.kind as u32, text.start, text.length]);
}

/// Puts the tables behind the instructions, which have room for the header in front.
pub(crate) fn assemble(mut words: Vec<u32>, tables: &Tables) -> Program {
    words.push(op::END);
    let strings = words.len();
    for text in &tables.strings {
        push_text(&mut words, *text);
    }
    let globals = words.len();
    for (module, name) in &tables.globals {
        push_text(&mut words, *module);
        push_text(&mut words, *name);
    }
    let shapes = words.len();
    for shape in &tables.shapes {
        words.push(shape.len() as u32);
        words.extend_from_slice(shape);
    }
    let beside = words.len();
    for bytes in tables.beside.chunks(4) {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        words.push(u32::from_ne_bytes(word));
    }
    let header = [
        HEADER,
        strings,
        tables.strings.len(),
        globals,
        tables.globals.len(),
        shapes,
        tables.shapes.len(),
        beside,
        tables.slots as usize,
    ];
    for (word, value) in words.iter_mut().zip(header) {
        *word = value as u32;
    }
    Program { words }
}
