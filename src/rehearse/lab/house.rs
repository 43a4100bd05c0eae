//! The house: the home's router with its uplinks, and the LAN behind it.
//!
//! The router does what a decent one does: translates outgoing connections, forwards the ports that the fleet relays
//! without hiding their sources, and answers by the uplink that a question came in on. IPv6 is routed, not translated:
//! the home has an address of its own in every uplink's prefix. To rehearse another kind of router: a rule in
//! `House::load_rules`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;

use super::super::plan::{GATEWAY4, GATEWAY6, Plan, UpstreamPlan, WanPlan};
use super::super::registry::Registry;
use super::internet::plug_in;
use super::namespace::Namespace;

/// Interface of the uplink that is no WAN, on the internet and on the router.
pub const FURTHER: &str = "further";

/// Preference of the further uplink while it is on; WANs have 10 and more.
const FURTHER_METRIC: usize = 5;

/// The home's router, and machines on its LAN.
#[derive(Debug)]
pub struct House {
    /// The router.
    pub router: Namespace,
    /// A machine of somebody in the house.
    pub machine: Namespace,
    /// The machine that all upstream servers are on.
    pub servers: Namespace,
    forwarded: Vec<u16>,
}

impl House {
    /// Lays the cables of the house and its uplinks. Returns the home's socket, too.
    pub fn new(registry: &Arc<Registry>, plan: &Plan, core: &Namespace) -> Result<(Self, Namespace)> {
        let mut forwarded: Vec<u16> = [80, 443].to_vec();
        forwarded.extend(plan.fleet.ports.iter().map(|port| port.listen));
        forwarded.extend(plan.fleet.home.mesh_listen.then_some(plan.fleet.mesh.port));
        let house = Self {
            router: Namespace::new(registry, "router")?,
            machine: Namespace::new(registry, "lan-machine")?,
            servers: Namespace::new(registry, "servers")?,
            forwarded,
        };
        let home = Namespace::new(registry, &format!("node-{}", plan.fleet.home.name))?;
        house.router.sysctl(&[
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
        ])?;
        house.lay_lan(plan, &home)?;
        house.lay_uplinks(plan, core)?;
        house.load_rules(plan, false)?;
        // Where no WAN carries IPv4, the further uplink is all there is.
        if plan.wans.iter().all(|wan| wan.ipv4.is_none()) {
            house.switch_further_uplink(true)?;
        }
        Ok((house, home))
    }

    fn lay_lan(&self, plan: &Plan, home: &Namespace) -> Result<()> {
        let lan = &plan.lan;
        let length = lan.network.prefix_len();
        let mut here = vec![
            "link add lan type bridge forward_delay 0 mcast_snooping 0".to_owned(),
            "link set lan up".to_owned(),
            format!("addr add {}/{length} dev lan", lan.router),
        ];
        let prefixes: Vec<_> =
            plan.wans.iter().filter_map(WanPlan::prefix).chain(lan.private_prefix).collect();
        for prefix in &prefixes {
            here.push(format!("addr add {}/64 dev lan nodad", router6(prefix.network(), plan)));
        }
        self.router.ip(&here)?;
        for (port, namespace, address) in
            [("machine", &self.machine, lan.machine), ("servers", &self.servers, lan.servers)]
        {
            self.router.link(port, namespace, "eth0")?;
            self.router.ip(&[format!("link set {port} master lan")])?;
            let mut there = vec![
                format!("addr add {address}/{length} dev eth0"),
                format!("route add default via {}", lan.router),
            ];
            if port == "machine" {
                for prefix in &prefixes {
                    let mut segments = prefix.network().segments();
                    segments[7] = 0x77;
                    there.push(format!("addr add {}/64 dev eth0 nodad", std::net::Ipv6Addr::from(segments)));
                }
                let first = prefixes.first().map(|prefix| router6(prefix.network(), plan));
                there.extend(first.map(|gateway| format!("route add default via {gateway}")));
            }
            namespace.ip(&there)?;
        }
        self.add_servers(plan)?;
        self.router.link("home", home, "eth0")?;
        self.router.ip(&["link set home master lan".to_owned()])?;
        // The home switches it on.
        home.ip(&["link set eth0 down".to_owned()])
    }

    /// Gives the servers' machine every address that an upstream has.
    fn add_servers(&self, plan: &Plan) -> Result<()> {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        let mut addresses: Vec<IpAddr> =
            plan.upstreams.iter().map(|it: &UpstreamPlan| it.address.ip()).collect();
        addresses.sort();
        addresses.dedup();
        for address in addresses {
            match address {
                IpAddr::V4(address) => {
                    there.push(format!("addr add {address}/32 dev eth0"));
                    if !plan.lan.network.contains(&address) {
                        here.push(format!("route add {address}/32 via {}", plan.lan.servers));
                    }
                }
                IpAddr::V6(address) => there.push(format!("addr add {address}/64 dev eth0 nodad")),
            }
        }
        if !here.is_empty() {
            self.router.ip(&here)?;
        }
        if there.is_empty() { Ok(()) } else { self.servers.ip(&there) }
    }

    fn lay_uplinks(&self, plan: &Plan, core: &Namespace) -> Result<()> {
        let router = &self.router;
        for wan in &plan.wans {
            let (interface, number) = (wan.interface(), wan.number);
            let ipv4: Vec<IpAddr> = wan.ipv4.into_iter().map(IpAddr::V4).collect();
            plug_in(core, &interface, router, &interface, &ipv4)?;
            router.ip(&[format!("addr add fe80::2/64 dev {interface} nodad")])?;
            let mut ways = Vec::new();
            if wan.ipv4.is_some() {
                let way = format!("via {GATEWAY4} dev {interface} onlink");
                ways.push(format!("route add default {way} metric {}", 10 * number));
                ways.push(format!("route add default {way} table {}", 100 + number));
                ways.push(format!("rule add fwmark {number} lookup {}", 100 + number));
            }
            if let Some(prefix) = wan.prefix() {
                let way = format!("via {GATEWAY6} dev {interface}");
                ways.push(format!("route add default {way} metric {}", 10 * number));
                ways.push(format!("route add default {way} table {}", 100 + number));
                ways.push(format!("route add {prefix} dev lan table {}", 100 + number));
                router.ip6(&[format!("rule add from {prefix} iif lan lookup {}", 100 + number)])?;
                core.ip(&[format!("route add {prefix} via fe80::2 dev {interface}")])?;
            }
            router.ip(&ways)?;
        }
        plug_in(core, FURTHER, router, FURTHER, &[IpAddr::V4(plan.further_uplink)])
    }

    /// Sets what the router does with connections; `masquerading` routers hide the sources of what they forward.
    fn load_rules(&self, plan: &Plan, masquerading: bool) -> Result<()> {
        let (mut marks, mut forwards, mut sources) = (String::new(), String::new(), String::new());
        let ports = self.forwarded.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        for wan in &plan.wans {
            let (interface, number) = (wan.interface(), wan.number);
            if let Some(address) = wan.ipv4 {
                // Writing to a string cannot fail.
                let _ = writeln!(marks, "iifname {interface} ct state new ct mark set {number}");
                let _ = writeln!(
                    forwards,
                    "iifname {interface} ip daddr {address} tcp dport {{ {ports} }} dnat to {}",
                    plan.lan.home
                );
                let _ = writeln!(sources, "oifname {interface} snat to {address}");
            }
        }
        let hide = if masquerading { "oifname lan ct status dnat masquerade" } else { "" };
        self.router.nft(&format!(
            "table ip router
            delete table ip router
            table ip router {{
                chain remember {{
                    type filter hook prerouting priority mangle;
                    {marks}
                    iifname lan meta mark set ct mark
                }}
                chain inbound {{
                    type nat hook prerouting priority dstnat;
                    {forwards}
                }}
                chain outbound {{
                    type nat hook postrouting priority srcnat;
                    {hide}
                    {sources}
                    oifname {FURTHER} snat to {}
                }}
            }}\n",
            plan.further_uplink
        ))
    }

    /// A router that hides the sources of what it forwards, as some do, or one that keeps them. Connections that
    /// exist already stay as they are.
    pub fn set_masquerading(&self, plan: &Plan, masquerading: bool) -> Result<()> {
        self.load_rules(plan, masquerading)
    }

    /// Switches the uplink that is no WAN on or off: while it is on, new outgoing connections take it.
    pub fn switch_further_uplink(&self, on: bool) -> Result<()> {
        let route = format!("default via {GATEWAY4} dev {FURTHER} onlink metric {FURTHER_METRIC}");
        if on {
            self.router.ip(&[format!("route replace {route}")])
        } else {
            // Taking away what is not there is no error.
            self.router.ip(&[format!("route replace {route}"), format!("route del {route}")])
        }
    }

    /// All namespaces, for taking them down.
    pub(super) fn namespaces(&mut self) -> impl Iterator<Item = &mut Namespace> {
        [&mut self.router, &mut self.machine, &mut self.servers].into_iter()
    }
}

/// The router's address in an IPv6 prefix: its first, or the second where the home has the first.
fn router6(prefix: std::net::Ipv6Addr, plan: &Plan) -> std::net::Ipv6Addr {
    let mut segments = prefix.segments();
    segments[7] = 1;
    if plan.wans.iter().any(|wan| wan.ipv6 == Some(segments.into())) {
        segments[7] = 2;
    }
    segments.into()
}

/// Arguments of the router's `dnsmasq`: DHCP, router advertisements, and a resolver that asks the internet's.
pub(super) fn services(plan: &Plan) -> Vec<String> {
    let lan = &plan.lan;
    let mut arguments = vec![
        "--interface=lan".to_owned(),
        format!("--server={}", plan.resolver.ipv4),
        "--no-hosts".to_owned(),
        "--no-resolv".to_owned(),
        "--enable-ra".to_owned(),
        format!("--dhcp-option=option:dns-server,{}", lan.router),
    ];
    if lan.home_by_dhcp {
        arguments.push(format!("--dhcp-range={0},{0},{1},12h", lan.home, lan.network.netmask()));
    }
    for address in plan.wans.iter().filter_map(|wan| wan.ipv6) {
        arguments.push(format!("--dhcp-range={address},{address},64,12h"));
    }
    if let Some(prefix) = lan.private_prefix {
        let mut segments = prefix.network().segments();
        segments[7] = 0x10;
        let address = std::net::Ipv6Addr::from(segments);
        arguments.push(format!("--dhcp-range={address},{address},64,12h"));
    }
    if plan.wans.iter().all(|wan| wan.ipv6.is_none()) {
        // No uplink carries IPv6: the router is nobody's way out for it (RFC 7084, requirement L-4).
        arguments.push("--ra-param=lan,0,0".to_owned());
    }
    arguments
}
