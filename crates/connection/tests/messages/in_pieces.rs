//! Messages that come in pieces, cut anywhere.

use proptest::prelude::*;

use crate::channel::{
    CHANNELS, Channel, channels, framed, payload, put, take_message, without_hanging,
};

/// Lengths around the boundaries: nothing, the scratch, a pipe.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..=20_usize,
        3 => 0..=5000_usize,
        1 => 65_530..=65_540_usize,
        1 => 0..=150_000_usize,
    ]
}

/// How a stream is cut: pieces of these sizes, again and again. None is more than a pipe holds.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    let sizes = prop_oneof![3 => 1..=5_usize, 3 => 1..=5000_usize, 1 => 1..=60_000_usize];
    // One that is not tiny, so that a long stream of tiny pieces does not take for ever.
    (proptest::collection::vec(sizes, 0..8), 500..=4000_usize).prop_map(|(mut cuts, last)| {
        cuts.push(last);
        cuts
    })
}

/// The stream's pieces.
fn pieces<'a>(stream: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = stream;
    let mut cuts = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let size = *cuts.next()?;
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Writes the messages piece by piece and takes what is to be had after each. In between, another
/// connection receives into the same scratch.
fn receive_in_pieces(
    channel: Channel,
    messages: &[Vec<u8>],
    cuts: &[usize],
    scratch: usize,
) -> Vec<Vec<u8>> {
    let (mut connection, writer) = channel.receiver();
    let (mut other, other_writer) = channel.receiver();
    let mut scratch = vec![0; scratch];
    let stream: Vec<u8> = messages
        .iter()
        .flat_map(|message| framed(message))
        .collect();
    let mut arrived = Vec::new();
    let mut large = None;
    for piece in pieces(&stream, cuts) {
        put(&writer, piece);
        while let Some(message) = take_message(&mut connection, &mut scratch, &mut large) {
            arrived.push(message);
        }
        let disturbance = vec![0xEE; scratch.len().min(64)];
        put(&other_writer, &framed(&disturbance));
        let taken = take_message(&mut other, &mut scratch, &mut None);
        assert_eq!(taken.as_deref(), Some(&disturbance[..]));
    }
    arrived
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn messages_arrive_whole_and_in_order(
        channel in channels(),
        lengths in proptest::collection::vec(lengths(), 1..6),
        cuts in cuts(),
        scratch in prop_oneof![Just(1_usize), Just(16), Just(4096), Just(65_536)],
    ) {
        let messages: Vec<_> =
            lengths.iter().enumerate().map(|(seed, length)| payload(seed, *length)).collect();
        let sent = messages.clone();
        let arrived = without_hanging(move || receive_in_pieces(channel, &sent, &cuts, scratch));
        prop_assert_eq!(arrived.len(), messages.len());
        prop_assert!(arrived == messages);
    }
}

#[test]
fn messages_arrive_byte_by_byte() {
    for channel in CHANNELS {
        let messages: Vec<_> = [0, 1, 7, 8, 9, 0, 300]
            .map(|length| payload(length, length))
            .into();
        let sent = messages.clone();
        let arrived = without_hanging(move || receive_in_pieces(channel, &sent, &[1], 8));
        assert_eq!(arrived, messages, "{channel:?}");
    }
}

#[test]
fn what_follows_a_message_stays_in_the_channel() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        for length in [5, 20] {
            put(&writer, &framed(&payload(length, length)));
        }
        put(&writer, b"rest");
        let mut scratch = [0; 8];
        let mut large = None;
        for length in [5, 20] {
            let message = take_message(&mut connection, &mut scratch, &mut large);
            assert_eq!(message, Some(payload(length, length)));
        }
        let rest = crate::channel::take(&connection.into_descriptor().into(), 4);
        assert_eq!(rest, b"rest", "{channel:?}");
    }
}
