//! The cached root: a Debian 13 with the packages of both roles and of everything around the nodes, made once.
//!
//! Its name holds a hash of its recipe, so a changed recipe makes a new one; it is made under another name and
//! renamed, so a half-made one is never seen. To add a package around the nodes: a word in `AROUND`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::event::{Event, Events};
use super::interrupt::Interrupt;
use super::lab::program::Program;
use super::registry::{Made, Registry, remove_folder};
use crate::payload::manifest::sha256_hex;

/// Debian's name of the release.
const SUITE: &str = "trixie";

/// Where roots are kept, unless `MESHBOOT_CACHE` names another folder.
const CACHE: &str = "/var/cache/meshboot";

/// What Debian's stock cloud image has, as far as a node meets it.
const CLOUD: [&str; 21] = [
    "ca-certificates",
    "cloud-guest-utils",
    "cloud-init",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "netbase",
    "netplan.io",
    "nftables",
    "openssh-server",
    "openssl",
    "procps",
    "python3",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
    "unattended-upgrades",
];

/// What stands around the nodes.
const AROUND: [&str; 3] = ["dnsmasq-base", "knot", "pebble"];

/// Turns a bare Debian into a stock cloud image, with nothing of ours running.
const CUSTOMIZE: &str = r#"
root=$1
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/etc/resolv.conf"
ln -s ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
printf 'uninitialized\n' > "$root/etc/machine-id"
printf 'datasource_list: [ NoCloud, None ]\n' > "$root/etc/cloud/cloud.cfg.d/90_dpkg.cfg"
# netplan matches a card's permanent hardware address, which a container's interface has not; networkd's renderer
# matches the present one.
printf 'system_info:\n  network:\n    renderers: [networkd]\n' > "$root/etc/cloud/cloud.cfg.d/92_container.cfg"
systemctl --root "$root" --quiet enable systemd-networkd systemd-resolved ssh
for unit in certbot.timer haproxy knot nftables yggdrasil; do
    systemctl --root "$root" --quiet disable "$unit" 2>/dev/null || true
done
"#;

/// Making a root downloads some hundred megabytes.
const LIMIT: Duration = Duration::from_mins(30);

/// The folder that roots are kept in.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os("MESHBOOT_CACHE")
        .filter(|name| !name.is_empty())
        .map_or_else(|| CACHE.into(), PathBuf::from)
}

/// A root that is made, or can be.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    packages: Vec<String>,
}

impl Root {
    /// The one with these packages beside those of a cloud image and of what stands around.
    #[must_use]
    pub fn with(packages: &[String]) -> Self {
        let mut all: Vec<String> = CLOUD.iter().chain(&AROUND).map(|&name| name.to_owned()).collect();
        all.extend_from_slice(packages);
        all.sort();
        all.dedup();
        let recipe = format!("{SUITE}\n{}\n{CUSTOMIZE}\n{}", std::env::consts::ARCH, all.join("\n"));
        // Half of the digest's digits is plenty.
        let hash = sha256_hex(recipe.as_bytes());
        let path = cache().join(format!("rehearsal-root-{}", &hash[..16]));
        Self { path, packages: all }
    }

    /// Where it lies, or will.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.path.is_dir()
    }

    /// Makes it unless it is there. One that another rehearsal is making is waited for.
    pub fn make(&self, registry: &Arc<Registry>, events: &Events, interrupt: &Interrupt) -> Result<()> {
        if self.is_made() {
            return Ok(());
        }
        let cache = cache();
        fs::create_dir_all(&cache).with_context(|| format!("making `{}`", cache.display()))?;
        let lock = cache.join(".rehearsal-root.lock");
        let lock = File::create(&lock).with_context(|| format!("making `{}`", lock.display()))?;
        interrupt.wait_until("another rehearsal that makes the root", LIMIT, || match lock.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error).context("locking the cache"),
        })?;
        if self.is_made() {
            return Ok(());
        }
        let making = cache.join(format!(".making-rehearsal-root-{}", std::process::id()));
        registry.add(&Made::Folder(making.clone()))?;
        let made = self.bootstrap(&making, registry, events, interrupt);
        if made.is_err() {
            remove_folder(&making)?;
        }
        made
    }

    fn bootstrap(
        &self,
        making: &Path,
        registry: &Arc<Registry>,
        events: &Events,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let target = making.join("root");
        fs::create_dir_all(making).with_context(|| format!("making `{}`", making.display()))?;
        let log = making.join("mmdebstrap.log");
        events.tell(Event::Root("starting".to_owned()));
        let mut program = Program::start(registry, &self.argv(&target), &log)?;
        let start = Instant::now();
        let mut told = String::new();
        let status = loop {
            if let Some(status) = program.ended() {
                break status;
            }
            ensure!(
                start.elapsed() < LIMIT,
                "making the root takes more than {} minutes",
                LIMIT.as_secs() / 60
            );
            interrupt.sleep(Duration::from_millis(200))?;
            let step = last_step(&program.said());
            if step != told {
                told.clone_from(&step);
                events.tell(Event::Root(step));
            }
        };
        ensure!(status.success(), "making the root with mmdebstrap: {}", program.last_words());
        // A root that loses files to a power cut would be kept for ever.
        let file = File::open(&target).with_context(|| format!("opening `{}`", target.display()))?;
        rustix::fs::syncfs(&file).context("syncing the root")?;
        fs::rename(&target, &self.path)
            .with_context(|| format!("moving the root to `{}`", self.path.display()))?;
        remove_folder(making)
    }

    /// In namespaces of its own: its mounts end with it, however it ends.
    fn argv(&self, target: &Path) -> Vec<String> {
        let mut argv: Vec<String> =
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
                .into_iter()
                .map(str::to_owned)
                .collect();
        argv.extend(["mmdebstrap", "--mode=root", "--variant=minbase"].into_iter().map(str::to_owned));
        argv.push(format!("--include={}", self.packages.join(",")));
        argv.push("--aptopt=Acquire::Languages \"none\"".to_owned());
        for path in ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"] {
            argv.push(format!("--dpkgopt=path-exclude={path}"));
        }
        argv.push(format!("--customize-hook=set -- \"$1\"\n{CUSTOMIZE}"));
        argv.push(SUITE.to_owned());
        argv.push(target.display().to_string());
        argv
    }
}

/// The last step that mmdebstrap has named, as in `installing remaining packages inside the chroot...`.
fn last_step(said: &str) -> String {
    let step = said.lines().rev().find_map(|line| line.strip_prefix("I: "));
    step.unwrap_or("starting").trim_end_matches("...").to_owned()
}
