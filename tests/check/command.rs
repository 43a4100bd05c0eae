//! The command around the rules: paths that are no file, exit codes, streams, and that nothing is written.

use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::assert::OutputAssertExt as _;
use assert_cmd::cargo::CommandCargoExt as _;
use predicates::prelude::{PredicateBooleanExt as _, predicate};

use super::cases::GOOD;

fn meshboot(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("meshboot").expect("the binary");
    command.args(arguments);
    command
}

fn check(path: &Path) -> Command {
    let mut command = meshboot(&["check"]);
    command.arg(path);
    command
}

#[test]
fn a_good_fleet_is_quiet_on_stdout() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, GOOD).expect("a file");
    check(&file).assert().code(0).stdout("").stderr(predicate::str::contains("no findings"));
}

#[test]
fn warnings_fail_only_when_strict() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, format!("{GOOD}mesh-dns: same-name\n")).expect("a file");
    check(&file).assert().code(0).stdout(predicate::str::contains("warning[mesh-dns-renewal]"));
    check(&file)
        .arg("--strict")
        .assert()
        .code(1)
        .stdout(predicate::str::contains("warning[mesh-dns-renewal]"));
}

#[test]
fn findings_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, GOOD.replace("listen: 25565", "listen: 0")).expect("a file");
    let output = check(&file).arg("--json").assert().code(1).get_output().clone();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let finding = &json["findings"][0];
    assert_eq!(finding["rule"], "port");
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["line"].as_u64(), Some(26), "{json}");
    assert_eq!(finding["column"].as_u64(), Some(14), "{json}");
    assert!(finding["source"].as_str().is_some_and(|line| line.contains("listen: 0")), "{json}");

    fs::write(&file, GOOD).expect("a file");
    let output = check(&file).arg("--json").assert().code(0).get_output().clone();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn paths_that_are_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    check(folder.path())
        .assert()
        .code(1)
        .stderr(predicate::str::contains("it is a folder").and(predicate::str::contains("hint:")));
    check(&folder.path().join("none.yaml"))
        .assert()
        .code(1)
        .stderr(predicate::str::contains("there is no such file"));
    check(&folder.path().join("a\u{1b}[2Jb.yaml"))
        .assert()
        .code(1)
        .stderr(predicate::str::contains("\u{1b}").not());
    check(Path::new("/dev/null")).assert().code(1).stdout(predicate::str::contains("error[empty-file]"));
}

#[test]
fn a_file_that_may_not_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, GOOD).expect("a file");
    fs::set_permissions(&file, Permissions::from_mode(0o000)).expect("a mode");
    let is_root = File::open(&file).is_ok();
    let mut command = if is_root {
        // Root reads everything: another user takes its place, with a copy of the program that he may run.
        let program = folder.path().join("meshboot");
        fs::copy(assert_cmd::cargo::cargo_bin("meshboot"), &program).expect("a copy of the program");
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program)
            .arg("check")
            .arg(&file);
        command
    } else {
        check(&file)
    };
    command.assert().code(1).stderr(predicate::str::contains("permission denied"));
}

#[test]
fn a_file_of_50_megabytes_or_without_end_is_refused_unread() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    File::create(&file).and_then(|file| file.set_len(50_000_000)).expect("a large file");
    let start = Instant::now();
    check(&file)
        .assert()
        .code(1)
        .stdout(predicate::str::contains("error[file-too-large]: the file has 50000000 bytes"));
    check(Path::new("/dev/zero")).assert().code(1).stdout(predicate::str::contains("error[file-too-large]"));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    let many: Vec<String> = (0..2_000).map(|number| format!("unknown-{number}: 1")).collect();
    fs::write(&file, many.join("\n")).expect("a file");
    let mut child =
        check(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("running meshboot");
    let mut first = [0; 1];
    child.stdout.take().expect("stdout").read_exact(&mut first).expect("a byte");
    let output = child.wait_with_output().expect("waiting for meshboot");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("roken pipe"), "{stderr}");
}

#[test]
fn findings_that_cannot_be_written_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, "version: 2\n").expect("a file");
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    check(&file)
        .stdout(full)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("writing findings: No space left"));
}

#[test]
fn usage_is_exit_code_2_and_help_is_0() {
    meshboot(&[]).assert().code(2);
    meshboot(&["chekc", "x"]).assert().code(2).stderr(predicate::str::contains("check"));
    meshboot(&["check"]).assert().code(2).stderr(predicate::str::contains("<FLEET>"));
    meshboot(&["check", "x", "--srtict"]).assert().code(2).stderr(predicate::str::contains("--strict"));
    meshboot(&["--help"]).assert().code(0).stdout(predicate::str::contains("Exit codes: 0 done; 1"));
    meshboot(&["check", "--help"]).assert().code(0).stdout(predicate::str::contains("--json"));
    meshboot(&["--version"]).assert().code(0).stdout(format!("meshboot {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn check_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    for text in [GOOD.to_owned(), "version: 2\n".to_owned()] {
        fs::write(&file, &text).expect("a file");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).expect("a mode");
        let mut command = check(&file);
        command.current_dir(folder.path()).output().expect("running meshboot");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
        let names: Vec<_> = fs::read_dir(folder.path())
            .expect("a folder")
            .map(|it| it.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["fleet.yaml"]);
        assert_eq!(fs::read_to_string(&file).expect("the file"), text);
    }
}

#[test]
fn reads_a_fleet_from_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.yaml");
    for (text, code) in [(GOOD.to_owned(), 0), (GOOD.replace("listen: 25565", "listen: 0"), 1)] {
        fs::write(&file, text).expect("a file");
        let stdin = Stdio::from(File::open(&file).expect("a file"));
        let said = if code == 0 { "-: no findings" } else { "-: 1 error" };
        meshboot(&["check", "-"]).stdin(stdin).assert().code(code).stderr(predicate::str::contains(said));
    }
}

#[test]
fn an_empty_path_is_a_mistake_in_the_call() {
    for arguments in [&["check", ""][..], &["build", ""], &["build", "x.yaml", "--out", ""], &["init", ""]] {
        meshboot(arguments).assert().code(2).stderr(predicate::str::contains("a path is not empty"));
    }
}
