//! Every fleet that the judges look at: all of `examples/`, and generated ones that go to the corners of the format.
//!
//! To add a fleet: a line in [`generated`]. Not here: fleets of great size (`generate`), fleets that are refused.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::built::{Built, example_text, examples};

/// All of them by name, built once in a run of the tests: cargo-nextest gives each test its own process.
pub(crate) fn all() -> Vec<(String, Built)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fleets");
    std::fs::create_dir_all(&folder).expect("a folder in the build folder");
    let lock = File::create(folder.join("lock")).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("locking a file of ours");
    let run = folder.join(run_name());
    if !run.exists() {
        for entry in
            std::fs::read_dir(&folder).expect("our folder").flatten().filter(|entry| entry.path().is_dir())
        {
            std::fs::remove_dir_all(entry.path()).expect("taking an earlier run's fleets away");
        }
    }
    let examples = examples().into_iter().map(|name| (name.clone(), example_text(&name)));
    let texts = examples.chain(generated());
    texts.map(|(name, text)| (name.clone(), Built::inside(&run.join(name), &text))).collect()
}

/// Names this run of the tests; without nextest all tests of a program share a process.
pub(crate) fn run_name() -> String {
    std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| format!("process-{}", std::process::id()))
}

/// Parts of a fleet file that vary; the rest is the same for all.
struct Corner {
    name: &'static str,
    home: &'static str,
    ingress: &'static str,
    mesh: &'static str,
    rest: &'static str,
}

const WAN: &str = "  wans: [{name: fiber, address: 203.0.113.10}]\n";
const NODE: &str = "  - {name: any1, provider: generic}\n";
const PEER: &str = "  peers: [\"tls://peer.example.net:443\"]\n";

const CORNERS: &[Corner] = &[
    Corner {
        name: "one-of-each",
        home: WAN,
        ingress: NODE,
        mesh: PEER,
        rest: "services:\n  - {domain: a.example.org, to: \"http://192.168.1.20\"}\n",
    },
    Corner {
        name: "ports-only",
        home: WAN,
        ingress: NODE,
        mesh: PEER,
        rest: "ports:\n  - {listen: 1, to: \"192.168.1.20:65535\"}\n  - {listen: 65535, to: \"[fd00::1]:1\"}\n",
    },
    Corner {
        name: "six-only",
        home: "  lan: [\"fd00::/48\"]\n  network: {address: \"fd00::10/64\", gateway: \"fd00::1\", dns: [\"fd00::1\"]}\n  \
               wans: [{name: six, address: \"2001:db8:10::10\"}]\n",
        ingress: "  - {name: six1, provider: hetzner, address: [\"2001:db8:51::9\"]}\n",
        mesh: "  peers: [\"tls://[2001:db8::1]:443\", \"quic://[2001:db8::2]:8443\"]\n",
        rest: "services:\n  - {domain: a.example.org, to: \"https://[fd00::20]:8443\", verify: false}\n",
    },
    Corner {
        name: "home-listens",
        home: "  mesh-listen: true\n  wans: [{name: a, address: a.example.net, weight: 256}, {name: b, address: 203.0.113.10, \
               weight: 1}, {name: c, address: \"2001:db8::10\"}]\n",
        ingress: NODE,
        mesh: "  port: 1024\n",
        rest: "services:\n  - {domain: a.example.org, to: [\"https://192.168.1.20\", \"https://b.lan:8443\"], check: \"/a/b?c=d&e=%20\"}\n",
    },
    Corner {
        name: "mesh-services-only",
        home: "  wans: []\n",
        ingress: NODE,
        mesh: "  peers: [\"ws://peer.example.net/path\", \"wss://peer.example.net:8443/\", \"tcp://192.0.2.9:12345\"]\n",
        rest: "services:\n  - {domain: a.example.org, to: \"http://192.168.1.20\", clearnet: false}\n  \
               - {domain: b.example.org, to: \"https://192.168.1.21\", verify: false, check: /, clearnet: false}\n",
    },
    Corner {
        name: "much-allowed",
        home: WAN,
        ingress: "  - {name: old1, provider: generic, address: [198.51.100.9, \"2001:db8:51::9\", old1.example.net]}\n",
        mesh: PEER,
        rest: "services:\n  - {domain: a.example.org, to: \"http://192.168.1.20\"}\nfirewall:\n  allow: [office.example.net, \
               198.51.100.0/25, \"2001:db8:77::/48\", 203.0.113.7]\nacme: {server: \"https://ca.example.net:14000/dir\"}\n",
    },
    Corner {
        name: "foreign-names",
        home: WAN,
        ingress: NODE,
        mesh: PEER,
        rest: "services:\n  - {domain: bücher.example.org, to: \"http://192.168.1.20\"}\n  \
               - {domain: xn--bcher-kva.example.net, to: \"http://192.168.1.21:1\"}\n",
    },
    Corner {
        name: "small-limits",
        home: "  max-connections: 200\n  wans: [{name: fiber, address: 203.0.113.10}]\n",
        ingress: "  - {name: any1, provider: generic, max-connections: 50}\n  - {name: any2, provider: aws, max-connections: 100}\n",
        mesh: PEER,
        rest: "services:\n  - {domain: a.example.org, to: \"http://192.168.1.20\"}\nacme: {server: letsencrypt-staging}\n",
    },
];

fn generated() -> impl Iterator<Item = (String, String)> {
    let many = (0..50).fold("services:\n".to_owned(), |text, number| {
        format!(
            "{text}  - {{domain: s{number}.example.org, to: \"http://192.168.1.20:{}\"}}\n",
            8000 + number
        )
    });
    let providers = ["azure", "gcp", "linode", "oci", "openstack", "proxmox", "upcloud"];
    let nodes = providers.map(|name| format!("  - {{name: {name}, provider: {name}}}\n")).concat();
    let large = ("fifty-services".to_owned(), text(WAN, &nodes, PEER, &many));
    let corner = |corner: &Corner| {
        (corner.name.to_owned(), text(corner.home, corner.ingress, corner.mesh, corner.rest))
    };
    CORNERS.iter().map(corner).chain([large])
}

fn text(home: &str, ingress: &str, mesh: &str, rest: &str) -> String {
    format!(
        "version: 1\nfleet: corner\nadmin:\n  email: me@example.org\n  ssh-keys:\n    - ssh-ed25519 \
         AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon me@hearth\nhome:\n  name: home\n{home}\
         ingress:\n{ingress}mesh:\n{mesh}{rest}"
    )
}
