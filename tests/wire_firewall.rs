//! What gets through the firewalls of both roles, and what does not: all ports, from everywhere.
//!
//! Not here: what haproxy decides behind it (`wire_trust`), and how the sets are filled (`wire_peers`). A port that
//! answers "refused" has passed the firewall: nothing listens there in this lab. Silence has not.

mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use support::checks::Checks;
use support::client::{connect, curl};
use support::lab::{FLEET, Lab};
use support::network::{Namespace, wait_until};
use support::node::Node;
use support::scan::{Answer, scan};
use support::services::Services;
use support::upstream::Upstream;
use support::wires::{HOME, INGRESS, WANS, load};

const PATIENCE: Duration = Duration::from_millis(300);

/// What visitors may reach.
const RELAYED: [(u16, Answer); 3] = [(80, Answer::Open), (443, Answer::Open), (25565, Answer::Open)];

/// An answer of the relayed ports and of further ones.
fn and(further: &[(u16, Answer)]) -> BTreeMap<u16, Answer> {
    RELAYED.iter().chain(further).copied().collect()
}

#[test]
fn open_ports_are_exactly_those_intended() {
    scan_everything(&(1..=8192).chain([25565, 32768, u16::MAX]).collect::<Vec<u16>>());
}

#[test]
#[ignore = "a soak: all 65,535 ports, from everywhere"]
fn open_ports_of_all_are_exactly_those_intended() {
    scan_everything(&(1..=u16::MAX).collect::<Vec<u16>>());
}

fn scan_everything(ports: &[u16]) {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    lab.start_relays();
    lab.start_mesh();
    // The router lets everything through: what is closed is closed by the home.
    lab.wires.expose_home();
    let home_mesh = lab.home_mesh_address();
    let ingress_mesh = Lab::mesh_address_of(&lab.ingress);
    let (ssh, api) = ((22, Answer::Refused), (4780, Answer::Refused));
    let lan = and(&[ssh, api]);
    let node = and(&[ssh, (4781, Answer::Open)]);
    let closed = BTreeMap::new();
    // From the home over the mesh to the ingress node is left out: after the scan the other way, a SYN to a port that was
    // used for it is an answer (RFC 9293 section 3.5, simultaneous open).
    let scans: [(&str, &Namespace, &str, &BTreeMap<u16, Answer>); 13] = [
        ("home, a stranger, IPv4", &lab.wires.stranger, WANS[0][0], &closed),
        ("home, a stranger, IPv6", &lab.wires.stranger, WANS[0][1], &closed),
        ("home, the ingress node, IPv4", &lab.ingress.network, WANS[0][0], &and(&[])),
        ("home, the ingress node, IPv6", &lab.ingress.network, WANS[0][1], &and(&[])),
        ("home, LAN, IPv4", &lab.wires.lan, HOME, &lan),
        ("home, LAN, IPv6", &lab.wires.lan, WANS[0][1], &lan),
        ("home, its gateway, IPv4", &lab.wires.router, HOME, &closed),
        ("home, its gateway, IPv6", &lab.wires.router, WANS[0][1], &closed),
        ("home, a mesh user", &lab.outside.network, home_mesh, &and(&[api])),
        ("home, the ingress node over the mesh", &lab.ingress.network, home_mesh, &and(&[api])),
        ("ingress node, a stranger, IPv4", &lab.wires.stranger, INGRESS[0], &node),
        ("ingress node, a stranger, IPv6", &lab.wires.stranger, INGRESS[1], &node),
        ("ingress node, a mesh user", &lab.outside.network, &ingress_mesh, &closed),
    ];
    let mut checks = Checks::default();
    for (who, network, target, wanted) in scans {
        let target = target.parse().expect("an address");
        // The second look at what should be open forgives a busy machine; what should be closed gets none.
        let found = network.within(|| {
            let mut found = scan(target, ports.iter().copied(), PATIENCE);
            found.extend(scan(target, wanted.keys().copied(), PATIENCE * 5));
            found
        });
        checks.equal(who, &found, wanted);
    }
    checks.finish();
}

#[test]
fn drops_mesh_addresses_on_other_interfaces() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    lab.start_mesh();
    let _listener = lab.home.network.within(|| TcpListener::bind("[::]:80")).expect("port 80");
    let mesh = lab.home_mesh_address().to_owned();

    // The home's mesh address by way of the LAN.
    lab.wires.lan.ip(&format!("-6 route add {mesh} via 2001:db8:10::10"));
    let by_lan = || connect(&lab.wires.lan, &format!("[{mesh}]:80")).is_ok();
    assert!(!by_lan(), "the mesh address answers on the LAN");
    lab.home.ask("nft delete table inet meshboot");
    assert!(by_lan(), "the test does not see what comes to a mesh address");
    lab.home.ask("/usr/local/lib/meshboot/firewall");
    // A mesh address as a source on the LAN.
    lab.wires.lan.ip("addr add 200:dead::1/128 dev eth0 nodad");
    let half_open = || {
        let socket = lab.wires.lan.within(|| {
            let socket = std::net::TcpListener::bind("[200:dead::1]:0").expect("an address of the machine");
            let port = socket.local_addr().expect("bound").port();
            drop(socket);
            port
        });
        // The answer goes into the mesh, so the home is what shows whether it took the packet.
        let from = format!("[200:dead::1]:{socket}");
        let _ = lab.outside.run_in(
            &lab.wires.lan,
            &["timeout", "1", "socat", "-u", "/dev/null", &format!("TCP6:[2001:db8:10::10]:80,bind={from}")],
        );
        lab.home.ask("ss -Hn state syn-recv").contains("200:dead::1")
    };
    assert!(!half_open(), "a forged mesh address is taken");
    lab.home.ask("nft delete table inet meshboot");
    assert!(half_open(), "the test does not see what comes from a mesh address");
}

#[test]
fn closes_and_names_a_router_that_hides_sources() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    lab.start_relays();
    lab.wait_for_paths(&["wan-fiber", "wan-lte"], Duration::from_secs(10));
    assert_eq!(lab.home.read("/var/lib/meshboot/alarms.json"), None);
    lab.wires.set_masquerading(true);
    lab.wait_for_paths(&[], Duration::from_secs(10));

    let said = lab.home.ask("meshboot-peers apply");
    assert_eq!(
        said.matches("ALARM: the router hides where forwarded connections come from").count(),
        1,
        "{said}"
    );
    let alarms = lab.home.read("/var/lib/meshboot/alarms.json").expect("an alarm is written down");
    let alarms: serde_json::Value = serde_json::from_str(&alarms).expect("alarms are JSON");
    assert!(
        alarms["masqueraded"]["message"].as_str().is_some_and(|text| text.contains("source NAT")),
        "{alarms}"
    );
    let said = lab.home.ask("meshboot-peers apply");
    assert!(!said.contains("ALARM"), "an alarm is said once: {said}");

    lab.wires.set_masquerading(false);
    lab.wait_for_paths(&["wan-fiber", "wan-lte"], Duration::from_secs(20));
    // Nobody but the router's own address is closed by it.
    assert!(connect(&lab.wires.lan, &format!("{HOME}:443")).is_ok());
    assert!(connect(&lab.wires.router, &format!("{HOME}:443")).is_err());
}

#[test]
fn lets_control_messages_through() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    let _services = Services::start(&lab);
    lab.start_firewalls();
    lab.start_relays();
    lab.wait_for_paths(&["wan-fiber", "wan-lte"], Duration::from_secs(10));
    let mut checks = Checks::default();
    for (who, network, target) in [
        ("the ingress node from the internet", &lab.wires.visitor, INGRESS),
        ("the home from the internet", &lab.wires.visitor, WANS[0]),
        ("the home from the LAN", &lab.wires.lan, [HOME, WANS[0][1]]),
    ] {
        for address in target {
            let echo = lab.outside.run_in(network, &["ping", "-c1", "-W2", address]);
            // The router answers for the home's IPv4 address.
            checks.that(&format!("{who}: echo of {address}"), echo.succeeded(), &echo);
        }
    }
    // Packets of 1,500 bytes meet narrower links on the way to the visitor, to the home, and from it.
    lab.wires.internet.ip("link set public mtu 1300");
    lab.wires.internet.ip("link set isp1 mtu 1290");
    lab.wires.internet.ip("link set isp2 mtu 1290");
    lab.wires.router.ip("link set wan1 mtu 1290");
    lab.wires.router.ip("link set wan2 mtu 1290");
    for family in [0, 1] {
        for round in 0..3 {
            let to = format!("::{}", Lab::ingress_address(family, 443));
            let arguments = [
                "--connect-to",
                &to,
                "--output",
                "/dev/null",
                "--write-out",
                "%{size_download}",
                "https://cloud.example.org/bytes/1000000",
            ];
            let answer = curl(&lab.outside, &lab.wires.visitor, &arguments);
            checks.that(
                &format!("family {family}, round {round}: a download over narrow links"),
                answer.stdout.ends_with("1000000"),
                &answer,
            );
            let upload = upload(&lab, family);
            checks.that(
                &format!("family {family}, round {round}: an upload over narrow links"),
                upload.is_ok(),
                &upload,
            );
        }
    }
    checks.finish();
}

/// Sends a lot to the echo server and reads it all back.
fn upload(lab: &Lab, family: usize) -> std::io::Result<()> {
    let mut stream = connect(&lab.wires.visitor, &Lab::ingress_address(family, 25565))?;
    let mut writing = stream.try_clone()?;
    let writer = std::thread::spawn(move || writing.write_all(&vec![7; 300_000]));
    let mut left = 300_000;
    let mut buffer = [0; 16384];
    while left > 0 {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        left -= length.min(left);
    }
    writer.join().expect("writing does not panic")
}

#[test]
fn closes_metadata_to_all_but_root() {
    let Some(lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    let mut checks = Checks::default();
    let addresses = ["169.254.169.254", "fd00:ec2::254"];
    for (label, node, hub, device) in [
        ("ingress node", &lab.ingress, &lab.wires.internet, "cloud"),
        ("home", &lab.home, &lab.wires.router, "lan"),
    ] {
        for address in addresses {
            let length = if address.contains(':') { 128 } else { 32 };
            let no_wait = if address.contains(':') { "nodad" } else { "" };
            hub.ip(&format!("addr add {address}/{length} dev {device} {no_wait}"));
            node.network.ip(&format!("route add {address} dev eth0"));
            let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            let _web = Upstream::echo(hub, &format!("{host}:80"));
            let _other = Upstream::echo(hub, &format!("{host}:8080"));
            let names = hub.within(|| UdpSocket::bind(format!("{host}:53"))).expect("port 53");
            let time = hub.within(|| UdpSocket::bind(format!("{host}:123"))).expect("port 123");
            let mut reach = |user: &str, port: u16, wanted: bool| {
                let reached = reaches(node, user, address, port);
                checks.equal(&format!("{label}: {user} at {address} port {port}"), reached, wanted);
            };
            reach("root", 80, true);
            for user in ["nobody", "haproxy", "yggdrasil"] {
                reach(user, 80, false);
                reach(user, 8080, true);
            }
            for (socket, port) in [(&names, 53), (&time, 123)] {
                socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
                let target = format!("UDP:{host}:{port}");
                node.run(&[
                    "setpriv",
                    "--reuid=nobody",
                    "--clear-groups",
                    "sh",
                    "-c",
                    &format!("echo hello | socat -u - {target}"),
                ]);
                let heard = socket.recv(&mut [0; 16]);
                checks.that(
                    &format!("{label}: nobody's datagram to {address} port {port}"),
                    heard.is_ok(),
                    &heard,
                );
            }
        }
    }
    checks.finish();
}

fn reaches(node: &Node, user: &str, address: &str, port: u16) -> bool {
    let reuid = format!("--reuid={user}");
    node.run(&["setpriv", &reuid, "--clear-groups", "nc", "-z", "-w", "2", address, &port.to_string()])
        .succeeded()
}

#[test]
fn leaves_other_tables_alone_and_survives_damage() {
    let Some(lab) = Lab::new(FLEET) else { return };
    for node in [&lab.ingress, &lab.home] {
        load(
            &node.network,
            "table inet other { chain x { type filter hook input priority 10; tcp dport 9999 drop; } ; set s { type ipv4_addr; elements = { 192.0.2.1 }; } ; }",
        );
    }
    let other = |node: &Node| node.ask("nft list table inet other");
    let ours = |node: &Node| node.ask("nft list table inet meshboot | sed 's/packets.*//'");
    let before = other(&lab.home);
    lab.start_firewalls();
    for node in [&lab.ingress, &lab.home] {
        let first = ours(node);
        node.ask("/usr/local/lib/meshboot/firewall");
        assert_eq!(ours(node), first, "a second load changes nothing, elements included");
        assert_eq!(other(node), before);
    }
    assert!(ours(&lab.home).contains("198.51.100.20"), "the sets are filled: {}", ours(&lab.home));

    for damage in [
        "add element inet meshboot ingress4 { 198.51.100.20",
        "add element inet meshboot nowhere { 1.2.3.4 }\n",
        "\0\0\0\0",
        "flush ruleset; nonsense\n",
    ] {
        lab.home.put("/var/lib/meshboot/sets.nft", 0o644, damage);
        lab.home.ask("nft delete table inet meshboot");
        let said = lab.home.ask("/usr/local/lib/meshboot/firewall 2>/dev/null");
        assert!(said.contains("does not load, putting it aside"), "{damage:?}: {said}");
        assert_eq!(lab.home.read("/var/lib/meshboot/sets.nft.broken").as_deref(), Some(damage));
        assert!(ours(&lab.home).contains("policy drop"), "{damage:?}");
        assert!(!ours(&lab.home).contains("198.51.100.20"), "{damage:?}");
        lab.home.ask("meshboot-peers apply");
        assert!(ours(&lab.home).contains("198.51.100.20"), "{damage:?}");
        assert_eq!(other(&lab.home), before, "{damage:?}");
    }
    // No file at all is a fresh node.
    lab.home.ask("rm /var/lib/meshboot/sets.nft; /usr/local/lib/meshboot/firewall");
    let closed = || connect(&lab.ingress.network, &format!("{}:80", WANS[0][0])).is_err();
    wait_until("closed to all", Duration::from_secs(5), closed).expect("empty sets let nobody in");
}
