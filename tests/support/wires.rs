//! The networks between a visitor, an ingress node and a home with two uplinks, all of documentation addresses
//! (RFC 5737, RFC 3849).
//!
//! ```text
//!  visitor 192.0.2.100 ──┐               ┌── ingress 198.51.100.20, 2001:db8:51::20
//!  stranger 192.0.2.66 ──┼─ the internet ┤
//!  outside 192.0.2.9 ────┘  (routes,     ├─ WAN 1 203.0.113.10, 2001:db8:10::/64 ─┐
//!                            drops)      └─ WAN 2 203.0.113.20, 2001:db8:20::/64 ─┴ router ─ LAN 192.168.1.0/24
//!                                                                                            home .10, others .20 …
//! ```
//!
//! Not here: the machines' programs (`lab`), and machines that boot (`internet`). The kernel here cannot delay or lose
//! packets at random; a path that fails loses all of them, by a rule on the way.

use super::network::Namespace;

/// Visitor's addresses.
pub(crate) const VISITOR: [&str; 2] = ["192.0.2.100", "2001:db8:192::100"];
/// Addresses of somebody who means no good.
pub(crate) const STRANGER: [&str; 2] = ["192.0.2.66", "2001:db8:192::66"];
/// Addresses of the machine that has the public mesh peer, DNS and the CA; DNS listens on the third.
pub(crate) const OUTSIDE: [&str; 2] = ["192.0.2.9", "2001:db8:192::9"];
/// Address of the resolver that all nodes use.
pub(crate) const RESOLVER: &str = "192.0.2.53";
/// Ingress node's addresses.
pub(crate) const INGRESS: [&str; 2] = ["198.51.100.20", "2001:db8:51::20"];
/// Public addresses of the home's two uplinks. IPv6 needs no translation: it is the home's own address.
pub(crate) const WANS: [[&str; 2]; 2] =
    [["203.0.113.10", "2001:db8:10::10"], ["203.0.113.20", "2001:db8:20::10"]];
/// Home's address on the LAN.
pub(crate) const HOME: &str = "192.168.1.10";
/// Router's addresses on the LAN: the home's default gateways.
pub(crate) const GATEWAY: [&str; 2] = ["192.168.1.1", "2001:db8:10::1"];
/// A machine on the LAN; the upstreams' addresses are its further ones.
pub(crate) const LAN: [&str; 2] = ["192.168.1.77", "2001:db8:10::77"];
/// Where upstreams may listen.
const UPSTREAMS: [&str; 7] = [
    "192.168.1.20",
    "192.168.1.21",
    "192.168.1.30",
    "192.168.1.31",
    "192.168.1.32",
    "192.168.1.40",
    "192.168.1.50",
];

/// The networks; `ingress`, `home` and `outside` are handed out to become nodes.
#[derive(Debug)]
pub(crate) struct Wires {
    /// Everything between the others.
    pub(crate) internet: Namespace,
    /// The home's router.
    pub(crate) router: Namespace,
    /// A visitor.
    pub(crate) visitor: Namespace,
    /// Somebody who means no good.
    pub(crate) stranger: Namespace,
    /// A machine on the home's LAN, and the upstreams.
    pub(crate) lan: Namespace,
}

/// Networks of machines that get a disk.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) ingress: Namespace,
    pub(crate) home: Namespace,
    pub(crate) outside: Namespace,
}

impl Wires {
    /// Lays all cables.
    pub(crate) fn new() -> (Self, Sockets) {
        let wires = Self {
            internet: Namespace::new("internet"),
            router: Namespace::new("router"),
            visitor: Namespace::new("visitor"),
            stranger: Namespace::new("stranger"),
            lan: Namespace::new("lan"),
        };
        let sockets = Sockets {
            ingress: Namespace::new("ingress"),
            home: Namespace::new("home"),
            outside: Namespace::new("outside"),
        };
        wires.lay_internet(&sockets);
        wires.lay_home(&sockets.home);
        (wires, sockets)
    }

    fn lay_internet(&self, sockets: &Sockets) {
        let internet = &self.internet;
        forward(internet);
        bridge(internet, "public", &["192.0.2.1/24", "2001:db8:192::1/64"]);
        bridge(internet, "cloud", &["198.51.100.1/24", "2001:db8:51::1/64"]);
        bridge(internet, "isp1", &["203.0.113.1/28", "2001:db8:a::1/64"]);
        bridge(internet, "isp2", &["203.0.113.17/28", "2001:db8:b::1/64"]);
        internet.ip("route add 2001:db8:10::/64 via 2001:db8:a::10");
        internet.ip("route add 2001:db8:20::/64 via 2001:db8:b::10");
        let (gateway4, gateway6) = ("192.0.2.1", "2001:db8:192::1");
        for (port, namespace, [ipv4, ipv6]) in [
            ("visitor", &self.visitor, VISITOR),
            ("stranger", &self.stranger, STRANGER),
            ("outside", &sockets.outside, OUTSIDE),
        ] {
            plug(internet, "public", port, namespace, &[&format!("{ipv4}/24"), &format!("{ipv6}/64")]);
            routes(namespace, gateway4, gateway6);
        }
        sockets.outside.ip(&format!("addr add {RESOLVER}/24 dev eth0"));
        let [ipv4, ipv6] = INGRESS;
        plug(internet, "cloud", "ingress", &sockets.ingress, &[&format!("{ipv4}/24"), &format!("{ipv6}/64")]);
        routes(&sockets.ingress, "198.51.100.1", "2001:db8:51::1");
    }

    fn lay_home(&self, home: &Namespace) {
        let router = &self.router;
        forward(router);
        bridge(router, "lan", &["192.168.1.1/24", "2001:db8:10::1/64", "2001:db8:20::1/64"]);
        for (number, ipv4, ipv6, gateway4, gateway6) in [
            (1, "203.0.113.10/28", "2001:db8:a::10/64", "203.0.113.1", "2001:db8:a::1"),
            (2, "203.0.113.20/28", "2001:db8:b::10/64", "203.0.113.17", "2001:db8:b::1"),
        ] {
            let wan = format!("wan{number}");
            self.internet.link(&format!("to-router{number}"), router, &wan);
            self.internet.ip(&format!("link set to-router{number} master isp{number}"));
            address(router, &wan, ipv4);
            address(router, &wan, ipv6);
            // Answers leave by the uplink that the question came in on.
            router.ip(&format!("route add default via {gateway4} table 10{number}"));
            router.ip(&format!("rule add fwmark {number} lookup 10{number}"));
            router.ip(&format!("-6 route add default via {gateway6} table 10{number}"));
            router.ip(&format!("-6 route add 2001:db8:{number}0::/64 dev lan table 10{number}"));
            router.ip(&format!("-6 rule add from 2001:db8:{number}0::/64 iif lan lookup 10{number}"));
        }
        routes(router, "203.0.113.1", "2001:db8:a::1");
        let on_lan = ["192.168.1.10/24", "2001:db8:10::10/64", "2001:db8:20::10/64"];
        plug(router, "lan", "home", home, &on_lan);
        plug(router, "lan", "others", &self.lan, &["192.168.1.77/24", "2001:db8:10::77/64"]);
        for upstream in UPSTREAMS {
            address(&self.lan, "eth0", &format!("{upstream}/24"));
        }
        for namespace in [home, &self.lan] {
            routes(namespace, GATEWAY[0], GATEWAY[1]);
        }
        self.forward_ports("");
    }

    /// A router that sends all that arrives at WAN 1 to the home, whatever the port.
    pub(crate) fn expose_home(&self) {
        load(
            &self.router,
            &format!("add rule ip router inbound iifname wan1 meta l4proto tcp dnat to {HOME}"),
        );
    }

    /// Sets what the router does with connections. `further` are rules of the chain that sees packets last.
    fn forward_ports(&self, further: &str) {
        let rules = format!(
            "table ip router\ndelete table ip router\ntable ip router {{
                chain remember {{
                    type filter hook prerouting priority mangle;
                    iifname wan1 ct state new ct mark set 1
                    iifname wan2 ct state new ct mark set 2
                    iifname lan meta mark set ct mark
                }}
                chain inbound {{
                    type nat hook prerouting priority dstnat;
                    iifname {{ wan1, wan2 }} tcp dport {{ 80, 443, 4781, 25565 }} dnat to {HOME}
                }}
                chain outbound {{
                    type nat hook postrouting priority srcnat;
                    {further}
                    oifname wan1 snat to {}
                    oifname wan2 snat to {}
                }}
            }}",
            WANS[0][0], WANS[1][0]
        );
        load(&self.router, &rules);
    }

    /// A router that hides the sources of what it forwards (`true`), as some do, or one that keeps them.
    pub(crate) fn set_masquerading(&self, masquerading: bool) {
        self.forward_ports(if masquerading { "oifname lan masquerade" } else { "" });
    }

    /// The packets of these uplinks' relayed ports vanish on the internet, both ways, from now on; those of all others
    /// pass. What the home dials itself goes on.
    pub(crate) fn lose(&self, wans: &[usize]) {
        let mut rules = String::from("table inet lost\ndelete table inet lost\n");
        if !wans.is_empty() {
            rules.push_str("table inet lost { chain forward { type filter hook forward priority 0;\n");
            for [ipv4, ipv6] in wans.iter().map(|&wan| WANS[wan]) {
                for (family, address) in [("ip", ipv4), ("ip6", ipv6)] {
                    for (address_of, port_of) in [("daddr", "dport"), ("saddr", "sport")] {
                        let rule = format!(
                            "{family} {address_of} {address} tcp {port_of} {{ 80, 443, 25565 }} drop\n"
                        );
                        rules.push_str(&rule);
                    }
                }
            }
            rules.push_str("}\n}\n");
        }
        load(&self.internet, &rules);
    }
}

/// Loads nftables rules in a namespace.
#[track_caller]
pub(crate) fn load(namespace: &Namespace, rules: &str) {
    namespace.run(&["nft", rules]).expect_success();
}

fn bridge(namespace: &Namespace, name: &str, addresses: &[&str]) {
    namespace.ip(&format!("link add {name} type bridge forward_delay 0 mcast_snooping 0"));
    namespace.ip(&format!("link set {name} up"));
    for text in addresses {
        address(namespace, name, text);
    }
}

fn address(namespace: &Namespace, interface: &str, text: &str) {
    // Duplicate address detection would take a second.
    let no_wait = if text.contains(':') { "nodad" } else { "" };
    namespace.ip(&format!("addr add {text} dev {interface} {no_wait}"));
}

/// Joins `namespace` to a bridge of `hub` as `eth0`.
fn plug(hub: &Namespace, bridge: &str, port: &str, namespace: &Namespace, addresses: &[&str]) {
    let port = format!("p-{port}");
    hub.link(&port, namespace, "eth0");
    hub.ip(&format!("link set {port} master {bridge}"));
    for text in addresses {
        address(namespace, "eth0", text);
    }
}

fn routes(namespace: &Namespace, gateway4: &str, gateway6: &str) {
    namespace.ip(&format!("route add default via {gateway4}"));
    namespace.ip(&format!("route add default via {gateway6}"));
}

fn forward(namespace: &Namespace) {
    namespace.sysctl("net.ipv4.ip_forward=1");
    namespace.sysctl("net.ipv6.conf.all.forwarding=1");
}
