//! Network namespaces, the links between them, and sockets and programs in them.
//!
//! Not here: which there are (`internet`, `house`). A namespace's name is `mbr-<process id>-<label>`, so that
//! `ip netns exec` works while a rehearsal is kept.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::super::registry::{self, Made, Registry};
use super::program::Program;
use crate::sys::subprocess::{self, Outcome};

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// How long one setting may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A network namespace of ours with loopback up; its name is removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    registry: Arc<Registry>,
    removed: bool,
}

impl Namespace {
    /// Makes one; `label` is unique in a rehearsal.
    pub fn new(registry: &Arc<Registry>, label: &str) -> Result<Self> {
        let name = format!("mbr-{}-{label}", std::process::id());
        registry.add(&Made::Namespace(name.clone()))?;
        subprocess::run(&["ip", "netns", "add", &name], LIMIT)?.success()?;
        let namespace = Self { name, registry: Arc::clone(registry), removed: false };
        namespace.ip(&["link set lo up".to_owned()])?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it, for programs that join it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(NAMES).join(&self.name)
    }

    /// Gives `ip` these commands, one a line, all at once.
    pub fn ip(&self, commands: &[String]) -> Result<()> {
        self.batch(&["ip"], commands)
    }

    /// As [`Self::ip`], for commands that cannot tell IPv6 from their arguments (`ip rule`).
    pub fn ip6(&self, commands: &[String]) -> Result<()> {
        self.batch(&["ip", "-6"], commands)
    }

    fn batch(&self, program: &[&str], commands: &[String]) -> Result<()> {
        let argv: Vec<&str> = program.iter().copied().chain(["-n", &self.name, "-batch", "-"]).collect();
        let text = commands.join("\n") + "\n";
        let outcome = subprocess::run_with_input(&argv, text.as_bytes(), LIMIT)?;
        outcome.success().with_context(|| format!("setting up `{}`: {}", self.name, commands.join("; ")))?;
        Ok(())
    }

    /// Loads nftables rules in it, in one transaction.
    pub fn nft(&self, rules: &str) -> Result<()> {
        let argv = ["ip", "netns", "exec", &self.name, "nft", "-f", "-"];
        let outcome = subprocess::run_with_input(&argv, rules.as_bytes(), LIMIT)?;
        outcome.success().with_context(|| format!("loading rules in `{}`", self.name))?;
        Ok(())
    }

    /// Sets kernel settings of this namespace, each as in `net.ipv4.ip_forward=1`.
    pub fn sysctl(&self, settings: &[&str]) -> Result<()> {
        let mut argv = vec!["sysctl", "-q", "-w"];
        argv.extend(settings);
        self.run(&argv, LIMIT)?.success()?;
        Ok(())
    }

    /// Runs a program of this machine in it.
    pub fn run(&self, argv: &[&str], limit: Duration) -> Result<Outcome> {
        let mut all = vec!["ip", "netns", "exec", &self.name];
        all.extend(argv);
        let mut outcome = subprocess::run(&all, limit)?;
        // What the reader wants to see is the program, not the way into the namespace.
        outcome.argv.drain(..4);
        Ok(outcome)
    }

    /// Starts a program of this machine in it; what it says goes to `log`. It ends with the value, and with us.
    pub fn start(&self, argv: &[impl AsRef<str>], log: &Path) -> Result<Program> {
        let mut all = vec!["ip", "netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL"];
        all.extend(argv.iter().map(AsRef::as_ref));
        Program::start(&self.registry, &all, log)
    }

    /// Joins it with `other` by a pair of interfaces, here and there; both are up.
    pub fn link(&self, interface: &str, other: &Self, others_interface: &str) -> Result<()> {
        self.ip(&[
            format!("link add {interface} type veth peer name {others_interface} netns {}", other.name),
            format!("link set {interface} up"),
        ])?;
        other.ip(&[format!("link set {others_interface} up")])
    }

    /// Calls `work` on a thread that lives in it: every socket made there, and by threads that it starts, is in this
    /// network.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                join(&path)?;
                Ok(work())
            });
            thread.join().map_err(|_| anyhow!("work within `{}` ended by a panic", self.name))?
        })
    }

    /// Connects to an address in it.
    pub fn connect(&self, target: SocketAddr, patience: Duration) -> Result<std::io::Result<TcpStream>> {
        self.within(|| TcpStream::connect_timeout(&target, patience))
    }

    /// Removes it; programs in it have ended by then.
    pub fn take_down(&mut self) -> Result<()> {
        if self.removed {
            return Ok(());
        }
        registry::remove_namespace(&self.name)?;
        self.removed = true;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Whoever wants to hear of an error takes it down by hand; the next rehearsal tries again.
        let _ = self.take_down();
    }
}

/// Moves the calling thread into a network namespace, for good; threads that it starts are in it too.
pub fn join(path: &Path) -> Result<()> {
    let joining = || format!("joining `{}`", path.display());
    let file = File::open(path).with_context(joining)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).with_context(joining)
}
