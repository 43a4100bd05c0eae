//! A node: systemd as process 1 of a container over the cached root, in a network made beforehand.
//!
//! Not here: what it boots (`payloads` sows it) and whom it talks to (`lab`). What a container has not, and so is not
//! shown: a kernel and a clock of its own, udev, a serial port (`/dev/console` is the log file). Machines are started
//! one after another and come up side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::event::Phase;
use super::interrupt::Interrupt;
use super::lab::cgroup;
use super::lab::disk::Layer;
use super::lab::namespace::Namespace;
use super::lab::program::{Program, children};
use super::registry::{Made, Process, Registry};
use crate::sys::subprocess::{self, Outcome};

/// Mounts the machine's root in a namespace of its own and becomes the container's manager. The unified hierarchy is
/// what Debian 13's systemd wants, also on a host with the old one. It all runs in one more PID namespace, because a
/// killed manager leaves its container running, and a PID namespace ends whole.
const START: &str = r#"
lower=$1 layer=$2 cgroup=$3; shift 3
echo 0 > "$cgroup/cgroup.procs"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
exec env UNIFIED_CGROUP_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0 systemd-nspawn --directory="$layer/root" "$@"
"#;

/// What first boot leaves when it is done.
const READY: &str = "var/lib/meshboot/ready";

/// How long one command on a machine may take, where nobody says otherwise.
const COMMAND: Duration = Duration::from_secs(30);

/// How long powering off may take.
const POWER_OFF: Duration = Duration::from_mins(2);

/// How long process 1 may take to appear.
const PROCESS_ONE: Duration = Duration::from_secs(30);

/// How long a killed machine may take to end.
const END: Duration = Duration::from_secs(10);

/// A machine that is off or on; switched off hard when dropped, and its disk goes with it.
#[derive(Debug)]
pub struct Machine {
    /// Node's name.
    pub name: String,
    running: Option<Running>,
    layer: Layer,
    network: Namespace,
    root: PathBuf,
    console: PathBuf,
    cgroup: PathBuf,
    registry: Arc<Registry>,
}

#[derive(Debug)]
struct Running {
    manager: Program,
    leader: Process,
    since: Instant,
}

impl Machine {
    /// A machine that has never booted, in `network`; `folder` gets its disk and its console's text.
    pub fn new(
        registry: &Arc<Registry>,
        name: &str,
        root: &Path,
        network: Namespace,
        folder: &Path,
    ) -> Result<Self> {
        let layer = Layer::new(folder)?;
        Ok(Self {
            name: name.to_owned(),
            running: None,
            console: folder.join("console.log"),
            layer,
            network,
            root: root.to_owned(),
            cgroup: cgroup::place(&format!("mbr-{}-{name}", std::process::id()))?,
            registry: Arc::clone(registry),
        })
    }

    /// Puts a file on the machine's disk while it is off.
    pub fn put(&self, path: &str, mode: u32, contents: impl AsRef<[u8]>) -> Result<()> {
        ensure!(self.running.is_none(), "`{}` is on", self.name);
        self.layer.put(path, mode, contents.as_ref())
    }

    /// Switches it on and returns as soon as its process 1 runs.
    pub fn start(&mut self, interrupt: &Interrupt) -> Result<()> {
        ensure!(self.running.is_none(), "`{}` is on already", self.name);
        let since = Instant::now();
        self.registry.add(&Made::Cgroup(self.cgroup.clone()))?;
        cgroup::make(&self.cgroup)?;
        let mut manager = Program::start(&self.registry, &self.argv(), &self.console)?;
        let mut leader = None;
        interrupt
            .wait_until(&format!("process 1 of `{}`", self.name), PROCESS_ONE, || {
                manager.check()?;
                leader = process_one(manager.id());
                Ok(leader.is_some())
            })
            .with_context(|| format!("starting `{}`: {}", self.name, manager.last_words()))?;
        let leader = leader.context("finding process 1")?;
        self.registry.add(&Made::Node(self.name.clone(), leader))?;
        self.running = Some(Running { manager, leader, since });
        Ok(())
    }

    fn argv(&self) -> Vec<String> {
        let network = self.network.path().display().to_string();
        // The manager joins the network too: the /sys that it mounts for the machine shows the manager's own.
        let mut argv: Vec<String> =
            ["setpriv", "--pdeathsig", "KILL", "nsenter"].into_iter().map(str::to_owned).collect();
        argv.push(format!("--net={network}"));
        argv.extend(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"].map(str::to_owned),
        );
        argv.extend(["sh", "-euc", START, "start"].map(str::to_owned));
        argv.extend([self.root.display().to_string(), self.layer.folder.display().to_string()]);
        argv.push(self.cgroup.display().to_string());
        let settings = [
            "--boot",
            "--register=no",
            "--keep-unit",
            "--notify-ready=no",
            "--console=read-only",
            "--machine=node",
            "--hostname=localhost",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--bind=/dev/net/tun",
            "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
        ];
        argv.extend(settings.into_iter().map(str::to_owned));
        argv.push(format!("--network-namespace-path={network}"));
        argv.push("systemd.show_status=yes".to_owned());
        argv
    }

    /// Where it is on its way up, and since when it has been on.
    pub fn phase(&mut self) -> Result<(Phase, Duration)> {
        let console = self.console();
        let running = self.running.as_mut().with_context(|| format!("`{}` is off", self.name))?;
        running.manager.check()?;
        let phase = if self.layer.folder.join("upper").join(READY).exists() {
            Phase::Ready
        } else {
            phase_on_console(&console)
        };
        Ok((phase, running.since.elapsed()))
    }

    /// What first boot reported, as JSON.
    pub fn boot_report(&self) -> Result<serde_json::Value> {
        let text = self.ask("cat /var/lib/meshboot/boot-report.json")?;
        serde_json::from_str(&text).with_context(|| format!("reading the boot report of `{}`", self.name))
    }

    /// Runs a program on the machine as root.
    pub fn run(&self, argv: &[&str]) -> Result<Outcome> {
        self.run_for(argv, COMMAND)
    }

    /// As [`Self::run`], with a time limit of the caller's.
    pub fn run_for(&self, argv: &[&str], limit: Duration) -> Result<Outcome> {
        self.run_with_input(argv, b"", limit)
    }

    /// As [`Self::run_for`], with bytes on standard input.
    pub fn run_with_input(&self, argv: &[&str], input: &[u8], limit: Duration) -> Result<Outcome> {
        let leader = self.leader()?.to_string();
        let mut all = vec!["nsenter", "--all", "--target", &leader, "--", "env", "-i"];
        all.extend(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        all.extend(["HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb"]);
        all.extend(argv);
        let mut outcome = subprocess::run_with_input(&all, input, limit)?;
        outcome.argv = argv.iter().map(|&word| word.to_owned()).collect();
        Ok(outcome)
    }

    /// Standard output of a line of POSIX shell that has to succeed, without the white space around it.
    pub fn ask(&self, script: &str) -> Result<String> {
        let outcome = self.run(&["sh", "-euc", script])?;
        Ok(outcome.success().with_context(|| format!("on `{}`", self.name))?.trim().to_owned())
    }

    /// Says one thing to haproxy's runtime API; its answer.
    pub fn ask_haproxy(&self, request: &str) -> Result<String> {
        let argv = ["nc", "-U", "-N", "/run/haproxy/admin.sock"];
        let outcome = self.run_with_input(&argv, format!("{request}\n").as_bytes(), COMMAND)?;
        outcome.success().with_context(|| format!("asking haproxy of `{}`", self.name))
    }

    /// Writes a file on the running machine, atomically.
    pub fn write(&self, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
        let script = "umask 077; cat >\"$1.new\"; chmod \"$2\" \"$1.new\"; mv \"$1.new\" \"$1\"";
        let mode = format!("{mode:04o}");
        let outcome =
            self.run_with_input(&["sh", "-euc", script, "write", path, &mode], contents, COMMAND)?;
        outcome.success().with_context(|| format!("writing `{path}` on `{}`", self.name))?;
        Ok(())
    }

    /// Switches it off as its power button does, and waits for the end.
    pub fn stop(&mut self) -> Result<()> {
        // It may have ended before it answers.
        let _ = self.run(&["systemctl", "poweroff", "--no-wall"])?;
        let running = self.running.as_mut().with_context(|| format!("`{}` is off", self.name))?;
        ensure!(running.manager.wait(POWER_OFF)?.is_some(), "powering off `{}` took too long", self.name);
        self.running = None;
        cgroup::remove(&self.cgroup)
    }

    /// Pulls its plug, and waits for the end.
    pub fn cut_power(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        cgroup::remove(&self.cgroup)?;
        // What started it sees the end, and ends by itself.
        running.manager.wait(END)?;
        running.manager.take_down()?;
        self.running = None;
        Ok(())
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Process 1, as the machine around it counts.
    pub fn leader(&self) -> Result<u32> {
        Ok(self.running.as_ref().with_context(|| format!("`{}` is off", self.name))?.leader.id)
    }

    /// The network that it is plugged into.
    #[must_use]
    pub fn network(&self) -> &Namespace {
        &self.network
    }

    /// Everything that the machine has written to its disk, as a folder. Read only.
    #[must_use]
    pub fn written(&self) -> PathBuf {
        self.layer.folder.join("upper")
    }

    /// All that it has said on its console.
    #[must_use]
    pub fn console(&self) -> String {
        fs::read(&self.console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The console's last lines, without colours.
    #[must_use]
    pub fn console_tail(&self, lines: usize) -> String {
        let text = self.console();
        let all: Vec<&str> = text.lines().collect();
        let tail = all[all.len().saturating_sub(lines)..].iter().map(|line| without_escapes(line));
        tail.collect::<Vec<_>>().join("\n")
    }

    /// Ends it and removes its disk and its network. Returns what went wrong.
    pub fn take_down(&mut self) -> Vec<anyhow::Error> {
        let steps = [self.cut_power(), self.layer.take_down(), self.network.take_down()];
        steps.into_iter().filter_map(Result::err).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Whoever wants to hear of errors takes it down by hand; the next rehearsal tries again.
        let _ = self.take_down();
    }
}

/// The container's process 1: a child of the manager, which is a child of what started it.
fn process_one(started: u32) -> Option<Process> {
    let is_systemd = |process: &Process| {
        fs::read_to_string(format!("/proc/{}/comm", process.id)).is_ok_and(|name| name.trim() == "systemd")
    };
    children(started).into_iter().flat_map(|manager| children(manager.id)).find(is_systemd)
}

/// The last step that first boot named.
fn phase_on_console(console: &str) -> Phase {
    let ours = console.lines().rev().filter_map(|line| line.split_once("meshboot: ")).map(|(_, said)| said);
    for said in ours {
        let said = without_escapes(said);
        if let Some((_, failed)) = said.split_once("is not ready, failed:") {
            return Phase::Failing(failed.split('-').next().unwrap_or(failed).trim().to_owned());
        }
        // As in `[3/8] packages ...`.
        if let Some((_, step)) = said.split_once("] ") {
            return Phase::FirstBoot(step.split(' ').next().unwrap_or(step).to_owned());
        }
    }
    Phase::Booting
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

#[cfg(test)]
mod tests {
    use super::{Phase, phase_on_console};

    #[test]
    fn the_console_tells_the_phase() {
        let first = "[  OK  ] Started x\r\nmeshboot: [1/7] firewall ...\r\nmeshboot: [1/7] firewall done in 0.01 s\r\n";
        assert_eq!(phase_on_console("[  OK  ] Started"), Phase::Booting);
        assert_eq!(phase_on_console(first), Phase::FirstBoot("firewall".to_owned()));
        let failed =
            format!("{first}meshboot: fra1 is not ready, failed: packages services - trying again; details");
        assert_eq!(phase_on_console(&failed), Phase::Failing("packages services".to_owned()));
    }
}
