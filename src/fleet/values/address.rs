//! IP addresses, and where an address of each kind can be (IANA's special-purpose registries, RFC 6890).
//!
//! Documentation ranges count as public: examples and rehearsals use them, and no real WAN has one by mistake.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::diag::{Problem, quote};
use crate::fleet::rule::Rule;

/// Reads an address if the text can only be meant as one; `None` when it may be a name.
pub(in crate::fleet) fn parse(text: &str) -> Option<Result<IpAddr, Problem>> {
    if let Some((address, zone)) = text.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
    {
        let message = format!(
            "{} has the zone {}, which means something on one machine only",
            quote(text),
            quote(zone)
        );
        return Some(Err(Problem::new(Rule::AddressZone, message)
            .hint(format!("write {} or a global address", quote(address)))));
    }
    match text.parse() {
        Ok(address) => Some(unmapped(address)),
        Err(_) if text.contains(':') => {
            let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or_default();
            let problem = Problem::new(Rule::Address, format!("{} is not an IP address", quote(text)));
            Some(Err(match bare.parse::<Ipv6Addr>() {
                Ok(address) => problem.hint(format!("write `{address}`, without brackets and port")),
                Err(_) => hint_without_port(text, problem),
            }))
        }
        Err(_) => None,
    }
}

fn hint_without_port(text: &str, problem: Problem) -> Problem {
    if text.contains("://") {
        return problem.hint("write the address or name alone, without scheme, port and path");
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => {
            problem.hint(format!("write {}, without a port", quote(host)))
        }
        _ => problem,
    }
}

fn unmapped(address: IpAddr) -> Result<IpAddr, Problem> {
    match address {
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => {
                Err(Problem::new(Rule::AddressMapped, format!("`{six}` is an IPv4 address in IPv6 clothing"))
                    .hint(format!("write `{four}`")))
            }
            None => Ok(address),
        },
        IpAddr::V4(_) => Ok(address),
    }
}

/// Whether the address is in Yggdrasil's `200::/7`.
pub(in crate::fleet) fn is_mesh(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(six) if six.segments()[0] & 0xfe00 == 0x0200)
}

/// Why nobody on the internet can reach the address, or `None` when somebody can.
pub(in crate::fleet) fn why_not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(four) => why_not_public_v4(four),
        IpAddr::V6(six) => why_not_public_v6(six),
    }
}

fn why_not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an address of this network only (RFC 1122)"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address (RFC 1918)"),
        [100, 64..=127, ..] => Some("an address of a provider's NAT (RFC 6598)"),
        [127, ..] => Some("a loopback address"),
        [169, 254, ..] => Some("a link-local address"),
        [192, 0, 0, _] => Some("reserved for protocols (RFC 6890)"),
        [192, 88, 99, _] => Some("an address of the former 6to4 relays (RFC 7526)"),
        [198, 18..=19, ..] => Some("an address for benchmarks (RFC 2544)"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn why_not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("the unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfc00..=0xfdff, ..] => Some("a private address (RFC 4193)"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2002, ..] => Some("a 6to4 address (RFC 7526)"),
        [0x2001, 0, ..] => Some("a Teredo address"),
        [0x64, 0xff9b, ..] => Some("an address of a NAT64 (RFC 6052)"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("outside global unicast (2000::/3)"),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_mesh, parse, why_not_public};
    use crate::fleet::values::rule_of;

    #[test]
    fn addresses_and_what_is_none() {
        let table = [
            ("203.0.113.10", "ok"),
            ("2001:db8::1", "ok"),
            ("::ffff:203.0.113.10", "address-mapped"),
            ("fe80::1%eth0", "address-zone"),
            ("[2001:db8::1]:443", "address"),
            ("203.0.113.10:80", "address"),
            ("http://203.0.113.10", "address"),
        ];
        for (text, rule) in table {
            assert_eq!(parse(text).map(rule_of), Some(rule), "{text}");
        }
        assert!(parse("lte.example.net").is_none());
    }

    #[test]
    fn public_addresses_include_documentation() {
        let public =
            ["203.0.113.10", "198.51.100.1", "192.0.2.1", "2001:db8::1", "3fff::1", "9.9.9.9", "2a01:4f8::1"];
        let other = [
            "0.0.0.0",
            "10.0.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2002::1",
            "2001::1",
            "64:ff9b::1",
            "4000::1",
            "100::1",
        ];
        for text in public {
            assert_eq!(why_not_public(text.parse().expect(text)), None, "{text}");
        }
        for text in other {
            assert!(why_not_public(text.parse().expect(text)).is_some(), "{text}");
        }
    }

    #[test]
    fn the_mesh_is_200_slash_7() {
        for (text, mesh) in [("200::1", true), ("3ff:ffff::1", true), ("400::", false), ("1ff::", false)] {
            assert_eq!(is_mesh(text.parse().expect(text)), mesh, "{text}");
        }
    }
}
