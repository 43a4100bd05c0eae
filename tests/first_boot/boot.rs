//! The scenario `fleet`: an ingress node and the home of `examples/hearth.yaml` boot in one internet, with all they
//! ask for: the node from `user-data`, the home from `seed.iso`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::record::{Scenario, folder};
use super::support::built::{Built, example_text};
use super::support::command::run;
use super::support::internet::{HOME_NODE, Internet, LAN_SERVICE};
use super::support::judge::Judge;
use super::support::machine::Machine;
use super::support::network::{Background, Watch, wait_until};
use super::support::seed_device::SeedDevice;
use super::{after, home, ingress, node};

/// The ingress node that boots: the home's file knows its address beforehand, which is the one DHCP gives here.
pub(crate) const INGRESS: &str = "old1";

/// The home's name.
pub(crate) const HOME: &str = "hearth";

/// How long a first boot may take, packages included.
const FIRST_BOOT: Duration = Duration::from_mins(3);

pub(crate) static SCENARIO: Scenario<Fleet> = Scenario {
    name: "fleet",
    set,
    checks: &[node::CHECKS, ingress::CHECKS, home::CHECKS, after::CHECKS],
    traces,
};

/// Two booted nodes and the networks around them.
pub(crate) struct Fleet {
    // Machines go before the networks that they are plugged into.
    pub(crate) ingress: Machine,
    pub(crate) home: Machine,
    pub(crate) seed: SeedDevice,
    service: Background,
    pub(crate) internet: Internet,
    pub(crate) built: Built,
    pub(crate) judge: Judge,
    /// Private SSH key of the administrator, in the judge's root.
    pub(crate) ssh_key: &'static str,
    /// While it booted: how often the home was looked at from its router, and which ports were ever open.
    pub(crate) watched: (usize, BTreeSet<u16>),
}

impl Fleet {
    /// The nodes by name.
    pub(crate) fn nodes(&self) -> [(&'static str, &Machine); 2] {
        [(INGRESS, &self.ingress), (HOME, &self.home)]
    }

    /// Asks the same of both nodes; the error names the node.
    pub(crate) fn each(
        &self,
        question: impl Fn(&Self, &str, &Machine) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.nodes().into_iter().try_for_each(|(name, machine)| question(self, name, machine).context(name))
    }
}

/// The example, with an administrator's key whose private half is here.
pub(crate) fn fleet_text(judge: &Judge, ssh_key: &str) -> String {
    judge.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", ssh_key]).expect_success();
    let public = judge.read(&format!("{ssh_key}.pub")).expect("ssh-keygen wrote it");
    let public = String::from_utf8(public).expect("a line of text");
    let text = example_text("hearth.yaml");
    let line =
        text.lines().find(|line| line.trim_start().starts_with("- ssh-ed25519 ")).expect("a key to replace");
    text.replace(line, &format!("    - {}", public.trim()))
}

fn set() -> anyhow::Result<Option<Fleet>> {
    let Some(judge) = Judge::new() else { return Ok(None) };
    let ssh_key = "/root/administrator";
    let built = Built::new(&fleet_text(&judge, ssh_key));
    let Some(mut internet) = Internet::new() else { return Ok(None) };
    internet.start_services();
    let packages = built.packages();
    internet.start_mirror(&packages.iter().map(String::as_str).collect::<Vec<_>>());
    internet.start_mesh();
    let service = internet.start_lan_service(LAN_SERVICE);

    let mut ingress = Machine::new(internet.cloud_socket(), console(INGRESS));
    prepare(&mut ingress);
    sow(&ingress, &built, INGRESS);
    let mut home = Machine::new(internet.home_socket(), console(HOME));
    prepare(&mut home);
    let seed = SeedDevice::new(&built.read(HOME, "seed.iso"));
    seed.plug_into(&mut home);

    let start = Instant::now();
    ingress.start()?;
    home.start()?;
    // While nobody's hand is on it, from the place that is never let in.
    let watch = Watch::new(internet.router(), HOME_NODE.1.parse()?, &[22, 80, 443, 4780, 4781, 25565]);
    let watched = (0, BTreeSet::new());
    let mut fleet = Fleet { ingress, home, seed, service, internet, built, judge, ssh_key, watched };
    for (name, machine) in fleet.nodes() {
        let left = FIRST_BOOT.saturating_sub(start.elapsed());
        let ready = || machine.shell("test -e /var/lib/meshboot/ready").succeeded();
        wait_until(&format!("{name} to be ready"), left, ready)
            .with_context(|| format!("{}\n{}", machine.console_tail(40), journal(machine, name)))?;
        // Its verdict is a check of its own; here it only has to end.
        machine.run_for(&["cloud-init", "status", "--wait"], Duration::from_mins(1));
    }
    fleet.watched = watch.end();
    Ok(Some(fleet))
}

/// What stands for the provider: the mirror, and a container's network card.
pub(crate) fn prepare(machine: &mut Machine) {
    for (path, contents) in Internet::mirror_settings() {
        machine.put(path, 0o644, contents.as_bytes());
    }
    let (path, contents) = Internet::fallback_network();
    machine.put(path, 0o644, contents);
}

/// Gives a machine a node's payload as a `NoCloud` seed folder does, byte for byte what `build` wrote.
pub(crate) fn sow(machine: &Machine, built: &Built, node: &str) {
    for file in ["user-data", "meta-data"] {
        machine.put(&format!("var/lib/cloud/seed/nocloud/{file}"), 0o600, &built.read(node, file));
    }
}

pub(crate) fn console(name: &str) -> PathBuf {
    folder().join(format!("{name}.console"))
}

/// Writes the machine's journal beside its console and returns what matters most.
pub(crate) fn journal(machine: &Machine, name: &str) -> String {
    let all = machine.run(&["journalctl", "--no-pager", "--output=short-monotonic"]).stdout;
    let path = folder().join(format!("{name}.journal"));
    // The traces of a failure must not hide it behind one of their own.
    let _ = std::fs::write(&path, &all);
    let ours: Vec<&str> =
        all.lines().filter(|line| line.contains("meshboot") || line.contains("rror")).collect();
    format!(
        "{name}: console and journal in `{}`\n{}\n",
        folder().display(),
        ours[ours.len().saturating_sub(30)..].join("\n")
    )
}

fn traces(fleet: &Fleet) -> String {
    let traces = fleet
        .nodes()
        .map(|(name, machine)| format!("{}\n{}", machine.console_tail(15), journal(machine, name)));
    run(
        &["cp", "--recursive", &fleet.internet.logs().display().to_string(), &folder().display().to_string()],
        Duration::from_secs(10),
    );
    traces.join("\n") + &fleet.service.log()
}
