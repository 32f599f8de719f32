//! Types that are made of others.

use crate::{Fundamental, Kind, LayoutError, MAXIMUM_SIZE, Member, Record, RecordLayout, lay_out};

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// One that is made of no others.
    Fundamental(Fundamental),
    /// So many of one type, one after the other.
    Array(Box<Type>, u64),
    /// A structure or union.
    Record {
        /// Which of the two.
        kind: Kind,
        /// As with `#pragma pack`.
        pack: Option<u64>,
        /// The members, in order.
        fields: Vec<Field>,
    },
}

/// A member of a structure or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is.
    pub of: Type,
    /// For a bit field, how many bits it has.
    pub bits: Option<u32>,
}

impl Type {
    /// The size and alignment.
    ///
    /// # Errors
    /// See [`lay_out`]; also bit fields of what is no integer.
    pub fn extent(&self) -> Result<(u64, u64), LayoutError> {
        match self {
            Self::Fundamental(fundamental) => Ok((fundamental.size, fundamental.alignment)),
            Self::Array(of, length) => {
                let (size, alignment) = of.extent()?;
                let size = size
                    .checked_mul(*length)
                    .filter(|size| *size <= MAXIMUM_SIZE);
                Ok((size.ok_or(LayoutError::TooLarge)?, alignment))
            }
            Self::Record { kind, pack, fields } => {
                let RecordLayout {
                    size, alignment, ..
                } = layout_of(*kind, *pack, fields)?;
                Ok((size, alignment))
            }
        }
    }

    /// Where the members are; none for what has no members.
    ///
    /// # Errors
    /// See [`Type::extent`].
    pub fn layout(&self) -> Result<Option<RecordLayout>, LayoutError> {
        match self {
            Self::Record { kind, pack, fields } => layout_of(*kind, *pack, fields).map(Some),
            Self::Fundamental(_) | Self::Array(..) => Ok(None),
        }
    }
}

fn layout_of(kind: Kind, pack: Option<u64>, fields: &[Field]) -> Result<RecordLayout, LayoutError> {
    let members: Vec<Member> = fields.iter().map(member).collect::<Result<_, _>>()?;
    lay_out(&Record {
        kind,
        pack,
        members: &members,
    })
}

fn member(field: &Field) -> Result<Member, LayoutError> {
    let (size, alignment) = field.of.extent()?;
    if let Some(bits) = field.bits {
        let Type::Fundamental(fundamental) = field.of else {
            return Err(LayoutError::NoBitField);
        };
        let maximum = fundamental.maximum_bits().ok_or(LayoutError::NoBitField)?;
        if bits == 0 || bits > maximum {
            return Err(LayoutError::Bits);
        }
    }
    Ok(Member {
        size,
        alignment,
        bits: field.bits,
    })
}
