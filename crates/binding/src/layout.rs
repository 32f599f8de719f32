//! Where a C compiler puts things; asked once for each type.

use mp_layout::{Class, FUNDAMENTALS, Kind, Member, Record, RecordLayout};
use napi::{Error, Result};
use napi_derive::napi;

/// A type that is made of no others, as it is on this platform.
#[napi(object, use_nullable = true)]
pub struct FundamentalType {
    /// Its name in ctypes.
    pub name: String,
    /// The letter that stands for it; null when there is none.
    pub typecode: Option<String>,
    /// What its bits mean.
    #[napi(
        ts_type = "'boolean' | 'character' | 'wide character' | 'signed' | 'unsigned' | 'float'"
    )]
    pub class: String,
    /// How many bytes it takes.
    pub size: u32,
    /// What its offsets are multiples of.
    pub alignment: u32,
    /// How many bits a bit field of it may have at most; null for types that have no bit fields.
    pub maximum_bits: Option<u32>,
}

/// The types that are made of no others.
#[napi]
pub fn fundamental_types() -> Vec<FundamentalType> {
    FUNDAMENTALS
        .iter()
        .map(|fundamental| FundamentalType {
            name: fundamental.name.to_owned(),
            typecode: fundamental.typecode.map(String::from),
            class: name_of(fundamental.class).to_owned(),
            size: fundamental.size as u32,
            alignment: fundamental.alignment as u32,
            maximum_bits: fundamental.maximum_bits(),
        })
        .collect()
}

fn name_of(class: Class) -> &'static str {
    match class {
        Class::Boolean => "boolean",
        Class::Character => "character",
        Class::WideCharacter => "wide character",
        Class::Signed => "signed",
        Class::Unsigned => "unsigned",
        Class::Float => "float",
    }
}

/// A member of a structure or union.
#[napi(object, use_nullable = true)]
pub struct RecordMember {
    /// The size of its type, in bytes.
    pub size: i64,
    /// The alignment of its type.
    pub alignment: i64,
    /// For a bit field, how many bits it has; null for others.
    pub bits: Option<u32>,
}

/// Where a member is.
#[napi(object)]
pub struct RecordPlace {
    /// Its first byte.
    pub offset: i64,
    /// Of a bit field, its first bit in that byte, in the order of the bytes.
    pub first_bit: u32,
}

/// Where everything in a structure or union is.
#[napi(object)]
pub struct RecordPlaces {
    /// The size, in bytes.
    pub size: i64,
    /// The alignment.
    pub alignment: i64,
    /// Where each member is.
    pub places: Vec<RecordPlace>,
}

/// Lays out a structure or union. Throws, with the reason, when that cannot be.
#[napi]
pub fn lay_out_record(
    #[napi(ts_arg_type = "'structure' | 'union'")] kind: String,
    pack: Option<u32>,
    members: Vec<RecordMember>,
) -> Result<RecordPlaces> {
    let members: Vec<Member> = members.iter().map(member).collect::<Result<_>>()?;
    let record = Record {
        kind: if kind == "union" {
            Kind::Union
        } else {
            Kind::Structure
        },
        pack: pack.map(u64::from),
        members: &members,
    };
    let layout =
        mp_layout::lay_out(&record).map_err(|error| Error::from_reason(error.to_string()))?;
    Ok(RecordPlaces::from(layout))
}

fn member(member: &RecordMember) -> Result<Member> {
    let unsigned = |number: i64| {
        u64::try_from(number).map_err(|_| Error::from_reason("a size cannot be negative"))
    };
    Ok(Member {
        size: unsigned(member.size)?,
        alignment: unsigned(member.alignment)?,
        bits: member.bits,
    })
}

/// No size is larger than what JavaScript can count.
impl From<RecordLayout> for RecordPlaces {
    fn from(layout: RecordLayout) -> Self {
        Self {
            size: layout.size as i64,
            alignment: layout.alignment as i64,
            places: layout
                .places
                .iter()
                .map(|place| RecordPlace {
                    offset: place.offset as i64,
                    first_bit: place.first_bit,
                })
                .collect(),
        }
    }
}
