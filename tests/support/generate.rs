//! Fleets of any size, as text: for tests, benches and figures. The same size gives the same text.
//!
//! Standard library only and no `crate::` paths: benches and the example `generate-fleet` include this file by its
//! path. To cover another key of `fleet.yaml`: let some of the generated items carry it.

use std::fmt::Write as _;

/// Providers that generated ingress nodes take turns with, each with one of its locations.
const PROVIDERS: [(&str, &str); 5] = [
    ("hetzner", "fsn1"),
    ("digitalocean", "nyc3"),
    ("vultr", "ams"),
    ("linode", "eu-central"),
    ("generic", ""),
];

/// Connections that every ingress node takes; the home takes what all of them may send.
const CONNECTIONS: usize = 100;

/// The text of a valid fleet file with so many ingress nodes and services: two uplinks, one service in five of every
/// kind, and a line for each key, as a person would write it.
pub(crate) fn fleet(ingress: usize, services: usize) -> String {
    let mut text = String::from(
        "version: 1\nfleet: large\nadmin:\n  email: admin@example.org\n  ssh-keys:\n    - \"ssh-ed25519 \
         AAAAC3NzaC1lZDI1NTE5AAAAIC6tV9cVbXwGvnTfqLPOYVxrNeDcfXBhpUFBPYjJzKm3 admin\"\n",
    );
    let home = (ingress * CONNECTIONS + 1000).max(4000);
    write_all(
        &mut text,
        format_args!("home:\n  name: home\n  max-connections: {home}\n  lan: [192.168.0.0/16]\n"),
    );
    text.push_str("  wans:\n    - {name: fiber, address: 203.0.113.10, weight: 2}\n");
    text.push_str("    - {name: lte, address: lte.example.net, weight: 1}\n");
    text.push_str("mesh:\n  peers: [\"tls://peer.example.net:443\"]\n  port: 4781\n");
    text.push_str("ports:\n  - {listen: 25565, to: \"192.168.1.50:25565\"}\n");
    text.push_str("ingress:\n");
    for number in 0..ingress {
        let (provider, location) = PROVIDERS[number % PROVIDERS.len()];
        write_all(&mut text, format_args!("  - name: node-{number:05}\n    provider: {provider}\n"));
        if !location.is_empty() {
            write_all(&mut text, format_args!("    location: {location}\n"));
        }
        write_all(&mut text, format_args!("    max-connections: {CONNECTIONS}\n"));
    }
    text.push_str("services:\n");
    for number in 0..services {
        push_service(&mut text, number);
    }
    text
}

/// The text of a valid fleet file with at least so many lines, half of them ingress nodes and half services.
pub(crate) fn fleet_of_lines(lines: usize) -> String {
    // Five ingress nodes take 19 lines, five services 13.
    let (ingress, services) = (lines * 5 / 38, lines * 5 / 26);
    fleet(ingress, services)
}

fn push_service(text: &mut String, number: usize) {
    let (high, low) = (number / 200 % 250, number % 200 + 20);
    // A CA gives 50 certificates a week to one domain, and `check` says so.
    let domain = number / 40;
    write_all(text, format_args!("  - domain: service-{number:05}.domain-{domain:03}.example\n"));
    match number % 5 {
        0 | 1 => write_all(text, format_args!("    to: \"http://192.168.{high}.{low}:8080\"\n")),
        2 => write_all(
            text,
            format_args!("    to: \"https://192.168.{high}.{low}:3000\"\n    verify: false\n"),
        ),
        3 => write_all(
            text,
            format_args!(
                "    to: [\"http://192.168.{high}.{low}:2342\", \"http://192.168.{high}.{low}:2343\"]\n    \
                 check: /healthz\n"
            ),
        ),
        _ => write_all(text, format_args!("    to: \"http://192.168.{high}.{low}\"\n    clearnet: false\n")),
    }
}

fn write_all(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a string");
}
