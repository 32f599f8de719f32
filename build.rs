//! Sets the linker flags a Node addon needs, and builds the program that the addon brings along.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// What `cargo` says to its own compilers and checkers, and not to those of another `cargo`.
const NOT_PASSED_ON: [&str; 4] = [
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
];

fn main() {
    napi_build::setup();
    for path in [
        "build.rs",
        "Cargo.toml",
        "Cargo.lock",
        "crates/os",
        "crates/tracker",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        let program = build_tracker();
        println!("cargo::rustc-env=TRACKER={}", program.display());
    }
}

/// Builds the resource tracker for the same target, small, and returns where it is.
fn build_tracker() -> PathBuf {
    let wanted = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let (target, folder) = (
        wanted("TARGET"),
        PathBuf::from(wanted("OUT_DIR")).join("tracker"),
    );
    let mut cargo = Command::new(wanted("CARGO"));
    cargo
        .args(["build", "--locked", "--package", "mp-tracker", "--bins"])
        .args(["--profile", "tracker", "--target", &target, "--target-dir"])
        .arg(&folder);
    for name in NOT_PASSED_ON {
        cargo.env_remove(name);
    }
    let status = cargo.status().expect("cargo can be run");
    assert!(
        status.success(),
        "the resource tracker cannot be built: {status}"
    );
    folder
        .join(target)
        .join("tracker")
        .join("node-multiprocessing-tracker")
}
