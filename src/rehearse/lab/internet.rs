//! The internet: one router that every party is plugged into by a link of its own, and the faults that can be put on
//! those links.
//!
//! A fault is packets that vanish without a word, as on a dead line; nothing is reset and no interface goes down.
//! To plug somebody in: a [`Place`] in the plan, and a line in [`Internet::new`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Result;

use super::super::plan::{GATEWAY4, GATEWAY6, IngressPlan, Place, Plan, cloud_gateway6};
use super::super::registry::Registry;
use super::namespace::Namespace;

/// Rules on the way of every packet: what vanishes, what is translated.
const RULES: &str = "
table inet internet {
    set lost { type ifname; }
    set nameless { type ifname; }
    chain forward {
        type filter hook forward priority filter; policy accept;
        iifname @lost drop
        oifname @lost drop
        iifname @nameless udp dport 53 drop
        iifname @nameless tcp dport 53 drop
    }
    chain inbound {
        type nat hook prerouting priority dstnat;
    }
    chain outbound {
        type nat hook postrouting priority srcnat;
    }
}
";

/// The internet and everybody on it who is neither a node nor the home's router.
#[derive(Debug)]
pub struct Internet {
    /// Between all others.
    pub core: Namespace,
    /// Somebody who means well.
    pub visitor: Namespace,
    /// Somebody who does not.
    pub stranger: Namespace,
    /// The public mesh peer, and a user of the mesh.
    pub mesh_peer: Namespace,
    /// The certificate authority.
    pub acme: Namespace,
    /// The DNS server.
    pub resolver: Namespace,
    /// Who has the addresses of `firewall.allow`.
    pub allowed: Option<Namespace>,
}

impl Internet {
    /// Lays all cables but those of the home's router. Returns the sockets of the ingress nodes, too.
    pub fn new(registry: &Arc<Registry>, plan: &Plan) -> Result<(Self, Vec<Namespace>)> {
        let core = Namespace::new(registry, "internet")?;
        core.sysctl(&[
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
        ])?;
        core.ip(&[format!("addr add {GATEWAY4}/32 dev lo")])?;
        core.nft(RULES)?;
        let place = |place: &Place| -> Result<Namespace> {
            let namespace = Namespace::new(registry, &place.name)?;
            plug_in(&core, &place.name, &namespace, "eth0", &place.addresses().collect::<Vec<_>>())?;
            default_route(&namespace, "eth0", "")?;
            Ok(namespace)
        };
        let visitor = place(&plan.visitor)?;
        let stranger = place(&plan.stranger)?;
        let mesh_peer = place(&plan.mesh_peer)?;
        let acme = place(&plan.acme)?;
        let resolver = place(&plan.resolver)?;
        let allowed = plan.allowed.as_ref().map(place).transpose()?;
        let sockets = plan.ingress.iter().enumerate().map(|(index, node)| {
            let socket = Namespace::new(registry, &format!("node-{}", node.name))?;
            cloud_link(&core, &cloud_port(index), node, &socket)?;
            Ok(socket)
        });
        let sockets = sockets.collect::<Result<Vec<_>>>()?;
        Ok((Self { core, visitor, stranger, mesh_peer, acme, resolver, allowed }, sockets))
    }

    /// From now on nothing passes the link of an interface of the internet's, either way: [`WanPlan::interface`],
    /// [`cloud_port`], [`super::house::FURTHER`], or a [`Place`]'s name.
    ///
    /// [`WanPlan::interface`]: super::super::plan::WanPlan::interface
    pub fn lose(&self, interface: &str) -> Result<()> {
        self.core.nft(&format!("add element inet internet lost {{ {interface} }}\n"))
    }

    /// Ends [`Internet::lose`].
    pub fn restore(&self, interface: &str) -> Result<()> {
        // Added first, so that restoring what was never lost is no error.
        let element = format!("element inet internet lost {{ {interface} }}\n");
        self.core.nft(&format!("add {element}delete {element}"))
    }

    /// From now on DNS questions that come in by an interface vanish.
    pub fn lose_names(&self, interface: &str) -> Result<()> {
        self.core.nft(&format!("add element inet internet nameless {{ {interface} }}\n"))
    }

    /// Ends [`Internet::lose_names`].
    pub fn restore_names(&self, interface: &str) -> Result<()> {
        let element = format!("element inet internet nameless {{ {interface} }}\n");
        self.core.nft(&format!("add {element}delete {element}"))
    }

    /// All namespaces, for taking them down.
    pub(super) fn namespaces(&mut self) -> impl Iterator<Item = &mut Namespace> {
        [&mut self.core, &mut self.visitor, &mut self.stranger, &mut self.mesh_peer, &mut self.acme]
            .into_iter()
            .chain([&mut self.resolver])
            .chain(self.allowed.as_mut())
    }
}

/// Name of the interface that leads to an ingress node, counted from 0 in the fleet's order.
#[must_use]
pub fn cloud_port(index: usize) -> String {
    format!("cloud{index}")
}

/// Joins `namespace` to the internet by a link of its own; `port` is the internet's end. The addresses are routed
/// there one by one.
pub(super) fn plug_in(
    core: &Namespace,
    port: &str,
    namespace: &Namespace,
    interface: &str,
    addresses: &[IpAddr],
) -> Result<()> {
    core.link(port, namespace, interface)?;
    let mut here = vec![format!("addr add {GATEWAY6}/64 dev {port} nodad")];
    let mut there = Vec::new();
    for address in addresses {
        let (length, no_wait) = if address.is_ipv4() { (32, "") } else { (128, " nodad") };
        here.push(format!("route add {address}/{length} dev {port}"));
        there.push(format!("addr add {address}/{length} dev {interface}{no_wait}"));
    }
    core.ip(&here)?;
    if there.is_empty() { Ok(()) } else { namespace.ip(&there) }
}

/// Routes everything else to the internet by an interface; `table` is as in `table 101`, or empty.
pub(super) fn default_route(namespace: &Namespace, interface: &str, table: &str) -> Result<()> {
    namespace.ip(&[
        format!("route add default via {GATEWAY4} dev {interface} onlink {table}"),
        format!("route add default via {GATEWAY6} dev {interface} {table}"),
    ])
}

/// The link of a machine in a cloud: the cloud's gateway is the internet itself, DHCP gives addresses (`dhcp`).
fn cloud_link(core: &Namespace, port: &str, node: &IngressPlan, socket: &Namespace) -> Result<()> {
    core.link(port, socket, "eth0")?;
    // The machine switches it on.
    socket.ip(&["link set eth0 down".to_owned()])?;
    let gateway6 = cloud_gateway6(node.ipv6);
    core.ip(&[
        format!("addr add {}/24 dev {port} noprefixroute", node.gateway),
        format!("addr add {gateway6}/64 dev {port} nodad noprefixroute"),
        format!("route add {}/32 dev {port}", node.ipv4_inside),
        format!("route add {}/128 dev {port}", node.ipv6),
    ])?;
    // Its neighbours in the cloud are elsewhere.
    core.sysctl(&[&format!("net.ipv4.conf.{port}.proxy_arp=1")])?;
    if node.is_translated() {
        core.nft(&translation(node.ipv4, node.ipv4_inside))?;
    }
    Ok(())
}

/// One-to-one translation, as AWS, GCP and Azure do.
fn translation(public: Ipv4Addr, inside: Ipv4Addr) -> String {
    format!(
        "add rule inet internet inbound ip daddr {public} dnat ip to {inside}
         add rule inet internet outbound ip saddr {inside} snat ip to {public}\n"
    )
}

/// Arguments of the `dnsmasq` that gives every ingress node its addresses.
pub(super) fn dhcp(plan: &Plan) -> Vec<String> {
    let mut arguments = vec![
        "--port=0".to_owned(),
        format!("--dhcp-option=option:dns-server,{}", plan.resolver.ipv4),
        "--enable-ra".to_owned(),
    ];
    for (index, node) in plan.ingress.iter().enumerate() {
        let port = cloud_port(index);
        let (ipv4, ipv6): (Ipv4Addr, Ipv6Addr) = (node.ipv4_inside, node.ipv6);
        arguments.push(format!("--interface={port}"));
        // dnsmasq tags a request with the interface that it came by; the range has one address, for the one machine.
        arguments.push(format!("--dhcp-range=tag:{port},{ipv4},{ipv4},255.255.255.0,12h"));
        arguments.push(format!("--dhcp-range=tag:{port},{ipv6},{ipv6},64,12h"));
    }
    arguments
}
