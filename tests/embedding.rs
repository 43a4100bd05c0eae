//! The real `cargo build` of a copy of this crate with a broken template fails and names file and line.
//!
//! Not here: which files count as broken (`src/profile/tests.rs`). Slow, as cargo compiles the copy's build script
//! with all that it needs; `./test.sh --all` runs it.

use std::path::Path;
use std::process::Command;

/// What the build script reads.
const COPIED: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "build.rs",
    "src",
    "profiles",
    "cloud-init",
    "packer",
    "benches",
];

#[test]
#[ignore = "compiles the build script's dependencies; run by test.sh --all"]
fn a_broken_template_fails_the_build_with_file_and_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = tempfile::tempdir().expect("temporary folder");
    for name in COPIED.iter().filter(|name| root.join(name).exists()) {
        let status =
            Command::new("cp").arg("-r").arg(root.join(name)).arg(copy.path()).status().expect("cp runs");
        assert!(status.success(), "copying {name}");
    }
    std::fs::write(copy.path().join("cloud-init/broken.j2"), "fine\n{% if %}\n").expect("writing a template");

    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--lib"])
        .current_dir(copy.path())
        .env("CARGO_TARGET_DIR", copy.path().join("target"))
        .output()
        .expect("cargo runs");

    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "a broken template was built");
    assert!(said.contains("cloud-init/broken.j2:2: syntax error"), "{said}");
}
