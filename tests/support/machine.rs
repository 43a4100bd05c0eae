//! A Debian 13 machine: systemd as process 1 of a container over the `cloud` root, in a network made beforehand.
//!
//! Not here: what it boots (the test puts a seed in) and whom it talks to (`internet`). What a container has not, and
//! so is not shown here: a kernel and a clock of its own, udev, a serial port (`/dev/console` is the log file).

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::command::{Outcome, run};
use super::judge::make_root;
use super::network::{Namespace, children, wait_until};
use super::scratch::{Folder, set_mode};

/// Mounts the machine's root in a namespace of its own and becomes the container's manager, as process 1 of a PID
/// namespace: nspawn that is killed leaves its container running, but nothing outlives its PID namespace. The unified
/// hierarchy is what Debian 13's systemd wants, also on a host with the old one.
const START: &str = r#"
lower=$1 layer=$2; shift 2
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
exec env UNIFIED_CGROUP_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0 systemd-nspawn --directory="$layer/root" "$@"
"#;

/// A machine that is off or on; it is switched off hard when dropped, and its disk goes with it.
#[derive(Debug)]
pub(crate) struct Machine {
    manager: Option<Child>,
    leader: Option<u32>,
    layer: Folder,
    root: PathBuf,
    network: Namespace,
    devices: Vec<PathBuf>,
    console: PathBuf,
}

impl Machine {
    /// A machine that has never booted, in `network`. `console` gets all that it says, boot after boot.
    pub(crate) fn new(network: Namespace, console: PathBuf) -> Self {
        Self::over(make_root(&["cloud"]), network, console)
    }

    /// As [`Self::new`], from an image that lacks nftables.
    pub(crate) fn without_nft(network: Namespace, console: PathBuf) -> Self {
        Self::over(make_root(&["bare"]), network, console)
    }

    fn over(root: PathBuf, network: Namespace, console: PathBuf) -> Self {
        let layer = Folder::new();
        for name in ["upper", "work", "root"] {
            layer.folder(name);
        }
        File::create(&console).unwrap_or_else(|error| panic!("making `{}`: {error}", console.display()));
        allow_many_systemds();
        Self { manager: None, leader: None, layer, root, network, devices: Vec::new(), console }
    }

    /// Puts a file on the machine's disk while it is off.
    pub(crate) fn put(&self, path: &str, mode: u32, contents: &[u8]) {
        assert!(self.manager.is_none(), "the machine is on");
        let target = self.layer.path().join("upper").join(path.trim_start_matches('/'));
        let parent = target.parent().expect("below the disk's root");
        std::fs::create_dir_all(parent)
            .unwrap_or_else(|error| panic!("making `{}`: {error}", parent.display()));
        std::fs::write(&target, contents)
            .unwrap_or_else(|error| panic!("writing `{}`: {error}", target.display()));
        set_mode(&target, mode);
    }

    /// Plugs a block device in, under its own name.
    pub(crate) fn plug_in(&mut self, device: &Path) {
        self.devices.push(device.to_owned());
    }

    /// Switches it on and returns as soon as its process 1 runs.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        assert!(self.manager.is_none(), "the machine is on already");
        let console = File::options().append(true).open(&self.console)?;
        let mut command = Command::new("setpriv");
        // The manager joins the network too: the /sys that it mounts for the machine shows the manager's own.
        command
            .args(["--pdeathsig", "KILL", "nsenter"])
            .arg(format!("--net={}", self.network.path().display()));
        command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-euc", START, "start"]);
        command.arg(&self.root).arg(self.layer.path());
        command.args(["--boot", "--register=no", "--keep-unit", "--notify-ready=no", "--console=read-only"]);
        command.args(["--machine=node", "--hostname=localhost", "--resolv-conf=off", "--timezone=off"]);
        command.args(["--link-journal=no", "--bind=/dev/net/tun", "--capability=CAP_NET_ADMIN,CAP_NET_RAW"]);
        command.arg(format!("--network-namespace-path={}", self.network.path().display()));
        command.args(self.devices.iter().map(|device| format!("--bind={}", device.display())));
        command.arg("systemd.show_status=yes");
        command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
        let manager = command.spawn()?;
        let id = manager.id();
        self.manager = Some(manager);
        wait_until("the machine's process 1", Duration::from_secs(20), || {
            self.leader = process_one(id);
            self.leader.is_some()
        })
        .map_err(|error| error.context(self.console_tail(20)))
    }

    /// Runs a program on the machine as root.
    pub(crate) fn run(&self, argv: &[&str]) -> Outcome {
        self.run_for(argv, Duration::from_secs(30))
    }

    /// As [`Self::run`], with a time limit of the caller's.
    pub(crate) fn run_for(&self, argv: &[&str], limit: Duration) -> Outcome {
        let leader = self.leader.map(|id| id.to_string()).unwrap_or_default();
        let mut all = vec!["nsenter", "--all", "--target", &leader, "--", "env", "-i"];
        all.extend(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb"]);
        all.extend(argv);
        let mut outcome = run(&all, limit);
        outcome.argv = argv.iter().map(|&word| word.to_owned()).collect();
        outcome
    }

    /// Runs a line of POSIX shell on the machine.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.run(&["sh", "-euc", script])
    }

    /// Standard output of a line of shell that has to succeed, without the white space around it.
    pub(crate) fn ask(&self, script: &str) -> anyhow::Result<String> {
        Ok(self.shell(script).success()?.trim().to_owned())
    }

    /// Switches it off as its power button does, and waits for the end.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.run(&["systemctl", "poweroff", "--no-wall"]);
        let manager = self.manager.as_mut().expect("the machine is on");
        let start = Instant::now();
        while manager.try_wait()?.is_none() {
            anyhow::ensure!(start.elapsed() < Duration::from_mins(2), "powering off took two minutes");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.manager = None;
        self.leader = None;
        Ok(())
    }

    /// Switches it off and on again.
    pub(crate) fn reboot(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.start()
    }

    /// Its process 1, as the host counts.
    pub(crate) fn leader(&self) -> Option<u32> {
        self.leader
    }

    /// The network that it is plugged into.
    pub(crate) fn network(&self) -> &Namespace {
        &self.network
    }

    /// All that it has said on its console.
    pub(crate) fn console(&self) -> String {
        std::fs::read(&self.console)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The console's last lines.
    pub(crate) fn console_tail(&self, lines: usize) -> String {
        let text = self.console();
        let all: Vec<&str> = text.lines().collect();
        let mut tail = String::new();
        for line in &all[all.len().saturating_sub(lines)..] {
            let _ = writeln!(tail, "console: {}", without_escapes(line));
        }
        tail
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(manager) = &mut self.manager {
            let _ = manager.kill();
            let _ = manager.wait();
        }
        // The kernel ends what ran inside a moment later; the network and the disk go only then.
        if let Some(leader) = self.leader {
            let _ = wait_until("the machine's end", Duration::from_secs(10), || has_ended(leader));
        }
    }
}

/// Raises the kernel's limit of inotify instances of one user, 128 by default: root's are shared by the systemds of all
/// containers and of the host, and a machine takes some forty.
fn allow_many_systemds() {
    const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";
    let limit = std::fs::read_to_string(LIMIT).ok().and_then(|text| text.trim().parse::<u32>().ok());
    if limit.is_some_and(|limit| limit < 1024) {
        std::fs::write(LIMIT, "1024").expect("root may set a kernel limit");
    }
}

/// The container's process 1, as the host counts: below `unshare` stands nspawn, below it what has become `systemd`.
fn process_one(unshare: u32) -> Option<u32> {
    children(unshare).into_iter().flat_map(children).find(|id| {
        std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "systemd")
    })
}

/// Whether a process runs no more; one that nobody has reaped yet has ended too.
pub(crate) fn has_ended(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

/// A console line without its colours.
fn without_escapes(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else if !character.is_control() {
            text.push(character);
        }
    }
    text
}
