//! What happens to booted nodes afterwards: first boot again, an upgrade, a reboot, a new instance-id.
//!
//! These checks change the nodes, so they come last, in this order.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::boot::{Fleet, INGRESS, console};
use super::ingress::fetch;
use super::node::{cloud_init_is_done, firewall_came_first, first_active};
use super::record::Check;
use super::support::internet::CLOUD_NODE;
use super::support::machine::Machine;
use super::support::network::wait_until;

pub(crate) const CHECKS: &[Check<Fleet>] = &[
    ("first_boot_again_changes_nothing", |fleet| fleet.each(|_, _, machine| again_changes_nothing(machine))),
    ("upgrade_of_haproxy_keeps_config_and_firewall", |fleet| {
        fleet.each(|_, _, machine| upgrade_keeps(machine))
    }),
    ("upgrade_of_nftables_keeps_the_firewall", |fleet| {
        fleet.each(|_, _, machine| nftables_upgrade_keeps(machine))
    }),
    ("reboot_brings_everything_back", reboot_brings_back),
    ("reboot_raises_the_firewall_before_network_and_sshd", |fleet| {
        fleet.each(|_, _, machine| {
            firewall_came_first(machine)?;
            firewall_before_the_network(machine)
        })
    }),
    ("reboot_keeps_the_ingress_set_before_the_network", ingress_set_survives),
    ("power_cut_while_files_were_written_heals", power_cut_heals),
    ("new_instance_id_keeps_host_keys_and_works", new_instance_id),
];

/// Every file of the disk with its sum, mode and owner, but for what a running system writes by itself.
fn tree(machine: &Machine) -> anyhow::Result<BTreeMap<String, String>> {
    let script = r#"
        find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp \
            -o -path /var/log -o -path /var/lib/systemd -o -path /var/cache -o -path /var/lib/apt \) -prune \
            -o \( -type f -o -type l \) -printf '%p\t%m %u:%g %s %l\n' | sort
        find /etc /usr/local /var/lib/meshboot /var/lib/haproxy -xdev -type f -exec sha256sum {} + \
            | awk '{ print $2 " (sum)\t" $1 }'
    "#;
    let list = machine.run_for(&["sh", "-euc", script], Duration::from_mins(1)).success()?;
    Ok(list
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(path, what)| (path.to_owned(), what.to_owned()))
        .collect())
}

/// What the timers write down, which first boot starts again: the state of haproxy's servers and of lookups.
const OF_TIMERS: [&str; 2] = ["/var/lib/meshboot/server-state", "/var/lib/meshboot/resolved.json"];

/// Main process and start of every service that we run.
fn services(machine: &Machine) -> anyhow::Result<String> {
    let units = "haproxy.service yggdrasil.service ssh.service meshboot-firewall.service";
    machine.ask(&format!("systemctl show --property=Id,MainPID,ActiveEnterTimestampMonotonic,NRestarts {units}; nft list tables; nft list ruleset | sed 's/counter packets.*//'"))
}

fn again_changes_nothing(machine: &Machine) -> anyhow::Result<()> {
    // Timers write their state in between; nothing of that may be blamed on first boot.
    machine.shell("systemctl stop '*.timer'").success()?;
    let (files, running) = (tree(machine)?, services(machine)?);
    ensure!(files.len() > 1000, "a look at {} files only", files.len());
    let again = machine.run_for(&["/usr/local/lib/meshboot/first-boot"], Duration::from_mins(1));
    ensure!(again.succeeded() && again.stdout.contains("is ready"), "{again}");
    let after = tree(machine)?;
    let changed: Vec<&String> = files
        .keys()
        .chain(after.keys())
        .filter(|path| files.get(*path) != after.get(*path))
        .filter(|path| !OF_TIMERS.iter().any(|name| path.starts_with(name)))
        .collect();
    ensure!(changed.is_empty(), "changed: {changed:?}");
    let running_after = services(machine)?;
    ensure!(running == running_after, "was\n{running}\nis\n{running_after}");
    machine.shell(". /etc/meshboot/node.env; systemctl start $UNITS").success()?;
    Ok(())
}

fn upgrade(machine: &Machine, package: &str) -> anyhow::Result<()> {
    let argv = ["apt-get", "-q", "-y", "install", "--reinstall", package];
    machine.run_for(&argv, Duration::from_mins(1)).success()?;
    Ok(())
}

fn upgrade_keeps(machine: &Machine) -> anyhow::Result<()> {
    let rules = machine.ask("nft list ruleset | sed 's/counter packets.*//'")?;
    upgrade(machine, "haproxy")?;
    let active = || machine.shell("systemctl is-active --quiet haproxy.service").succeeded();
    wait_until("haproxy after its upgrade", Duration::from_secs(15), active)?;
    let argv = machine
        .ask("tr '\\0' ' ' </proc/$(systemctl show --property=MainPID --value haproxy.service)/cmdline")?;
    ensure!(argv.contains("-f /etc/meshboot/haproxy.cfg"), "{argv}");
    let after = machine.ask("nft list ruleset | sed 's/counter packets.*//'")?;
    ensure!(rules == after, "the firewall was\n{rules}\nis\n{after}");
    Ok(())
}

fn nftables_upgrade_keeps(machine: &Machine) -> anyhow::Result<()> {
    upgrade(machine, "nftables")?;
    let tables = machine.ask("nft list tables")?;
    ensure!(tables.contains("table inet meshboot"), "{tables}");
    let state = machine.run(&["systemctl", "is-enabled", "nftables.service"]).stdout;
    ensure!(state.trim() == "masked", "{state}");
    Ok(())
}

fn reboot_brings_back(fleet: &mut Fleet) -> anyhow::Result<()> {
    for machine in [&mut fleet.ingress, &mut fleet.home] {
        machine.reboot()?;
    }
    everything_works(fleet)
}

fn everything_works(fleet: &Fleet) -> anyhow::Result<()> {
    fleet.each(|_, _, machine| {
        let unit = "haproxy.service yggdrasil.service meshboot-firewall.service ssh.service";
        let active = || machine.shell(&format!("systemctl is-active --quiet {unit}")).succeeded();
        wait_until("the services after a reboot", Duration::from_secs(40), active)?;
        machine.run_for(&["cloud-init", "status", "--wait"], Duration::from_mins(1));
        cloud_init_is_done(machine)?;
        let failed = machine.ask("systemctl list-units --failed --plain --no-legend")?;
        ensure!(failed.is_empty(), "{failed}");
        ensure!(
            machine.shell("cmp /etc/meshboot/payload-id /var/lib/meshboot/ready").succeeded(),
            "not ready"
        );
        Ok(())
    })?;
    let visitor = &fleet.internet.visitor;
    wait_until("a visitor to be served", Duration::from_secs(30), || {
        fetch(visitor, "cloud.example.org", CLOUD_NODE.1, "/").stdout.ends_with("\n200")
    })
}

fn firewall_before_the_network(machine: &Machine) -> anyhow::Result<()> {
    let firewall = first_active(machine, "meshboot-firewall.service")?;
    for unit in ["network-pre.target", "systemd-networkd.service", "sysinit.target"] {
        let other = first_active(machine, unit)?;
        ensure!(firewall < other, "{unit} at {other} µs, the firewall at {firewall} µs");
    }
    Ok(())
}

fn ingress_set_survives(fleet: &mut Fleet) -> anyhow::Result<()> {
    let set = fleet.home.ask("nft list set inet meshboot ingress4")?;
    ensure!(set.contains(CLOUD_NODE.1), "{set}");
    // On disk, so that it stands before the network does: loaded with the table.
    let kept = fleet.home.ask("cat /var/lib/meshboot/sets.nft")?;
    ensure!(kept.contains(CLOUD_NODE.1), "{kept}");
    Ok(())
}

/// cloud-init notes that it has written our files before it writes them, and never syncs them.
fn power_cut_heals(fleet: &mut Fleet) -> anyhow::Result<()> {
    let cut = "/var/lib/meshboot/written /usr/local/lib/meshboot/early /usr/local/lib/meshboot/first-boot \
               /etc/meshboot/payload-id /etc/meshboot/haproxy.cfg /etc/meshboot/firewall.nft /etc/ssh/ssh_host_ed25519_key";
    let sums = "sha256sum /usr/local/lib/meshboot/early /etc/meshboot/haproxy.cfg /etc/meshboot/node.env";
    let before = fleet.ingress.ask(sums)?;
    fleet.ingress.shell("test -e /var/lib/cloud/instance/sem/config_write_files").success()?;
    fleet.ingress.shell(&format!("truncate --size=0 {cut}; rm /etc/meshboot/node.env; sync")).success()?;
    fleet.ingress.reboot()?;
    let whole = || fleet.ingress.shell("cmp /etc/meshboot/payload-id /var/lib/meshboot/written").succeeded();
    wait_until("the files to be written again", Duration::from_secs(40), whole)
        .with_context(|| format!("see `{}`", console(INGRESS).display()))?;
    everything_works(fleet)?;
    let after = fleet.ingress.ask(sums)?;
    ensure!(before == after, "was\n{before}\nis\n{after}");
    fleet.ingress.shell("ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key && sshd -t").success()?;
    Ok(())
}

fn new_instance_id(fleet: &mut Fleet) -> anyhow::Result<()> {
    let keys = fleet.ingress.ask("cat /etc/ssh/ssh_host_*_key | sha256sum")?;
    let mesh_key = fleet.ingress.ask("sha256sum /etc/meshboot/mesh-key.pem")?;
    let meta_data = fleet.built.text(INGRESS, "meta-data");
    let line = meta_data.lines().find(|line| line.starts_with("instance-id:")).context("an instance-id")?;
    let renewed = meta_data.replace(line, "instance-id: another-one");
    fleet.ingress.stop()?;
    fleet.ingress.put("var/lib/cloud/seed/nocloud/meta-data", 0o600, renewed.as_bytes());
    fleet.ingress.start()?;
    let applied =
        || fleet.ingress.shell("test $(cat /var/lib/cloud/data/instance-id) = another-one").succeeded();
    wait_until("cloud-init to take the new instance-id", Duration::from_secs(30), applied)
        .with_context(|| format!("see `{}`", console(INGRESS).display()))?;
    everything_works(fleet)?;
    ensure!(keys == fleet.ingress.ask("cat /etc/ssh/ssh_host_*_key | sha256sum")?, "the host keys changed");
    ensure!(mesh_key == fleet.ingress.ask("sha256sum /etc/meshboot/mesh-key.pem")?, "the mesh key changed");
    Ok(())
}
