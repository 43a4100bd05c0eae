//! What holds for the home alone: its identity, what each neighbour sees of it, and that the seed keeps no key.

use std::net::IpAddr;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::boot::{Fleet, HOME};
use super::ingress::{PATIENCE, fetch, ipv6_address, mesh_address, reachable_by_mesh, ssh};
use super::record::Check;
use super::support::internet::{HOME_NODE, HOME_WAN};
use super::support::network::Namespace;
use super::support::scan::open_ports;

/// What is served: the web and the extra port of `ports`.
const SERVED: [u16; 3] = [80, 443, 25565];

/// The LAN may log in too.
const LAN: [u16; 4] = [22, 80, 443, 25565];

pub(crate) const CHECKS: &[Check<Fleet>] = &[
    ("home_has_the_mesh_address_that_build_predicted", predicted_address),
    ("home_opens_ssh_and_services_to_the_lan_only_these", |fleet| {
        let address = HOME_NODE.1.parse()?;
        sees(&fleet.internet.lan, address, &LAN)
    }),
    ("home_opens_ssh_and_services_to_the_lans_ipv6_only_these", |fleet| {
        sees(&fleet.internet.lan, ipv6_address(&fleet.home)?, &LAN)
    }),
    ("home_opens_services_to_the_mesh_only_these", |fleet| {
        let address = mesh_address(&fleet.home)?;
        reachable_by_mesh(fleet, address)?;
        sees(&fleet.internet.mesh, address, &SERVED)
    }),
    ("home_opens_nothing_to_the_internets_ipv4", |fleet| {
        sees(&fleet.internet.visitor, HOME_WAN.parse()?, &[])
    }),
    ("home_opens_nothing_to_the_internets_ipv6", |fleet| {
        sees(&fleet.internet.visitor, ipv6_address(&fleet.home)?, &[])
    }),
    ("home_opens_nothing_to_its_router", |fleet| sees(fleet.internet.router(), HOME_NODE.1.parse()?, &[])),
    ("home_opened_nothing_to_its_router_while_it_booted", |fleet| {
        let (rounds, open) = &fleet.watched;
        ensure!(*rounds > 20, "only {rounds} looks");
        ensure!(open.is_empty(), "open for a moment: {open:?}");
        Ok(())
    }),
    ("home_opens_services_to_a_known_ingress_only_these", known_ingress_gets_in),
    ("home_serves_the_lan_and_the_mesh_directly", serves_directly),
    ("home_serves_mesh_only_services_to_the_mesh", mesh_only_service),
    ("home_lets_the_administrator_in_from_the_lan_alone", administrator_gets_in),
    ("seed_keeps_no_key", seed_keeps_no_key),
    ("start_certificates_name_their_service", start_certificates),
];

fn sees(from: &Namespace, address: IpAddr, wanted: &[u16]) -> anyhow::Result<()> {
    let open = from.within(|| open_ports(address, PATIENCE));
    ensure!(open == wanted, "open at {address}: {open:?}, intended {wanted:?}");
    Ok(())
}

fn predicted_address(fleet: &mut Fleet) -> anyhow::Result<()> {
    let manifest: Value = serde_json::from_str(&fleet.built.text(HOME, "manifest.json"))?;
    let predicted: IpAddr =
        manifest["mesh-address"].as_str().context("a mesh address in the manifest")?.parse()?;
    let found = mesh_address(&fleet.home)?;
    ensure!(found == predicted, "predicted {predicted}, found {found}");
    let said = fleet.home.ask("yggdrasil -useconffile /etc/meshboot/yggdrasil.conf -address")?;
    ensure!(said.parse() == Ok(predicted), "yggdrasil says {said}");
    Ok(())
}

fn known_ingress_gets_in(fleet: &mut Fleet) -> anyhow::Result<()> {
    // The router forwards the web's ports and the extra one of the WAN's address: what is open there to a listed
    // ingress node (and to nobody else, as another check shows) is what the home opens to it.
    sees(fleet.ingress.network(), HOME_WAN.parse()?, &SERVED)?;
    // Straight to the home, past the router's forwarding: IPv6 is not on the list.
    sees(fleet.ingress.network(), ipv6_address(&fleet.home)?, &[])
}

fn serves_directly(fleet: &mut Fleet) -> anyhow::Result<()> {
    let mesh = format!("[{}]", mesh_address(&fleet.home)?);
    for (from, address) in [(&fleet.internet.lan, HOME_NODE.1), (&fleet.internet.mesh, mesh.as_str())] {
        let outcome = fetch(from, "cloud.example.org", address, "/direct");
        ensure!(outcome.stdout.ends_with("\n200"), "{outcome}");
    }
    Ok(())
}

fn mesh_only_service(fleet: &mut Fleet) -> anyhow::Result<()> {
    let mesh = format!("[{}]", mesh_address(&fleet.home)?);
    let outcome = fetch(&fleet.internet.mesh, "private.example.org", &mesh, "/");
    // Nothing serves 192.168.1.40 here: that haproxy looked there and not for an excuse is what is to be seen.
    ensure!(outcome.stdout.ends_with("\n503"), "{outcome}");
    Ok(())
}

fn administrator_gets_in(fleet: &mut Fleet) -> anyhow::Result<()> {
    let lan = ssh(fleet, &fleet.internet.lan, HOME_NODE.1);
    ensure!(lan.stdout.trim() == HOME, "{lan}");
    let mesh = ssh(fleet, &fleet.internet.mesh, &mesh_address(&fleet.home)?.to_string());
    ensure!(!mesh.succeeded(), "{mesh}");
    Ok(())
}

fn seed_keeps_no_key(fleet: &mut Fleet) -> anyhow::Result<()> {
    let key = fleet.home.ask("sed -n 2p /etc/meshboot/mesh-key.pem")?;
    ensure!(key.len() > 40, "no key to look for");
    let find = |bytes: &[u8]| bytes.windows(key.len()).any(|window| window == key.as_bytes());
    ensure!(find(&fleet.built.read(HOME, "seed.iso")), "the seed never held the key: nothing was shown");
    ensure!(!find(&fleet.seed.bytes()), "the key is still on the seed");
    let elsewhere = fleet.home.shell(&format!("grep -rlF -e '{key}' /var /etc /root /run 2>/dev/null"));
    ensure!(elsewhere.stdout.trim() == "/etc/meshboot/mesh-key.pem", "the key lies in\n{}", elsewhere.stdout);
    Ok(())
}

fn start_certificates(fleet: &mut Fleet) -> anyhow::Result<()> {
    for domain in ["cloud.example.org", "git.example.org", "photos.example.org"] {
        let command = format!(
            "openssl s_client -connect {}:443 -servername {domain} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
            HOME_NODE.1
        );
        let outcome = fleet.internet.lan.run(&["sh", "-c", &command]);
        ensure!(outcome.stdout.contains(&format!("DNS:{domain}")), "{outcome}");
    }
    // Who asks for no service learns of none.
    let command = format!(
        "openssl s_client -connect {}:443 -noservername </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
        HOME_NODE.1
    );
    let outcome = fleet.internet.lan.run(&["sh", "-c", &command]);
    ensure!(!outcome.stdout.contains("example.org"), "{outcome}");
    Ok(())
}
