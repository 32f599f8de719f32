//! The types that are made of no others.

use std::ffi::{
    c_char, c_double, c_float, c_int, c_long, c_longlong, c_short, c_uchar, c_uint, c_ulong,
    c_ulonglong, c_ushort,
};
use std::mem::{align_of, size_of};

/// What the bits of a fundamental type mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Zero is false, anything else true.
    Boolean,
    /// A byte of a string.
    Character,
    /// A character of a wide string.
    WideCharacter,
    /// An integer in two's complement.
    Signed,
    /// An integer that is not negative.
    Unsigned,
    /// An IEEE 754 number.
    Float,
}

/// A type that is made of no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fundamental {
    /// Its name in ctypes.
    pub name: &'static str,
    /// Its name in C.
    pub c_name: &'static str,
    /// The letter that stands for it in the `array` module of Python, where there is one.
    pub typecode: Option<char>,
    /// What its bits mean.
    pub class: Class,
    /// How many bytes it takes.
    pub size: u64,
    /// What its offsets are multiples of.
    pub alignment: u64,
}

impl Fundamental {
    /// How many bits a bit field of it may have at most; none for types that have no bit fields.
    pub fn maximum_bits(&self) -> Option<u32> {
        match self.class {
            Class::Boolean => Some(1),
            Class::Signed | Class::Unsigned => Some(8 * u32::try_from(self.size).ok()?),
            Class::Character | Class::WideCharacter | Class::Float => None,
        }
    }
}

const fn fundamental<T>(
    name: &'static str,
    c_name: &'static str,
    typecode: Option<char>,
    class: Class,
) -> Fundamental {
    Fundamental {
        name,
        c_name,
        typecode,
        class,
        size: size_of::<T>() as u64,
        alignment: align_of::<T>() as u64,
    }
}

#[cfg(windows)]
type WideCharacter = u16;
#[cfg(not(windows))]
type WideCharacter = u32;

use Class::{Boolean, Character, Float, Signed, Unsigned};

/// All of them, as they are on this platform.
pub const FUNDAMENTALS: [Fundamental; 25] = [
    fundamental::<bool>("c_bool", "_Bool", None, Boolean),
    fundamental::<c_char>("c_char", "char", Some('c'), Character),
    fundamental::<WideCharacter>("c_wchar", "wchar_t", Some('u'), Class::WideCharacter),
    fundamental::<i8>("c_byte", "signed char", Some('b'), Signed),
    fundamental::<c_uchar>("c_ubyte", "unsigned char", Some('B'), Unsigned),
    fundamental::<c_short>("c_short", "short", Some('h'), Signed),
    fundamental::<c_ushort>("c_ushort", "unsigned short", Some('H'), Unsigned),
    fundamental::<c_int>("c_int", "int", Some('i'), Signed),
    fundamental::<c_uint>("c_uint", "unsigned int", Some('I'), Unsigned),
    fundamental::<c_long>("c_long", "long", Some('l'), Signed),
    fundamental::<c_ulong>("c_ulong", "unsigned long", Some('L'), Unsigned),
    fundamental::<c_longlong>("c_longlong", "long long", Some('q'), Signed),
    fundamental::<c_ulonglong>("c_ulonglong", "unsigned long long", Some('Q'), Unsigned),
    fundamental::<usize>("c_size_t", "size_t", None, Unsigned),
    fundamental::<isize>("c_ssize_t", "ssize_t", None, Signed),
    fundamental::<i8>("c_int8", "int8_t", None, Signed),
    fundamental::<i16>("c_int16", "int16_t", None, Signed),
    fundamental::<i32>("c_int32", "int32_t", None, Signed),
    fundamental::<i64>("c_int64", "int64_t", None, Signed),
    fundamental::<u8>("c_uint8", "uint8_t", None, Unsigned),
    fundamental::<u16>("c_uint16", "uint16_t", None, Unsigned),
    fundamental::<u32>("c_uint32", "uint32_t", None, Unsigned),
    fundamental::<u64>("c_uint64", "uint64_t", None, Unsigned),
    fundamental::<c_float>("c_float", "float", Some('f'), Float),
    fundamental::<c_double>("c_double", "double", Some('d'), Float),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_typecode_stands_for_one_type() {
        let mut codes: Vec<char> = FUNDAMENTALS.iter().filter_map(|f| f.typecode).collect();
        assert_eq!(codes.iter().collect::<String>(), "cubBhHiIlLqQfd");
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 14);
    }
}
