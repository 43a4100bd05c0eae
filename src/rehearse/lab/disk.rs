//! A disk over the cached root: mounted by a process of its own in a mount namespace of its own, so that nothing of it
//! is seen on the machine, and all of it ends with that process.
//!
//! Everything around the nodes (DNS, CA, mesh peer, the router's DHCP) is programs on one such disk. Nodes have disks
//! of their own, which their container's manager mounts (`machine`).

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::interrupt::Interrupt;
use super::super::registry::Registry;
use super::namespace::Namespace;
use super::program::Program;
use crate::sys::subprocess::{self, Outcome};

/// Mounts the disk, says so, and waits for its end.
const HOLD: &str = r#"
lower=$1 layer=$2
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
mount -t proc proc "$layer/root/proc"
mount -t tmpfs -o mode=755 tmpfs "$layer/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$layer/root/tmp"
mkdir -p "$layer/root/dev/net"
for device in null zero random urandom net/tun; do
    : > "$layer/root/dev/$device"
    mount --bind "/dev/$device" "$layer/root/dev/$device"
done
: > "$layer/ready"
exec chroot "$layer/root" sleep infinity
"#;

/// How long mounting may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A mounted disk; unmounted and removed when dropped, and programs on it end.
#[derive(Debug)]
pub struct Disk {
    holder: Program,
    first_process: u32,
    layer: Layer,
}

impl Disk {
    /// Mounts one over `root`, in the folder `layer`.
    pub fn mount(
        registry: &Arc<Registry>,
        root: &Path,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let layer = Layer::new(folder)?;
        let (root, place) = (root.display().to_string(), layer.folder.display().to_string());
        let log = layer.folder.join("holder.log");
        let hold = ["sh", "-euc", HOLD, "hold", &root, &place];
        let mut argv = vec!["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"];
        argv.push("--kill-child");
        argv.extend(hold);
        let mut holder = Program::start(registry, &argv, &log)?;
        let ready = layer.folder.join("ready");
        interrupt.wait_until("the disk around the nodes", LIMIT, || {
            holder.check()?;
            Ok(ready.exists())
        })?;
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let first_process = fs::read_to_string(&children)
            .ok()
            .and_then(|list| list.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("finding the disk's process in `{children}`"))?;
        Ok(Self { holder, first_process, layer })
    }

    /// Puts a file at its absolute path; folders on the way are made.
    pub fn put(&self, path: &str, mode: u32, contents: impl AsRef<[u8]>) -> Result<()> {
        put(&self.inside(), path, mode, contents.as_ref())
    }

    /// Runs a program of the disk in a network.
    pub fn run(&self, network: &Namespace, argv: &[&str], limit: Duration) -> Result<Outcome> {
        let mut outcome = subprocess::run(&self.argv(network, argv), limit)?;
        outcome.argv = argv.iter().map(|&word| word.to_owned()).collect();
        Ok(outcome)
    }

    /// Starts a program of the disk in a network; `name` is its log's.
    pub fn start(
        &self,
        registry: &Arc<Registry>,
        network: &Namespace,
        name: &str,
        argv: &[&str],
    ) -> Result<Program> {
        let log = self.layer.folder.join(format!("{name}.log"));
        Program::start(registry, &self.argv(network, argv), &log)
    }

    /// Unmounts and removes it.
    pub fn take_down(&mut self) -> Result<()> {
        self.holder.take_down()?;
        self.layer.take_down()
    }

    /// Where the disk is, seen from the machine.
    fn inside(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.first_process))
    }

    fn argv(&self, network: &Namespace, argv: &[&str]) -> Vec<String> {
        let target = format!("--target={}", self.first_process);
        let network = format!("--net={}", network.path().display());
        let mut all = vec!["nsenter", &target, "--mount", "--pid", "--root", "--wd", &network, "--"];
        all.extend(["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        all.extend(["LC_ALL=C.UTF-8", "HOME=/root", "TERM=dumb", "setpriv", "--pdeathsig=KILL"]);
        all.extend(argv);
        all.into_iter().map(str::to_owned).collect()
    }
}

/// The writable part of an overlay, in a folder of its own; removed when dropped.
#[derive(Debug)]
pub struct Layer {
    /// Holds `upper`, `work` and the mount point `root`.
    pub folder: PathBuf,
    removed: bool,
}

impl Layer {
    /// Makes an empty one.
    pub fn new(folder: &Path) -> Result<Self> {
        let making = || format!("making `{}`", folder.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(making)?;
        for name in ["upper", "work", "root"] {
            // A root's own top folder is world-readable.
            let path = folder.join(name);
            fs::DirBuilder::new().create(&path).with_context(making)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(making)?;
        }
        Ok(Self { folder: folder.to_owned(), removed: false })
    }

    /// Puts a file on the disk while it is not mounted.
    pub fn put(&self, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
        put(&self.folder.join("upper"), path, mode, contents)
    }

    /// Removes it; it is mounted no more by then.
    pub fn take_down(&mut self) -> Result<()> {
        if !self.removed {
            super::super::registry::remove_folder(&self.folder)?;
            self.removed = true;
        }
        Ok(())
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        // Whoever wants to hear of an error takes it down by hand.
        let _ = self.take_down();
    }
}

fn put(root: &Path, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
    let target = root.join(path.trim_start_matches('/'));
    let writing = || format!("writing `{}`", target.display());
    if let Some(parent) = target.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).with_context(writing)?;
    }
    fs::write(&target, contents).with_context(writing)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(mode)).with_context(writing)
}
