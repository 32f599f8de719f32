//! Structures and unions: one rule for where the next member goes.

use crate::{LayoutError, MAXIMUM_SIZE};

/// Whether members follow one another or share one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They follow one another.
    Structure,
    /// They share one place.
    Union,
}

/// What has to be known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The size of its type, in bytes.
    pub size: u64,
    /// The alignment of its type.
    pub alignment: u64,
    /// For a bit field, how many bits it has.
    pub bits: Option<u32>,
}

/// What has to be known of a structure or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Which of the two.
    pub kind: Kind,
    /// No member's alignment is larger than this, as with `#pragma pack`.
    pub pack: Option<u64>,
    /// The members, in order.
    pub members: &'a [Member],
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first byte; of a bit field, the byte in which its first bit is.
    pub offset: u64,
    /// Of a bit field, its first bit in that byte: counted from the least significant one where the byte
    /// order is little-endian, and from the most significant one where it is big-endian. It goes on into
    /// the bytes that follow.
    pub first_bit: u32,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    /// The size, in bytes, with what is left free at the end.
    pub size: u64,
    /// The alignment.
    pub alignment: u64,
    /// Where each member is.
    pub places: Vec<Place>,
}

/// Lays out a structure or union.
///
/// # Errors
/// Bit fields without bits or with more than their type has, an alignment or packing that is no power of
/// two, and what is larger than [`MAXIMUM_SIZE`].
pub fn lay_out(record: &Record) -> Result<RecordLayout, LayoutError> {
    let pack = match record.pack {
        None => None,
        Some(pack @ (1 | 2 | 4 | 8 | 16)) => Some(pack),
        Some(_) => return Err(LayoutError::Pack),
    };
    let mut alignment = 1;
    // In bits, as bit fields end anywhere.
    let mut end: u64 = 0;
    let mut places = Vec::with_capacity(record.members.len());
    for member in record.members {
        if !member.alignment.is_power_of_two() {
            return Err(LayoutError::Alignment);
        }
        let aligned_to = pack.map_or(member.alignment, |pack| member.alignment.min(pack));
        alignment = alignment.max(aligned_to);
        let from = match record.kind {
            Kind::Structure => end,
            Kind::Union => 0,
        };
        let width = width_of(member)?;
        let start = match member.bits {
            Some(_) => start_of_bits(from, width, member, pack.is_some()),
            None => from.next_multiple_of(8 * aligned_to),
        };
        end = end.max(start.checked_add(width).ok_or(LayoutError::TooLarge)?);
        if end > 8 * MAXIMUM_SIZE {
            return Err(LayoutError::TooLarge);
        }
        places.push(Place {
            offset: start / 8,
            first_bit: (start % 8) as u32,
        });
    }
    let size = end.div_ceil(8).next_multiple_of(alignment);
    if size > MAXIMUM_SIZE {
        return Err(LayoutError::TooLarge);
    }
    Ok(RecordLayout {
        size,
        alignment,
        places,
    })
}

/// How many bits a member takes.
fn width_of(member: &Member) -> Result<u64, LayoutError> {
    if member.size > MAXIMUM_SIZE || member.alignment > MAXIMUM_SIZE {
        return Err(LayoutError::TooLarge);
    }
    let all = 8 * member.size;
    match member.bits {
        None => Ok(all),
        Some(bits) if bits > 0 && u64::from(bits) <= all => Ok(u64::from(bits)),
        Some(_) => Err(LayoutError::Bits),
    }
}

/// A bit field follows at once, unless it would lie in two units of its type; packed, even then.
fn start_of_bits(from: u64, width: u64, member: &Member, packed: bool) -> u64 {
    let unit = 8 * member.size;
    let crosses = from / unit != (from + width - 1) / unit;
    if crosses && !packed {
        from.next_multiple_of(8 * member.alignment)
    } else {
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: Member = Member {
        size: 4,
        alignment: 4,
        bits: None,
    };

    fn structure(pack: Option<u64>, members: &[Member]) -> Result<RecordLayout, LayoutError> {
        lay_out(&Record {
            kind: Kind::Structure,
            pack,
            members,
        })
    }

    #[test]
    fn nothing_has_no_size() {
        let layout = structure(None, &[]).unwrap();
        assert_eq!((layout.size, layout.alignment), (0, 1));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let bits = |bits| Member {
            bits: Some(bits),
            ..INT
        };
        assert_eq!(structure(None, &[bits(0)]), Err(LayoutError::Bits));
        assert_eq!(structure(None, &[bits(33)]), Err(LayoutError::Bits));
        assert_eq!(structure(Some(3), &[INT]), Err(LayoutError::Pack));
        assert_eq!(structure(Some(32), &[INT]), Err(LayoutError::Pack));
        let odd = Member {
            alignment: 3,
            ..INT
        };
        assert_eq!(structure(None, &[odd]), Err(LayoutError::Alignment));
        let huge = Member {
            size: MAXIMUM_SIZE,
            ..INT
        };
        assert_eq!(structure(None, &[INT, huge]), Err(LayoutError::TooLarge));
        let beyond = Member {
            size: u64::MAX,
            ..INT
        };
        assert_eq!(structure(None, &[beyond]), Err(LayoutError::TooLarge));
        let far = Member {
            alignment: 1 << 63,
            ..INT
        };
        assert_eq!(structure(None, &[far]), Err(LayoutError::TooLarge));
    }
}
