//! Any bytes as a challenge, and as a response to one: neither may be believed, whatever the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mp_wire::challenge::{Digest, RANDOM, challenge, respond, verify};

fuzz_target!(|data: &[u8]| {
    let Some((lengths, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (key, rest) = rest.split_at(usize::from(lengths[0]).min(rest.len()));
    let (message, response) = rest.split_at(usize::from(lengths[1]).min(rest.len()));

    // What an end answers proves that it has the key, and no other.
    if let Ok(answer) = respond(key, message) {
        assert_eq!(verify(key, message, &answer), Ok(()));
        let other = [key, b"x"].concat();
        assert!(verify(&other, message, &answer).is_err());
        if response != answer {
            assert!(verify(key, message, response).is_err());
        }
    }

    // Nobody guesses the answer to a challenge of ours.
    let random = std::array::from_fn::<u8, RANDOM, _>(|place| place as u8);
    let ours = challenge(Digest::Sha256, &random);
    assert!(verify(key, &ours, response).is_err() || respond(key, &ours).as_deref() == Ok(response));
});
