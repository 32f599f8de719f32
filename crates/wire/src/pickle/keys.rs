//! The keys of dictionaries, and the lists of keys that dictionaries share.
use std::collections::HashMap;

use super::program::{StringKind, Text};

/// Dictionaries with more keys than this have no shape.
pub const MAXIMUM_KEYS: usize = 64;
/// How many keys all shapes of a pickle have together, at most.
const MAXIMUM_IN_SHAPES: usize = 1 << 16;

/// Strings that are needed more than once, or are keys.
pub struct Keys<'a> {
    bytes: &'a [u8],
    pub strings: Vec<Text>,
    numbers: HashMap<(StringKind, &'a [u8]), u32>,
    pub shapes: Vec<Vec<u32>>,
    shape_numbers: HashMap<Vec<u32>, u32>,
    in_shapes: usize,
    last: u32,
}

impl<'a> Keys<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            strings: Vec::new(),
            numbers: HashMap::new(),
            shapes: Vec::new(),
            shape_numbers: HashMap::new(),
            in_shapes: 0,
            last: 0,
        }
    }

    /// Puts a string into the table.
    pub fn add(&mut self, text: Text) -> u32 {
        let number = self.strings.len() as u32;
        self.strings.push(text);
        number
    }

    /// The number of a key: keys of the same characters have the same.
    pub fn number(&mut self, text: Text) -> u32 {
        let start = text.start as usize;
        let in_stream = matches!(text.kind, StringKind::Latin1 | StringKind::Utf8);
        let found = self.bytes.get(start..start + text.length as usize);
        // Strings of protocol 0 are beside the stream, and each is on its own.
        let Some(content) = found.filter(|_| in_stream) else {
            return self.add(text);
        };
        if let Some(number) = self.numbers.get(&(text.kind, content)) {
            return *number;
        }
        let number = self.add(text);
        self.numbers.insert((text.kind, content), number);
        number
    }

    /// The number of a list of keys; none if a key is there twice, or there are too many lists.
    pub fn shape(&mut self, keys: &[u32]) -> Option<u32> {
        if self.shapes.get(self.last as usize).is_some_and(|last| last == keys) {
            return Some(self.last);
        }
        if let Some(number) = self.shape_numbers.get(keys) {
            self.last = *number;
            return Some(*number);
        }
        if self.in_shapes + keys.len() > MAXIMUM_IN_SHAPES {
            return None;
        }
        let twice = keys
            .iter()
            .enumerate()
            .any(|(place, key)| keys.iter().take(place).any(|other| other == key));
        if twice {
            return None;
        }
        self.in_shapes += keys.len();
        self.last = self.shapes.len() as u32;
        self.shapes.push(keys.to_vec());
        self.shape_numbers.insert(keys.to_vec(), self.last);
        Some(self.last)
    }
}
