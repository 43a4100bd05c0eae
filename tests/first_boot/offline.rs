//! The scenario `offline`: an ingress node whose image has no nft boots while the package mirror does not answer. That
//! shows on the console and in the boot report, and it heals without a hand when the mirror is back.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::boot::{INGRESS, console, fleet_text, journal, prepare, sow};
use super::node::{boot_report, cloud_init_is_done};
use super::record::Scenario;
use super::support::built::Built;
use super::support::internet::{CLOUD_NODE, Internet};
use super::support::judge::Judge;
use super::support::machine::Machine;
use super::support::network::wait_until;
use super::support::scan::scan;

pub(crate) static SCENARIO: Scenario<Offline> = Scenario {
    name: "offline",
    set,
    checks: &[&[
        ("failure_shows_in_the_boot_report", failure_is_reported),
        ("failure_shows_on_the_console", failure_is_on_the_console),
        ("login_works_meanwhile", login_works),
        ("heals_without_a_hand_when_the_mirror_is_back", heals),
        ("report_keeps_the_first_error", report_keeps_the_first_error),
        ("firewall_stood_before_any_other_package", firewall_first),
        ("next_boot_is_clean", next_boot_is_clean),
    ]],
    traces,
};

/// A node without packages, and a mirror that is not there yet.
pub(crate) struct Offline {
    node: Machine,
    internet: Internet,
    built: Built,
}

fn set() -> anyhow::Result<Option<Offline>> {
    let Some(judge) = Judge::new() else { return Ok(None) };
    let built = Built::new(&fleet_text(&judge, "/root/administrator"));
    let Some(mut internet) = Internet::new() else { return Ok(None) };
    internet.start_services();
    let mut node = Machine::without_nft(internet.cloud_socket(), console("offline"));
    prepare(&mut node);
    sow(&node, &built, INGRESS);
    node.start()?;
    let failed =
        || node.shell("grep -q '\"state\": \"failed\"' /var/lib/meshboot/boot-report.json").succeeded();
    wait_until("the first attempt to fail", Duration::from_mins(2), failed)
        .context(journal(&node, "offline"))?;
    Ok(Some(Offline { node, internet, built }))
}

fn failure_is_reported(scene: &mut Offline) -> anyhow::Result<()> {
    let report = boot_report(&scene.node)?;
    ensure!(report["state"] == "failed", "{report:#}");
    ensure!(report["first-error"]["phase"] == "packages", "{report:#}");
    let message = report["first-error"]["message"].as_str().context("a message")?;
    ensure!(!message.is_empty(), "{report:#}");
    let phases = report["phases"].as_array().context("phases")?;
    let state =
        |name: &str| phases.iter().find(|phase| phase["name"] == name).map(|phase| phase["state"].clone());
    ensure!(state("packages") == Some("failed".into()), "{report:#}");
    // What does not need packages is done already; what needs them says so.
    ensure!(state("mesh-key") == Some("ok".into()), "{report:#}");
    ensure!(state("services") == Some("skipped".into()), "{report:#}");
    Ok(())
}

fn failure_is_on_the_console(scene: &mut Offline) -> anyhow::Result<()> {
    let console = scene.node.console();
    ensure!(console.contains("packages FAILED: "), "{}", scene.node.console_tail(30));
    ensure!(console.contains(&format!("{INGRESS} is not ready")), "{}", scene.node.console_tail(30));
    Ok(())
}

fn login_works(scene: &mut Offline) -> anyhow::Result<()> {
    let address = CLOUD_NODE.1.parse()?;
    let found = scene.internet.visitor.within(|| scan(address, [22], Duration::from_secs(2)));
    ensure!(found.len() == 1, "SSH does not answer: {}", scene.node.console_tail(30));
    Ok(())
}

fn heals(scene: &mut Offline) -> anyhow::Result<()> {
    let packages = scene.built.packages();
    scene.internet.start_mirror(&packages.iter().map(String::as_str).collect::<Vec<_>>());
    let ready = || scene.node.shell("test -e /var/lib/meshboot/ready").succeeded();
    wait_until("the node to heal", Duration::from_mins(3), ready).context(journal(&scene.node, "offline"))?;
    for unit in ["haproxy.service", "yggdrasil.service", "meshboot-firewall.service"] {
        scene.node.run(&["systemctl", "is-active", unit]).success()?;
    }
    Ok(())
}

fn report_keeps_the_first_error(scene: &mut Offline) -> anyhow::Result<()> {
    let report = boot_report(&scene.node)?;
    ensure!(report["state"] == "ready", "{report:#}");
    ensure!(report["attempt"].as_u64() > Some(1), "{report:#}");
    ensure!(report["first-error"]["phase"] == "packages", "{report:#}");
    Ok(())
}

fn firewall_first(scene: &mut Offline) -> anyhow::Result<()> {
    // dpkg's own log has whole seconds; its lines are in order all the same.
    let installed = scene.node.ask("awk '$3 == \"install\" {print $4}' /var/log/dpkg.log")?;
    let position = |name: &str| installed.lines().position(|line| line.starts_with(name));
    let (nft, haproxy) =
        (position("nftables:").context("nftables")?, position("haproxy:").context("haproxy")?);
    ensure!(nft < haproxy, "{installed}");
    let active = |unit: &str| -> anyhow::Result<u64> {
        Ok(scene
            .node
            .ask(&format!("systemctl show --property=ActiveEnterTimestampMonotonic --value {unit}"))?
            .parse()?)
    };
    ensure!(active("meshboot-firewall.service")? < active("haproxy.service")?, "haproxy was there first");
    Ok(())
}

fn next_boot_is_clean(scene: &mut Offline) -> anyhow::Result<()> {
    scene.node.reboot()?;
    let active =
        || scene.node.shell("systemctl is-active --quiet haproxy yggdrasil meshboot-firewall").succeeded();
    wait_until("the services after a reboot", Duration::from_secs(40), active)?;
    scene.node.run_for(&["cloud-init", "status", "--wait"], Duration::from_mins(1));
    cloud_init_is_done(&scene.node)
}

fn traces(scene: &Offline) -> String {
    format!("{}\n{}", scene.node.console_tail(15), journal(&scene.node, "offline"))
}
