//! Single bad values: a good fleet with one thing changed, and the rules that it breaks then.

use std::fmt::Write as _;

use super::rules_of;

/// A fleet that has nothing wrong.
pub(crate) const GOOD: &str = include_str!("../fixtures/valid/plain.yaml");

/// Replaces `from` by `to` in a good fleet; both the change and the finding must happen.
#[track_caller]
fn changed(from: &str, to: &str) -> Vec<&'static str> {
    assert_eq!(GOOD.matches(from).count(), 1, "`{from}` is not in the fixture once");
    rules_of(&GOOD.replace(from, to))
}

#[track_caller]
fn table(cases: &[(&str, &str, &[&str])]) {
    for (from, to, rules) in cases {
        assert_eq!(changed(from, to), *rules, "`{from}` => `{to}`");
    }
}

#[test]
fn a_good_fleet_has_no_finding() {
    assert_eq!(rules_of(GOOD), [""; 0]);
}

#[test]
fn texts_that_are_no_fleet() {
    let bomb = {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..=9 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{items}]").expect("writing to a text");
        }
        text + "services: *a9\n"
    };
    for (text, rule) in [
        ("", "empty-file"),
        ("\n \n", "empty-file"),
        ("\u{feff}", "empty-file"),
        ("# only a comment\n", "empty-file"),
        ("~", "empty-file"),
        ("---\n...\n", "empty-file"),
        ("just a text", "wrong-type"),
        ("[1, 2]", "wrong-type"),
        ("\u{0}", "yaml-syntax"),
        ("a: b: c", "yaml-syntax"),
        ("version:\n\tx: 1", "yaml-syntax"),
        ("%YAML 1.1\n---\nversion: 1\n", "yaml-syntax"),
        ("version: 1\n---\nversion: 1\n", "yaml-documents"),
        ("version: &a [*a]\n", "yaml-alias"),
        ("fleet: *missing\n", "yaml-alias"),
        ("<<: {version: 1}\n", "yaml-alias"),
        (&"[".repeat(100_000), "yaml-size"),
        (&"- ".repeat(100_000), "yaml-size"),
        (&"{a: ".repeat(100_000), "yaml-size"),
        (&format!("version: [{}]", "x,".repeat(300_000)), "yaml-size"),
        (&bomb, "yaml-alias"),
    ] {
        let rules = rules_of(text);
        let shown: String = text.chars().take(40).collect();
        assert!(rules.contains(&rule), "{shown:?}: {rules:?}");
    }
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    for text in [GOOD.replace('\n', "\r\n"), format!("\u{feff}{GOOD}"), format!("---\n{GOOD}...\n")] {
        assert_eq!(rules_of(&text), [""; 0]);
    }
}

#[test]
fn characters_that_nobody_sees() {
    for (character, rules) in [
        ("\\u2028", &["control-character"][..]),
        ("\\u0085", &["control-character"]),
        ("\\u202e", &["control-character"]),
        ("\\ufeff", &["control-character"]),
        ("\\uffff", &["control-character"]),
        ("\\n", &["control-character"]),
        ("\\u200d", &[]),
        ("\\u00fc", &[]),
        ("\\U0001f600", &[]),
    ] {
        const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon";
        let to = format!("\"{KEY} a{character}b\"");
        assert_eq!(changed(&format!("{KEY} me@hearth"), &to), rules, "{character}");
    }
}

#[test]
fn wrong_types() {
    table(&[
        ("port: 4781", "port: \"4781\"", &["wrong-type"]),
        ("port: 4781", "port: 4781.0", &["wrong-type"]),
        ("port: 4781", "port: 0x1234", &["wrong-type"]),
        ("port: 4781", "port: 04781", &["wrong-type"]),
        ("port: 4781", "port: [4781]", &["wrong-type"]),
        ("port: 4781", "port: 99999999999999999999999", &["port"]),
        ("mesh-listen: false", "mesh-listen: no", &["wrong-type"]),
        ("mesh-listen: false", "mesh-listen: \"false\"", &["wrong-type"]),
        ("mesh-listen: false", "mesh-listen: 0", &["wrong-type"]),
        ("fleet: plain", "fleet: [plain]", &["wrong-type"]),
        ("fleet: plain", "fleet: {plain: 1}", &["wrong-type"]),
        ("fleet: plain", "fleet:", &["missing-key"]),
        ("lan: [192.168.1.0/24]", "lan: 192.168.1.0/24", &["wrong-type"]),
        ("lan: [192.168.1.0/24]", "lan: [[192.168.1.0/24]]", &["wrong-type"]),
        ("lan: [192.168.1.0/24]", "lan: [~]", &["wrong-type"]),
        ("network: dhcp", "network: DHCP", &["wrong-type"]),
        ("version: 1", "version: \"1\"", &["version"]),
        ("version: 1", "version: 1.0", &["version"]),
        ("version: 1", "version: [1]", &["version"]),
    ]);
}

#[test]
fn an_empty_value_of_an_optional_key_counts_as_not_written() {
    table(&[
        ("lan: [192.168.1.0/24]", "lan:", &[]),
        ("port: 4781", "port: ~", &[]),
        ("network: dhcp", "network:", &[]),
        ("mesh-listen: false", "mesh-listen: null", &[]),
    ]);
}

#[test]
fn ports_and_weights_at_their_edges() {
    table(&[
        ("listen: 25565", "listen: 0", &["port"]),
        ("listen: 25565", "listen: -1", &["port"]),
        ("listen: 25565", "listen: 1", &[]),
        ("listen: 25565", "listen: 65535", &[]),
        ("listen: 25565", "listen: 65536", &["port"]),
        ("listen: 25565", "listen: 80", &["port-taken"]),
        ("listen: 25565", "listen: 443", &["port-taken"]),
        ("listen: 25565", "listen: 4780", &["port-taken"]),
        ("listen: 25565", "listen: 4781", &["port-taken"]),
        ("port: 4781", "port: 22", &["port-taken"]),
        ("port: 4781", "port: 443", &["port-taken"]),
        ("port: 4781", "port: 25565", &["port-taken"]),
        ("port: 4781", "port: 0", &["port"]),
        ("weight: 2", "weight: 0", &["weight"]),
        ("weight: 2", "weight: 1", &[]),
        ("weight: 2", "weight: 256", &[]),
        ("weight: 2", "weight: -5", &["weight"]),
        ("192.168.1.50:25565", "192.168.1.50:0", &["port-target"]),
        ("192.168.1.50:25565", "192.168.1.50:65536", &["port-target"]),
        ("192.168.1.50:25565", "192.168.1.50", &["port-target"]),
    ]);
}

#[test]
fn addresses_that_no_uplink_has() {
    let wan = "203.0.113.10";
    table(&[
        (wan, "\"2001:db8::10\"", &[]),
        (wan, "home.example.net", &[]),
        (wan, "100.64.0.1", &["address-kind"]),
        (wan, "127.0.0.1", &["address-kind"]),
        (wan, "169.254.169.254", &["address-kind"]),
        (wan, "0.0.0.0", &["address-kind"]),
        (wan, "224.0.0.1", &["address-kind"]),
        (wan, "255.255.255.255", &["address-kind"]),
        (wan, "\"fe80::1\"", &["address-kind"]),
        (wan, "\"fd00::1\"", &["address-kind"]),
        (wan, "\"64:ff9b::1\"", &["address-kind"]),
        (wan, "\"2002:cb00:710a::1\"", &["address-kind"]),
        (wan, "\"3ff::1\"", &["address-mesh"]),
        (wan, "\"::ffff:cb00:710a\"", &["address-mapped"]),
        (wan, "\"2001:db8::1%eth0\"", &["address-zone"]),
        (wan, "\"[2001:db8::10]\"", &["address"]),
        (wan, "203.0.113.10/24", &["address"]),
        (wan, "203.0.113.256", &["address"]),
        (wan, "203.0.113", &["address"]),
        (wan, "https://home.example.net", &["address"]),
        (wan, "home.local", &["address-kind"]),
        (wan, "router1", &["address"]),
        (wan, "198.51.100.9", &["duplicate-address"]),
    ]);
}

#[test]
fn upstreams_that_lead_back_home() {
    let to = "http://192.168.1.20:8080";
    table(&[
        (to, "http://127.0.0.1:8080", &[]),
        (to, "http://127.0.0.1", &["upstream-loop"]),
        (to, "https://[::1]", &["upstream-loop"]),
        (to, "http://localhost:443", &["upstream-loop"]),
        (to, "http://localhost:25565", &["upstream-loop"]),
        (to, "http://127.0.0.1:4780", &["upstream-loop"]),
        (to, "http://127.0.0.1:4781", &["upstream-loop"]),
        (to, "http://plain", &["upstream-loop"]),
        (to, "http://203.0.113.10", &["upstream-loop"]),
        (to, "http://203.0.113.10:8080", &[]),
        (to, "https://cloud.example.org", &["upstream-loop"]),
        ("192.168.1.50:25565", "127.0.0.1:25565", &["upstream-loop"]),
        ("192.168.1.50:25565", "127.0.0.1:25566", &[]),
    ]);
}

#[test]
fn fixed_addresses_and_their_gateways() {
    let fixed = |address: &str, gateway: &str, dns: &str| {
        changed(
            "network: dhcp",
            &format!("network: {{address: \"{address}\", gateway: \"{gateway}\", dns: [\"{dns}\"]}}"),
        )
    };
    for (address, gateway, dns, rules) in [
        ("192.168.1.10/24", "192.168.1.1", "192.168.1.1", &[] as &[&str]),
        ("192.168.1.10/31", "192.168.1.11", "9.9.9.9", &[]),
        ("2001:db8::10/64", "fe80::1", "2001:db8::1", &[]),
        ("192.168.1.10", "192.168.1.1", "9.9.9.9", &["static-address"]),
        ("192.168.1.10/33", "192.168.1.1", "9.9.9.9", &["static-address"]),
        ("192.168.1.10/32", "192.168.1.1", "9.9.9.9", &["static-address"]),
        ("192.168.1.255/24", "192.168.1.1", "9.9.9.9", &["static-address"]),
        ("127.0.0.1/8", "127.0.0.2", "9.9.9.9", &["static-address"]),
        ("fe80::10/64", "fe80::1", "2001:db8::1", &["static-address"]),
        ("200::10/64", "fe80::1", "2001:db8::1", &["address-mesh"]),
        ("192.168.1.10/24", "192.168.1.10", "9.9.9.9", &["gateway"]),
        ("192.168.1.10/24", "192.168.1.255", "9.9.9.9", &["gateway"]),
        ("192.168.1.10/24", "192.168.2.1", "9.9.9.9", &["gateway"]),
        ("192.168.1.10/24", "2001:db8::1", "9.9.9.9", &["gateway"]),
        ("192.168.1.10/24", "router", "9.9.9.9", &["gateway"]),
        ("192.168.1.10/24", "192.168.1.1", "192.168.1.10", &["address-kind"]),
        ("192.168.1.10/24", "192.168.1.1", "0.0.0.0", &["address-kind"]),
        ("192.168.1.10/24", "192.168.1.1", "dns.example.org", &["address"]),
        ("192.168.1.10/24", "192.168.1.1", "300::1", &["address-mesh"]),
    ] {
        assert_eq!(fixed(address, gateway, dns), rules, "{address} {gateway} {dns}");
    }
}

#[test]
fn limits_of_home_and_ingress() {
    table(&[
        ("  network: dhcp", "  network: dhcp\n  max-connections: 99", &["max-connections"]),
        ("  network: dhcp", "  network: dhcp\n  max-connections: 1000001", &["max-connections"]),
        ("  network: dhcp", "  network: dhcp\n  max-connections: 100", &[]),
        ("provider: hetzner,", "provider: hetzner, max-connections: 0,", &["max-connections"]),
        ("provider: hetzner,", "provider: hetzner, max-connections: 7999,", &["connection-limits"]),
        ("provider: hetzner,", "provider: hetzner, max-connections: 4499,", &[]),
        ("provider: hetzner,", "provider: hetzner, max-connections: 4500,", &["connection-limits"]),
    ]);
}

#[test]
fn the_first_contact_needs_a_peer_or_a_forwarded_port() {
    let peers = "[\"tls://peer.example.net:443\"]";
    let no_peers = GOOD.replace(peers, "[]");
    assert_eq!(rules_of(&no_peers), ["no-first-contact"]);
    let listening = no_peers.replace("mesh-listen: false", "mesh-listen: true");
    assert_eq!(rules_of(&listening), [""; 0]);
    let wans = &GOOD[GOOD.find("  wans:").expect("wans")..GOOD.find("ingress:").expect("ingress")];
    assert_eq!(rules_of(&listening.replace(wans, "  wans: []\n")), ["mesh-listen", "no-first-contact"]);
}

#[test]
fn private_names_are_good_for_a_private_ca() {
    let text = GOOD.replace("cloud.example.org", "cloud.internal");
    assert_eq!(rules_of(&text), ["domain-not-public"]);
    let own = format!("{text}acme: {{server: \"https://ca.internal/directory\"}}\n");
    assert_eq!(rules_of(&own), [""; 0]);
}

#[test]
fn one_run_shows_all_there_is() {
    let text = GOOD
        .replace("fleet: plain", "fleet: Plain")
        .replace("203.0.113.10", "10.0.0.1")
        .replace("provider: hetzner", "provider: hezner")
        .replace("listen: 25565", "listen: 22")
        .replace("http://192.168.1.20:8080", "192.168.1.20");
    assert_eq!(rules_of(&text), ["address-kind", "name", "port-taken", "provider", "upstream"]);
}

/// What must never be shown, wherever it was written.
#[test]
fn secrets_are_not_repeated() {
    let secret = "hunter2-hunter2";
    let places = [
        format!("dns: {{provider: desec, zone: example.org, key: {secret}}}\n"),
        format!("dns: {{provider: nobody, zone: example.org, key: \"{secret}\"}}\n"),
        format!("dns: {{provider: desec, zone: example.org, key: [{secret}]}}\n"),
        format!("dns:\n  provider: desec\n  zone: example.org\n  key:\n    - {secret}\n"),
        format!("dns: {{provider: desec, zone: example.org, kye: {secret}}}\n"),
        format!("dns: {{provider: desec, zone: example.org, token: {secret}}}\n"),
        format!("dns: {{provider: desec, zone: example.org, key: \"env:X\", key: {secret}}}\n"),
        format!("dns: {{provider: desec, zone: example.org, key: \"env:{secret}\"}}\n"),
        format!("dns: {{provider: desec, zone: example.org, key: \"{secret}}}\n"),
        format!("dns: {{provider: desec, zone: example.org, key: {secret}\n"),
        format!("dns: {{provider: desec, zone: example.org, key: !!binary {secret}}}\n"),
        format!("api-token: {secret}\n"),
    ];
    for place in places {
        let text = format!("{GOOD}{place}");
        let report = meshboot::fleet::parse(&text, "fleet.yaml").expect_err(&place);
        let json = serde_json::to_string(&report).expect("JSON");
        assert!(!format!("{report}{json}").contains("hunter2"), "{place}\n{report}");
    }
    for (from, to) in [
        ("tls://peer.example.net:443", "tls://peer.example.net:443?password=hunter2"),
        ("http://192.168.1.20:8080", "http://me:hunter2@192.168.1.20:8080"),
        ("ssh-ed25519 AAAA", "\"-----BEGIN OPENSSH PRIVATE KEY----- hunter2\""),
    ] {
        let report = meshboot::fleet::parse(&GOOD.replacen(from, to, 1), "fleet.yaml").expect_err(to);
        assert!(!report.to_string().contains("hunter2"), "{report}");
    }
}
