//! Pickles, good and hostile: what is accepted keeps its promises, and nothing takes long or much.

use std::time::{Duration, Instant};

use mp_wire::pickle::{Encoding, MAXIMUM_DEPTH, PickleError, op, read, verify};
use proptest::collection::vec;
use proptest::prelude::*;

fn instructions(bytes: &[u8]) -> Vec<u32> {
    let program = read(bytes, Encoding::Ascii).unwrap();
    verify(&program, bytes.len()).unwrap();
    let words = program.words();
    words[words[0] as usize..words[1] as usize].to_vec()
}

fn error(bytes: &[u8]) -> PickleError {
    read(bytes, Encoding::Ascii).unwrap_err()
}

#[test]
fn ints_of_a_list_are_one_instruction() {
    assert_eq!(
        instructions(b"\x80\x04]\x94(K\x01M\x00\x01J\xff\xff\xff\xffe."),
        [
            op::LIST, 0, op::APPEND_INTS, 3, 1, 256, 0xffff_ffff, op::END
        ]
    );
    assert_eq!(
        instructions(b"]K\x05a."),
        [op::LIST, 0, op::APPEND_INTS, 1, 5, op::END]
    );
}

#[test]
fn numbers_that_something_stands_between_are_pushed() {
    assert_eq!(
        instructions(b"](K\x01K\x090K\x02e."),
        [
            op::LIST, 0, op::INT, 1, op::INT, 9, op::POP, 1, op::INT, 2, op::APPENDS, 2, op::END
        ]
    );
}

#[test]
fn dictionaries_of_the_same_keys_have_one_shape() {
    let bytes = b"](}(U\x01aK\x01U\x01bK\x02u}(U\x01aK\x03U\x01bK\x04ue.";
    let program = read(bytes, Encoding::Ascii).unwrap();
    verify(&program, bytes.len()).unwrap();
    assert_eq!(program.words()[6], 1);
    assert_eq!(
        instructions(b"}(U\x01aK\x01u."),
        [op::SKIP | 2 << 8, 0, op::SKIP | 3 << 8, 4, 1, op::INT, 1, op::RECORD, 0, 0, op::END]
    );
}

#[test]
fn a_dictionary_that_something_was_done_to_is_filled_in_place() {
    // It is in itself; it has got a state; it has entries already.
    for bytes in [
        b"}q\x00(U\x01ah\x00u.".as_slice(),
        b"}}b(U\x01aK\x01u.",
        b"}U\x01aK\x01sU\x01bK\x02s(U\x01cK\x03u.",
    ] {
        assert!(instructions(bytes).contains(&op::SET_ITEMS), "{bytes:?}");
    }
}

#[test]
fn values_that_are_needed_again_have_slots() {
    assert_eq!(
        instructions(b"]q\x00h\x00\x86."),
        [op::LIST, 1, op::GET, 1, op::TUPLE, 2, 0, op::END]
    );
    assert_eq!(
        instructions(b"]2\x86."),
        [op::LIST, 1, op::GET, 1, op::TUPLE, 2, 0, op::END]
    );
}

#[test]
fn names_are_put_into_a_table() {
    let bytes = b"\x8c\x01m\x94\x8c\x01n\x94\x93\x94cm\nn\n\x86.";
    let program = read(bytes, Encoding::Ascii).unwrap();
    verify(&program, bytes.len()).unwrap();
    assert_eq!(program.words()[4], 1);
}

#[test]
fn lengths_are_not_believed() {
    let huge = u64::MAX.to_le_bytes();
    for opcode in [0x8d, 0x8e, 0x96, 0x95] {
        assert_eq!(error(&[&[opcode], huge.as_slice(), b"x."].concat()), PickleError::Truncated);
    }
    for opcode in [b'X', b'B'] {
        assert_eq!(
            error(&[&[opcode], [0xff; 4].as_slice(), b"x."].concat()),
            PickleError::Truncated
        );
    }
    for opcode in [b'T', 0x8b] {
        assert!(matches!(
            error(&[&[opcode], [0xff; 4].as_slice(), b"x."].concat()),
            PickleError::Malformed { .. }
        ));
        assert_eq!(
            error(&[&[opcode], [0xff, 0xff, 0xff, 0x7f].as_slice(), b"x."].concat()),
            PickleError::Truncated
        );
    }
}

#[test]
fn a_memo_has_places_that_are_far_apart() {
    let far = u32::MAX.to_le_bytes();
    let bytes = [b"]r".as_slice(), &far, b"j", &far, b"\x86."].concat();
    verify(&read(&bytes, Encoding::Ascii).unwrap(), bytes.len()).unwrap();
    assert_eq!(error(b"h\x05."), PickleError::Memo(5));
    assert_eq!(error(b"]p18446744073709551615\ng1\n."), PickleError::Memo(1));
    assert!(matches!(error(b"]p-1\n."), PickleError::Malformed { .. }));
}

#[test]
fn what_is_below_a_mark_is_out_of_reach() {
    for bytes in [
        b"](K\x01a.".as_slice(),
        b"K\x01(\x85.",
        b"K\x01(.",
        b"K\x01K\x02(\x86.",
        b"}K\x01(K\x02s.",
        b"(\x94.",
    ] {
        assert!(matches!(error(bytes), PickleError::Underflow(_)), "{bytes:?}");
    }
    for bytes in [b"e.".as_slice(), b"t.", b"1.", b"K\x01l.", b"o."] {
        assert!(matches!(error(bytes), PickleError::NoMark(_)), "{bytes:?}");
    }
}

#[test]
fn what_is_no_container_takes_nothing() {
    for bytes in [
        b"K\x01K\x02a.".as_slice(),
        b"}K\x02a.",
        b")K\x02a.",
        b"]K\x01K\x02s.",
        b"NK\x01K\x02s.",
        b"}(K\x01u.",
        b"K\x01K\x02\x93.",
        b"cm\nn\n]R.",
        b"cm\nn\nNR.",
    ] {
        assert!(matches!(error(bytes), PickleError::Kind { .. }), "{bytes:?}");
    }
}

#[test]
fn what_would_run_code_is_refused() {
    for bytes in [
        b"Pid\n.".as_slice(),
        b"NQ.",
        b"\x82\x01.",
        b"\x83\x01\x00.",
        b"\x84\x01\x00\x00\x00.",
        b"\x97.",
    ] {
        assert!(matches!(error(bytes), PickleError::Unsupported(_)), "{bytes:?}");
    }
    for code in (0..=255).filter(|code| read(&[*code], Encoding::Ascii).is_err()) {
        let _ = read(&[b'N', code, b'.'], Encoding::Ascii);
    }
    assert_eq!(error(b"\xff."), PickleError::Opcode { code: 0xff, at: 0 });
    assert_eq!(error(b"\x80\x06N."), PickleError::Protocol(6));
}

#[test]
fn nesting_has_an_end() {
    let deep = |levels: usize| [vec![b']'; levels], vec![b'a'; levels - 1], vec![b'.']].concat();
    let limit = MAXIMUM_DEPTH as usize;
    assert!(read(&deep(limit), Encoding::Ascii).is_ok());
    assert_eq!(error(&deep(limit + 1)), PickleError::TooDeep(MAXIMUM_DEPTH));
    let tuples = [b"N".to_vec(), vec![0x85; 1_000_000], vec![b'.']].concat();
    assert_eq!(error(&tuples), PickleError::TooDeep(MAXIMUM_DEPTH));
    // Marks alone cost little.
    assert!(read(&[vec![b'('; 1_000_000], b"N.".to_vec()].concat(), Encoding::Ascii).is_ok());
}

#[test]
fn text_is_not_read_for_ever() {
    let digits = |count: usize| [b"L".to_vec(), vec![b'9'; count], b"L\n.".to_vec()].concat();
    assert!(read(&digits(4300), Encoding::Ascii).is_ok());
    assert!(matches!(error(&digits(4301)), PickleError::Malformed { .. }));
    for line in ["I1e5", "I", "I--1", "I0x10", "F", "F1_0", "Fabc", "L", "S'a", "Sa", "S'", "V\\u12"] {
        let bytes = [line.as_bytes(), b"\n."].concat();
        assert!(matches!(error(&bytes), PickleError::Malformed { .. }), "{line}");
    }
    assert!(matches!(error(b"X\x02\x00\x00\x00\xc3\x28."), PickleError::Malformed { .. }));
    assert!(matches!(error(b"X\x03\x00\x00\x00\xed\xa0\x00."), PickleError::Malformed { .. }));
}

#[test]
fn strings_of_python_2_are_what_is_asked_for() {
    let bytes = b"U\x02\xc3\xa9.";
    assert!(matches!(error(bytes), PickleError::Kind { .. }));
    for (encoding, instruction) in [
        (Encoding::Latin1, op::STRING),
        (Encoding::Utf8, op::STRING | 1 << 8),
        (Encoding::Bytes, op::BYTES),
    ] {
        let program = read(bytes, encoding).unwrap();
        verify(&program, bytes.len()).unwrap();
        assert_eq!(program.words()[program.words()[0] as usize], instruction);
    }
}

/// Streams that are small and would become large, or take long, in a careless reader.
#[test]
fn bombs_do_not_go_off() {
    let many = 200_000;
    let keys: Vec<u8> = (0..60_u8).flat_map(|key| [b'U', 1, key + 32, b'N']).collect();
    let shapes: Vec<u8> = (0..20_000_u16)
        .flat_map(|number| {
            let [low, high] = (number + 0x2000).to_be_bytes();
            [b"}(U\x02".as_slice(), &[low & 0x7f, high & 0x7f], b"NU\x01xNu"].concat()
        })
        .collect();
    let bombs: [Vec<u8>; 7] = [
        [b"N".to_vec(), vec![b'2'; many], b".".to_vec()].concat(),
        [b"]".to_vec(), vec![b'2'; many], b".".to_vec()].concat(),
        [b"U\xff".to_vec(), vec![b'x'; 255], vec![b'2'; many], b".".to_vec()].concat(),
        [b"L".to_vec(), vec![b'9'; 4300], b"\n".to_vec(), vec![b'2'; many], b".".to_vec()].concat(),
        [b"(".to_vec(), [b"}(".as_slice(), &keys, b"u"].concat().repeat(1000), b"l.".to_vec()].concat(),
        [b"(".to_vec(), shapes, b"l.".to_vec()].concat(),
        [b"]".to_vec(), b"\x94".repeat(many), b".".to_vec()].concat(),
    ];
    for (number, bomb) in bombs.iter().enumerate() {
        let begun = Instant::now();
        let program = read(bomb, Encoding::Ascii).unwrap();
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "bomb {number} took {took:?}");
        let words = program.words().len();
        assert!(words < 16 * bomb.len() + 64, "bomb {number} has {words} words");
    }
}

/// Opcodes that fit together more often than any bytes do.
fn opcodes() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        b"(".to_vec(), b"0".to_vec(), b"1".to_vec(), b"2".to_vec(), b"N".to_vec(), b"]".to_vec(),
        b"}".to_vec(), b")".to_vec(), b"\x8f".to_vec(), b"a".to_vec(), b"e".to_vec(), b"s".to_vec(),
        b"u".to_vec(), b"l".to_vec(), b"d".to_vec(), b"t".to_vec(), b"\x85".to_vec(), b"\x86".to_vec(),
        b"\x87".to_vec(), b"\x88".to_vec(), b"\x89".to_vec(), b"\x90".to_vec(), b"\x91".to_vec(),
        b"R".to_vec(), b"b".to_vec(), b"o".to_vec(), b"\x81".to_vec(), b"\x92".to_vec(), b"\x93".to_vec(),
        b"\x94".to_vec(), b"cm\nn\n".to_vec(), b"im\nn\n".to_vec(), b"F1.5\n".to_vec(),
        b"I7\n".to_vec(), b"L99999999999999999999L\n".to_vec(), b"S'a\\x41'\n".to_vec(),
        b"V\\u20ac\n".to_vec(), b"\x98".to_vec(), b"p3\n".to_vec(), b"g3\n".to_vec(),
        b"\x8c\x01k".to_vec(), b"\x8c\x02\xc3\xa9".to_vec(), b"X\x03\x00\x00\x00\xed\xa0\x80".to_vec(),
        b"C\x01b".to_vec(), b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01".to_vec(),
    ]);
    let ints = any::<i32>().prop_map(|int| [b"J".as_slice(), &int.to_le_bytes()].concat());
    let floats = any::<f64>().prop_map(|float| [b"G".as_slice(), &float.to_be_bytes()].concat());
    let memo = (prop::sample::select(vec![b'q', b'h']), 0..6_u8).prop_map(|(op, at)| vec![op, at]);
    let keys = (b'a'..b'd').prop_map(|key| vec![b'U', 1, key]);
    let records = vec(b'a'..b'f', 0..5).prop_map(|keys| {
        let pairs: Vec<u8> = keys.iter().flat_map(|key| [b'U', 1, *key, b'K', *key]).collect();
        [b"}(".as_slice(), &pairs, b"u"].concat()
    });
    let one = prop_oneof![8 => fixed, 2 => ints, 1 => floats, 3 => memo, 3 => keys, 2 => records];
    vec(one, 0..60).prop_map(|opcodes| [opcodes.concat(), b".".to_vec()].concat())
}

const ENCODINGS: [Encoding; 4] = [
    Encoding::Ascii,
    Encoding::Latin1,
    Encoding::Utf8,
    Encoding::Bytes,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), encoding in 0..4_usize) {
        if let Ok(program) = read(&bytes, ENCODINGS[encoding]) {
            prop_assert_eq!(verify(&program, bytes.len()), Ok(()));
        }
    }

    #[test]
    fn any_opcodes_are_read_or_refused(bytes in opcodes(), encoding in 0..4_usize) {
        if let Ok(program) = read(&bytes, ENCODINGS[encoding]) {
            prop_assert_eq!(verify(&program, bytes.len()), Ok(()));
        }
    }

    #[test]
    fn values_on_a_stack_are_read(bytes in opcodes()) {
        // With enough below them nearly all opcodes find what they take.
        let below = b"cm\nn\n](}(U\x01aNu)]K\x01K\x02U\x01xq\x00N".to_vec();
        let bytes = [below, bytes].concat();
        if let Ok(program) = read(&bytes, Encoding::Latin1) {
            prop_assert_eq!(verify(&program, bytes.len()), Ok(()));
        }
    }
}
