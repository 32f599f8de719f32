//! Any bytes as a frame: the parts found must lie in the payload, and a frame that was accepted
//! must be byte for byte what a sender of its parts writes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mp_wire::frame::{ALIGNMENT, Frame, FrameHeader, FrameWriter};

fuzz_target!(|payload: &[u8]| {
    let header = Frame::parse_header(payload);
    let Ok(frame) = Frame::parse(payload) else {
        return;
    };
    match header.expect("a frame has a header") {
        FrameHeader::Plain => {
            assert_eq!((frame.graph.start, frame.graph.end), (1, payload.len()));
            assert_eq!((frame.buffers.len(), frame.descriptors), (0, 0));
        }
        FrameHeader::Extended {
            descriptors,
            buffers,
            graph,
        } => {
            assert_eq!(frame.descriptors, descriptors);
            assert_eq!(frame.buffers.len() as u64, u64::from(buffers));
            assert_eq!(frame.graph.len() as u64, graph);
        }
    }

    let lengths: Vec<u64> = frame
        .buffers
        .iter()
        .map(|buffer| buffer.len() as u64)
        .collect();
    let writer = FrameWriter::new(frame.graph.len() as u64, &lengths, frame.descriptors)
        .expect("parts that were received can be sent");
    // The extended form of a graph alone is read, and never written.
    if payload[0] == 2 && lengths.is_empty() && frame.descriptors == 0 {
        return;
    }
    let mut written = writer.header().to_vec();
    written.extend_from_slice(&payload[frame.graph.clone()]);
    for (padding, buffer) in writer.paddings().zip(&frame.buffers) {
        assert_eq!(buffer.start as u64 % ALIGNMENT, 0);
        written.extend_from_slice(padding);
        written.extend_from_slice(&payload[buffer.clone()]);
    }
    assert_eq!(written.len() as u64, writer.payload_length());
    assert_eq!(written, payload);
});
