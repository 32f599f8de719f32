//! The program that the addon brings along; see `mp_tracker`.
//!
//! | Descriptor | What |
//! |---|---|
//! | 2 | where it warns |
//! | 3 | the pipe that it reads |
//! | 4 | its ledger, locked |

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use mp_os::descriptor::adopt;
    use mp_tracker::serve::{self, LEDGER, PIPE};

    match (adopt(PIPE), adopt(LEDGER)) {
        (Ok(pipe), Ok(ledger)) => std::process::ExitCode::from(serve::run(pipe, ledger)),
        _ => std::process::ExitCode::FAILURE,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
