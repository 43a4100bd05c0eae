//! `meshboot rehearse` from outside: a small fleet stands up, serves and goes again, and whatever way it ends, nothing
//! is left on the machine.
//!
//! What the scenarios prove is theirs; here it is that they pass. What this machine lacks is taken from it in a mount
//! namespace of the test's own.

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::builder::MESHBOOT;
use support::command::{Outcome, run};
use support::network::wait_until;
use support::requirement::root_and;
use support::scratch::Folder;
use wait_timeout::ChildExt;

const FLEET: &str = r#"version: 1
fleet: cabin
admin:
  email: me@example.org
  ssh-keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon me@hearth"]
home:
  name: cabin
  wans:
    - {name: fiber, address: 203.0.113.10, weight: 2}
    - {name: lte, address: lte.example.net}
ingress:
  - {name: any1, provider: generic}
  - {name: any2, provider: hetzner}
mesh: {peers: ["tls://peer.example.net:443"]}
services:
  - {domain: cloud.example.org, to: "http://192.168.1.20:8080"}
  - {domain: git.example.org, to: "https://192.168.1.21:3000", verify: false}
  - {domain: vault.example.org, to: "https://vault.lan:8443"}
  - {domain: private.example.org, to: "http://192.168.1.40", clearnet: false}
"#;

/// What a machine with two cores may take from the start to a fleet of two ingress nodes that serves.
const READY_SECONDS: f64 = 90.0;

/// Making the root downloads some hundred megabytes.
const ROOT: Duration = Duration::from_mins(10);

/// How long taking down may take.
const TAKING_DOWN: Duration = Duration::from_mins(1);

/// Whether a rehearsal can run here.
fn can_rehearse() -> bool {
    root_and(&["mmdebstrap", "systemd-nspawn", "ip", "nft", "unshare"])
}

/// A rehearsal that runs; killed when dropped.
struct Rehearsal {
    child: Child,
    id: u32,
    folder: Folder,
}

impl Rehearsal {
    fn start(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let fleet = folder.path().join("fleet.yaml");
        std::fs::write(&fleet, FLEET).expect("writing a fleet");
        let output = |name: &str| File::create(folder.path().join(name)).expect("a file");
        let child = Command::new(MESHBOOT)
            .arg("rehearse")
            .arg(&fleet)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("meshboot starts");
        Self { id: child.id(), child, folder }
    }

    fn said(&self, stream: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(stream)).expect("what it said")
    }

    fn wait_for(&mut self, words: &str, limit: Duration) {
        let mut ended = None;
        let waited = wait_until(words, limit, || {
            ended = self.child.try_wait().expect("a child of ours");
            ended.is_some() || self.said("stderr").contains(words)
        });
        assert!(ended.is_none() && waited.is_ok(), "{ended:?} {waited:?}\n{}", self.said("stderr"));
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.id).expect("a process id")).expect("not 0");
        kill_process(id, signal).expect("it runs");
    }

    /// Waits for its end; its exit code.
    fn end(&mut self, limit: Duration) -> Option<i32> {
        let status = self.child.wait_timeout(limit).expect("a child of ours");
        status.unwrap_or_else(|| panic!("it does not end\n{}", self.said("stderr"))).code()
    }

    /// Everything on this machine that is this rehearsal's.
    fn traces(&self) -> Vec<String> {
        traces(self.id)
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        // The next rehearsal takes away what it leaves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Names in these folders, mounts and processes that belong to the rehearsal with a process id.
fn traces(id: u32) -> Vec<String> {
    let (network, disk) = (format!("mbr-{id}-"), format!("rehearsal-{id}/"));
    let cache =
        std::env::var_os("MESHBOOT_CACHE").map_or_else(|| "/var/cache/meshboot".into(), PathBuf::from);
    let mut found = Vec::new();
    for folder in ["/run/netns", "/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
        let named = names(Path::new(folder)).into_iter().filter(|name| name.starts_with(&network));
        found.extend(named.map(|name| format!("{folder}/{name}")));
    }
    let ours = |name: &String| name.ends_with(&format!("rehearsal-{id}"));
    found.extend(names(&cache).into_iter().filter(ours));
    found.extend(
        names(Path::new("/run/meshboot/rehearse")).into_iter().filter(|name| *name == id.to_string()),
    );
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the list of mounts");
    found.extend(mounts.lines().filter(|it| it.contains(&network) || it.contains(&disk)).map(str::to_owned));
    for process in
        names(Path::new("/proc")).into_iter().filter(|name| name.parse::<u32>().is_ok_and(|it| it != id))
    {
        let read = |file: &str| std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
        // A node's processes do not name the rehearsal, but their disk does.
        let text = [read("cmdline"), read("mountinfo")].concat();
        let text = String::from_utf8_lossy(&text).replace('\0', " ");
        if text.contains(&network) || text.contains(&disk) {
            found.push(format!("process {process}"));
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn shell(place: &str, script: &str) -> Outcome {
    run(&[MESHBOOT, "rehearse", "shell", place, "sh", "-c", script], Duration::from_secs(20))
}

#[test]
fn a_small_fleet_serves_is_looked_into_and_leaves_nothing() {
    if !can_rehearse() {
        return;
    }
    let mut rehearsal =
        Rehearsal::start(&["--keep", "--json", "--scenario", "serves", "--scenario", "true-address"]);
    rehearsal.wait_for("kept: ", ROOT);
    let traces = rehearsal.traces();
    assert!(traces.len() > 20, "a fleet that stands leaves more traces than these: {traces:?}");
    assert_eq!(shell("any1", "cat /proc/sys/kernel/hostname").expect_success().trim(), "any1");
    assert!(shell("visitor", "ip -4 address show eth0").expect_success().contains("192.0.2.100"));
    let unknown = shell("nobody", "true");
    assert_eq!(unknown.code, Some(1), "{unknown}");
    assert!(unknown.stderr.contains("`cabin`") && unknown.stderr.contains("`visitor`"), "{unknown}");

    rehearsal.signal(Signal::INT);
    let code = rehearsal.end(TAKING_DOWN);
    assert_eq!(code, Some(0), "{}", rehearsal.said("stderr"));
    assert_eq!(rehearsal.traces(), [""; 0], "{}", rehearsal.said("stderr"));
    let outcome: Value = serde_json::from_str(&rehearsal.said("stdout")).expect("JSON");
    assert!(outcome["ready-seconds"].as_f64().is_some_and(|it| it < READY_SECONDS), "{outcome:#}");
    assert_eq!(outcome["not-removed"], serde_json::json!([]), "{outcome:#}");
    let scenarios = outcome["scenarios"].as_array().expect("scenarios");
    assert_eq!(scenarios.len(), 2, "{outcome:#}");
    for scenario in scenarios {
        assert_eq!(scenario["verdict"]["result"], "passed", "{outcome:#}");
        assert!(scenario["verdict"]["numbers"].as_array().is_some_and(|it| !it.is_empty()), "{outcome:#}");
    }
    // Keys and tokens were the rehearsal's own.
    let mut left = names(rehearsal.folder.path());
    left.sort();
    assert_eq!(left, ["fleet.yaml", "stderr", "stdout"]);
}

#[test]
fn what_a_killed_rehearsal_left_goes_at_the_next_start_and_an_interrupted_one_leaves_nothing() {
    if !can_rehearse() {
        return;
    }
    let mut killed = Rehearsal::start(&[]);
    killed.wait_for("any2: booting", ROOT);
    std::thread::sleep(Duration::from_secs(4));
    assert!(killed.traces().len() > 20, "{:?}", killed.traces());
    killed.signal(Signal::KILL);
    assert_eq!(killed.end(TAKING_DOWN), None);
    assert!(!killed.traces().is_empty(), "nothing is left for the next one: this shows nothing");

    let start = Instant::now();
    let mut next = Rehearsal::start(&[]);
    next.wait_for("any2: booting", ROOT);
    assert!(next.said("stderr").contains("took away what"), "{}", next.said("stderr"));
    assert_eq!(killed.traces(), [""; 0]);
    next.signal(Signal::INT);
    assert_eq!(next.end(TAKING_DOWN), Some(2), "{}", next.said("stderr"));
    assert!(next.said("stderr").contains("error: interrupted"), "{}", next.said("stderr"));
    assert_eq!(next.traces(), [""; 0], "after {:?}", start.elapsed());
    assert_eq!(next.said("stdout"), "");
}

/// Runs `meshboot rehearse` where something was taken from the machine by `script`.
fn without(script: &str) -> Outcome {
    let folder = Folder::new();
    let fleet = folder.path().join("fleet.yaml");
    std::fs::write(&fleet, FLEET).expect("writing a fleet");
    let all = format!("{script}\nexec {MESHBOOT} rehearse {}", fleet.display());
    run(&["unshare", "--mount", "sh", "-euc", &all], Duration::from_mins(1))
}

#[test]
fn what_this_machine_lacks_is_said_with_the_remedy_before_anything_is_started() {
    if !can_rehearse() {
        return;
    }
    let cases = [
        (
            "mount --bind /dev/null \"$(command -v systemd-nspawn)\"",
            "lacks `systemd-nspawn`",
            "apt-get install",
        ),
        ("mount --bind /dev/null \"$(command -v nft)\"", "lacks `nft`", "nftables"),
        ("mount --bind /dev/null /dev/net/tun", "no TUN devices", "modprobe tun"),
        ("mount -t tmpfs -o size=8m tmpfs /mnt; export MESHBOOT_CACHE=/mnt", "MiB free", "make room"),
    ];
    for (script, complaint, remedy) in cases {
        let outcome = without(script);
        assert_eq!(outcome.code, Some(1), "{script}: {outcome}");
        assert!(outcome.stderr.contains(complaint) && outcome.stderr.contains(remedy), "{script}: {outcome}");
        assert_eq!(outcome.stderr.lines().count(), 2, "one message and its remedy: {outcome}");
    }
}

#[test]
fn somebody_who_is_not_root_is_told_so() {
    if !can_rehearse() {
        return;
    }
    // The program itself may lie where only its owner can reach it.
    let folder = Folder::new();
    let (fleet, program) = (folder.path().join("fleet.yaml"), folder.path().join("meshboot"));
    std::fs::write(&fleet, FLEET).expect("writing a fleet");
    std::fs::copy(MESHBOOT, &program).expect("copying the program");
    let argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let paths = [program.to_str().expect("text"), "rehearse", fleet.to_str().expect("text")];
    let outcome = run(&[argv.as_slice(), &paths].concat(), Duration::from_secs(20));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("needs root") && outcome.stderr.contains("sudo"), "{outcome}");
}

#[test]
fn scenarios_are_listed_and_an_unknown_one_is_a_mistake_in_the_call() {
    let limit = Duration::from_secs(20);
    let list = run(&[MESHBOOT, "rehearse", "--list"], limit).expect_success();
    for name in ["serves", "true-address"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
    }
    let unknown = run(&[MESHBOOT, "rehearse", "fleet.yaml", "--scenario", "servs"], limit);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(unknown.stderr.contains("`serves`"), "{unknown}");
    let nothing = run(&[MESHBOOT, "rehearse"], limit);
    assert_eq!(nothing.code, Some(2), "{nothing}");
}
