//! A small internet of documentation addresses (RFC 5737, RFC 3849), with what a machine's first boot asks of it: DHCP,
//! router advertisements, DNS, a mirror of Debian's packages, and the mesh.
//!
//! ```text
//!  visitor 192.0.2.100 ─┐                 ┌─ cloud 198.51.100.0/24, 2001:db8:51::/64: DHCP and RA
//!                       ├─ the internet ──┤
//!  mesh peer 192.0.2.9 ─┘   DNS .53       └─ home's router 203.0.113.10 ─ LAN 192.168.1.0/24, 2001:db8:10::/64
//!                        packages .80
//! ```
//!
//! To add a network: a bridge in [`Internet::new`] and its `dnsmasq` range.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::judge::{Judge, make_root};
use super::network::{Background, KEEPER, Namespace, wait_until};
use super::requirement;
use super::scratch::Folder;

/// Host name of the package mirror.
pub(crate) const MIRROR: &str = "packages.example.net";

/// Where a provider's metadata would be; whoever gets there meets the mirror.
pub(crate) const METADATA: &str = "169.254.169.254";

/// Host name of the public mesh peer, which listens on 443.
pub(crate) const MESH_PEER: &str = "peer.example.net";

/// Hardware address of the machine in the cloud, and the address that DHCP gives it.
pub(crate) const CLOUD_NODE: (&str, &str) = ("02:00:00:00:51:09", "198.51.100.9");

/// Hardware address of the home, and the address that DHCP gives it.
pub(crate) const HOME_NODE: (&str, &str) = ("02:00:00:00:01:0a", "192.168.1.10");

/// Public address of the home's router.
pub(crate) const HOME_WAN: &str = "203.0.113.10";

/// A web server on the home's LAN that answers with what it was asked, as JSON: address and port.
pub(crate) const LAN_SERVICE: (&str, u16) = ("192.168.1.20", 8080);

/// Answers every request with its path and headers.
const ECHO: &str = r#"
import http.server, json, sys
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        text = json.dumps({"path": self.path, "headers": headers, "peer": self.client_address[0]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Echo).serve_forever()
"#;

/// The networks and the programs in them; all end when dropped.
#[derive(Debug)]
pub(crate) struct Internet {
    // Programs end before the namespaces that they live in.
    mirror: Option<Background>,
    programs: Vec<Background>,
    folder: Folder,
    core: Namespace,
    router: Namespace,
    /// A machine of nobody's, on the internet.
    pub(crate) visitor: Namespace,
    /// A user of the mesh who is nobody's node: 192.0.2.9, with a mesh interface `ygg0`.
    pub(crate) mesh: Namespace,
    /// A machine on the home's LAN: 192.168.1.77.
    pub(crate) lan: Namespace,
    judge: Judge,
}

impl Internet {
    /// Builds it all; `None` where the test is skipped.
    pub(crate) fn new() -> Option<Self> {
        const PROGRAMS: [&str; 9] =
            ["bsdtar", "curl", "dnsmasq", "losetup", "nft", "nsenter", "ping", "python3", "systemd-nspawn"];
        let judge = requirement::root_and(&PROGRAMS).then(Judge::new).flatten()?;
        let internet = Self {
            mirror: None,
            programs: Vec::new(),
            folder: Folder::new(),
            core: Namespace::new("internet"),
            router: Namespace::new("router"),
            visitor: Namespace::new("visitor"),
            mesh: Namespace::new("mesh"),
            lan: Namespace::new("lan"),
            judge,
        };
        internet.lay_cables();
        Some(internet)
    }

    fn lay_cables(&self) {
        let core = &self.core;
        for (bridge, ipv4, ipv6) in [
            ("public", "192.0.2.1/24", "2001:db8:192::1/64"),
            ("cloud", "198.51.100.1/24", "2001:db8:51::1/64"),
            ("isp", "203.0.113.1/24", "2001:db8:203::1/64"),
        ] {
            add_bridge(core, bridge, &[ipv4, ipv6]);
        }
        core.ip("addr add 192.0.2.53/24 dev public");
        core.ip("addr add 192.0.2.80/24 dev public");
        core.ip(&format!("addr add {METADATA}/32 dev cloud"));
        core.ip("route add 2001:db8:10::/64 via 2001:db8:203::10");
        forward(core);
        forward(&self.router);

        self.plug(
            "public",
            &self.visitor,
            &["192.0.2.100/24", "2001:db8:192::100/64"],
            "192.0.2.1",
            "2001:db8:192::1",
        );
        self.plug(
            "public",
            &self.mesh,
            &["192.0.2.9/24", "2001:db8:192::9/64"],
            "192.0.2.1",
            "2001:db8:192::1",
        );
        self.plug(
            "isp",
            &self.router,
            &["203.0.113.10/24", "2001:db8:203::10/64"],
            "203.0.113.1",
            "2001:db8:203::1",
        );

        add_bridge(&self.router, "lan", &["192.168.1.1/24", "2001:db8:10::1/64"]);
        self.router.link("port1", &self.lan, "eth0");
        self.router.ip("link set port1 master lan");
        self.lan.ip("addr add 192.168.1.77/24 dev eth0");
        self.lan.ip("addr add 2001:db8:10::77/64 dev eth0 nodad");
        self.lan.ip("route add default via 192.168.1.1");
        self.lan.ip("route add default via 2001:db8:10::1");
    }

    /// Joins `namespace` to one of the internet's bridges as `eth0`.
    fn plug(&self, bridge: &str, namespace: &Namespace, addresses: &[&str], gateway4: &str, gateway6: &str) {
        self.attach(bridge, namespace);
        for address in addresses {
            let no_wait = if address.contains(':') { "nodad" } else { "" };
            namespace.ip(&format!("addr add {address} dev eth0 {no_wait}"));
        }
        namespace.ip(&format!("route add default via {gateway4}"));
        namespace.ip(&format!("route add default via {gateway6}"));
    }

    fn attach(&self, bridge: &str, namespace: &Namespace) {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let port = format!("port{}", NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        self.core.link(&port, namespace, "eth0");
        self.core.ip(&format!("link set {port} master {bridge}"));
    }

    /// A namespace for a machine in the cloud; it gets [`CLOUD_NODE`]'s address by DHCP.
    pub(crate) fn cloud_socket(&self) -> Namespace {
        let namespace = Namespace::new("node");
        self.attach("cloud", &namespace);
        namespace.ip(&format!("link set eth0 address {} down", CLOUD_NODE.0));
        namespace
    }

    /// A namespace for the home; it gets [`HOME_NODE`]'s address by DHCP.
    pub(crate) fn home_socket(&self) -> Namespace {
        let namespace = Namespace::new("home");
        self.router.link("port2", &namespace, "eth0");
        self.router.ip("link set port2 master lan");
        namespace.ip(&format!("link set eth0 address {} down", HOME_NODE.0));
        namespace
    }

    /// Starts DHCP, router advertisements and DNS, on the internet and on the home's router.
    pub(crate) fn start_services(&mut self) {
        let internet = [
            "--interface=cloud",
            "--dhcp-range=198.51.100.100,198.51.100.200,1h",
            "--dhcp-range=2001:db8:51::,ra-only,64",
            &format!("--dhcp-host={},{}", CLOUD_NODE.0, CLOUD_NODE.1),
            "--dhcp-option=option:dns-server,192.0.2.53",
            "--listen-address=192.0.2.53",
            &format!("--address=/{MIRROR}/192.0.2.80"),
            &format!("--address=/{MESH_PEER}/192.0.2.9"),
            // Every other name does not exist.
            "--address=/#/",
        ]
        .map(str::to_owned);
        let router = [
            "--interface=lan",
            "--dhcp-range=192.168.1.100,192.168.1.200,1h",
            "--dhcp-range=2001:db8:10::,ra-only,64",
            &format!("--dhcp-host={},{}", HOME_NODE.0, HOME_NODE.1),
            "--dhcp-option=option:dns-server,192.168.1.1",
            "--server=192.0.2.53",
        ]
        .map(str::to_owned);
        self.dnsmasq("internet", &internet);
        self.dnsmasq("router", &router);
        self.masquerade();
    }

    fn dnsmasq(&mut self, name: &str, arguments: &[String]) {
        let folder = self.folder.folder(name);
        let namespace = if name == "router" { &self.router } else { &self.core };
        let leases = format!("--dhcp-leasefile={}", folder.join("leases").display());
        let mut argv = KEEPER.to_vec();
        argv.extend([
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
        ]);
        argv.extend(["--bind-dynamic", "--enable-ra", "--user=root", "--pid-file=", "--log-dhcp", &leases]);
        argv.extend(arguments.iter().map(String::as_str));
        let program = namespace.spawn(&argv, &folder.join("log"));
        self.programs.push(program);
    }

    /// The home's router hides its LAN behind one address and forwards the web's ports, as routers do.
    fn masquerade(&self) {
        let rules = self.folder.path().join("router.nft");
        let home = HOME_NODE.1;
        let text = format!(
            "table ip nat {{\n chain out {{ type nat hook postrouting priority 100; oifname eth0 masquerade; }}\n \
             chain in {{ type nat hook prerouting priority -100; iifname eth0 tcp dport {{ 80, 443, 25565 }} dnat to {home}; }}\n}}\n"
        );
        std::fs::write(&rules, text).expect("writing the router's rules");
        self.router.run(&["nft", "-f", &rules.display().to_string()]).expect_success();
    }

    /// Starts the mirror of Debian's packages with `packages` and what they need.
    pub(crate) fn start_mirror(&mut self, packages: &[&str]) {
        let mut arguments = vec!["repository"];
        arguments.extend(packages);
        let repository = make_root(&arguments);
        let directory = repository.display().to_string();
        let argv = ["python3", "-m", "http.server", "--bind", "0.0.0.0", "--directory", &directory, "80"];
        self.mirror = Some(self.core.spawn(&argv, &self.folder.path().join("mirror.log")));
    }

    /// Starts a web server on the home's LAN.
    pub(crate) fn start_lan_service(&self, (address, port): (&str, u16)) -> Background {
        self.lan.ip(&format!("addr add {address}/24 dev eth0"));
        let argv = ["python3", "-c", ECHO, address, &port.to_string()];
        self.lan.spawn(&argv, &self.folder.path().join("lan-service.log"))
    }

    /// Cuts the home's WANs for what is relayed: packets to the web's ports vanish, as on a dead line. The home's own
    /// connections go on, so the mesh does too.
    pub(crate) fn cut_home_wan(&self) {
        let rule = "add table ip cut; add chain ip cut in { type filter hook prerouting priority -200; }; \
                    add rule ip cut in iifname eth0 tcp dport { 80, 443, 25565 } drop";
        self.router.run(&["nft", rule]).expect_success();
    }

    /// Undoes [`Self::cut_home_wan`].
    pub(crate) fn mend_home_wan(&self) {
        self.router.run(&["nft", "delete table ip cut"]).expect_success();
    }

    /// The home's router, as a machine on the LAN and on the internet at once.
    pub(crate) fn router(&self) -> &Namespace {
        &self.router
    }

    /// Ends the mirror: connections to it are refused.
    pub(crate) fn stop_mirror(&mut self) {
        self.mirror = None;
    }

    /// What the mirror was asked for.
    pub(crate) fn mirror_log(&self) -> String {
        self.mirror.as_ref().map(Background::log).unwrap_or_default()
    }

    /// Starts yggdrasil for [`MESH_PEER`] and returns once its interface is there.
    pub(crate) fn start_mesh(&mut self) {
        const CONFIGURATION: &str = "/etc/mesh-peer.conf";
        self.judge.put(CONFIGURATION, 0o600, MESH_CONFIGURATION.as_bytes());
        let argv = self.judge.argv(&["yggdrasil", "-useconffile", CONFIGURATION]);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let program = self.mesh.spawn(&argv, &self.folder.path().join("mesh.log"));
        self.programs.push(program);
        let up = || {
            self.mesh
                .run(&["ip", "-6", "address", "show", "dev", "ygg0", "scope", "global"])
                .stdout
                .contains("inet6 2")
        };
        wait_until("the mesh peer's interface", Duration::from_secs(15), up).unwrap_or_else(|error| {
            panic!("{error}\n{}", self.programs.last().map(Background::log).unwrap_or_default())
        });
    }

    /// What makes a stock cloud image use our mirror: cloud-init's own mirror setting.
    pub(crate) fn mirror_settings() -> Vec<(&'static str, String)> {
        let mirrors = format!(
            "system_info:\n  package_mirrors:\n    - arches: [default]\n      failsafe:\n        \
             primary: http://{MIRROR}/debian\n        security: http://{MIRROR}/debian-security\n"
        );
        vec![
            ("etc/cloud/cloud.cfg.d/91_mirror.cfg", mirrors),
            ("etc/apt/mirrors/debian.list", format!("http://{MIRROR}/debian\n")),
            ("etc/apt/mirrors/debian-security.list", format!("http://{MIRROR}/debian-security\n")),
            // Our copies of the indexes carry no signature of Debian's.
            (
                "etc/apt/apt.conf.d/99mirror",
                "Acquire::AllowInsecureRepositories \"true\";\nAPT::Get::AllowUnauthenticated \"true\";\n"
                    .to_owned(),
            ),
        ]
    }

    /// What lets cloud-init's fallback network (DHCP on whatever has a carrier) work in a container: the file that it
    /// writes for netplan matches a card's permanent hardware address, which a container's interface has not; the one
    /// for networkd matches the present address.
    pub(crate) fn fallback_network() -> (&'static str, &'static [u8]) {
        ("etc/cloud/cloud.cfg.d/92_container.cfg", b"system_info:\n  network:\n    renderers: [networkd]\n")
    }

    /// Where its programs keep their logs.
    pub(crate) fn logs(&self) -> PathBuf {
        Path::new(self.folder.path()).to_owned()
    }
}

/// The public peer: reachable by TLS, and with an interface to look at nodes through.
const MESH_CONFIGURATION: &str = r#"{
  "Listen": ["tls://192.0.2.9:443"],
  "Peers": [],
  "MulticastInterfaces": [],
  "AdminListen": "none",
  "IfName": "ygg0"
}
"#;

fn add_bridge(namespace: &Namespace, name: &str, addresses: &[&str]) {
    namespace.ip(&format!("link add {name} type bridge forward_delay 0"));
    namespace.ip(&format!("link set {name} up"));
    for address in addresses {
        let no_wait = if address.contains(':') { "nodad" } else { "" };
        namespace.ip(&format!("addr add {address} dev {name} {no_wait}"));
    }
}

fn forward(namespace: &Namespace) {
    namespace.sysctl("net.ipv4.ip_forward=1");
    namespace.sysctl("net.ipv6.conf.all.forwarding=1");
}
