//! A stream of headers, cut into pieces anywhere: the pieces must make no difference, and a length
//! that is read must be the one that its bytes say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mp_wire::framing::{FramingError, LengthReader, Progress, header};

/// The result of feeding `input` in pieces of the lengths that `cuts` gives over and over.
fn read(input: &[u8], cuts: &[u8], maximum: u64) -> Result<(usize, Progress), FramingError> {
    let mut reader = LengthReader::new(maximum);
    let mut cuts = cuts.iter().cycle();
    let mut taken = 0;
    let mut progress = reader.progress()?;
    while let rest @ [_, ..] = &input[taken..] {
        let piece = cuts
            .next()
            .map_or(1, |cut| usize::from(cut % 16) + 1)
            .min(rest.len());
        let (more, now) = reader.feed(&rest[..piece])?;
        taken += more;
        progress = now;
        match now {
            Progress::Length(_) => break,
            Progress::Wanted(wanted) => {
                assert_eq!(more, piece, "bytes of the header were left over");
                assert!(wanted >= 1 && taken + wanted <= 12);
            }
        }
    }
    Ok((taken, progress))
}

fuzz_target!(|data: &[u8]| {
    let Some((maximum, rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let Some((cuts, input)) = rest.split_at_checked(4) else {
        return;
    };
    let maximum = u64::from_le_bytes(*maximum);

    let whole = read(input, &[15], maximum);
    assert_eq!(read(input, &[], maximum), whole, "byte by byte");
    assert_eq!(read(input, cuts, maximum), whole, "in pieces");

    if let Ok((taken, Progress::Length(length))) = whole {
        assert!(length <= maximum);
        let written = header(length);
        // A short payload may stand behind a long header, which is read but never written.
        if written.as_bytes().len() == taken {
            assert_eq!(written.as_bytes(), &input[..taken]);
        } else {
            assert_eq!((written.as_bytes().len(), taken), (4, 12));
        }
    }
});
