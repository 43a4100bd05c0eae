//! Keys, addresses and state against the real programs, full disks and kills.
//!
//! Not here: what a damaged state is refused for (unit tests beside `identity::state`). To add a program that must
//! agree with us: a test that asks it in Debian 13's root.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use meshboot::identity::{PrivateKey, State, StateError};
use meshboot::sys::atomic::WriteError;
use meshboot::sys::staging::Staging;
use support::command::run;
use support::judge::Judge;
use support::requirement;
use support::scratch::Folder;

/// Names the folder in which a test that runs itself a second time does its part there.
const INNER: &str = "MESHBOOT_TEST_INNER";

/// How long a test may take that runs itself.
const LIMIT: Duration = Duration::from_mins(2);

/// 1,000 random keys: of 4,000 the 500 with the most leading ones (eight, past a byte, has one key in 256), and 500
/// of the others.
fn keys() -> Vec<PrivateKey> {
    let mut keys: Vec<PrivateKey> =
        (0..4000).map(|_| PrivateKey::generate().expect("the system's randomness")).collect();
    keys.sort_by_key(|key| std::cmp::Reverse(key.public().mesh_address().ip().octets()[1]));
    keys.drain(500..3500);
    keys
}

#[test]
fn derives_the_key_and_address_that_yggdrasil_derives() {
    let Some(judge) = Judge::new() else { return };
    let keys = keys();
    let mut expected = String::new();
    for (number, key) in keys.iter().enumerate() {
        let pem = key.to_pem().expect("it is encoded");
        judge.put(&format!("/keys/{number}.pem"), 0o600, pem.expose().as_bytes());
        let config = format!("{{\"PrivateKeyPath\": \"/keys/{number}.pem\"}}");
        judge.put(&format!("/keys/{number}.conf"), 0o600, config.as_bytes());
        let public = key.public();
        writeln!(expected, "{} {}", public.to_hex(), public.mesh_address()).expect("writing to a string");
    }
    let lines = judge
        .shell(&format!(
            "for number in $(seq 0 {}); do
                 config=/keys/$number.conf
                 echo \"$(yggdrasil -useconffile $config -publickey) $(yggdrasil -useconffile $config -address)\"
             done",
            keys.len() - 1
        ))
        .expect_success();
    for (ours, theirs) in expected.lines().zip(lines.lines()) {
        assert_eq!(ours, theirs, "ours on the left, yggdrasil's on the right");
    }
    assert_eq!(lines.lines().count(), keys.len());
    let past_a_byte = keys.iter().filter(|key| key.public().mesh_address().ip().octets()[1] >= 8).count();
    assert!(past_a_byte > 0, "no key with eight leading ones was among them");
}

#[test]
fn reads_and_writes_keys_as_openssl_does() {
    let Some(judge) = Judge::new() else { return };
    let ours = PrivateKey::generate().expect("the system's randomness");
    let pem = ours.to_pem().expect("it is encoded").expose().clone();
    judge.put("/ours.pem", 0o600, pem.as_bytes());
    assert_eq!(judge.run(&["openssl", "pkey", "-in", "/ours.pem"]).expect_success(), pem);
    let public = judge.run(&["openssl", "pkey", "-in", "/ours.pem", "-pubout"]).expect_success();
    assert_eq!(public, ours.public().to_pem().expect("it is encoded"));

    let theirs = judge.run(&["openssl", "genpkey", "-algorithm", "ed25519"]).expect_success();
    let key = PrivateKey::from_pem(&theirs).expect("a key of openssl's");
    assert_eq!(key.to_pem().expect("it is encoded").expose(), &theirs);
}

#[test]
fn refuses_a_state_of_another_user() {
    if !requirement::root_and(&[]) {
        return;
    }
    let folder = Folder::new();
    drop(open(folder.path()).expect("it is made"));
    for name in ["", "home.pem", "lock"] {
        let path = folder.path().join(".meshboot").join(name);
        std::os::unix::fs::chown(&path, Some(65_534), None).expect("its owner");
        let error = open(folder.path()).expect_err(name);
        assert!(matches!(error, StateError::Foreign { owner: 65_534, user: 0, .. }), "{name}: {error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("chown")), "{name}");
        std::os::unix::fs::chown(&path, Some(0), None).expect("its owner");
    }
    open(folder.path()).expect("it is ours again");
}

/// Runs itself in a mount namespace of its own, where the folder is a disk of 256 KiB.
#[test]
fn survives_a_disk_that_is_full_or_read_only() {
    if let Some(disk) = inner_folder() {
        on_a_full_disk(&disk);
        on_a_read_only_disk(&disk);
        return;
    }
    if !requirement::root_and(&["unshare", "mount"]) {
        return;
    }
    let folder = Folder::new();
    let stage = "mount -t tmpfs -o size=256k,mode=700 tmpfs \"$1\"; export MESHBOOT_TEST_INNER=\"$1\"; shift; exec \"$@\"";
    let (disk, program) = (folder.path().display().to_string(), this_program());
    let name = "survives_a_disk_that_is_full_or_read_only";
    let argv =
        ["unshare", "--mount", "sh", "-euc", stage, "stage", &disk, &program, "--exact", name, "--nocapture"];
    let said = run(&argv, LIMIT).expect_success();
    assert!(said.contains("1 passed"), "{said}");
}

fn on_a_full_disk(disk: &Path) {
    let filler = disk.join("filler");
    // Too full for a fleet that is new: nothing of it stays.
    fill(&filler);
    let error = open(disk).expect_err("the disk is full");
    assert_full(&error);
    assert_eq!(names_in(disk), ["filler"]);

    fs::remove_file(&filler).expect("it is removed");
    let mut state = open(disk).expect("it is made");
    state.token("fra1", "ingress", false).expect("a token");
    state.save().expect("it is saved");
    let before = content(disk);

    // Too full for one token more: the old state stays, byte for byte.
    fill(&filler);
    state.token("nyc1", "ingress", false).expect("a token");
    assert_full(&state.save().expect_err("the disk is full"));
    drop(state);
    assert_eq!(content(disk), before);

    // Too full for a set of files: what stood there stays.
    fs::create_dir(disk.join("out")).expect("an inode to spare");
    let out = Utf8PathBuf::try_from(disk.join("out")).expect("its name is UTF-8");
    let staging = Staging::begin(&out).expect("it begins");
    let error =
        staging.write(Utf8Path::new("node/user-data"), &[b'x'; 9000], 0o600).expect_err("the disk is full");
    assert!(error.to_string().contains("out/node/user-data"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("free some space")), "{error:?}");
    drop(staging);
    assert_eq!(names_in(&disk.join("out")), [""; 0]);

    fs::remove_file(&filler).expect("it is removed");
    let mut state = open(disk).expect("it is opened");
    assert_eq!(state.token("fra1", "ingress", false).expect("a token").minted, None);
    state.token("nyc1", "ingress", false).expect("a token");
    state.save().expect("it is saved");
}

fn on_a_read_only_disk(disk: &Path) {
    let mut state = open(disk).expect("it is opened");
    state.token("ams1", "ingress", false).expect("a token");
    let before = content(disk);
    // The disk itself cannot be made read-only while the lock is open for writing; a mount above it can.
    let inside = disk.join(".meshboot").display().to_string();
    run(&["mount", "--bind", &inside, &inside], LIMIT).expect_success();
    run(&["mount", "-o", "remount,ro,bind", &inside], LIMIT).expect_success();
    let error = state.save().expect_err("the disk is read-only");
    let StateError::Write(WriteError::Io { source, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::ReadOnlyFilesystem, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("read-only")), "{error:?}");
    assert_eq!(content(disk), before);
}

/// Runs itself as a process that renews a token without end, and kills it at moments that differ.
#[test]
fn survives_kills_and_never_goes_back() {
    if let Some(folder) = inner_folder() {
        let mut said = std::io::stdout();
        loop {
            let mut state = open(&folder).expect("it is opened");
            let token = state.token("fra1", "ingress", true).expect("a token");
            state.save().expect("it is saved");
            writeln!(said, "serial {}", token.serial).expect("the parent reads");
        }
    }
    let folder = Folder::new();
    let mut highest = 0;
    for round in 0..60_u32 {
        // Every third life is so short that it ends while the folder is made or opened.
        let life = Duration::from_micros(if round % 3 == 0 {
            400 * u64::from(round)
        } else {
            40_000 + 997 * u64::from(round)
        });
        let mut child = Inner::start("survives_kills_and_never_goes_back", folder.path());
        std::thread::sleep(life);
        highest = child.kill_and_read_serial().max(highest);
        let mut state = open(folder.path()).expect("what a killed process left is whole");
        let next = state.token("fra1", "ingress", true).expect("a token").serial;
        assert!(next > highest, "serial {next} after {highest}");
    }
    assert!(highest > 20, "the killed processes did too little: {highest} tokens");
}

/// Runs itself as processes that make a new fleet, and kills each while it does.
#[test]
fn makes_a_fleet_whole_or_not_at_all() {
    if let Some(folder) = inner_folder() {
        drop(open(&folder).expect("it is made"));
        writeln!(std::io::stdout(), "serial 1").expect("the parent reads");
        std::thread::sleep(LIMIT);
    }
    let rounds = 80_u32;
    // A busy machine takes longer: the kills are spread over twice the time that it takes just now.
    let takes = {
        let folder = Folder::new();
        let start = Instant::now();
        let mut child = Inner::start("makes_a_fleet_whole_or_not_at_all", folder.path());
        while !folder.path().join(".meshboot").exists() {
            assert!(start.elapsed() < LIMIT, "the folder is not made");
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill_and_read_serial();
        start.elapsed()
    };
    let (mut whole, mut nothing) = (0, 0);
    for round in 0..rounds {
        let folder = Folder::new();
        let mut child = Inner::start("makes_a_fleet_whole_or_not_at_all", folder.path());
        std::thread::sleep(takes * 2 * round / rounds);
        let said = child.kill_and_read_serial();
        if folder.path().join(".meshboot").exists() {
            let before = content(folder.path());
            drop(open(folder.path()).expect("what a killed process left is whole"));
            assert_eq!(content(folder.path()), before);
            whole += 1;
        } else {
            assert_eq!(said, 0, "it said that the folder was there");
            nothing += 1;
        }
    }
    assert!(
        whole > 0 && nothing > 0,
        "the kills came all too early or too late: {whole} whole, {nothing} not"
    );
}

/// This test program, started to run one test's inner part.
struct Inner(Child);

impl Inner {
    fn start(test: &str, folder: &Path) -> Self {
        let child = Command::new(this_program())
            .args(["--exact", test, "--nocapture"])
            .env(INNER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program starts");
        Self(child)
    }

    /// Ends it with SIGKILL; the last serial that it said, or 0.
    fn kill_and_read_serial(&mut self) -> u64 {
        self.0.kill().expect("it is killed");
        self.0.wait().expect("it is reaped");
        let stdout = self.0.stdout.take().expect("it is piped");
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.filter_map(|line| line.split("serial ").nth(1)?.trim().parse().ok()).last().unwrap_or(0)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // It may have ended already; a test that panics leaves no process behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn inner_folder() -> Option<PathBuf> {
    std::env::var_os(INNER).map(PathBuf::from)
}

fn this_program() -> String {
    std::env::current_exe().expect("this program's path").display().to_string()
}

fn open(folder: &Path) -> Result<State, StateError> {
    let folder = Utf8Path::from_path(folder).expect("its name is UTF-8");
    State::open(folder, "hearth", SystemTime::now())
}

#[track_caller]
fn assert_full(error: &StateError) {
    let StateError::Write(WriteError::Io { source, .. }) = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::StorageFull, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("free some space")), "{error:?}");
}

/// Takes every byte that the disk has left.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("a file");
    while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder exists")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Every file of a state with its mode and content.
fn content(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let state = folder.join(".meshboot");
    names_in(&state)
        .into_iter()
        .map(|name| {
            let path = state.join(&name);
            let mode = fs::metadata(&path).expect("it exists").permissions().mode();
            let bytes = fs::read(&path).expect("it is read");
            (name, mode, bytes)
        })
        .collect()
}
