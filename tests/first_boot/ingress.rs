//! What holds for the ingress node alone: what the internet sees of it, and that it relays.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::boot::{Fleet, INGRESS};
use super::record::Check;
use super::support::command::Outcome;
use super::support::internet::CLOUD_NODE;
use super::support::machine::Machine;
use super::support::network::{Namespace, wait_until};
use super::support::scan::open_ports;

/// How long a port may take to answer: the kernel sends a lost packet again after a second.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);

/// SSH, the web, the extra port of `ports`, and the mesh listener.
const PUBLIC: [u16; 5] = [22, 80, 443, 4781, 25565];

pub(crate) const CHECKS: &[Check<Fleet>] = &[
    ("ingress_opens_its_ports_to_ipv4_only_these", |fleet| public_ports(fleet, CLOUD_NODE.1.parse()?)),
    ("ingress_opens_its_ports_to_ipv6_only_these", |fleet| {
        public_ports(fleet, ipv6_address(&fleet.ingress)?)
    }),
    ("ingress_opens_nothing_to_the_mesh", nothing_for_the_mesh),
    ("ingress_lets_the_administrator_in", administrator_gets_in),
    ("ingress_relays_to_the_home", |fleet| relays(fleet, CLOUD_NODE.1)),
    ("ingress_relays_ipv6_to_the_home", |fleet| {
        relays(fleet, &format!("[{}]", ipv6_address(&fleet.ingress)?))
    }),
    ("service_sees_the_visitors_true_address", service_sees_the_visitor),
    ("ingress_sends_http_to_https", redirects),
    ("mesh_only_service_is_misdirected_through_an_ingress", mesh_only_service_is_refused),
    ("ingress_relays_over_the_mesh_once_the_home_knows_it", relays_over_the_mesh),
    ("join_token_is_for_root_only", join_token_is_private),
];

/// The address that the machine made of a router advertisement.
pub(crate) fn ipv6_address(machine: &Machine) -> anyhow::Result<IpAddr> {
    let list = machine.ask("ip -6 -o address show dev eth0 scope global")?;
    let word = list
        .split_whitespace()
        .skip_while(|word| *word != "inet6")
        .nth(1)
        .context("no IPv6 address on eth0")?;
    Ok(word.split('/').next().unwrap_or(word).parse()?)
}

/// A machine's address in the mesh.
pub(crate) fn mesh_address(machine: &Machine) -> anyhow::Result<IpAddr> {
    let list = machine.ask("ip -6 -o address show dev mesh0 scope global")?;
    let word =
        list.split_whitespace().find(|word| word.starts_with('2')).context("no mesh address on mesh0")?;
    let word = list.split_whitespace().skip_while(|word| *word != "inet6").nth(1).unwrap_or(word);
    Ok(word.split('/').next().unwrap_or(word).parse()?)
}

fn public_ports(fleet: &Fleet, address: IpAddr) -> anyhow::Result<()> {
    let open = fleet.internet.visitor.within(|| open_ports(address, PATIENCE));
    ensure!(open == PUBLIC, "open at {address}: {open:?}, intended {PUBLIC:?}");
    Ok(())
}

fn nothing_for_the_mesh(fleet: &mut Fleet) -> anyhow::Result<()> {
    let address = mesh_address(&fleet.ingress)?;
    reachable_by_mesh(fleet, address)?;
    let open = fleet.internet.mesh.within(|| open_ports(address, PATIENCE));
    ensure!(open.is_empty(), "open to the mesh at {address}: {open:?}");
    Ok(())
}

/// A scan that finds nothing proves nothing unless packets arrive: a ping does.
pub(crate) fn reachable_by_mesh(fleet: &Fleet, address: IpAddr) -> anyhow::Result<()> {
    let address = address.to_string();
    let ping = ["ping", "-6", "-c", "1", "-W", "2", &address];
    wait_until(&format!("{address} to answer a ping over the mesh"), Duration::from_secs(40), || {
        fleet.internet.mesh.run(&ping).succeeded()
    })
}

fn administrator_gets_in(fleet: &mut Fleet) -> anyhow::Result<()> {
    let outcome = ssh(fleet, &fleet.internet.visitor, CLOUD_NODE.1);
    ensure!(outcome.stdout.trim() == INGRESS, "{outcome}");
    Ok(())
}

/// `hostname` by SSH with the administrator's key.
pub(crate) fn ssh(fleet: &Fleet, from: &Namespace, address: &str) -> Outcome {
    let user = format!("debian@{address}");
    let argv = fleet.judge.argv(&[
        "ssh",
        "-i",
        fleet.ssh_key,
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=5",
        &user,
        "hostname",
    ]);
    from.run(&argv.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A request for a service at an address, TLS not verified (a self-signed start), as JSON from the service.
pub(crate) fn fetch(from: &Namespace, domain: &str, address: &str, path: &str) -> Outcome {
    let connect = format!("::{address}:443");
    let url = format!("https://{domain}{path}");
    let status = "\n%{http_code}";
    from.run(&[
        "curl",
        "--silent",
        "--insecure",
        "--max-time",
        "15",
        "--write-out",
        status,
        "--connect-to",
        &connect,
        &url,
    ])
}

fn relays(fleet: &Fleet, address: &str) -> anyhow::Result<()> {
    let outcome = fetch(&fleet.internet.visitor, "cloud.example.org", address, "/relayed");
    ensure!(
        outcome.stdout.contains("\"path\": \"/relayed\"") && outcome.stdout.ends_with("\n200"),
        "{outcome}"
    );
    Ok(())
}

fn service_sees_the_visitor(fleet: &mut Fleet) -> anyhow::Result<()> {
    let outcome = fetch(&fleet.internet.visitor, "cloud.example.org", CLOUD_NODE.1, "/");
    let text = outcome.stdout.lines().next().unwrap_or_default();
    let seen: Value = serde_json::from_str(text).with_context(|| outcome.to_string())?;
    ensure!(seen["headers"]["x-forwarded-for"] == "192.0.2.100", "{seen:#}");
    ensure!(seen["headers"]["x-forwarded-proto"] == "https", "{seen:#}");
    Ok(())
}

fn redirects(fleet: &mut Fleet) -> anyhow::Result<()> {
    let target = format!("::{}:80", CLOUD_NODE.1);
    let format = "%{http_code} %{redirect_url}";
    let argv = ["curl", "--silent", "--max-time", "10", "--write-out", format, "--connect-to", &target];
    let argv: Vec<&str> = argv.into_iter().chain(["http://cloud.example.org/a?b=c"]).collect();
    let outcome = fleet.internet.visitor.run(&argv);
    let redirect = outcome.stdout.contains("301 ") || outcome.stdout.contains("308 ");
    ensure!(redirect && outcome.stdout.ends_with("https://cloud.example.org/a?b=c"), "{outcome}");
    Ok(())
}

fn mesh_only_service_is_refused(fleet: &mut Fleet) -> anyhow::Result<()> {
    let outcome = fetch(&fleet.internet.visitor, "private.example.org", CLOUD_NODE.1, "/");
    ensure!(outcome.stdout.ends_with("\n421"), "{outcome}");
    Ok(())
}

/// What enrolment will do (the home service is not there yet): the node's mesh address goes on the peer list, which is
/// applied. Then every WAN is lost.
fn relays_over_the_mesh(fleet: &mut Fleet) -> anyhow::Result<()> {
    let address = mesh_address(&fleet.ingress)?;
    let script = "import json, sys; path = '/var/lib/meshboot/peers.json'; peers = json.load(open(path)); \
                  peers['nodes'][0]['mesh-address'] = sys.argv[1]; json.dump(peers, open(path, 'w'))";
    fleet.home.run(&["python3", "-c", script, &address.to_string()]).success()?;
    fleet.home.run(&["/usr/local/sbin/meshboot-peers", "apply"]).success()?;
    fleet.internet.cut_home_wan();
    let works = || {
        fetch(&fleet.internet.visitor, "cloud.example.org", CLOUD_NODE.1, "/by-mesh")
            .stdout
            .ends_with("\n200")
    };
    let outcome = wait_until("a request to go over the mesh", Duration::from_secs(20), works);
    fleet.internet.mend_home_wan();
    outcome
}

fn join_token_is_private(fleet: &mut Fleet) -> anyhow::Result<()> {
    let rights = fleet.ingress.ask("stat -c '%U:%G %a' /etc/meshboot/join-token")?;
    ensure!(rights == "root:root 600", "{rights}");
    let seed = fleet.ingress.ask("find /var/lib/cloud -name 'user-data*' -perm /077 -type f")?;
    ensure!(seed.is_empty(), "user-data, which holds the token, is readable: {seed}");
    Ok(())
}
