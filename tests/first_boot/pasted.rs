//! The scenario `pasted`: the home of `examples/static.yaml`, with a fixed address and a mesh listener, boots from
//! pasted `user-data` alone, which carries its mesh key. Its image is a stock one to the letter, netplan included.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::boot::{console, journal, sow};
use super::ingress::{PATIENCE, ipv6_address, mesh_address};
use super::node::{boot_report, cloud_init_is_done};
use super::record::Scenario;
use super::support::built::Built;
use super::support::internet::{HOME_NODE, Internet};
use super::support::machine::Machine;
use super::support::network::wait_until;
use super::support::scan::open_ports;

/// The home's name in the example.
const HOME: &str = "harbour";

pub(crate) static SCENARIO: Scenario<Pasted> = Scenario {
    name: "pasted",
    set,
    checks: &[&[
        ("cloud_init_is_done_without_errors", |scene| cloud_init_is_done(&scene.home)),
        ("boot_report_says_ready", |scene| {
            let report = boot_report(&scene.home)?;
            ensure!(report["state"] == "ready" && report["first-error"].is_null(), "{report:#}");
            Ok(())
        }),
        ("has_its_fixed_address_and_resolvers", fixed_address),
        ("has_the_mesh_address_that_build_predicted", predicted_address),
        ("opens_only_the_mesh_listener_to_the_internet", |scene| {
            let address = ipv6_address(&scene.home)?;
            let open = scene.internet.visitor.within(|| open_ports(address, PATIENCE));
            ensure!(open == [4781], "open at {address}: {open:?}");
            Ok(())
        }),
    ]],
    traces: |scene| format!("{}\n{}", scene.home.console_tail(15), journal(&scene.home, "pasted")),
};

/// A booted home, and the internet around it.
pub(crate) struct Pasted {
    home: Machine,
    internet: Internet,
    built: Built,
}

fn set() -> anyhow::Result<Option<Pasted>> {
    let Some(mut internet) = Internet::new() else { return Ok(None) };
    let built = Built::example("static.yaml");
    internet.start_services();
    let packages = built.packages();
    internet.start_mirror(&packages.iter().map(String::as_str).collect::<Vec<_>>());
    let mut home = Machine::new(internet.home_socket(), console("pasted"));
    for (path, contents) in Internet::mirror_settings() {
        home.put(path, 0o644, contents.as_bytes());
    }
    sow(&home, &built, HOME);
    home.put("var/lib/cloud/seed/nocloud/network-config", 0o600, &built.read(HOME, "network-config"));
    home.start()?;
    let ready = || home.shell("test -e /var/lib/meshboot/ready").succeeded();
    wait_until("the home to be ready", Duration::from_mins(3), ready)
        .with_context(|| format!("{}\n{}", home.console_tail(40), journal(&home, "pasted")))?;
    home.run_for(&["cloud-init", "status", "--wait"], Duration::from_mins(1));
    Ok(Some(Pasted { home, internet, built }))
}

fn fixed_address(scene: &mut Pasted) -> anyhow::Result<()> {
    let addresses = scene.home.ask("ip -4 -o address show dev eth0")?;
    ensure!(addresses.contains(&format!("{}/24", HOME_NODE.1)), "{addresses}");
    ensure!(!addresses.contains("dynamic"), "{addresses}");
    let route = scene.home.ask("ip -4 route show default")?;
    ensure!(route.contains("via 192.168.1.1"), "{route}");
    let resolvers = scene.home.ask("resolvectl dns eth0")?;
    ensure!(resolvers.contains("192.168.1.1") && resolvers.contains("9.9.9.9"), "{resolvers}");
    Ok(())
}

fn predicted_address(scene: &mut Pasted) -> anyhow::Result<()> {
    let manifest: Value = serde_json::from_str(&scene.built.text(HOME, "manifest.json"))?;
    let predicted: IpAddr =
        manifest["mesh-address"].as_str().context("a mesh address in the manifest")?.parse()?;
    let found = mesh_address(&scene.home)?;
    ensure!(found == predicted, "predicted {predicted}, found {found}");
    Ok(())
}
