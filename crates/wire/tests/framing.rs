//! The length in front of a message: what is written, and what is read however it is cut.

use mp_wire::framing::{FramingError, LengthReader, Progress, header};
use proptest::prelude::*;

/// What one reader makes of `pieces`, and how many bytes it took in all.
fn read(pieces: &[&[u8]], maximum: u64) -> (usize, Result<Progress, FramingError>) {
    let mut reader = LengthReader::new(maximum);
    let mut taken = 0;
    let mut outcome = reader.progress();
    for piece in pieces {
        match reader.feed(piece) {
            Ok((more, progress)) => {
                taken += more;
                outcome = Ok(progress);
                if more < piece.len() {
                    break;
                }
            }
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, outcome)
}

/// Lengths around every boundary as often as anywhere else.
fn lengths() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..=64_u64,
        0x7FFF_FFF0..=0x8000_0010_u64,
        0xFFFF_FFF0..=0x1_0000_0010_u64,
        u64::MAX - 16..=u64::MAX,
    ]
}

#[test]
fn headers_are_cpythons() {
    assert_eq!(header(0).as_bytes(), [0, 0, 0, 0]);
    assert_eq!(header(3).as_bytes(), [0, 0, 0, 3]);
    assert_eq!(header(0x7FFF_FFFF).as_bytes(), [0x7F, 0xFF, 0xFF, 0xFF]);
    assert_eq!(
        header(0x8000_0000).as_bytes(),
        [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0x80, 0, 0, 0],
    );
}

#[test]
fn a_long_header_may_announce_a_short_payload() {
    let bytes = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5];
    assert_eq!(read(&[&bytes], u64::MAX), (12, Ok(Progress::Length(5))));
}

#[test]
fn other_negative_lengths_are_refused() {
    for length in [-2, i32::MIN, -0x0100_0000] {
        let (_, outcome) = read(&[&length.to_be_bytes()], u64::MAX);
        assert_eq!(outcome, Err(FramingError::NegativeLength { length }));
    }
}

#[test]
fn the_maximum_itself_is_accepted_and_one_more_is_not() {
    for maximum in [0, 256, 0x7FFF_FFFF, 0x8000_0000, u64::MAX - 1] {
        assert_eq!(
            read(&[header(maximum).as_bytes()], maximum).1,
            Ok(Progress::Length(maximum))
        );
        let length = maximum + 1;
        assert_eq!(
            read(&[header(length).as_bytes()], maximum).1,
            Err(FramingError::TooLong { length, maximum }),
        );
    }
}

#[test]
fn a_reader_knows_whether_it_has_begun() {
    let mut reader = LengthReader::new(100);
    assert!(reader.is_empty());
    assert_eq!(reader.feed(&[]), Ok((0, Progress::Wanted(4))));
    assert!(reader.is_empty());
    assert_eq!(reader.feed(&[0]), Ok((1, Progress::Wanted(3))));
    assert!(!reader.is_empty());
}

#[test]
fn errors_name_the_culprit() {
    let error = FramingError::TooLong {
        length: 1000,
        maximum: 256,
    };
    assert_eq!(
        error.to_string(),
        "message of 1000 bytes is longer than the 256 bytes accepted here"
    );
    assert_eq!(
        FramingError::NegativeLength { length: -7 }.to_string(),
        "message length -7 is negative"
    );
}

proptest! {
    #[test]
    fn every_length_comes_back(length in lengths(), payload in prop::collection::vec(any::<u8>(), 0..20)) {
        let header = header(length);
        let message = [header.as_bytes(), &payload].concat();
        prop_assert_eq!(
            read(&[&message], u64::MAX),
            (header.as_bytes().len(), Ok(Progress::Length(length))),
        );
    }

    #[test]
    fn the_cuts_make_no_difference(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..24),
            (lengths(), prop::collection::vec(any::<u8>(), 0..12))
                .prop_map(|(length, rest)| [header(length).as_bytes(), &rest].concat()),
        ],
        cuts in prop::collection::vec(0..24_usize, 0..8),
        maximum in lengths(),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();

        let (taken, whole) = read(&[&bytes], maximum);
        let (taken_in_pieces, in_pieces) = read(&pieces, maximum);
        let (taken_singly, singly) = read(&single, maximum);
        prop_assert_eq!(in_pieces, whole);
        prop_assert_eq!(singly, whole);
        if whole.is_ok() {
            prop_assert_eq!(taken_in_pieces, taken);
            prop_assert_eq!(taken_singly, taken);
        }
    }

    #[test]
    fn never_asks_for_more_than_the_header_has(length in lengths(), fed in 0..12_usize) {
        let header = header(length);
        let bytes = header.as_bytes();
        let fed = fed.min(bytes.len() - 1);
        let mut reader = LengthReader::new(u64::MAX);
        let (taken, progress) = reader.feed(&bytes[..fed]).expect("the start of a header");
        prop_assert_eq!(taken, fed);
        match progress {
            Progress::Wanted(wanted) => {
                prop_assert!(wanted >= 1);
                prop_assert!(fed + wanted <= bytes.len());
            }
            Progress::Length(_) => prop_assert!(false, "known from {fed} of {} bytes", bytes.len()),
        }
    }

    #[test]
    fn a_finished_reader_takes_nothing_more(length in lengths(), more in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut reader = LengthReader::new(u64::MAX);
        reader.feed(header(length).as_bytes()).expect("a header");
        prop_assert_eq!(reader.feed(&more), Ok((0, Progress::Length(length))));
    }
}
