//! The programs that read a node's configuration: haproxy, nft, yggdrasil, sshd, sysctl, apt.

use std::net::Ipv6Addr;

use serde_json::Value;

use super::distinct;
use super::support::fleets;
use super::support::judge::Judge;

/// Where yggdrasil's configuration lies.
const FILE: &str = "/etc/meshboot/yggdrasil.conf";

/// What a running Debian 13 has under `/run`.
const RUNNING_SYSTEM: &str = "mkdir -p /run/haproxy /run/systemd/resolve; echo 'nameserver 127.0.0.53' >/run/systemd/resolve/stub-resolv.conf";

/// The home's step that makes self-signed certificates; ingress nodes have none.
const START_CERTIFICATES: &str = "/usr/local/lib/meshboot/steps/40-start-certificates";

#[test]
fn haproxy_accepts_every_configuration_without_a_warning() {
    if Judge::new().is_none() {
        return;
    }
    let fleets = fleets::all();
    for node in
        distinct(&fleets, &["etc/meshboot/haproxy.cfg", "etc/meshboot/tls", "etc/meshboot/services.map"])
    {
        let judge = node.stage();
        judge.shell(&format!("[ ! -e {START_CERTIFICATES} ] || {START_CERTIFICATES}")).expect_success();
        let outcome = judge.shell(&format!("{RUNNING_SYSTEM}; exec haproxy -c -f /etc/meshboot/haproxy.cfg"));
        assert!(outcome.succeeded(), "{}: {outcome}", node.label);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!said.contains("[WARNING]") && !said.contains("[ALERT]"), "{}: {outcome}", node.label);
    }
}

#[test]
fn nft_accepts_every_firewall_and_loads_it_twice() {
    if Judge::new().is_none() {
        return;
    }
    let fleets = fleets::all();
    for node in distinct(&fleets, &["etc/meshboot/firewall.nft", "var/lib/meshboot/peers.json"]) {
        let judge = node.stage();
        judge.run(&["nft", "-c", "-f", "/etc/meshboot/firewall.nft"]).expect_success();
        let script = "/usr/local/lib/meshboot/firewall
             [ ! -x /usr/local/sbin/meshboot-peers ] || /usr/local/sbin/meshboot-peers apply --boot
             nft list table inet meshboot >/run/first
             /usr/local/lib/meshboot/firewall
             nft list table inet meshboot >/run/second
             diff /run/first /run/second
             nft list tables";
        let outcome = judge.shell(script);
        assert!(outcome.succeeded(), "{}: {outcome}", node.label);
        assert!(outcome.stdout.ends_with("table inet meshboot\n"), "{}: {outcome}", node.label);
        // `apply` has written the sets down; they are loaded with the table, before the network is there.
        judge.run(&["nft", "-c", "-f", "/etc/meshboot/firewall.nft"]).expect_success();
    }
}

#[test]
fn yggdrasil_accepts_every_configuration() {
    if Judge::new().is_none() {
        return;
    }
    let fleets = fleets::all();
    for node in distinct(&fleets, &["etc/meshboot/yggdrasil.conf"]) {
        let judge = node.stage();
        let said = judge.shell(&format!(
            "openssl genpkey -algorithm ed25519 -out /etc/meshboot/mesh-key.pem
             yggdrasil -useconffile {FILE} -address
             yggdrasil -useconffile {FILE} -normaliseconf -json"
        ));
        let said = said.expect_success();
        let (address, read) = said.split_once('\n').expect("an address, then the configuration");
        let address: Ipv6Addr = address.parse().unwrap_or_else(|_| panic!("{}: {said}", node.label));
        assert_eq!(address.segments()[0] & 0xfe00, 0x0200, "{}: {address}", node.label);
        let read: Value = serde_json::from_str(read).expect("JSON");
        let written: Value =
            serde_json::from_str(&node.built.text(&node.name, "rootfs/etc/meshboot/yggdrasil.conf"))
                .expect("JSON");
        for key in ["Peers", "Listen", "AllowedPublicKeys", "IfName", "PrivateKeyPath", "MulticastInterfaces"]
        {
            assert_eq!(read[key], written[key], "{}: `{key}` is read as it was written", node.label);
        }
        for peer in read["Peers"].as_array().expect("a list") {
            let peer = peer.as_str().expect("text");
            assert!(peer.contains("maxbackoff=30s"), "{}: {peer}", node.label);
        }
    }
}

#[test]
fn sshd_sysctl_and_apt_accept_their_files() {
    let Some(_) = Judge::new() else { return };
    let fleets = fleets::all();
    for node in distinct(&fleets, &["etc/ssh", "etc/sysctl.d", "etc/apt"]) {
        let judge = node.stage();
        let said = judge.shell("ssh-keygen -q -A; mkdir -p /run/sshd; sshd -t; sshd -T").expect_success();
        assert!(said.lines().any(|line| line == "passwordauthentication no"), "{}: {said}", node.label);
        let outcome = judge.run(&["apt-config", "dump"]);
        assert!(outcome.succeeded() && outcome.stderr.is_empty(), "{}: {outcome}", node.label);
        assert!(
            outcome.stdout.contains("APT::Periodic::Unattended-Upgrade \"1\""),
            "{}: {outcome}",
            node.label
        );
        let outcome = judge.run(&["sysctl", "--dry-run", "--load=/etc/sysctl.d/60-meshboot.conf"]);
        assert!(outcome.succeeded() && outcome.stderr.is_empty(), "{}: {outcome}", node.label);
        assert!(outcome.stdout.contains("net.ipv4.tcp_syncookies = 1"), "{}: {outcome}", node.label);
    }
}

#[test]
fn haproxy_serves_for_real_with_what_was_written() {
    let Some(_) = Judge::new() else { return };
    let fleets = fleets::all();
    for node in distinct(&fleets, &["etc/meshboot/haproxy.cfg"]).iter().take(2) {
        let judge = node.stage();
        judge.shell(&format!("[ ! -e {START_CERTIFICATES} ] || {START_CERTIFICATES}")).expect_success();
        // As its unit starts it; two seconds of life, then a soft stop.
        let outcome = judge.shell(&format!(
            "{RUNNING_SYSTEM}
             haproxy -Ws -f /etc/meshboot/haproxy.cfg -p /run/haproxy.pid >/run/log 2>&1 & process=$!
             sleep 2
             echo 'show info' | nc -U -N /run/haproxy/admin.sock | grep -E '^(Maxconn|Name|Uptime_sec)'
             kill -USR1 $process; sleep 1; kill $process 2>/dev/null || true",
        ));
        assert!(outcome.stdout.contains("Maxconn: "), "{}: {outcome}", node.label);
    }
}
