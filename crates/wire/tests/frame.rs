//! The frame around an object: written and found again, and refused when it is not whole.

use mp_wire::frame::{
    ALIGNMENT, EXTENDED_HEADER, Frame, FrameError, FrameHeader, FrameWriter, MAXIMUM_BUFFERS,
    MAXIMUM_DESCRIPTORS,
};
use proptest::{prelude::*, sample::Index};

fn layout(graph: &[u8], buffers: &[Vec<u8>], descriptors: u32) -> FrameWriter {
    let lengths: Vec<u64> = buffers.iter().map(|buffer| buffer.len() as u64).collect();
    FrameWriter::new(graph.len() as u64, &lengths, descriptors).expect("a layout")
}

/// The payload as a sender gathers it.
fn gather(graph: &[u8], buffers: &[Vec<u8>], descriptors: u32) -> Vec<u8> {
    let writer = layout(graph, buffers, descriptors);
    let mut payload = [writer.header(), graph].concat();
    for (padding, buffer) in writer.paddings().zip(buffers) {
        payload.extend_from_slice(padding);
        payload.extend_from_slice(buffer);
    }
    assert_eq!(payload.len() as u64, writer.payload_length());
    payload
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

fn parts() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<u8>>, u32)> {
    (
        bytes(200),
        prop::collection::vec(bytes(200), 0..6),
        prop_oneof![Just(0), 0..=MAXIMUM_DESCRIPTORS],
    )
}

/// An extended header with these numbers, whether they make sense or not.
fn extended(descriptors: u32, buffers: u32, graph: u64) -> Vec<u8> {
    let mut header = vec![2, 0, 0, 0];
    header.extend(descriptors.to_le_bytes());
    header.extend(buffers.to_le_bytes());
    header.extend([0; 4]);
    header.extend(graph.to_le_bytes());
    header
}

#[test]
fn a_graph_alone_costs_one_byte() {
    assert_eq!(gather(b"graph", &[], 0), b"\x01graph");
    let frame = Frame::parse(b"\x01graph").expect("a frame");
    assert_eq!(
        frame,
        Frame {
            graph: 1..6,
            buffers: vec![],
            descriptors: 0
        }
    );
    assert_eq!(Frame::parse(&[1]).expect("a frame").graph, 1..1);
}

#[test]
fn the_extended_layout_is_the_documented_one() {
    let payload = gather(b"abc", &[vec![7; 2], vec![], vec![9]], 4);
    let mut expected = vec![
        2, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
    ];
    for length in [2_u8, 0, 1] {
        expected.extend([length, 0, 0, 0, 0, 0, 0, 0]);
    }
    expected.extend(b"abc");
    expected.resize(64, 0);
    expected.extend([7, 7]);
    expected.resize(128, 0);
    expected.push(9);
    assert_eq!(payload, expected);
    let frame = Frame::parse(&payload).expect("a frame");
    assert_eq!(
        frame,
        Frame {
            graph: 48..51,
            buffers: vec![64..66, 128..128, 128..129],
            descriptors: 4
        }
    );
}

#[test]
fn the_first_bytes_tell_the_kind() {
    assert_eq!(Frame::parse_header(&[1]), Ok(FrameHeader::Plain));
    let header = extended(3, 2, 99);
    let known = FrameHeader::Extended {
        descriptors: 3,
        buffers: 2,
        graph: 99,
    };
    assert_eq!(Frame::parse_header(&header), Ok(known));
    for length in 1..EXTENDED_HEADER {
        let error = FrameError::Truncated {
            needed: 24,
            available: length as u64,
        };
        assert_eq!(Frame::parse_header(&header[..length]), Err(error));
    }
}

#[test]
fn other_messages_are_named() {
    assert_eq!(Frame::parse(&[]), Err(FrameError::Empty));
    // The pickle of None.
    let error = Frame::parse(b"\x80\x04N.").expect_err("a pickle");
    assert_eq!(error, FrameError::Pickle);
    assert!(error.to_string().contains("Python pickle"), "{error}");
    let error = Frame::parse(b"{}").expect_err("no frame");
    assert_eq!(error, FrameError::UnknownKind { kind: b'{' });
    assert!(error.to_string().contains("0x7b"), "{error}");
}

#[test]
fn limits_hold_on_both_sides() {
    let count = MAXIMUM_DESCRIPTORS + 1;
    let error = FrameError::TooManyDescriptors {
        count: count.into(),
    };
    assert_eq!(FrameWriter::new(0, &[], count), Err(error));
    assert_eq!(Frame::parse(&extended(count, 0, 0)), Err(error));
    assert!(Frame::parse(&extended(MAXIMUM_DESCRIPTORS, 0, 0)).is_ok());

    let count = MAXIMUM_BUFFERS + 1;
    let error = FrameError::TooManyBuffers {
        count: count.into(),
        maximum: MAXIMUM_BUFFERS,
    };
    assert_eq!(FrameWriter::new(0, &vec![0; count as usize], 0), Err(error));
    assert_eq!(Frame::parse(&extended(0, count, 0)), Err(error));

    let most = vec![Vec::new(); MAXIMUM_BUFFERS as usize];
    let frame = Frame::parse(&gather(b"", &most, 0)).expect("as many as are allowed");
    assert_eq!(frame.buffers.len(), most.len());
}

#[test]
fn lengths_that_cannot_be_added_are_refused() {
    for (graph, buffers) in [
        (u64::MAX, vec![]),
        (u64::MAX - 30, vec![0]),
        (1, vec![u64::MAX, 1]),
    ] {
        assert_eq!(
            FrameWriter::new(graph, &buffers, 0),
            Err(FrameError::TooLong),
            "{graph} {buffers:?}"
        );
    }
    assert_eq!(
        Frame::parse(&extended(1, 0, u64::MAX)),
        Err(FrameError::TooLong)
    );
    for length in [u64::MAX, u64::MAX - 63, u64::MAX - 64] {
        let mut payload = extended(0, 2, 0);
        payload.extend(length.to_le_bytes());
        payload.extend(length.to_le_bytes());
        payload.resize(64, 0);
        assert!(Frame::parse(&payload).is_err(), "{length}");
    }
}

#[test]
fn a_table_that_is_not_there_is_not_believed() {
    let error = Frame::parse(&extended(0, MAXIMUM_BUFFERS, 0)).expect_err("no table");
    assert_eq!(
        error,
        FrameError::Truncated {
            needed: 24 + 8 * 65_536,
            available: 24
        }
    );
}

#[test]
fn what_must_be_zero_is_looked_at() {
    let whole = gather(b"abc", &[vec![1, 2], vec![3]], 1);
    for offset in [1, 2, 3, 12, 13, 14, 15] {
        let mut payload = whole.clone();
        payload[offset] = 1;
        let error = FrameError::ReservedNotZero {
            offset: offset as u64,
        };
        assert_eq!(Frame::parse(&payload), Err(error));
    }
    for (padding, buffer) in [(43..64, 0), (66..128, 1)] {
        for offset in padding {
            let mut payload = whole.clone();
            payload[offset] = 0x80;
            assert_eq!(
                Frame::parse(&payload),
                Err(FrameError::PaddingNotZero { buffer }),
                "{offset}"
            );
        }
    }
}

proptest! {
    #[test]
    fn every_part_comes_back((graph, buffers, descriptors) in parts()) {
        let payload = gather(&graph, &buffers, descriptors);
        let frame = Frame::parse(&payload).expect("a frame");
        prop_assert_eq!(&payload[frame.graph.clone()], &graph[..]);
        prop_assert_eq!(frame.descriptors, descriptors);
        prop_assert_eq!(frame.buffers.len(), buffers.len());
        for (range, buffer) in frame.buffers.iter().zip(&buffers) {
            prop_assert_eq!(range.start as u64 % ALIGNMENT, 0);
            prop_assert_eq!(&payload[range.clone()], &buffer[..]);
        }
        let plain = matches!(Frame::parse_header(&payload), Ok(FrameHeader::Plain));
        prop_assert_eq!(plain, buffers.is_empty() && descriptors == 0);
    }

    #[test]
    fn layouts_of_any_size_are_exact(
        graph in prop_oneof![any::<u64>(), 0..1_000_000_u64],
        buffers in prop::collection::vec(prop_oneof![any::<u64>(), 0..1_000_000_u64], 0..5),
    ) {
        // The same sums in numbers that cannot overflow.
        let mut end = u128::from(graph)
            + if buffers.is_empty() { 1 } else { 24 + 8 * buffers.len() as u128 };
        for buffer in &buffers {
            end = end.next_multiple_of(64) + u128::from(*buffer);
        }
        match FrameWriter::new(graph, &buffers, 0) {
            Ok(writer) => {
                prop_assert_eq!(u128::from(writer.payload_length()), end);
                prop_assert_eq!(writer.paddings().len(), buffers.len());
                let own: u128 = writer.paddings().map(|padding| padding.len() as u128).sum();
                let given: u128 = buffers.iter().map(|buffer| u128::from(*buffer)).sum();
                prop_assert_eq!(own + given + u128::from(graph) + writer.header().len() as u128, end);
            }
            Err(error) => {
                prop_assert_eq!(error, FrameError::TooLong);
                // An offset that has to be rounded up can fail where the total itself would not,
                // but only within one alignment of the end.
                prop_assert!(end + u128::from(ALIGNMENT) > u128::from(u64::MAX), "{}", end);
            }
        }
    }

    #[test]
    fn a_truncated_frame_is_an_error((graph, buffers, descriptors) in parts(), cut in any::<Index>()) {
        let payload = gather(&graph, &buffers, descriptors);
        let cut = cut.index(payload.len());
        let outcome = Frame::parse(&payload[..cut]);
        if payload[0] == 1 && cut > 0 {
            // A plain frame has no length of its own: the message's is the graph's.
            prop_assert_eq!(outcome.expect("a shorter graph").graph, 1..cut);
        } else {
            prop_assert!(outcome.is_err(), "{cut} of {} bytes: {outcome:?}", payload.len());
        }
    }

    #[test]
    fn a_longer_frame_is_an_error((graph, buffers, descriptors) in parts(), more in 1..200_usize) {
        prop_assume!(!buffers.is_empty() || descriptors > 0);
        let mut payload = gather(&graph, &buffers, descriptors);
        payload.resize(payload.len() + more, 0);
        prop_assert_eq!(Frame::parse(&payload), Err(FrameError::TrailingBytes { surplus: more as u64 }));
    }

    #[test]
    fn whatever_parses_is_what_would_be_written(
        (graph, buffers, descriptors) in parts(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
    ) {
        let mut payload = gather(&graph, &buffers, descriptors);
        for (place, byte) in changes {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        if let Ok(frame) = Frame::parse(&payload) {
            let graph = payload[frame.graph.clone()].to_vec();
            let buffers: Vec<Vec<u8>> =
                frame.buffers.iter().map(|range| payload[range.clone()].to_vec()).collect();
            // The extended form of a graph alone is read, and never written.
            if payload[0] == 1 || !buffers.is_empty() || frame.descriptors > 0 {
                prop_assert_eq!(gather(&graph, &buffers, frame.descriptors), payload);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut payload in bytes(400), kind in prop_oneof![any::<u8>(), Just(2)]) {
        if let Some(first) = payload.first_mut() {
            *first = kind;
        }
        if let Ok(frame) = Frame::parse(&payload) {
            let mut end = frame.graph.end;
            for range in &frame.buffers {
                prop_assert!(end <= range.start && range.start <= range.end);
                end = range.end;
            }
            prop_assert_eq!(end, payload.len());
        }
        let _ = Frame::parse_header(&payload);
    }
}
