//! Networks with prefix lengths, as of a LAN or an entry of `firewall.allow`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address;
use crate::diag::{Problem, quote};
use crate::fleet::rule::Rule;

/// Shortest prefixes: a LAN or an office is not larger than 10.0.0.0/8 or a provider's /20 of IPv6.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 20;

/// Reads a network whose host bits are zero; an address alone stands for itself.
pub(in crate::fleet) fn parse(text: &str) -> Result<IpNet, Problem> {
    let bare = text.split('/').next().unwrap_or_default();
    if let Some(Err(problem)) = address::parse(bare) {
        return Err(problem);
    }
    let network = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => network,
        (_, Ok(address)) => IpNet::from(address),
        _ => {
            return Err(Problem::new(Rule::NetworkPrefix, format!("{} is not a network", quote(text)))
                .hint("write it with a prefix length, as in `192.168.1.0/24`"));
        }
    };
    if network.addr() != network.network() {
        return Err(Problem::new(Rule::NetworkPrefix, format!("`{network}` has bits beyond its prefix"))
            .hint(format!("write `{}`", network.trunc())));
    }
    judge(network)
}

fn judge(network: IpNet) -> Result<IpNet, Problem> {
    let (widest, mesh) = match network {
        IpNet::V4(_) => (WIDEST_V4, false),
        IpNet::V6(six) => (WIDEST_V6, six.addr().segments()[0] & 0xfe00 == 0x0200 && six.prefix_len() >= 7),
    };
    if mesh {
        return Err(Problem::new(
            Rule::AddressMesh,
            format!("`{network}` is in the mesh, which is a public network"),
        )
        .hint("the mesh has rules of its own: leave this out"));
    }
    if network.prefix_len() < widest {
        return Err(Problem::new(
            Rule::NetworkTooWide,
            format!("`{network}` takes in more than any LAN or office has"),
        )
        .hint(format!("the widest is a prefix of /{widest}")));
    }
    let ip = network.addr();
    if ip.is_multicast() || ip.is_loopback() || ip.is_unspecified() {
        return Err(Problem::new(Rule::AddressKind, format!("`{network}` is not a network of machines")));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::fleet::values::rule_of;

    #[test]
    fn networks_are_real_and_not_the_world() {
        let table = [
            ("192.168.1.0/24", "ok"),
            ("192.168.1.7", "ok"),
            ("fd00:1::/48", "ok"),
            ("10.0.0.0/8", "ok"),
            ("192.168.1.1/24", "network"),
            ("192.168.1.0/33", "network"),
            ("192.168.1.0/", "network"),
            ("lan", "network"),
            ("0.0.0.0/0", "network-too-wide"),
            ("::/0", "network-too-wide"),
            ("10.0.0.0/7", "network-too-wide"),
            ("200::/7", "address-mesh"),
            ("300:1::/64", "address-mesh"),
            ("::ffff:192.168.1.0/120", "address-mapped"),
            ("fe80::1%eth0/64", "address-zone"),
            ("224.0.0.0/8", "address-kind"),
            ("127.0.0.0/8", "address-kind"),
        ];
        for (text, rule) in table {
            assert_eq!(rule_of(parse(text)), rule, "{text}");
        }
    }
}
