//! What a rehearsal needs of this machine, looked at before anything is started: one clear message with the remedy.
//!
//! Kernel features are tried in namespaces of a moment's life, since a list of modules says little about what works.
//! To add a need: a line in `PROGRAMS`, or a check in [`examine`].

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::lab::cgroup;
use crate::diag::Refusal;
use crate::sys::subprocess;

/// Programs of this machine, and Debian's packages that have them.
const PROGRAMS: [(&str, &str); 11] = [
    ("ip", "iproute2"),
    ("mmdebstrap", "mmdebstrap"),
    ("mount", "mount"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("sh", "dash"),
    ("sysctl", "procps"),
    ("systemd-nspawn", "systemd-container"),
    ("tc", "iproute2"),
    ("unshare", "util-linux"),
];

/// The keyring that mmdebstrap judges Debian's packages by; a file of `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where programs are, beside `PATH`.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Bytes of the cached root, and of the downloads while it is made.
const ROOT_BYTES: u64 = 1_500 << 20;

/// Bytes that a node writes.
const NODE_BYTES: u64 = 100 << 20;

/// How long a trial may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Trials of the kernel: what, a shell script that works where it is there, and the remedy. `$1` is a folder on the
/// disk that roots lie on.
const TRIALS: [(&str, &str, &str); 4] = [
    (
        "network namespaces with virtual links",
        "ip link add trial0 type veth peer name trial1 && ip link add trial2 type bridge",
        "a kernel with CONFIG_NET_NS, CONFIG_VETH and CONFIG_BRIDGE, as Debian's is; in a container: `--privileged`",
    ),
    (
        "nftables with address translation",
        "nft 'table inet t { chain c { type nat hook postrouting priority 100; oifname lo masquerade; ct mark set 1; }; }'",
        "a kernel with CONFIG_NF_TABLES and CONFIG_NFT_NAT, as Debian's is: `modprobe nf_tables nft_chain_nat nft_masq`",
    ),
    (
        "overlayfs",
        "mkdir -p \"$1/lower\" \"$1/upper\" \"$1/work\" \"$1/root\" && mount -t overlay overlay -o \"lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work\" \"$1/root\"",
        "`modprobe overlay`; a cache on a disk that can be an overlay's upper layer (set MESHBOOT_CACHE), not on another overlay",
    ),
    (
        "TUN devices",
        "ip tuntap add dev t mode tun",
        "`modprobe tun`; in a container: `--device /dev/net/tun`",
    ),
];

/// Gives a link delay.
const NETEM: &str =
    "ip link add trial0 type veth peer name trial1 && tc qdisc add dev trial0 root netem delay 1ms";

/// What this machine has beyond what is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Whether links can be given delay and loss (`tc netem`).
    pub delays: bool,
}

/// Looks at everything; the error names all that is missing. `cache` exists or can be made.
pub fn examine(cache: &Path, root_is_cached: bool, nodes: usize) -> Result<Machine, Refusal> {
    if !rustix::process::geteuid().is_root() {
        return Err(Refusal::input("a rehearsal makes network namespaces and mounts, which needs root")
            .hint("run it with `sudo`"));
    }
    programs(root_is_cached)?;
    space(cache, root_is_cached, nodes)?;
    kernel(cache)?;
    if let Err(error) = cgroup::place("x") {
        return Err(Refusal::input(format!("this machine has no control groups of version 2: {error:#}"))
            .hint("mount -t cgroup2 none /sys/fs/cgroup, as systemd does"));
    }
    Ok(Machine { delays: try_script(NETEM, cache).is_ok() })
}

fn programs(root_is_cached: bool) -> Result<(), Refusal> {
    let needed = PROGRAMS.iter().filter(|(name, _)| !(root_is_cached && *name == "mmdebstrap"));
    let mut missing: Vec<(&str, &str)> =
        needed.filter(|(program, _)| !is_installed(program)).copied().collect();
    if !root_is_cached && !Path::new(KEYRING).exists() {
        missing.push((KEYRING, "debian-archive-keyring"));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = missing.iter().map(|(name, _)| format!("`{name}`")).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    Err(Refusal::input(format!("this machine lacks {}", names.join(", ")))
        .hint(format!("apt-get install --no-install-recommends {}", packages.join(" "))))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(SYSTEM_FOLDERS).any(|folder| {
        std::fs::metadata(Path::new(folder).join(program))
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

fn space(cache: &Path, root_is_cached: bool, nodes: usize) -> Result<(), Refusal> {
    let shown = cache.display();
    let failed = |error: &dyn std::fmt::Display| {
        Refusal::input(format!("looking for space in `{shown}`: {error}"))
            .hint("name another folder in MESHBOOT_CACHE")
    };
    std::fs::create_dir_all(cache).map_err(|error| failed(&error))?;
    let disk = rustix::fs::statvfs(cache).map_err(|error| failed(&error))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let wanted = NODE_BYTES * (nodes as u64 + 1) + if root_is_cached { 0 } else { ROOT_BYTES };
    if free >= wanted {
        return Ok(());
    }
    Err(Refusal::input(format!("`{shown}` has {} MiB free, a rehearsal needs {}", free >> 20, wanted >> 20))
        .hint(format!("make room (`df -h {shown}`), or name a folder on another disk in MESHBOOT_CACHE")))
}

fn kernel(cache: &Path) -> Result<(), Refusal> {
    for (what, script, remedy) in TRIALS {
        if let Err(complaint) = try_script(script, cache) {
            return Err(
                Refusal::input(format!("this machine's kernel has no {what}: {complaint}")).hint(remedy)
            );
        }
    }
    Ok(())
}

/// Whether a script works in namespaces of its own; else what was complained last.
fn try_script(script: &str, cache: &Path) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix(".trial-").tempdir_in(cache);
    let folder = folder.map_err(|error| format!("making a folder in `{}`: {error}", cache.display()))?;
    let place = folder.path().display().to_string();
    let argv = ["unshare", "--net", "--mount", "sh", "-ec", script, "trial", &place];
    let outcome = subprocess::run(&argv, LIMIT).map_err(|error| format!("{error:#}"))?;
    if outcome.succeeded() {
        return Ok(());
    }
    Err(outcome
        .stderr
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no reason given")
        .to_owned())
}
