//! An address or a name, and which of them can stand where.

use super::{address, domain};
use crate::diag::{Problem, quote};
use crate::fleet::model::Host;
use crate::fleet::rule::Rule;

/// Reads an address or a name; not yet where it can be.
pub(in crate::fleet) fn parse(text: &str) -> Result<Host, Problem> {
    if let Some(address) = address::parse(text) {
        return address.map(Host::Address);
    }
    if let Some((bare, length)) = text.split_once('/') {
        let problem = Problem::new(Rule::Address, format!("{} is not an address or name", quote(text)));
        return Err(if length.bytes().all(|byte| byte.is_ascii_digit()) {
            problem.hint(format!("write {}, without a prefix length", quote(bare)))
        } else {
            problem.hint("write the address or name alone")
        });
    }
    domain::parse_any(text).map(Host::Name).map_err(as_address)
}

/// A name that did not parse where an address may stand too.
fn as_address(problem: Problem) -> Problem {
    let rule = if problem.rule == Rule::Domain.id() { Rule::Address.id() } else { problem.rule };
    let message = problem.message.replacen("is not a domain name", "is neither an address nor a name", 1);
    Problem { rule, message, ..problem }
}

/// Reads an address or name that the internet can reach; `what` has it, as in "a WAN".
pub(in crate::fleet) fn parse_public(text: &str, what: &str) -> Result<Host, Problem> {
    let host = parse(text)?;
    match &host {
        Host::Address(ip) if address::is_mesh(*ip) => {
            Err(Problem::new(Rule::AddressMesh, format!("`{ip}` is a mesh address, which {what} cannot have"))
                .hint("the mesh is used without being named: leave this out"))
        }
        Host::Address(ip) => match address::why_not_public(*ip) {
            Some(why) => Err(Problem::new(Rule::AddressKind, format!("`{ip}` is {why}; the internet cannot reach it"))
                .hint("write the public address or a dynamic-DNS name; behind a provider's NAT leave it out: the mesh needs none")),
            None => Ok(host),
        },
        Host::Name(name) => match (domain::special_ending(name), name.as_str().contains('.')) {
            (Some(ending), _) => Err(Problem::new(Rule::AddressKind, format!("`{name}` ends in `{ending}`, which public DNS does not have"))
                .hint("write a name that the internet can look up")),
            (None, false) => Err(Problem::new(Rule::Address, format!("`{name}` has one label only; {what} needs a name in full"))
                .hint(format!("as in `{name}.example.net`"))),
            (None, true) => Ok(host),
        },
    }
}

/// Reads an address or name of a machine that the home reaches itself.
pub(in crate::fleet) fn parse_lan(text: &str) -> Result<Host, Problem> {
    let host = parse(text)?;
    if let Host::Address(ip) = host {
        if address::is_mesh(ip) {
            return Err(Problem::new(
                Rule::AddressMesh,
                format!("`{ip}` is a mesh address; a service is on the home's LAN"),
            )
            .hint("write the address that the machine has on the LAN"));
        }
        if let Some(why) = why_not_lan(ip) {
            return Err(Problem::new(Rule::AddressKind, format!("`{ip}` is {why}; no machine has it")));
        }
    }
    Ok(host)
}

fn why_not_lan(ip: std::net::IpAddr) -> Option<&'static str> {
    match ip {
        _ if ip.is_unspecified() => Some("the unspecified address"),
        _ if ip.is_multicast() => Some("a multicast address"),
        std::net::IpAddr::V4(four)
            if four.is_broadcast() || four.octets()[0] == 0 || four.octets()[0] >= 240 =>
        {
            Some("a reserved address")
        }
        std::net::IpAddr::V6(six) if six.is_unicast_link_local() => {
            Some("a link-local address, which needs an interface beside it")
        }
        _ => None,
    }
}

/// Reads `host:port` or `[v6]:port`; the port may be left out where `default` is given.
pub(in crate::fleet) fn split_port(text: &str, default: Option<u16>) -> Result<(&str, u16), String> {
    let (host, port) = split(text)?;
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    match (port, default) {
        (None, Some(port)) => Ok((host, port)),
        (None, None) => Err("the port is missing".into()),
        (Some(port), _) => match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok((host, number)),
            _ => Err(format!("{} is not a port (1 to 65535)", quote(port))),
        },
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    let Some(rest) = text.strip_prefix('[') else {
        return match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => {
                Err("an IPv6 address needs brackets, as in `[2001:db8::1]:80`".into())
            }
            Some((host, port)) => Ok((host, Some(port))),
            None => Ok((text, None)),
        };
    };
    let (host, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
    // An address with a zone is refused by a rule of its own.
    if !host.contains('%') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(format!("{} in brackets is not an IPv6 address", quote(host)));
    }
    match rest {
        "" => Ok((host, None)),
        _ => Ok((host, Some(rest.strip_prefix(':').ok_or("after the bracket comes `:port`")?))),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_lan, parse_public, split_port};
    use crate::fleet::values::rule_of;

    #[test]
    fn a_public_host_can_be_reached_from_the_internet() {
        let table = [
            ("203.0.113.10", "ok"),
            ("lte.example.net", "ok"),
            ("192.168.1.1", "address-kind"),
            ("200:1::1", "address-mesh"),
            ("::ffff:1.2.3.4", "address-mapped"),
            ("fe80::1%eth0", "address-zone"),
            ("203.0.113.10/24", "address"),
            ("203.0.113.300", "address"),
            ("router", "address"),
            ("router.lan", "address-kind"),
            ("*.example.org", "domain-wildcard"),
        ];
        for (text, rule) in table {
            assert_eq!(rule_of(parse_public(text, "a WAN")), rule, "{text}");
        }
    }

    #[test]
    fn a_lan_host_is_one_machine() {
        let table = [
            ("192.168.1.20", "ok"),
            ("nas", "ok"),
            ("nas.lan", "ok"),
            ("127.0.0.1", "ok"),
            ("fd00::1", "ok"),
            ("0.0.0.0", "address-kind"),
            ("224.0.0.1", "address-kind"),
            ("255.255.255.255", "address-kind"),
            ("::", "address-kind"),
            ("fe80::1", "address-kind"),
            ("201::1", "address-mesh"),
        ];
        for (text, rule) in table {
            assert_eq!(rule_of(parse_lan(text)), rule, "{text}");
        }
    }

    #[test]
    fn ports_are_split_off() {
        assert_eq!(split_port("[fd00::1]:80", None), Ok(("fd00::1", 80)));
        assert_eq!(split_port("nas", Some(80)), Ok(("nas", 80)));
        for text in [
            "nas",
            "nas:",
            "nas:0",
            "nas:65536",
            "nas:+80",
            "fd00::1:80",
            "[fd00::1",
            "[fd00::1]80",
            ":80",
            "[nas]:80",
            "[1.2.3.4]:80",
        ] {
            assert!(split_port(text, None).is_err(), "{text}");
        }
    }
}
