//! Any bytes as a pickle: a program that is made of them must keep its promises, and must not be out of
//! proportion.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mp_wire::pickle::{Encoding, read, verify};

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let encoding = match choice % 4 {
        0 => Encoding::Ascii,
        1 => Encoding::Latin1,
        2 => Encoding::Utf8,
        _ => Encoding::Bytes,
    };
    let Ok(program) = read(bytes, encoding) else {
        return;
    };
    if let Err(broken) = verify(&program, bytes.len()) {
        panic!("{broken:?}");
    }
    assert!(program.words().len() <= 16 * bytes.len() + 64);
});
