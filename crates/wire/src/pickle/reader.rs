//! The stack machine: opcodes in, instructions out.
use std::collections::HashMap;

use super::error::PickleError;
use super::input::Input;
use super::keys::{Keys, MAXIMUM_KEYS};
use super::opcode;
use super::program::{HEADER, Program, StringKind, Tables, Text, assemble, op};
use super::text::{self, Whole};

/// How deep containers may nest. Containers that are put into others before they are filled can get past
/// it, so it is a courtesy to those who walk objects, and nothing here relies on it.
pub const MAXIMUM_DEPTH: u32 = 1000;

/// What the strings of Python 2 are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Text, and an error when there is more than ASCII in it.
    Ascii,
    /// Text, a character for each byte.
    Latin1,
    /// Text in UTF-8.
    Utf8,
    /// Bytes.
    Bytes,
}

/// The word of a slot that is not needed.
const NO_SLOT: u32 = 0;

/// A string without a number in the table.
const NO_NUMBER: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
enum Value {
    None,
    True,
    False,
    Int(i32),
    Number(f64),
    Float(f64),
    String { text: Text, number: u32 },
    Global(u32),
    Node(u32),
}

/// A value on the stack, and where the instruction is that pushes it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u32,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeKind {
    List,
    Dictionary,
    Tuple,
    Other,
}

/// A value that is made once and may be needed again.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where its instruction is.
    at: u32,
    /// Where the word is that names its slot.
    slot: u32,
    depth: u32,
    kind: NodeKind,
    /// Whether anything has been done to it since it was made.
    touched: bool,
}

struct Reader<'a> {
    input: Input<'a>,
    encoding: Encoding,
    code: Vec<u32>,
    stack: Vec<Entry>,
    marks: Vec<usize>,
    nodes: Vec<Node>,
    memo: Memo,
    keys: Keys<'a>,
    globals: Vec<(Text, Text)>,
    global_numbers: HashMap<(Vec<u8>, Vec<u8>), u32>,
    beside: Vec<u8>,
    slots: u32,
    shape: Vec<u32>,
}

/// What was memoized: mostly under 0, 1, 2, …
#[derive(Default)]
struct Memo {
    dense: Vec<Option<Value>>,
    sparse: HashMap<u64, Value>,
    count: u64,
}

impl Memo {
    fn get(&mut self, index: u64) -> Option<&mut Value> {
        match usize::try_from(index).ok().filter(|index| *index < self.dense.len()) {
            Some(index) => self.dense.get_mut(index).and_then(Option::as_mut),
            None => self.sparse.get_mut(&index),
        }
    }

    fn put(&mut self, index: u64, kept: Value) {
        if index == self.dense.len() as u64 && !self.sparse.contains_key(&index) {
            self.dense.push(Some(kept));
            self.count += 1;
        } else if let Some(place) = self.get(index) {
            *place = kept;
        } else {
            self.sparse.insert(index, kept);
            self.count += 1;
        }
    }
}

/// Reads a pickle. What follows it is left alone.
///
/// # Errors
/// [`PickleError`], for what is no pickle.
pub fn read(bytes: &[u8], encoding: Encoding) -> Result<Program, PickleError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(PickleError::TooLong);
    }
    let mut reader = Reader {
        input: Input::new(bytes),
        encoding,
        code: Vec::with_capacity(HEADER + bytes.len().min(1 << 16)),
        stack: Vec::new(),
        marks: Vec::new(),
        nodes: Vec::new(),
        memo: Memo::default(),
        keys: Keys::new(bytes),
        globals: Vec::new(),
        global_numbers: HashMap::new(),
        beside: Vec::new(),
        slots: 1,
        shape: Vec::new(),
    };
    reader.code.resize(HEADER, 0);
    while reader.step()? {}
    if u32::try_from(reader.code.len()).is_err() || u32::try_from(reader.beside.len()).is_err() {
        return Err(PickleError::TooLong);
    }
    let Reader { code, keys, globals, beside, slots, .. } = reader;
    let tables = Tables {
        strings: keys.strings,
        globals,
        shapes: keys.shapes,
        beside,
        slots,
    };
    Ok(assemble(code, &tables))
}

impl<'a> Reader<'a> {
    /// Does what the next opcode says; false when it was the last.
    fn step(&mut self) -> Result<bool, PickleError> {
        let at = self.input.at();
        match self.input.byte()? {
            opcode::PROTO => {
                let protocol = self.input.byte()?;
                if protocol > 5 {
                    return Err(PickleError::Protocol(protocol));
                }
            }
            opcode::FRAME => {
                let length = u64::from_le_bytes(self.input.array()?);
                if length > self.input.left() as u64 {
                    return Err(PickleError::Truncated);
                }
            }
            opcode::STOP => {
                let top = self.pop()?;
                self.stack.push(top);
                return Ok(false);
            }
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP => self.drop_top()?,
            opcode::POP_MARK => {
                let count = self.above_mark()?;
                self.take(count);
                self.emit(&[op::POP, count as u32]);
            }
            opcode::DUP => self.duplicate()?,
            opcode::NONE => self.push(Value::None, &[op::NONE]),
            opcode::NEWTRUE => self.push(Value::True, &[op::TRUE]),
            opcode::NEWFALSE => self.push(Value::False, &[op::FALSE]),
            opcode::BININT => {
                let value = i32::from_le_bytes(self.input.array()?);
                self.push_int(value);
            }
            opcode::BININT1 => {
                let value = self.input.byte()?;
                self.push_int(i32::from(value));
            }
            opcode::BININT2 => {
                let value = u16::from_le_bytes(self.input.array()?);
                self.push_int(i32::from(value));
            }
            opcode::LONG1 => {
                let length = u64::from(self.input.byte()?);
                self.long(length)?;
            }
            opcode::LONG4 => {
                let length = i32::from_le_bytes(self.input.array()?);
                let length = u64::try_from(length).map_err(|_| PickleError::Malformed {
                    what: "the length of an int",
                    at,
                })?;
                self.long(length)?;
            }
            opcode::INT => self.text_int(at)?,
            opcode::LONG => self.text_long(at)?,
            opcode::FLOAT => {
                let (_, line) = self.input.line()?;
                let value = text::float(line).ok_or(PickleError::Malformed {
                    what: "a float",
                    at,
                })?;
                self.push_float(value);
            }
            opcode::BINFLOAT => {
                let value = f64::from_be_bytes(self.input.array()?);
                self.push_float(value);
            }
            opcode::STRING => {
                let (_, line) = self.input.line()?;
                let bytes = text::quoted(line).ok_or(PickleError::Malformed {
                    what: "a string",
                    at,
                })?;
                self.old_string_beside(&bytes, at)?;
            }
            opcode::BINSTRING => {
                let length = i32::from_le_bytes(self.input.array()?);
                let length = u64::try_from(length).map_err(|_| PickleError::Malformed {
                    what: "the length of a string",
                    at,
                })?;
                self.old_string(length, at)?;
            }
            opcode::SHORT_BINSTRING => {
                let length = u64::from(self.input.byte()?);
                self.old_string(length, at)?;
            }
            opcode::UNICODE => {
                let (_, line) = self.input.line()?;
                let units = text::raw_unicode(line).ok_or(PickleError::Malformed {
                    what: "a string",
                    at,
                })?;
                self.push_units(&units);
            }
            opcode::SHORT_BINUNICODE => {
                let length = u64::from(self.input.byte()?);
                self.string(length, at)?;
            }
            opcode::BINUNICODE => {
                let length = u64::from(u32::from_le_bytes(self.input.array()?));
                self.string(length, at)?;
            }
            opcode::BINUNICODE8 => {
                let length = u64::from_le_bytes(self.input.array()?);
                self.string(length, at)?;
            }
            opcode::SHORT_BINBYTES => {
                let length = u64::from(self.input.byte()?);
                self.bytes(op::BYTES, length)?;
            }
            opcode::BINBYTES => {
                let length = u64::from(u32::from_le_bytes(self.input.array()?));
                self.bytes(op::BYTES, length)?;
            }
            opcode::BINBYTES8 => {
                let length = u64::from_le_bytes(self.input.array()?);
                self.bytes(op::BYTES, length)?;
            }
            opcode::BYTEARRAY8 => {
                let length = u64::from_le_bytes(self.input.array()?);
                self.bytes(op::BYTEARRAY, length)?;
            }
            opcode::EMPTY_TUPLE => self.tuple(0)?,
            opcode::TUPLE1 => self.tuple(1)?,
            opcode::TUPLE2 => self.tuple(2)?,
            opcode::TUPLE3 => self.tuple(3)?,
            opcode::TUPLE => {
                let count = self.above_mark()?;
                self.tuple(count)?;
            }
            opcode::EMPTY_LIST => self.push_node(&[op::LIST], NodeKind::List, 1),
            opcode::LIST => {
                let count = self.above_mark()?;
                let depth = self.depth_above(count)?;
                self.take(count);
                self.push_node(&[op::LIST_OF, count as u32], NodeKind::List, depth);
            }
            opcode::APPEND => self.append(1, at)?,
            opcode::APPENDS => {
                let count = self.above_mark()?;
                self.append(count, at)?;
            }
            opcode::EMPTY_DICT => self.push_node(&[op::OBJECT], NodeKind::Dictionary, 1),
            opcode::DICT => self.dictionary(at)?,
            opcode::SETITEM => self.set_items(2, at)?,
            opcode::SETITEMS => {
                let count = self.above_mark()?;
                self.set_items(count, at)?;
            }
            opcode::EMPTY_SET => self.push_node(&[op::SET], NodeKind::Other, 1),
            opcode::FROZENSET => {
                let count = self.above_mark()?;
                let depth = self.depth_above(count)?;
                self.take(count);
                self.push_node(&[op::FROZENSET, count as u32], NodeKind::Other, depth);
            }
            opcode::ADDITEMS => {
                let count = self.above_mark()?;
                self.take_into(count)?;
                self.emit(&[op::ADD_ITEMS, count as u32]);
            }
            opcode::GLOBAL => {
                let (module, name) = (self.name(at)?, self.name(at)?);
                let number = self.global(module, name);
                self.push(Value::Global(number), &[op::GLOBAL, number]);
            }
            opcode::STACK_GLOBAL => self.stack_global(at)?,
            opcode::REDUCE => {
                self.arguments(at)?;
                self.call(&[op::REDUCE], 2)?;
            }
            opcode::NEWOBJ => {
                self.arguments(at)?;
                self.call(&[op::NEWOBJ], 2)?;
            }
            opcode::NEWOBJ_EX => self.call(&[op::NEWOBJ_EX], 3)?,
            opcode::OBJ => {
                let count = self.above_mark()?;
                if count == 0 {
                    return Err(PickleError::Underflow(at));
                }
                self.call(&[op::OBJ, count as u32 - 1], count)?;
            }
            opcode::INST => {
                let (module, name) = (self.name(at)?, self.name(at)?);
                let number = self.global(module, name);
                let count = self.above_mark()?;
                self.call(&[op::INST, number, count as u32], count)?;
            }
            opcode::BUILD => {
                self.take_into(1)?;
                self.emit(&[op::BUILD]);
            }
            opcode::GET => {
                let index = self.index(at)?;
                self.get(index)?;
            }
            opcode::BINGET => {
                let index = u64::from(self.input.byte()?);
                self.get(index)?;
            }
            opcode::LONG_BINGET => {
                let index = u64::from(u32::from_le_bytes(self.input.array()?));
                self.get(index)?;
            }
            opcode::PUT => {
                let index = self.index(at)?;
                self.put(index)?;
            }
            opcode::BINPUT => {
                let index = u64::from(self.input.byte()?);
                self.put(index)?;
            }
            opcode::LONG_BINPUT => {
                let index = u64::from(u32::from_le_bytes(self.input.array()?));
                self.put(index)?;
            }
            opcode::MEMOIZE => self.put(self.memo.count)?,
            opcode::PERSID | opcode::BINPERSID => {
                return Err(PickleError::Unsupported("persistent ids are not read"));
            }
            opcode::EXT1 | opcode::EXT2 | opcode::EXT4 => {
                return Err(PickleError::Unsupported("extension codes are not read"));
            }
            opcode::NEXT_BUFFER => {
                return Err(PickleError::Unsupported(
                    "there are no out-of-band buffers beside this pickle",
                ));
            }
            // What it makes read-only came in-band, and is nobody else's.
            opcode::READONLY_BUFFER => {
                let top = self.pop()?;
                self.stack.push(top);
            }
            code => return Err(PickleError::Opcode { code, at }),
        }
        Ok(true)
    }

    fn emit(&mut self, words: &[u32]) {
        self.code.extend_from_slice(words);
    }

    fn push(&mut self, value: Value, words: &[u32]) {
        let at = self.code.len() as u32;
        self.code.extend_from_slice(words);
        self.stack.push(Entry { at, value });
    }

    /// Pushes what the words make, behind which its slot comes.
    fn push_node(&mut self, words: &[u32], kind: NodeKind, depth: u32) {
        let number = self.nodes.len() as u32;
        let at = self.code.len() as u32;
        self.push(Value::Node(number), words);
        self.code.push(NO_SLOT);
        self.nodes.push(Node {
            at,
            slot: at + words.len() as u32,
            depth,
            kind,
            touched: false,
        });
    }

    fn push_int(&mut self, value: i32) {
        self.push(Value::Int(value), &[op::INT, value as u32]);
    }

    fn push_double(&mut self, instruction: u32, number: f64, value: Value) {
        let bits = number.to_bits();
        self.push(value, &[instruction, bits as u32, (bits >> 32) as u32]);
    }

    fn push_float(&mut self, value: f64) {
        self.push_double(op::FLOAT, value, Value::Float(value));
    }

    /// An int of up to 64 bits; false when a double does not hold it.
    fn push_whole(&mut self, value: i64) -> bool {
        const SAFE: i64 = (1 << 53) - 1;
        if let Ok(small) = i32::try_from(value) {
            self.push_int(small);
        } else if (-SAFE..=SAFE).contains(&value) {
            let number = value as f64;
            self.push_double(op::NUMBER, number, Value::Number(number));
        } else {
            return false;
        }
        true
    }

    fn long(&mut self, length: u64) -> Result<(), PickleError> {
        let (start, bytes) = self.input.take(length)?;
        if bytes.len() <= 8 {
            let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut word = if negative { [0xff; 8] } else { [0; 8] };
            for (to, from) in word.iter_mut().zip(bytes) {
                *to = *from;
            }
            if self.push_whole(i64::from_le_bytes(word)) {
                return Ok(());
            }
        }
        self.push_node(
            &[op::LONG, start as u32, bytes.len() as u32],
            NodeKind::Other,
            0,
        );
        Ok(())
    }

    fn text_int(&mut self, at: usize) -> Result<(), PickleError> {
        let (start, line) = self.input.line()?;
        match line {
            b"00" => self.push(Value::False, &[op::FALSE]),
            b"01" => self.push(Value::True, &[op::TRUE]),
            _ => self.whole(start, line, at)?,
        }
        Ok(())
    }

    fn text_long(&mut self, at: usize) -> Result<(), PickleError> {
        let (start, line) = self.input.line()?;
        self.whole(start, line, at)
    }

    fn whole(&mut self, start: usize, line: &[u8], at: usize) -> Result<(), PickleError> {
        let malformed = PickleError::Malformed { what: "an int", at };
        match text::whole(line).ok_or(malformed)? {
            Whole::Small(value) if self.push_whole(value) => {}
            _ => {
                let end = line.iter().rposition(u8::is_ascii_digit).map_or(0, |last| last + 1);
                self.push_node(
                    &[op::LONG_TEXT, start as u32, end as u32],
                    NodeKind::Other,
                    0,
                );
            }
        }
        Ok(())
    }

    fn push_string(&mut self, text: Text) {
        let words = [op::STRING | ((text.kind as u32) << 8), text.start, text.length];
        self.push(
            Value::String {
                text,
                number: NO_NUMBER,
            },
            &words,
        );
    }

    fn string(&mut self, length: u64, at: usize) -> Result<(), PickleError> {
        let (start, bytes) = self.input.take(length)?;
        self.push_utf8(start, bytes, at)
    }

    fn push_utf8(&mut self, start: usize, bytes: &[u8], at: usize) -> Result<(), PickleError> {
        let kind = if bytes.is_ascii() {
            StringKind::Latin1
        } else if std::str::from_utf8(bytes).is_ok() {
            StringKind::Utf8
        } else {
            let units = text::with_surrogates(bytes).ok_or(PickleError::Malformed {
                what: "a string",
                at,
            })?;
            self.push_units(&units);
            return Ok(());
        };
        self.push_string(Text {
            kind,
            start: start as u32,
            length: bytes.len() as u32,
        });
        Ok(())
    }

    fn push_units(&mut self, units: &[u16]) {
        // Units lie at even places.
        if self.beside.len() % 2 == 1 {
            self.beside.push(0);
        }
        let start = self.beside.len() as u32;
        self.beside.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        self.push_string(Text {
            kind: StringKind::Utf16Beside,
            start,
            length: units.len() as u32,
        });
    }

    fn old_string(&mut self, length: u64, at: usize) -> Result<(), PickleError> {
        let (start, bytes) = self.input.take(length)?;
        match self.encoding {
            Encoding::Bytes => {
                let words = [op::BYTES, start as u32, bytes.len() as u32];
                self.push_node(&words, NodeKind::Other, 0);
            }
            Encoding::Utf8 => self.push_utf8(start, bytes, at)?,
            Encoding::Ascii if !bytes.is_ascii() => return Err(not_ascii(at)),
            Encoding::Ascii | Encoding::Latin1 => self.push_string(Text {
                kind: StringKind::Latin1,
                start: start as u32,
                length: bytes.len() as u32,
            }),
        }
        Ok(())
    }

    fn old_string_beside(&mut self, bytes: &[u8], at: usize) -> Result<(), PickleError> {
        let start = self.beside.len() as u32;
        let length = bytes.len() as u32;
        match self.encoding {
            Encoding::Bytes => {
                self.beside.extend_from_slice(bytes);
                self.push_node(&[op::BYTES | 1 << 8, start, length], NodeKind::Other, 0);
            }
            Encoding::Utf8 => {
                let units = text::with_surrogates(bytes).ok_or(PickleError::Malformed {
                    what: "a string",
                    at,
                })?;
                self.push_units(&units);
            }
            Encoding::Ascii if !bytes.is_ascii() => return Err(not_ascii(at)),
            Encoding::Ascii | Encoding::Latin1 => {
                self.beside.extend_from_slice(bytes);
                self.push_string(Text {
                    kind: StringKind::Latin1Beside,
                    start,
                    length,
                });
            }
        }
        Ok(())
    }

    fn bytes(&mut self, instruction: u32, length: u64) -> Result<(), PickleError> {
        let (start, bytes) = self.input.take(length)?;
        let words = [instruction, start as u32, bytes.len() as u32];
        self.push_node(&words, NodeKind::Other, 0);
        Ok(())
    }

    /// What the top mark fences off cannot be taken.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Entry, PickleError> {
        let entry = self.stack.pop().filter(|_| self.stack.len() >= self.floor());
        entry.ok_or(PickleError::Underflow(self.input.at()))
    }

    fn top(&self) -> Result<Entry, PickleError> {
        let entry = self.stack.last().filter(|_| self.stack.len() > self.floor());
        entry.copied().ok_or(PickleError::Underflow(self.input.at()))
    }

    /// A mark on top is dropped like a value.
    fn drop_top(&mut self) -> Result<(), PickleError> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop()?;
        self.emit(&[op::POP, 1]);
        Ok(())
    }

    /// Takes the top mark away: how many values were above it.
    fn above_mark(&mut self) -> Result<usize, PickleError> {
        let mark = self.marks.pop().ok_or(PickleError::NoMark(self.input.at()))?;
        Ok(self.stack.len() - mark)
    }

    /// Drops values of which it is known that they are there.
    fn take(&mut self, count: usize) {
        self.stack.truncate(self.stack.len() - count);
    }

    fn depth_of(&self, entry: Entry) -> u32 {
        match entry.value {
            Value::Node(number) => self.nodes.get(number as usize).map_or(0, |node| node.depth),
            _ => 0,
        }
    }

    /// The top values, of which it is not known whether they are there.
    fn above(&self, count: usize) -> Result<&[Entry], PickleError> {
        let first = self.stack.len().checked_sub(count);
        first
            .filter(|first| *first >= self.floor())
            .and_then(|first| self.stack.get(first..))
            .ok_or(PickleError::Underflow(self.input.at()))
    }

    /// How deep a container of the top values is.
    fn depth_above(&self, count: usize) -> Result<u32, PickleError> {
        let entries = self.above(count)?;
        let deepest = entries.iter().map(|entry| self.depth_of(*entry)).max();
        let depth = 1 + deepest.unwrap_or(0);
        if depth > MAXIMUM_DEPTH {
            return Err(PickleError::TooDeep(MAXIMUM_DEPTH));
        }
        Ok(depth)
    }

    /// Drops the top values, which go into what is below them: its number, if it is a node.
    fn take_into(&mut self, count: usize) -> Result<Entry, PickleError> {
        let depth = self.depth_above(count)?;
        self.take(count);
        let container = self.top()?;
        if let Value::Node(number) = container.value
            && let Some(node) = self.nodes.get_mut(number as usize)
        {
            node.depth = node.depth.max(depth);
            node.touched = true;
        }
        Ok(container)
    }

    fn tuple(&mut self, count: usize) -> Result<(), PickleError> {
        let depth = self.depth_above(count)?;
        self.take(count);
        let kind = NodeKind::Tuple;
        self.push_node(&[op::TUPLE, count as u32], kind, depth);
        Ok(())
    }

    fn kind_of(&self, entry: Entry) -> Option<NodeKind> {
        match entry.value {
            Value::Node(number) => self.nodes.get(number as usize).map(|node| node.kind),
            _ => None,
        }
    }

    /// Lists are appended to, and what calls have made.
    fn append(&mut self, count: usize, at: usize) -> Result<(), PickleError> {
        let run = run_of(self.above(count)?, self.code.len());
        let below = self.stack.len().checked_sub(count + 1);
        let container = below.and_then(|below| self.stack.get(below));
        let kind = container.and_then(|container| self.kind_of(*container));
        if !matches!(kind, Some(NodeKind::List | NodeKind::Other)) {
            return Err(PickleError::Kind {
                what: "only lists are appended to",
                at,
            });
        }
        match run {
            Some(run) => self.append_run(count, run),
            None => self.emit(&[op::APPENDS, count as u32]),
        }
        self.take_into(count)?;
        Ok(())
    }

    /// What pushed the numbers becomes one instruction, in its place.
    fn append_run(&mut self, count: usize, run: Run) {
        self.code.truncate(run.start);
        self.code.push(run.instruction);
        self.code.push(count as u32);
        let first = self.stack.len() - count;
        for entry in self.stack.iter().skip(first) {
            match entry.value {
                Value::Int(value) => self.code.push(value as u32),
                Value::Float(value) => {
                    let bits = value.to_bits();
                    self.code.extend([bits as u32, (bits >> 32) as u32]);
                }
                _ => {}
            }
        }
    }

    /// A mark, then pairs.
    fn dictionary(&mut self, at: usize) -> Result<(), PickleError> {
        let count = self.above_mark()?;
        if count % 2 == 1 {
            return Err(odd(at));
        }
        let depth = self.depth_above(count)?;
        let pairs = (count / 2) as u32;
        let words = match self.shape_of(count) {
            Some(shape) => [op::RECORD, shape],
            None if self.all_strings(count) => [op::OBJECT_OF, pairs],
            None => [op::MAP_OF, pairs],
        };
        self.take(count);
        self.push_node(&words, NodeKind::Dictionary, depth);
        Ok(())
    }

    fn all_strings(&self, count: usize) -> bool {
        let first = self.stack.len() - count;
        let keys = self.stack.iter().skip(first).step_by(2);
        keys.into_iter()
            .all(|key| matches!(key.value, Value::String { .. }))
    }

    /// The shape of the pairs on top, whose keys then are pushed no more; none if they have none.
    fn shape_of(&mut self, count: usize) -> Option<u32> {
        let first = self.stack.len().checked_sub(count)?;
        if count == 0 || count > 2 * MAXIMUM_KEYS {
            return None;
        }
        let mut shape = std::mem::take(&mut self.shape);
        shape.clear();
        for entry in self.stack.iter_mut().skip(first).step_by(2) {
            let Value::String { text, number } = &mut entry.value else {
                self.shape = shape;
                return None;
            };
            if *number == NO_NUMBER {
                *number = self.keys.number(*text);
            }
            shape.push(*number);
        }
        let found = self.keys.shape(&shape);
        self.shape = shape;
        let found = found?;
        for entry in self.stack.iter().skip(first).step_by(2) {
            if let Some(word) = self.code.get_mut(entry.at as usize) {
                *word = op::SKIP | 3 << 8;
            }
        }
        Some(found)
    }

    fn set_items(&mut self, count: usize, at: usize) -> Result<(), PickleError> {
        if count % 2 == 1 {
            return Err(odd(at));
        }
        self.above(count)?;
        let strings = self.all_strings(count);
        let below = self.stack.len().checked_sub(count + 1);
        let container = below
            .filter(|below| *below >= self.floor())
            .and_then(|below| self.stack.get(below).copied())
            .ok_or(PickleError::Underflow(at))?;
        let dictionary = match container.value {
            Value::Node(number) => match self.kind_of(container) {
                Some(NodeKind::Dictionary) => Some(number),
                Some(NodeKind::Other) => None,
                _ => return Err(no_dictionary(at)),
            },
            _ => return Err(no_dictionary(at)),
        };
        if let Some(number) = dictionary {
            if strings && self.becomes_record(number, container.at, count)? {
                return Ok(());
            }
            if !strings {
                self.becomes_map(number);
            }
        }
        self.take_into(count)?;
        self.emit(&[op::SET_ITEMS, (count / 2) as u32]);
        Ok(())
    }

    /// An empty dictionary that nobody has asked for is made when its values are there, all at once.
    fn becomes_record(
        &mut self,
        number: u32,
        pushed_at: u32,
        count: usize,
    ) -> Result<bool, PickleError> {
        let Some(node) = self.nodes.get(number as usize).copied() else {
            return Ok(false);
        };
        let instruction = self.code.get(node.at as usize).copied();
        let slot = self.code.get(node.slot as usize).copied();
        let unseen = slot == Some(NO_SLOT) && node.at == pushed_at && !node.touched;
        if instruction != Some(op::OBJECT) || !unseen {
            return Ok(false);
        }
        let Some(shape) = self.shape_of(count) else {
            return Ok(false);
        };
        let depth = self.depth_above(count)?;
        self.take(count);
        if let Some(word) = self.code.get_mut(node.at as usize) {
            *word = op::SKIP | 2 << 8;
        }
        let at = self.code.len() as u32;
        self.emit(&[op::RECORD, shape, NO_SLOT]);
        if let Some(node) = self.nodes.get_mut(number as usize) {
            *node = Node {
                at,
                slot: at + 2,
                depth,
                kind: NodeKind::Dictionary,
                touched: true,
            };
        }
        if let Some(entry) = self.stack.last_mut() {
            entry.at = at;
        }
        Ok(true)
    }

    /// A dictionary that has other keys than strings.
    fn becomes_map(&mut self, number: u32) {
        let at = self.nodes.get(number as usize).map(|node| node.at as usize);
        if let Some(word) = at.and_then(|at| self.code.get_mut(at)) {
            *word = match *word {
                op::OBJECT => op::MAP,
                op::OBJECT_OF => op::MAP_OF,
                op::RECORD => op::RECORD_MAP,
                other => other,
            };
        }
    }

    /// The name on a line of its own.
    fn name(&mut self, at: usize) -> Result<Text, PickleError> {
        let (start, line) = self.input.line()?;
        let kind = if line.is_ascii() {
            StringKind::Latin1
        } else if std::str::from_utf8(line).is_ok() {
            StringKind::Utf8
        } else {
            return Err(PickleError::Malformed { what: "a name", at });
        };
        Ok(Text {
            kind,
            start: start as u32,
            length: line.len() as u32,
        })
    }

    fn content(&self, text: Text) -> Vec<u8> {
        let start = text.start as usize;
        let (bytes, width) = match text.kind {
            StringKind::Latin1 | StringKind::Utf8 => (self.input.all(), 1),
            StringKind::Utf16Beside => (self.beside.as_slice(), 2),
            StringKind::Latin1Beside => (self.beside.as_slice(), 1),
        };
        let end = start + text.length as usize * width;
        let mut content = vec![width as u8];
        content.extend_from_slice(bytes.get(start..end).unwrap_or_default());
        content
    }

    fn global(&mut self, module: Text, name: Text) -> u32 {
        let key = (self.content(module), self.content(name));
        if let Some(number) = self.global_numbers.get(&key) {
            return *number;
        }
        let number = self.globals.len() as u32;
        self.globals.push((module, name));
        self.global_numbers.insert(key, number);
        number
    }

    fn stack_global(&mut self, at: usize) -> Result<(), PickleError> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Value::String { text: of_name, .. }, Value::String { text: of_module, .. }) =
            (name.value, module.value)
        else {
            return Err(PickleError::Kind {
                what: "STACK_GLOBAL requires str",
                at,
            });
        };
        for entry in [name, module] {
            if let Some(word) = self.code.get_mut(entry.at as usize) {
                *word = op::SKIP | 3 << 8;
            }
        }
        let number = self.global(of_module, of_name);
        self.push(Value::Global(number), &[op::GLOBAL, number]);
        Ok(())
    }

    /// A call takes its arguments from a tuple.
    fn arguments(&self, at: usize) -> Result<(), PickleError> {
        match self.kind_of(self.top()?) {
            // What a call has made may be one, too.
            Some(NodeKind::Tuple | NodeKind::Other) => Ok(()),
            _ => Err(PickleError::Kind {
                what: "the arguments of a call are no tuple",
                at,
            }),
        }
    }

    /// Makes something of the top values.
    fn call(&mut self, words: &[u32], takes: usize) -> Result<(), PickleError> {
        let depth = self.depth_above(takes)?;
        self.take(takes);
        self.push_node(words, NodeKind::Other, depth);
        Ok(())
    }

    /// The number of a memo's place, in text.
    fn index(&mut self, at: usize) -> Result<u64, PickleError> {
        let (_, line) = self.input.line()?;
        let index = std::str::from_utf8(line.trim_ascii()).ok();
        index
            .and_then(|index| index.parse().ok())
            .ok_or(PickleError::Malformed {
                what: "a memo index",
                at,
            })
    }

    fn put(&mut self, index: u64) -> Result<(), PickleError> {
        let top = self.top()?;
        self.memo.put(index, top.value);
        Ok(())
    }

    fn get(&mut self, index: u64) -> Result<(), PickleError> {
        let kept = self.memo.get(index).ok_or(PickleError::Memo(index))?;
        if let Value::String { text, number } = kept
            && *number == NO_NUMBER
        {
            *number = self.keys.number(*text);
        }
        let value = *kept;
        self.push_again(value);
        Ok(())
    }

    fn duplicate(&mut self) -> Result<(), PickleError> {
        let mut top = self.top()?;
        if let Value::String { text, number } = &mut top.value
            && *number == NO_NUMBER
        {
            *number = self.keys.number(*text);
        }
        self.push_again(top.value);
        Ok(())
    }

    fn push_again(&mut self, value: Value) {
        match value {
            Value::None => self.push(value, &[op::NONE]),
            Value::True => self.push(value, &[op::TRUE]),
            Value::False => self.push(value, &[op::FALSE]),
            Value::Int(int) => self.push_int(int),
            Value::Number(number) => self.push_double(op::NUMBER, number, value),
            Value::Float(number) => self.push_float(number),
            Value::String { number, .. } => self.push(value, &[op::TABLE_STRING, number, 0]),
            Value::Global(number) => self.push(value, &[op::GLOBAL, number]),
            Value::Node(number) => {
                let slot = self.slot_of(number);
                self.push(value, &[op::GET, slot]);
            }
        }
    }

    /// The slot of a node, which it gets when it is needed again for the first time.
    fn slot_of(&mut self, number: u32) -> u32 {
        let word = self
            .nodes
            .get(number as usize)
            .and_then(|node| self.code.get_mut(node.slot as usize));
        match word {
            Some(word) => {
                if *word == NO_SLOT {
                    *word = self.slots;
                    self.slots += 1;
                }
                *word
            }
            None => NO_SLOT,
        }
    }
}

fn not_ascii(at: usize) -> PickleError {
    PickleError::Kind {
        what: "a string of Python 2 is not ASCII; say which encoding it has",
        at,
    }
}

fn odd(at: usize) -> PickleError {
    PickleError::Kind {
        what: "odd number of items for a dictionary",
        at,
    }
}

fn no_dictionary(at: usize) -> PickleError {
    PickleError::Kind {
        what: "only dictionaries have items",
        at,
    }
}

/// Numbers on the stack that nothing stands between.
struct Run {
    /// Where the first of the instructions begins that push them.
    start: usize,
    instruction: u32,
}

/// Whether values are only ints, or only floats, pushed by the last instructions.
fn run_of(entries: &[Entry], end: usize) -> Option<Run> {
    let first = entries.first()?;
    let start = first.at as usize;
    let ints = matches!(first.value, Value::Int(_));
    let width = if ints { 2 } else { 3 };
    if end - start != entries.len() * width {
        return None;
    }
    let same = entries.iter().all(|entry| match entry.value {
        Value::Int(_) => ints,
        Value::Float(_) => !ints,
        _ => false,
    });
    let instruction = if ints {
        op::APPEND_INTS
    } else {
        op::APPEND_FLOATS
    };
    same.then_some(Run { start, instruction })
}
