//! `ports`, and which ports and addresses are the home's own: what is relayed to them would go round in circles.

use std::collections::HashSet;
use std::net::IpAddr;

use super::super::model::{Domain, Host, Network, RelayPort};
use super::super::raw::{RawFleet, RawPort};
use super::super::rule::Rule;
use super::super::shape::Given;
use super::super::values::host::{parse_lan, split_port};
use super::home::JudgedHome;
use super::mesh::JudgedMesh;
use super::{Seen, all, each, port_number, repeated, value};
use crate::diag::{Findings, Problem, Spanned, quote};

/// What a node itself does on a TCP port.
pub(super) fn own_use(port: u16) -> Option<&'static str> {
    match port {
        22 => Some("SSH has it"),
        53 | 5355 => Some("the node's own resolver has it"),
        80 => Some("HTTP has it"),
        443 => Some("HTTPS has it"),
        4_780 => Some("meshboot's home service has it"),
        _ => None,
    }
}

/// What the home listens on, and where.
pub(super) struct Relay {
    ports: HashSet<u16>,
    home_address: Option<IpAddr>,
    home_name: Option<String>,
    wans: HashSet<Host>,
    domains: HashSet<String>,
    mesh_port: Option<u16>,
}

impl Relay {
    pub(super) fn of(raw: &RawFleet, home: Option<&JudgedHome>, mesh: Option<&JudgedMesh>) -> Self {
        let listens = raw.ports.iter().flatten().flatten().flat_map(|port| &port.listen);
        let mesh_port = mesh.and_then(|mesh| mesh.port.ok());
        let own = [80, 443, 4_780, 8_402].into_iter().chain(mesh_port);
        let ports = listens.filter_map(|port| u16::try_from(port.value).ok()).chain(own).collect();
        let domains = raw.services.iter().flatten().flatten().flat_map(|service| &service.domain);
        Self {
            ports,
            home_address: home.and_then(|home| match &home.network {
                Ok(Network::Static { address, .. }) => Some(address.addr()),
                _ => None,
            }),
            home_name: home.and_then(|home| home.name.as_ref().ok()).map(|name| name.value.to_string()),
            wans: home
                .into_iter()
                .flat_map(JudgedHome::valid_wans)
                .map(|wan| wan.value.address.clone())
                .collect(),
            domains: domains.map(|domain| domain.value.to_lowercase()).collect(),
            mesh_port,
        }
    }

    /// Refuses a server that is the home's own relay.
    pub(super) fn refuse_loop(&self, host: &Host, port: u16) -> Result<(), Problem> {
        let why = if !self.ports.contains(&port) {
            return Ok(());
        } else if self.is_home(host) {
            format!("`{host}` is the home itself, and port {port} there is meshboot's own")
        } else if self.wans.contains(host) {
            format!("`{host}` is a WAN of the home, which leads back to its port {port}")
        } else if matches!(host, Host::Name(name) if self.domains.contains(name.as_str())) {
            format!("`{host}` is a domain of this fleet, which leads back to the home")
        } else {
            return Ok(());
        };
        Err(Problem::new(Rule::UpstreamLoop, format!("requests would go round in circles: {why}"))
            .hint("name the machine and port that serve it, as in `192.168.1.20:8080`"))
    }

    /// Whether an uplink of the home goes by this name.
    pub(super) fn is_wan(&self, domain: &Domain) -> bool {
        self.wans.contains(&Host::Name(domain.clone()))
    }

    fn is_home(&self, host: &Host) -> bool {
        match host {
            Host::Address(ip) => ip.is_loopback() || self.home_address == Some(*ip),
            Host::Name(name) => {
                name.as_str() == "localhost" || self.home_name.as_deref() == Some(name.as_str())
            }
        }
    }
}

pub(super) fn judge(raw: &RawFleet, relay: &Relay, findings: &mut Findings) -> Given<Vec<RelayPort>> {
    let mut seen = Seen::new();
    let ports = each(&raw.ports, |port| one(port, relay, &mut seen, findings))?;
    all(ports.into_iter().map(|port| port.and_then(|port| port)).collect())
}

fn one(raw: &RawPort, relay: &Relay, seen: &mut Seen<u16>, findings: &mut Findings) -> Given<RelayPort> {
    let listen = raw.listen.as_ref().map_err(|it| *it).and_then(|listen| port_number(listen, findings));
    let listen = listen.and_then(|listen| {
        let mesh = (relay.mesh_port == Some(listen.value)).then_some("the mesh has it (`mesh.port`)");
        if let Some(usage) = own_use(listen.value).or(mesh) {
            let message = format!("port {} cannot be relayed: {usage}", listen.value);
            let problem = Problem::new(Rule::PortTaken, message).hint("listen on another port");
            return Err(findings.error(listen.span, problem));
        }
        if let Some(first) = seen.before(listen.value, listen.span) {
            let message = format!("port {} is relayed twice", listen.value);
            repeated(findings, first, listen.span, Rule::DuplicatePort, message);
        }
        Ok(listen.value)
    });
    let to = value(&raw.to, findings, |text| target(text, relay));
    warn_of_mdns(&to, |(host, _)| host, findings);
    let (host, port) = to?.value;
    Ok(RelayPort { listen: listen?, host, port })
}

/// Warns of a server whose name the home cannot look up.
pub(super) fn warn_of_mdns<T>(
    server: &Given<Spanned<T>>,
    host: impl Fn(&T) -> &Host,
    findings: &mut Findings,
) {
    let Ok(server) = server else { return };
    if let Host::Name(name) = host(&server.value)
        && name.as_str().rsplit('.').next() == Some("local")
    {
        let message = format!("`{name}` is known to multicast DNS only, which the home does not ask");
        let problem = Problem::new(Rule::UpstreamMdns, message)
            .hint("write the machine's address, or a name that your router's DNS answers");
        findings.warning(server.span, problem);
    }
}

fn target(text: &str, relay: &Relay) -> Result<(Host, u16), Problem> {
    let problem = |why: &str| {
        Problem::new(Rule::PortTarget, format!("{} is not a host and a port: {why}", quote(text)))
            .hint("as in `192.168.1.50:25565`")
    };
    if text.contains('/') {
        return Err(problem("a port is relayed as it is, without scheme and path"));
    }
    let (name, port) = split_port(text, None).map_err(|why| problem(&why))?;
    let host = parse_lan(name)?;
    relay.refuse_loop(&host, port)?;
    Ok((host, port))
}
