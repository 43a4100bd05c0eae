//! Network namespaces, the links between them, and programs that run in them.
//!
//! Not here: which networks there are (`internet`). A namespace's name carries its maker's process id, so what a
//! killed test left is taken away by the next one.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::command::{Outcome, run};
use super::scan::{Answer, scan};
use super::scratch::maker_is_dead;

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// What our names start with; then the maker's process id.
const PREFIX: &str = "meshboot-";

const LIMIT: Duration = Duration::from_secs(20);

/// What stands in front of a program that changes its user or its capabilities: a shell as process 1 of a PID
/// namespace, which is told of this process's death and takes the program with it.
pub(crate) const KEEPER: [&str; 8] =
    ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", r#""$@" & wait $!"#, "keeper"];

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A network namespace of this process's own with loopback up; removed when dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; `label` is for a reader of `ip netns`.
    pub(crate) fn new(label: &str) -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(remove_stale_namespaces);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", std::process::id());
        run(&["ip", "netns", "add", &name], LIMIT).expect_success();
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// The file that stands for it, for programs that join it.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(NAMES).join(&self.name)
    }

    /// Runs `ip` in it; the arguments are split at spaces.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let mut argv = vec!["ip", "-n", &self.name];
        argv.extend(arguments.split_whitespace());
        run(&argv, LIMIT).expect_success()
    }

    /// Runs a program in it.
    pub(crate) fn run(&self, argv: &[&str]) -> Outcome {
        let mut all = vec!["ip", "netns", "exec", &self.name];
        all.extend(argv);
        run(&all, LIMIT)
    }

    /// Sets a kernel setting of this namespace, as in `net.ipv4.ip_forward=1`.
    #[track_caller]
    pub(crate) fn sysctl(&self, setting: &str) {
        self.run(&["sysctl", "-q", "-w", setting]).expect_success();
    }

    /// Starts a program in it that runs until the value is dropped; what it says goes to `log`. A program that changes
    /// its user or its capabilities is no longer told of this process's death: start it behind [`KEEPER`].
    pub(crate) fn spawn(&self, argv: &[&str], log: &Path) -> Background {
        let output = File::create(log).unwrap_or_else(|error| panic!("making `{}`: {error}", log.display()));
        let child = Command::new("ip")
            .args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL"])
            .args(argv)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file descriptor to spare"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("starting `{}`: {error}", argv[0]));
        Background { child, log: log.to_owned() }
    }

    /// Joins it with `other` by a pair of interfaces, here and there.
    pub(crate) fn link(&self, interface: &str, other: &Self, others_interface: &str) {
        self.ip(&format!("link add {interface} type veth peer name {others_interface} netns {}", other.name));
        self.ip(&format!("link set {interface} up"));
        other.ip(&format!("link set {others_interface} up"));
    }

    /// Calls `work` on a thread that lives in it: every socket made there is in this network.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = self.path();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                join(&path);
                work()
            });
            thread.join().expect("the work within the namespace ends without a panic")
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        run(&["ip", "netns", "del", &self.name], LIMIT);
    }
}

/// A look at a machine's ports that goes on until it is asked for.
#[derive(Debug)]
pub(crate) struct Watch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<(usize, BTreeSet<u16>)>,
}

impl Watch {
    /// Tries `ports` of `address` from within `namespace`, again and again.
    pub(crate) fn new(namespace: &Namespace, address: IpAddr, ports: &'static [u16]) -> Self {
        let (ended, path) = (Arc::new(AtomicBool::new(false)), namespace.path());
        let told = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            join(&path);
            let (mut rounds, mut seen) = (0, BTreeSet::new());
            while !told.load(Ordering::Relaxed) {
                let found = scan(address, ports.iter().copied(), Duration::from_millis(100));
                seen.extend(
                    found.into_iter().filter(|(_, answer)| *answer == Answer::Open).map(|(port, _)| port),
                );
                rounds += 1;
            }
            (rounds, seen)
        });
        Self { ended, thread }
    }

    /// Ends it: how many rounds there were, and the ports that were ever open.
    pub(crate) fn end(self) -> (usize, BTreeSet<u16>) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch ends without a panic")
    }
}

/// A program that runs beside the test; ended when dropped.
#[derive(Debug)]
pub(crate) struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Moves the calling thread into a network, for good.
pub(crate) fn join(path: &Path) {
    let namespace = File::open(path).expect("the namespace's file");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("joining a namespace as root");
}

/// Process ids of a process's children.
pub(crate) fn children(id: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Waits until `condition` holds; an error that names `what` after `limit`.
pub(crate) fn wait_until(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    while !condition() {
        anyhow::ensure!(start.elapsed() < limit, "waited {} s in vain: {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn remove_stale_namespaces() {
    let Ok(entries) = std::fs::read_dir(NAMES) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.strip_prefix(PREFIX).is_some_and(maker_is_dead) {
            run(&["ip", "netns", "del", name], LIMIT);
        }
    }
}
