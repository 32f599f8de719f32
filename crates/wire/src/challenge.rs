//! How two ends of a connection prove to each other that they hold the same key, without sending it: the
//! challenge of CPython's `multiprocessing.connection`, in both of its generations.
//!
//! | Message | to 3.11 | from 3.12 |
//! |---|---|---|
//! | challenge | `#CHALLENGE#`, 20 random bytes | `#CHALLENGE#`, `{digest}`, 40 random bytes |
//! | response | HMAC-MD5 of what follows `#CHALLENGE#` | `{digest}`, HMAC of what follows `#CHALLENGE#` |
//! | verdict | `#WELCOME#` or `#FAILURE#` | the same |
//!
//! What an older peer answers to a newer challenge has 16 bytes and no prefix, which no newer answer has.
//! The code covers the prefix, too, so nobody in between can ask for a weaker digest.

use std::fmt::{self, Write};

use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use md5::Md5;
use sha2::{Sha256, Sha384};
use sha3::{Sha3_256, Sha3_384};
use subtle::ConstantTimeEq;

/// How many random bytes a challenge has here.
pub const RANDOM: usize = 40;

/// The bytes of a challenge of the old kind; none of the new kind is as short.
const OLD_CHALLENGE: usize = 20;
/// The bytes of an answer of the old kind.
const OLD_RESPONSE: usize = 16;

/// What a response is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// MD5, the only one that CPython to 3.11 has.
    Md5,
    /// SHA-256, which CPython asks for from 3.12 on.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
}

const DIGESTS: [Digest; 5] = [
    Digest::Md5,
    Digest::Sha256,
    Digest::Sha384,
    Digest::Sha3_256,
    Digest::Sha3_384,
];

impl Digest {
    /// The digest of a name, if it is allowed.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        DIGESTS
            .into_iter()
            .find(|digest| digest.name().as_bytes() == name)
    }

    /// Its name, as it stands in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha3_256 => "sha3_256",
            Self::Sha3_384 => "sha3_384",
        }
    }

    fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => mac::<Hmac<Md5>>(key, message),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, message),
            Self::Sha384 => mac::<Hmac<Sha384>>(key, message),
            Self::Sha3_256 => mac::<SimpleHmac<Sha3_256>>(key, message),
            Self::Sha3_384 => mac::<SimpleHmac<Sha3_384>>(key, message),
        }
    }
}

/// A key may have any length, so there is nothing to go wrong; no code at all would match none.
fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    <M as KeyInit>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(message).finalize().into_bytes().to_vec(),
    )
}

/// Why a challenge or a response is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// It is neither of the old kind nor begins with a digest that is allowed.
    #[error(
        "unsupported message length, missing digest prefix, or unsupported digest: message={}",
        Shown(.message)
    )]
    Unsupported {
        /// What came.
        message: Vec<u8>,
    },
    /// A challenge that could be guessed.
    #[error("challenge too short: {length} bytes")]
    TooShort {
        /// Its bytes.
        length: usize,
    },
    /// The response has not the length that its digest gives.
    #[error("expected '{}' of length {expected} got {length}", .digest.name())]
    Length {
        /// The digest that the response names.
        digest: Digest,
        /// The bytes it should have.
        expected: usize,
        /// The bytes it has.
        length: usize,
    },
    /// The other end does not have the key.
    #[error("digest received was wrong")]
    Wrong,
}

/// Bytes as the reference shows them.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("b'")?;
        for byte in self.0 {
            match byte {
                b'\'' | b'\\' => write!(formatter, "\\{}", char::from(*byte))?,
                b' '..=b'~' => formatter.write_char(char::from(*byte))?,
                _ => write!(formatter, "\\x{byte:02x}")?,
            }
        }
        formatter.write_char('\'')
    }
}

/// What follows `#CHALLENGE#` in a challenge of the new kind. An older peer takes it as it is, too.
#[must_use]
pub fn challenge(digest: Digest, random: &[u8; RANDOM]) -> Vec<u8> {
    [b"{", digest.name().as_bytes(), b"}", random].concat()
}

/// What a message is, by its length and prefix: `None` is the old kind.
fn parse(message: &[u8]) -> Result<(Option<Digest>, &[u8]), ChallengeError> {
    if matches!(message.len(), OLD_CHALLENGE | OLD_RESPONSE) {
        return Ok((None, message));
    }
    let prefixed = || {
        let inside = message.strip_prefix(b"{")?;
        let end = inside.iter().position(|byte| *byte == b'}')?;
        let (name, rest) = inside.split_at_checked(end)?;
        Some((Digest::named(name)?, rest.get(1..)?))
    };
    let (digest, rest) = prefixed().ok_or_else(|| ChallengeError::Unsupported {
        message: message.to_vec(),
    })?;
    Ok((Some(digest), rest))
}

/// The answer to what followed `#CHALLENGE#`.
///
/// # Errors
/// [`ChallengeError::TooShort`] and [`ChallengeError::Unsupported`].
pub fn respond(key: &[u8], message: &[u8]) -> Result<Vec<u8>, ChallengeError> {
    if message.len() < OLD_CHALLENGE {
        return Err(ChallengeError::TooShort {
            length: message.len(),
        });
    }
    Ok(match parse(message)?.0 {
        None => Digest::Md5.mac(key, message),
        Some(digest) => {
            let mac = digest.mac(key, message);
            [b"{", digest.name().as_bytes(), b"}", mac.as_slice()].concat()
        }
    })
}

/// Whether a response proves that its sender has the key. `message` is what followed `#CHALLENGE#`. How
/// long it takes does not depend on how much of the response is right.
///
/// # Errors
/// [`ChallengeError`], unless it does.
pub fn verify(key: &[u8], message: &[u8], response: &[u8]) -> Result<(), ChallengeError> {
    let (digest, mac) = parse(response)?;
    let digest = digest.unwrap_or(Digest::Md5);
    let expected = digest.mac(key, message);
    if expected.len() != mac.len() {
        return Err(ChallengeError::Length {
            digest,
            expected: expected.len(),
            length: mac.len(),
        });
    }
    if bool::from(expected.as_slice().ct_eq(mac)) {
        Ok(())
    } else {
        Err(ChallengeError::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"supadupasecretkey";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn an_old_challenge_gets_an_old_answer() {
        let message = b"is-twenty-bytes-long";
        let response = respond(KEY, message).unwrap();
        assert_eq!(hex(&response), OLD_ANSWER);
        assert_eq!(verify(KEY, message, &response), Ok(()));
    }

    #[test]
    fn a_new_challenge_gets_an_answer_that_names_its_digest() {
        for digest in DIGESTS {
            let message = challenge(digest, &[7; RANDOM]);
            let response = respond(KEY, &message).unwrap();
            let prefix = format!("{{{}}}", digest.name());
            assert!(response.starts_with(prefix.as_bytes()));
            assert_eq!(verify(KEY, &message, &response), Ok(()));
            assert_eq!(
                verify(b"another", &message, &response),
                Err(ChallengeError::Wrong)
            );
        }
    }

    #[test]
    fn answers_are_those_of_the_reference() {
        let message = challenge(Digest::Sha3_384, &[7; RANDOM]);
        let response = respond(KEY, &message).unwrap();
        assert_eq!(hex(&response[10..]), SHA3_384_ANSWER);
    }

    #[test]
    fn an_old_answer_to_a_new_challenge_is_accepted() {
        let message = challenge(Digest::Sha256, &[1; RANDOM]);
        let response = Digest::Md5.mac(KEY, &message);
        assert_eq!(verify(KEY, &message, &response), Ok(()));
        assert_eq!(
            verify(KEY, &message, &[0; OLD_RESPONSE]),
            Err(ChallengeError::Wrong)
        );
    }

    #[test]
    fn a_challenge_that_was_tampered_with_is_noticed() {
        let sent = challenge(Digest::Sha256, &[1; RANDOM]);
        let weakened = challenge(Digest::Md5, &[1; RANDOM]);
        let response = respond(KEY, &weakened).unwrap();
        assert_eq!(verify(KEY, &sent, &response), Err(ChallengeError::Wrong));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let message = challenge(Digest::Sha256, &[3; RANDOM]);
        let response = respond(KEY, &message).unwrap();
        for place in 0..response.len() {
            let mut changed = response.clone();
            changed[place] ^= 1;
            assert!(verify(KEY, &message, &changed).is_err(), "byte {place}");
        }
    }

    #[test]
    fn what_is_unsupported_is_shown() {
        let error = respond(KEY, b"{crc32}'\\\x00twenty-bytes").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unsupported message length, missing digest prefix, or unsupported digest: \
             message=b'{crc32}\\'\\\\\\x00twenty-bytes'"
        );
        assert_eq!(
            respond(KEY, b"short").unwrap_err(),
            ChallengeError::TooShort { length: 5 }
        );
        let short = verify(KEY, b"", b"{sha256}short").unwrap_err();
        assert_eq!(short.to_string(), "expected 'sha256' of length 32 got 5");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_in_panics_or_is_believed(
            message in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
            response in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        ) {
            let _ = respond(KEY, &message);
            proptest::prop_assert!(verify(KEY, &message, &response).is_err());
        }
    }

    /// Made with Python's `hmac`.
    const OLD_ANSWER: &str = "f08c5aa7ef61fc426b5b135fd8a223ae";
    const SHA3_384_ANSWER: &str = concat!(
        "ba9775428a7c99690c59ed51a214b5a2681fb87267a4e289",
        "51f3d2608938c728100233e89f9ee24bda2a6c3f2feaaf87"
    );
}
