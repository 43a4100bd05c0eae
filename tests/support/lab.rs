//! A small fleet on the wire: one ingress node and the home, rendered by the library, with the real programs of both
//! roles, in the networks of `wires`.
//!
//! Not here: systemd and cloud-init, which put the same files at the same places (`first_boot`). Steps of first boot
//! that the programs need are run as they are.

use std::time::{Duration, SystemTime};

use meshboot::diag::Secret;
use meshboot::fleet::model::Fleet;
use meshboot::identity::PrivateKey;
use meshboot::peers::PeerList;
use meshboot::render::{self, BuildFacts};

use super::dns::Dns;
use super::network::{Background, wait_until};
use super::node::Node;
use super::wires::{INGRESS, RESOLVER, Wires};

/// The fleet of most tests: two uplinks, services of every kind, one further port.
pub(crate) const FLEET: &str = r#"
version: 1
fleet: hearth
admin:
  email: me@example.org
  ssh-keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon me@hearth]
home:
  name: hearth
  network: dhcp
  lan: [192.168.1.0/24]
  wans:
    - {name: fiber, address: 203.0.113.10, weight: 2}
    - {name: lte, address: 203.0.113.20, weight: 1}
ingress:
  - {name: fra1, provider: generic, address: [198.51.100.20, "2001:db8:51::20"]}
mesh: {peers: ["tls://192.0.2.9:443"], port: 4781}
services:
  - {domain: cloud.example.org, to: "http://192.168.1.20:8080"}
  - {domain: git.example.org, to: "https://192.168.1.21:3000", verify: false}
  - {domain: strict.example.org, to: "https://192.168.1.21:3000"}
  - {domain: trusted.example.org, to: "https://192.168.1.21:3443"}
  - {domain: misnamed.example.org, to: "https://192.168.1.21:3443"}
  - {domain: photos.example.org, to: ["http://192.168.1.30:2342", "http://192.168.1.31:2342"], check: /healthz}
  - {domain: private.example.org, to: "http://192.168.1.40", clearnet: false}
ports:
  - {listen: 25565, to: "192.168.1.50:25565"}
acme: {server: "https://acme.example.net:14000/dir"}
"#;

/// How long a mesh connection may take to come about.
const MESH_LIMIT: Duration = Duration::from_secs(40);

/// Yggdrasil of somebody else: a public peer, and a user of the mesh.
const PUBLIC_PEER: &str = r#"{ "Listen": ["tls://192.0.2.9:443"], "Peers": [], "MulticastInterfaces": [],
  "AdminListen": "none", "IfName": "mesh0", "PrivateKeyPath": "/etc/meshboot/mesh-key.pem" }"#;

/// The fleet and everybody around it. Programs end first, then disks, then networks.
#[derive(Debug)]
pub(crate) struct Lab {
    ingress_haproxy: Option<Background>,
    programs: Vec<Background>,
    /// Resolver of all nodes.
    pub(crate) dns: Dns,
    /// The ingress node `fra1`.
    pub(crate) ingress: Node,
    /// The home.
    pub(crate) home: Node,
    /// Somebody else's machine on the internet, with Debian's programs.
    pub(crate) outside: Node,
    /// The networks.
    pub(crate) wires: Wires,
    /// What the fleet file says.
    pub(crate) fleet: Fleet,
    home_mesh_address: String,
}

impl Lab {
    /// Places the files of both nodes and makes keys and start certificates; nothing runs yet. `None` where the test
    /// is skipped.
    pub(crate) fn new(fleet: &str) -> Option<Self> {
        let (wires, sockets) = Wires::new();
        let ingress = Node::new(sockets.ingress)?;
        let home = Node::new(sockets.home)?;
        let outside = Node::new(sockets.outside)?;
        let fleet =
            meshboot::fleet::parse(fleet, "fleet.yaml").unwrap_or_else(|report| panic!("{report:?}")).fleet;
        let dns = Dns::start(&outside.network, RESOLVER);
        let key = PrivateKey::generate().expect("randomness");
        let facts = BuildFacts {
            home_mesh_address: key.public().mesh_address(),
            home_public_key: key.public().to_hex(),
            fleet_public_key_pem: key.public().to_pem().expect("a public key"),
            build_time_unix_seconds: SystemTime::UNIX_EPOCH.elapsed().expect("a clock past 1970").as_secs(),
        };
        let pem = key.to_pem().expect("a key");
        let token = Secret::new("v4.public.none".to_owned());
        let ingress_payload =
            render::ingress(&fleet, &facts, &fleet.ingress[0], &token).expect("the ingress node is rendered");
        let home_payload = render::local_proxy(&fleet, &facts, &pem).expect("the home is rendered");
        ingress.put_files(&ingress_payload.files);
        home.put_files(&home_payload.files);
        home.put("/etc/meshboot/mesh-key.pem", 0o600, pem.expose());
        for node in [&ingress, &home, &outside] {
            let resolver = format!("nameserver {RESOLVER}\noptions timeout:1 attempts:2\n");
            node.put("/run/systemd/resolve/stub-resolv.conf", 0o644, resolver);
            // As `early` does at every boot.
            node.ask("install -d -m 0755 /var/lib/meshboot");
        }
        for node in [&ingress, &home] {
            node.ask("sysctl --quiet --load /etc/sysctl.d/60-meshboot.conf");
        }
        ingress.ask("/usr/local/lib/meshboot/steps/30-mesh-key");
        home.ask("/usr/local/lib/meshboot/steps/40-start-certificates");
        let home_mesh_address = facts.home_mesh_address.ip().to_string();
        Some(Self {
            ingress_haproxy: None,
            programs: Vec::new(),
            dns,
            ingress,
            home,
            outside,
            wires,
            fleet,
            home_mesh_address,
        })
    }

    /// A fleet whose firewalls are loaded, whose peer list is applied and whose relays run; without the mesh.
    pub(crate) fn relaying(fleet: &str) -> Option<Self> {
        let mut lab = Self::new(fleet)?;
        lab.start_firewalls();
        lab.start_relays();
        Some(lab)
    }

    /// Loads both firewalls, and the home's peer list.
    pub(crate) fn start_firewalls(&self) {
        for node in [&self.ingress, &self.home] {
            node.ask("/usr/local/lib/meshboot/firewall");
        }
        self.home.ask("meshboot-peers apply");
    }

    /// Starts haproxy on both nodes, and returns once every path of the ingress node is up.
    pub(crate) fn start_relays(&mut self) {
        self.programs.push(self.home.start_haproxy());
        self.ingress_haproxy = Some(self.ingress.start_haproxy());
    }

    /// Ends the ingress node's haproxy at once and starts it again, as after a crash.
    pub(crate) fn restart_ingress_haproxy(&mut self) {
        self.ingress.ask("pkill -KILL haproxy; rm -f /run/haproxy/admin.sock; sleep 0.3");
        self.ingress_haproxy = Some(self.ingress.start_haproxy());
    }

    /// Starts yggdrasil on both nodes and on somebody else's machine, tells the home's peer list of the node as its
    /// enrolment would, and returns once the node reaches the home over the mesh.
    pub(crate) fn start_mesh(&mut self) {
        self.enrol();
        self.outside.ask(
            "install -d /etc/meshboot && openssl genpkey -algorithm ed25519 -out /etc/meshboot/mesh-key.pem",
        );
        self.outside.put("/etc/meshboot/yggdrasil.conf", 0o644, PUBLIC_PEER);
        for node in [&self.outside, &self.ingress, &self.home] {
            self.programs.push(node.start_yggdrasil());
        }
        self.home.ask("meshboot-peers apply");
        let home = self.home_mesh_address.clone();
        for node in [&self.ingress, &self.outside] {
            let reached = || node.run(&["ping", "-c1", "-W1", &home]).succeeded();
            wait_until("the home over the mesh", MESH_LIMIT, reached)
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// What the home service does at an enrolment: the node's mesh identity goes onto the peer list.
    pub(crate) fn enrol(&self) {
        let der = "openssl pkey -in /etc/meshboot/mesh-key.pem -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \\n'";
        let public_key = self.ingress.ask(der);
        let mut list = self.peer_list();
        list.nodes[0].mesh_address = Some(mesh_address(&public_key));
        list.nodes[0].public_key = Some(public_key);
        self.put_peer_list(&list);
    }

    /// The home's peer list as it is.
    pub(crate) fn peer_list(&self) -> PeerList {
        let text = self.home.read("/var/lib/meshboot/peers.json").expect("a peer list");
        serde_json::from_str(&text).expect("a peer list of our own making")
    }

    /// Writes the home's peer list; `meshboot-peers apply` is the caller's.
    pub(crate) fn put_peer_list(&self, list: &PeerList) {
        let text = serde_json::to_string_pretty(list).expect("plain data");
        self.home.put("/var/lib/meshboot/peers.json", 0o644, text);
    }

    /// The home's mesh address.
    pub(crate) fn home_mesh_address(&self) -> &str {
        &self.home_mesh_address
    }

    /// The mesh address of the node's key.
    pub(crate) fn mesh_address_of(node: &Node) -> String {
        let der = "openssl pkey -in /etc/meshboot/mesh-key.pem -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \\n'";
        mesh_address(&node.ask(der))
    }

    /// Waits until the ingress node's relay sees these servers of its backend for port 80 as up, and only them.
    pub(crate) fn wait_for_paths(&self, wanted: &[&str], limit: Duration) {
        let mut seen = Vec::new();
        let result = wait_until("the relay's paths", limit, || {
            seen = self.paths_up("home-80");
            seen == wanted
        });
        result.unwrap_or_else(|error| panic!("{error}: up are {seen:?}, wanted {wanted:?}"));
    }

    /// Which servers of a backend the ingress node's relay sees as up.
    pub(crate) fn paths_up(&self, backend: &str) -> Vec<String> {
        let statistics = self.ingress.ask_haproxy("show stat");
        statistics
            .lines()
            .filter_map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                let server = *cells.get(1)?;
                let up = cells.get(17)?.starts_with("UP");
                (cells[0] == backend && server != "BACKEND" && up).then(|| server.to_owned())
            })
            .collect()
    }

    /// The ingress node's address in a family: 0 for IPv4, 1 for IPv6.
    pub(crate) fn ingress_address(family: usize, port: u16) -> String {
        if family == 0 { format!("{}:{port}", INGRESS[0]) } else { format!("[{}]:{port}", INGRESS[1]) }
    }
}

fn mesh_address(public_key: &str) -> String {
    let bytes: Vec<u8> = (0..public_key.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&public_key[at..at + 2], 16).expect("hexadecimal digits"))
        .collect();
    let bytes: [u8; 32] = bytes.try_into().expect("32 bytes");
    meshboot::identity::PublicKey::from_bytes(bytes).mesh_address().ip().to_string()
}
