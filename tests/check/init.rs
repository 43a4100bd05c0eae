//! `meshboot init` with flags, without a terminal; dialogues are tested beside its code.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use assert_cmd::assert::OutputAssertExt as _;
use assert_cmd::cargo::CommandCargoExt as _;
use predicates::prelude::predicate;

const FLAGS: [&str; 14] = [
    "--fleet",
    "hearth",
    "--email",
    "me@example.org",
    "--ssh-key",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon me@hearth",
    "--wan",
    "fiber=203.0.113.10:2",
    "--ingress",
    "fra1=hetzner:fsn1",
    "--service",
    "cloud.example.org=http://192.168.1.20:8080",
    "--peer",
    "tls://peer.example.net:443",
];

fn init(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("meshboot").expect("the binary");
    command.current_dir(folder).env("HOME", folder).stdin(Stdio::null()).arg("init").args(arguments);
    command
}

#[test]
fn flags_write_a_file_that_passes_check_strict() {
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path(), &FLAGS)
        .assert()
        .code(0)
        .stdout("")
        .stderr(predicate::str::contains("wrote fleet.yaml"));
    let mut check = Command::cargo_bin("meshboot").expect("the binary");
    check.current_dir(folder.path()).args(["check", "--strict", "fleet.yaml"]).assert().code(0);
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("init", fs::read_to_string(folder.path().join("fleet.yaml")).expect("the file"));
    });
}

#[test]
fn a_file_that_is_there_stays_unless_forced() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, "mine").expect("a file");
    init(folder.path(), &FLAGS).assert().code(1).stderr(predicate::str::contains("`--force`"));
    assert_eq!(fs::read_to_string(&file).expect("the file"), "mine");
    init(folder.path(), &FLAGS).arg("--force").assert().code(0);
    assert!(fs::read_to_string(&file).expect("the file").contains("fleet: hearth"));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "a temporary file was left");
}

#[test]
fn missing_flags_are_named_where_nobody_can_be_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path(), &["--fleet", "hearth"]).assert().code(2).stderr(predicate::str::contains(
        "these flags are missing: --email, --ssh-key, --ingress, --service, --peer",
    ));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn bad_values_are_findings_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = |flag: &str, value: &str, code: i32, text: &str| {
        let mut flags = FLAGS.to_vec();
        let at = flags.iter().position(|it| *it == flag).expect("a flag");
        flags[at + 1] = value;
        init(folder.path(), &flags).assert().code(code).stderr(predicate::str::contains(text));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    };
    bad("--email", "me", 1, "error[email]");
    bad("--wan", "fiber=10.0.0.1", 1, "error[address-kind]");
    bad("--wan", "fiber", 2, "is not an uplink");
    bad("--ingress", "fra1=hetznr", 1, "did you mean `hetzner`");
    bad("--service", "cloud.example.org", 2, "is not a service");
    bad("--ssh-key", "none.pub", 1, "reading the SSH key `none.pub`");
    bad("--fleet", "a: b\u{1b}[2J", 1, "error[");
}

#[test]
fn a_private_key_is_refused_and_its_public_half_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("id"), "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n").expect("a file");
    let mut flags = FLAGS.to_vec();
    flags[5] = "id";
    let output = init(folder.path(), &flags).assert().code(1).get_output().clone();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("`--ssh-key id.pub`") && !stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn a_dash_writes_to_stdout() {
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path(), &FLAGS).arg("-").assert().code(0).stdout(predicate::str::contains("fleet: hearth"));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path(), &FLAGS)
        .arg("none/fleet.yaml")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("mkdir -p none"));
}
