//! `meshboot-peers apply`: the home's peer list becomes firewall sets, PROXY sources and mesh peers, whatever stood there
//! before, and nothing that fails on the way loses what was good.
//!
//! Not here: what the sets let through (`wire_firewall`).

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use meshboot::peers::Peer;
use support::command::Outcome;
use support::dns::Mood;
use support::lab::{FLEET, Lab};
use support::network::wait_until;

const LIST: &str = "/var/lib/meshboot/peers.json";

fn apply(lab: &Lab) -> Outcome {
    lab.home.shell("meshboot-peers apply")
}

#[track_caller]
fn applied(lab: &Lab) -> String {
    apply(lab).expect_success()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn wanted(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The elements of one of the firewall's sets.
fn set(lab: &Lab, name: &str) -> BTreeSet<String> {
    let listed = lab.home.ask(&format!("nft -j list set inet meshboot {name}"));
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("nft writes JSON");
    let elements = listed["nftables"][1]["set"]["elem"].as_array().cloned().unwrap_or_default();
    elements
        .iter()
        .map(|element| match element.as_str() {
            Some(text) => text.to_owned(),
            None => {
                format!("{}/{}", element["prefix"]["addr"].as_str().unwrap_or("?"), element["prefix"]["len"])
            }
        })
        .collect()
}

/// One of haproxy's lists: on disk, and as it is in use.
#[track_caller]
fn sources(lab: &Lab, path: &str) -> BTreeSet<String> {
    let on_disk = words(&lab.home.read(path).expect("a list"));
    let answer = lab.home.ask_haproxy(&format!("show acl {path}"));
    let in_use: BTreeSet<String> =
        answer.lines().filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect();
    assert_eq!(on_disk, in_use, "{path} on disk and in use");
    in_use
}

const PROXY: &str = "/etc/meshboot/proxy-sources.acl";
const LAN: &str = "/etc/meshboot/lan-sources.acl";

fn node(name: &str, addresses: &[&str], names: &[&str]) -> Peer {
    Peer {
        name: name.to_owned(),
        role: "ingress".to_owned(),
        mesh_address: None,
        public_key: None,
        addresses: addresses.iter().map(|&text| text.to_owned()).collect(),
        names: names.iter().map(|&text| text.to_owned()).collect(),
    }
}

#[test]
fn makes_everything_equal_to_the_list() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    lab.start_relays();
    lab.enrol();
    let mesh_address = lab.peer_list().nodes[0].mesh_address.clone().expect("enrolled");
    let mut list = lab.peer_list();
    list.nodes.push(node("two", &["198.51.100.99"], &["two.example.net"]));
    // Neighbours and an overlap: sets of ranges are shown in another shape than they were written in.
    list.allow.networks = [
        "198.51.100.64/26",
        "198.51.100.128/25",
        "198.51.100.130/32",
        "2001:db8:1::/48",
        "192.0.2.200/32",
        "192.0.2.201/32",
    ]
    .map(str::to_owned)
    .to_vec();
    list.allow.names = vec!["office.example.net".to_owned()];
    lab.dns.set("two.example.net", &["198.51.100.98", "2001:db8:51::98"]);
    lab.dns.set("office.example.net", &["192.0.2.77"]);
    lab.put_peer_list(&list);
    let said = applied(&lab);
    assert!(said.contains("firewall sets: ingress4 3, ingress6 2"), "{said}");

    let ingress4 = ["198.51.100.20", "198.51.100.98", "198.51.100.99"];
    let ingress6 = ["2001:db8:51::20", "2001:db8:51::98"];
    assert_eq!(set(&lab, "ingress4"), wanted(&ingress4));
    assert_eq!(set(&lab, "ingress6"), wanted(&ingress6));
    let allow4 = ["192.0.2.200/31", "192.0.2.77", "198.51.100.128/25", "198.51.100.64/26"];
    assert_eq!(set(&lab, "allow4"), wanted(&allow4));
    assert_eq!(set(&lab, "gateway4"), wanted(&["192.168.1.1"]));
    assert!(set(&lab, "gateway6").contains("2001:db8:10::1"), "{:?}", set(&lab, "gateway6"));
    let lan4 = ["192.168.1.0/24"];
    let lan6 = ["2001:db8:10::/64", "2001:db8:20::/64", "fe80::/64"];
    assert_eq!((set(&lab, "lan4"), set(&lab, "lan6")), (wanted(&lan4), wanted(&lan6)));
    let proxy: Vec<&str> = [&ingress4[..], &ingress6, &[mesh_address.as_str()]].concat();
    assert_eq!(sources(&lab, PROXY), wanted(&proxy), "`firewall.allow` is no PROXY source");
    assert_eq!(sources(&lab, LAN), wanted(&[&lan4[..], &lan6].concat()));

    let stamp = "stat -c %Y.%i /var/lib/meshboot/*.json /var/lib/meshboot/sets.nft /etc/meshboot/*.acl";
    let before = lab.home.ask(stamp);
    assert_eq!(applied(&lab), "", "nothing to do, nothing said");
    assert_eq!(lab.home.ask(stamp), before, "nothing to do, nothing written");

    // Somebody's hand.
    lab.home.ask("nft delete element inet meshboot ingress4 '{ 198.51.100.20 }'; nft add element inet meshboot lan4 '{ 203.0.113.0/24 }'");
    lab.home.ask_haproxy(&format!("del acl {PROXY} 198.51.100.20"));
    lab.home.ask_haproxy(&format!("add acl {PROXY} 192.0.2.66"));
    lab.home.ask_haproxy(&format!("add acl {LAN} 192.0.2.0/24"));
    assert_eq!(applied(&lab), "meshboot: peers: firewall sets healed\n");
    assert_eq!(set(&lab, "ingress4"), wanted(&ingress4));
    assert_eq!(set(&lab, "lan4"), wanted(&lan4));
    assert_eq!(sources(&lab, PROXY), wanted(&proxy));
    assert_eq!(sources(&lab, LAN), wanted(&[&lan4[..], &lan6].concat()));

    // A node is evicted.
    list.nodes.truncate(0);
    lab.put_peer_list(&list);
    applied(&lab);
    assert_eq!((set(&lab, "ingress4"), set(&lab, "ingress6")), (wanted(&[]), wanted(&[])));
    assert_eq!(sources(&lab, PROXY), wanted(&[]));

    // Many at once: one after another, and the end is whole.
    list.nodes.push(node("three", &["198.51.100.97"], &[]));
    lab.put_peer_list(&list);
    lab.home.ask("for number in 1 2 3 4 5 6; do meshboot-peers apply & pids=\"${pids:-} $!\"; done; for pid in $pids; do wait $pid; done");
    assert_eq!(set(&lab, "ingress4"), wanted(&["198.51.100.97"]));
    assert_eq!(sources(&lab, PROXY), wanted(&["198.51.100.97"]));
}

#[test]
fn a_damaged_list_changes_nothing() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    lab.start_relays();
    let good = lab.home.read(LIST).expect("a peer list");
    let state = || {
        (
            set(&lab, "ingress4"),
            set(&lab, "lan4"),
            sources(&lab, PROXY),
            sources(&lab, LAN),
            lab.home.read("/var/lib/meshboot/sets.nft"),
        )
    };
    let before = state();
    assert!(before.0.contains("198.51.100.20"), "{before:?}");
    let spoilt = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        good.replacen(from, to, 1)
    };
    let damages = [
        String::new(),
        good[..good.len() / 2].to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "\"nodes\"".to_owned(),
        "{}".to_owned(),
        "[".repeat(100_000),
        "\u{0}".repeat(4096),
        spoilt("\"version\": 1", "\"version\": 2"),
        spoilt("\"nodes\"", "\"knots\""),
        spoilt("\"allow\"", "\"deny\""),
        spoilt("198.51.100.20", "198.51.100.256"),
        spoilt("\"names\": []", "\"names\": \"office.example.net\""),
        spoilt("\"names\": []", "\"names\": [7]"),
        spoilt("\"mesh-address\": null", "\"mesh-address\": \"2001:db8::1\""),
        spoilt("\"mesh-address\": null", "\"mesh-address\": \"300::1\""),
        spoilt("\"mesh-port\": 4781", "\"mesh-port\": \"all\""),
        spoilt("\"192.168.1.0/24\"", "\"192.168.1.7/24\""),
    ];
    for damage in damages {
        lab.home.put(LIST, 0o644, &damage);
        let outcome = apply(&lab);
        let shown: String = damage.chars().take(60).collect();
        assert_eq!(outcome.code, Some(1), "{shown}: {outcome}");
        assert!(
            outcome.stdout.contains("is not a peer list, everything stays as it was"),
            "{shown}: {outcome}"
        );
        assert_eq!(state(), before, "{shown}");
    }
    lab.home.ask(&format!("rm {LIST}"));
    assert_eq!(apply(&lab).code, Some(1));
    lab.home.ask(&format!("mkdir {LIST}"));
    assert_eq!(apply(&lab).code, Some(1));
    assert_eq!(state(), before);
    lab.home.ask(&format!("rmdir {LIST}"));
    // What it wrote itself may be damaged too: it is made anew.
    lab.home.put(LIST, 0o644, &good);
    for damage in ["[", "7", "", "\0\0"] {
        for file in ["resolved.json", "gateways.json", "alarms.json", "sets.nft"] {
            lab.home.put(&format!("/var/lib/meshboot/{file}"), 0o644, damage);
        }
        lab.home.put("/run/meshboot-dialled.json", 0o644, damage);
        applied(&lab);
        assert_eq!(state(), before, "{damage:?}");
    }
}

#[test]
fn a_failed_lookup_keeps_the_last_good_answer() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    let mut list = lab.peer_list();
    list.nodes.push(node("two", &[], &["two.example.net"]));
    list.allow.names = (0..20).map(|number| format!("office{number}.example.net")).collect();
    lab.put_peer_list(&list);
    lab.dns.set("two.example.net", &["198.51.100.98"]);
    lab.start_firewalls();
    lab.start_relays();
    let good = wanted(&["198.51.100.20", "198.51.100.98"]);
    assert_eq!(set(&lab, "ingress4"), good);

    for mood in [Mood::Fails, Mood::Silent] {
        lab.dns.set_mood(mood);
        let start = Instant::now();
        applied(&lab);
        assert!(start.elapsed() < Duration::from_secs(20), "{mood:?}: took {:?}", start.elapsed());
        assert_eq!(set(&lab, "ingress4"), good, "{mood:?}");
    }
    lab.dns.set_mood(Mood::Answers);
    lab.dns.remove("two.example.net");
    applied(&lab);
    assert_eq!(set(&lab, "ingress4"), good, "no such name");
    for refused in [
        "192.168.1.77",
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "200::1",
        "3ff::1",
        "fd00::1",
        "fe80::1",
        "2001:db8:10::77",
        "64:ff9b::1",
        "2002:c0a8:101::1",
    ] {
        // A good address beside it makes it no better.
        lab.dns.set("two.example.net", &[refused, "198.51.100.50"]);
        let said = applied(&lab);
        assert!(said.contains(&format!("`two.example.net` resolves to {refused}")), "{said}");
        assert_eq!(set(&lab, "ingress4"), good, "{refused}");
        assert_eq!(
            sources(&lab, PROXY)
                .iter()
                .filter(|source| source.contains('.'))
                .cloned()
                .collect::<BTreeSet<_>>(),
            good
        );
    }
    lab.dns.set("two.example.net", &["198.51.100.51", "2001:db8:51::51"]);
    applied(&lab);
    assert_eq!(
        set(&lab, "ingress4"),
        wanted(&["198.51.100.20", "198.51.100.51"]),
        "a new answer replaces the old one"
    );
    assert!(set(&lab, "ingress6").contains("2001:db8:51::51"));
}

#[test]
fn at_boot_the_last_gateways_hold() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    lab.start_relays();
    let boot = || lab.home.ask("meshboot-peers apply --boot");
    let network = &lab.home.network;
    let lan = || (set(&lab, "lan4"), set(&lab, "lan6"));
    assert!(set(&lab, "gateway6").contains("2001:db8:10::1"));

    // IPv6's default route comes later than IPv4's.
    network.ip("-6 route del default");
    applied(&lab);
    assert!(set(&lab, "gateway6").contains("2001:db8:10::1"), "kept while there is none");

    // Before the network is up: no route, no address.
    network.ip("link set eth0 down");
    network.ip("addr flush dev eth0");
    lab.dns.set_mood(Mood::Silent);
    let start = Instant::now();
    boot();
    assert!(start.elapsed() < Duration::from_secs(5), "nothing is looked up at boot");
    assert_eq!(set(&lab, "gateway4"), wanted(&["192.168.1.1"]));
    assert_eq!(lan(), (wanted(&["192.168.1.0/24"]), wanted(&[])));
    assert!(set(&lab, "ingress4").contains("198.51.100.20"));

    // A machine that has never seen its gateway.
    lab.home.ask("rm /var/lib/meshboot/gateways.json");
    boot();
    assert_eq!(lan(), (wanted(&[]), wanted(&[])), "the gateway might be anybody on the LAN");
    assert_eq!(sources(&lab, LAN), wanted(&[]));
    assert!(set(&lab, "ingress4").contains("198.51.100.20"), "what is known beforehand is let in");

    network.ip("link set eth0 up");
    network.ip("addr add 192.168.1.10/24 dev eth0");
    // A segment of a provider's: its neighbours are strangers.
    network.ip("addr add 11.0.0.5/24 dev eth0");
    network.ip("route add default via 192.168.1.1");
    applied(&lab);
    assert_eq!(set(&lab, "lan4"), wanted(&["192.168.1.0/24"]));
    assert_eq!(set(&lab, "gateway4"), wanted(&["192.168.1.1"]));

    // Neither firewall nor haproxy there yet: what they will load is written down.
    lab.home.ask("nft delete table inet meshboot; pkill -KILL haproxy; rm -f /var/lib/meshboot/sets.nft /run/haproxy/admin.sock");
    let said = boot();
    assert!(said.contains("the firewall is not loaded yet"), "{said}");
    lab.home.ask("/usr/local/lib/meshboot/firewall");
    assert!(set(&lab, "ingress4").contains("198.51.100.20"));
}

/// Whom the home dials, and whether that worked.
fn dialled(lab: &Lab) -> Vec<(String, bool)> {
    let answer = lab.home.ask("echo '{\"request\":\"getPeers\"}' | nc -U -N /run/yggdrasil/yggdrasil.sock");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("yggdrasil answers in JSON");
    let peers = answer["response"]["peers"].as_array().cloned().unwrap_or_default();
    let mut dialled: Vec<(String, bool)> = peers
        .iter()
        .filter(|peer| peer["inbound"] == false)
        .map(|peer| (peer["remote"].as_str().unwrap_or("?").to_owned(), peer["up"] == true))
        .collect();
    dialled.sort();
    dialled
}

#[test]
fn dials_ingress_nodes_and_public_peers_only_without_them() {
    const NODES: [&str; 2] = ["tls://198.51.100.20:4781", "tls://[2001:db8:51::20]:4781"];
    const PUBLIC: &str = "tls://192.0.2.9:443";
    let Some(mut lab) = Lab::new(FLEET) else { return };
    lab.start_firewalls();
    lab.start_mesh();
    let limit = Duration::from_secs(45);
    let becomes = |what: &str, wanted: &[(&str, bool)]| {
        let mut seen = Vec::new();
        let result = wait_until(what, limit, || {
            applied(&lab);
            seen = dialled(&lab);
            seen.iter().map(|(uri, up)| (uri.as_str(), *up)).collect::<Vec<_>>() == wanted
        });
        result.unwrap_or_else(|error| panic!("{error}: {seen:?}"));
    };
    becomes("both addresses of the node, no public peer", &[(NODES[0], true), (NODES[1], true)]);

    // Somebody's hand.
    let ask = "nc -U -N /run/yggdrasil/yggdrasil.sock >/dev/null";
    lab.home.ask(&format!(
        "echo '{{\"request\":\"removePeer\",\"arguments\":{{\"uri\":\"{}\"}}}}' | {ask}",
        NODES[0]
    ));
    lab.home.ask(&format!(
        "echo '{{\"request\":\"addPeer\",\"arguments\":{{\"uri\":\"tls://192.0.2.66:4781\"}}}}' | {ask}"
    ));
    becomes("the same again", &[(NODES[0], true), (NODES[1], true)]);

    lab.ingress.ask("pkill -KILL yggdrasil");
    becomes("the public peer instead", &[(PUBLIC, true), (NODES[0], false), (NODES[1], false)]);

    // The node comes back as a new one, with another key, at the same addresses.
    lab.ingress.ask("rm /etc/meshboot/mesh-key.pem; /usr/local/lib/meshboot/steps/30-mesh-key");
    let _again = lab.ingress.start_yggdrasil();
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        dialled(&lab).iter().all(|(uri, up)| *up == (uri == PUBLIC)),
        "the old key is asked for: {:?}",
        dialled(&lab)
    );
    lab.enrol();
    becomes("the new key, and no public peer", &[(NODES[0], true), (NODES[1], true)]);

    let mut list = lab.peer_list();
    list.nodes.clear();
    lab.put_peer_list(&list);
    becomes("the evicted node is dialled no more", &[(PUBLIC, true)]);
}
