//! What holds for every node after first boot, whatever its role.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::boot::Fleet;
use super::record::Check;
use super::support::internet::METADATA;
use super::support::machine::Machine;

pub(crate) const CHECKS: &[Check<Fleet>] = &[
    ("cloud_init_is_done_without_errors", |fleet| fleet.each(|_, _, machine| cloud_init_is_done(machine))),
    ("boot_report_says_ready", |fleet| fleet.each(boot_report_says_ready)),
    ("console_tells_every_step", |fleet| fleet.each(console_tells_every_step)),
    ("services_and_timers_are_active", |fleet| fleet.each(|_, _, machine| services_are_active(machine))),
    ("no_unit_has_failed", |fleet| fleet.each(|_, _, machine| no_unit_has_failed(machine))),
    ("nftables_service_is_masked", |fleet| {
        fleet.each(|_, _, machine| is_masked(machine, "nftables.service"))
    }),
    ("files_are_what_build_wrote", |fleet| fleet.each(files_are_what_build_wrote)),
    ("firewall_stood_before_sshd_and_packages", |fleet| {
        fleet.each(|_, _, machine| firewall_came_first(machine))
    }),
    ("haproxy_reads_our_file_with_its_own_limit", |fleet| {
        fleet.each(|_, _, machine| haproxy_is_ours(machine))
    }),
    ("mesh_key_is_its_users_alone", |fleet| fleet.each(|_, _, machine| mesh_key_is_private(machine))),
    ("ssh_takes_keys_only", |fleet| fleet.each(|_, _, machine| ssh_takes_keys_only(machine))),
    ("metadata_is_for_root_only", |fleet| fleet.each(|_, _, machine| metadata_is_for_root_only(machine))),
    ("security_updates_install_themselves", |fleet| fleet.each(|_, _, machine| updates_install(machine))),
];

/// `cloud-init status`: done, and neither errors nor recoverable ones.
pub(crate) fn cloud_init_is_done(machine: &Machine) -> anyhow::Result<()> {
    let outcome = machine.run(&["cloud-init", "status", "--long", "--format", "json"]);
    let status: Value = serde_json::from_str(&outcome.stdout).with_context(|| outcome.to_string())?;
    ensure!(status["status"] == "done", "{outcome}");
    ensure!(status["extended_status"] == "done", "{outcome}");
    ensure!(status["errors"].as_array().is_some_and(Vec::is_empty), "{outcome}");
    ensure!(status["recoverable_errors"].as_object().is_some_and(serde_json::Map::is_empty), "{outcome}");
    Ok(())
}

/// The boot report, parsed.
pub(crate) fn boot_report(machine: &Machine) -> anyhow::Result<Value> {
    let text = machine.ask("cat /var/lib/meshboot/boot-report.json")?;
    serde_json::from_str(&text).with_context(|| format!("reading the boot report {text}"))
}

fn boot_report_says_ready(fleet: &Fleet, name: &str, machine: &Machine) -> anyhow::Result<()> {
    let report = boot_report(machine)?;
    ensure!(report["state"] == "ready" && report["node"] == name, "{report:#}");
    ensure!(report["attempt"] == 1 && report["first-error"].is_null(), "{report:#}");
    let phases = report["phases"].as_array().context("phases")?;
    let steps = machine.ask("ls /usr/local/lib/meshboot/steps | wc -l")?;
    ensure!(phases.len().to_string() == steps, "{steps} steps, but {report:#}");
    ensure!(phases.iter().all(|phase| phase["state"] == "ok" && phase["seconds"].is_number()), "{report:#}");
    for package in ["haproxy", "yggdrasil", "nftables", "cloud-init"] {
        let installed = machine.ask(&format!("dpkg-query -W -f '${{Version}}' {package}"))?;
        ensure!(report["versions"][package] == installed, "{package} {installed}, but {report:#}");
    }
    ensure!(
        fleet.built.text(name, "rootfs/etc/meshboot/payload-id").trim() == report["payload"],
        "{report:#}"
    );
    Ok(())
}

fn console_tells_every_step(_: &Fleet, name: &str, machine: &Machine) -> anyhow::Result<()> {
    let console = machine.console();
    for step in machine.ask("ls /usr/local/lib/meshboot/steps")?.lines() {
        let step = step.split_once('-').context("a number before the step's name")?.1;
        let told = console
            .lines()
            .any(|line| line.contains("meshboot: [") && line.contains(&format!("] {step} done in")));
        ensure!(told, "no line for the step `{step}` on the console");
    }
    ensure!(console.contains(&format!("meshboot: {name} is ready")), "no `{name} is ready` on the console");
    Ok(())
}

fn services_are_active(machine: &Machine) -> anyhow::Result<()> {
    let units = machine.ask(". /etc/meshboot/node.env; echo $UNITS")?;
    ensure!(units.contains(".timer"), "no timers among `{units}`");
    for unit in
        units.split_whitespace().chain(["haproxy.service", "yggdrasil.service", "meshboot-firewall.service"])
    {
        let active = machine.run(&["systemctl", "is-active", unit]);
        ensure!(active.succeeded(), "{active}");
        let enabled = machine.run(&["systemctl", "is-enabled", unit]);
        ensure!(enabled.succeeded(), "{enabled}");
    }
    Ok(())
}

fn no_unit_has_failed(machine: &Machine) -> anyhow::Result<()> {
    let failed = machine.ask("systemctl list-units --failed --plain --no-legend")?;
    ensure!(failed.is_empty(), "{failed}");
    Ok(())
}

fn is_masked(machine: &Machine, unit: &str) -> anyhow::Result<()> {
    let state = machine.run(&["systemctl", "is-enabled", unit]).stdout;
    ensure!(state.trim() == "masked", "{unit}: {state}");
    ensure!(machine.run(&["systemctl", "is-active", unit]).stdout.trim() == "inactive", "{unit} is active");
    Ok(())
}

/// Files that first boot itself changes after it has put them there.
const LIVING: [&str; 3] = ["/etc/meshboot/join-token", "/etc/meshboot/lan-sources.acl", "/var/lib/meshboot/"];

fn files_are_what_build_wrote(fleet: &Fleet, name: &str, machine: &Machine) -> anyhow::Result<()> {
    let manifest: Value = serde_json::from_str(&fleet.built.text(name, "manifest.json"))?;
    let files = manifest["files"].as_array().context("files in the manifest")?;
    ensure!(files.len() > 20, "{} files only", files.len());
    for file in files {
        let path = file["path"].as_str().context("a path")?;
        if LIVING.iter().any(|living| path.starts_with(living)) {
            continue;
        }
        let found = machine.ask(&format!("stat -c %a '{path}'; sha256sum <'{path}'"))?;
        let (mode, sum) = found.split_once('\n').context("two lines")?;
        let wanted = file["mode"].as_str().context("a mode")?.trim_start_matches('0');
        ensure!(mode == wanted, "{path}: mode {mode}, the manifest says {wanted}");
        ensure!(sum.starts_with(file["sha256"].as_str().context("a sum")?), "{path}: {sum}, but {file}");
    }
    Ok(())
}

/// When a unit first became active in this boot, in microseconds since the machine's start, as the journal has it: the
/// unit's own properties know the last time only.
pub(crate) fn first_active(machine: &Machine, unit: &str) -> anyhow::Result<u64> {
    // SD_MESSAGE_UNIT_STARTED, systemd's sd-messages.h.
    let script = format!(
        "journalctl --boot --output=json --output-fields=UNIT --no-pager \
         MESSAGE_ID=39f53479d3a045ac8e11786248231fbf UNIT={unit} | head -n 1"
    );
    let line = machine.ask(&script)?;
    ensure!(!line.is_empty(), "{unit} has not been active");
    monotonic(&line)
}

/// The time of a journal entry in JSON, in microseconds.
fn monotonic(line: &str) -> anyhow::Result<u64> {
    let entry: Value = serde_json::from_str(line)?;
    Ok(entry["__MONOTONIC_TIMESTAMP"].as_str().context("a time")?.parse()?)
}

/// First boot and every later one: the firewall is loaded before sshd starts, and before any package of ours.
pub(crate) fn firewall_came_first(machine: &Machine) -> anyhow::Result<()> {
    let firewall = first_active(machine, "meshboot-firewall.service")?;
    for unit in ["ssh.service", "haproxy.service", "yggdrasil.service"] {
        let other = first_active(machine, unit)?;
        ensure!(firewall < other, "{unit} at {other} µs, the firewall at {firewall} µs");
    }
    let packages = machine.ask(
        "journalctl --boot --output=json --output-fields=MESSAGE --no-pager --identifier=meshboot \
         | grep -F '] packages ...' | head -n 1",
    )?;
    if !packages.is_empty() {
        let packages = monotonic(&packages)?;
        ensure!(firewall < packages, "packages at {packages} µs, the firewall at {firewall} µs");
    }
    Ok(())
}

fn haproxy_is_ours(machine: &Machine) -> anyhow::Result<()> {
    let process = machine.ask("systemctl show --property=MainPID --value haproxy.service")?;
    let argv = machine.ask(&format!("tr '\\0' ' ' </proc/{process}/cmdline"))?;
    ensure!(argv.contains("-f /etc/meshboot/haproxy.cfg"), "{argv}");
    let limit = machine.ask("systemctl show --property=LimitNOFILE --value haproxy.service")?;
    ensure!(limit == "524288", "open files: {limit}");
    // Debian's own file is as the package brought it: an upgrade will not ask.
    let changed = machine.ask("dpkg --verify haproxy yggdrasil nftables")?;
    ensure!(changed.is_empty(), "{changed}");
    Ok(())
}

fn mesh_key_is_private(machine: &Machine) -> anyhow::Result<()> {
    let rights = machine.ask("stat -c '%U:%G %a' /etc/meshboot/mesh-key.pem")?;
    ensure!(rights == "root:yggdrasil 640", "{rights}");
    let secret =
        machine.shell("grep -rl 'PRIVATE KEY' /var/log /run/cloud-init /var/lib/meshboot 2>/dev/null");
    ensure!(secret.stdout.is_empty(), "a private key lies in {}", secret.stdout);
    Ok(())
}

fn ssh_takes_keys_only(machine: &Machine) -> anyhow::Result<()> {
    let settings = machine.ask("sshd -T")?;
    for wanted in ["passwordauthentication no", "kbdinteractiveauthentication no", "pubkeyauthentication yes"]
    {
        ensure!(settings.lines().any(|line| line == wanted), "no `{wanted}` in\n{settings}");
    }
    Ok(())
}

fn metadata_is_for_root_only(machine: &Machine) -> anyhow::Result<()> {
    let ask = format!("curl --silent --output /dev/null --max-time 5 http://{METADATA}/");
    let root = machine.shell(&ask);
    ensure!(root.succeeded(), "as root: {root}");
    // A reset is an answer at once: curl's 7, where silence would be its 28.
    let nobody = machine.shell(&format!("setpriv --reuid=nobody --clear-groups {ask}"));
    ensure!(nobody.code == Some(7), "as nobody: {nobody}");
    Ok(())
}

fn updates_install(machine: &Machine) -> anyhow::Result<()> {
    let settings = machine.ask("apt-config dump")?;
    ensure!(settings.contains("APT::Periodic::Unattended-Upgrade \"1\""), "{settings}");
    ensure!(machine.run(&["systemctl", "is-active", "apt-daily-upgrade.timer"]).succeeded(), "no timer");
    Ok(())
}
