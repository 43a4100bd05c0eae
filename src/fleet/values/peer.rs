//! URIs of Yggdrasil peers (yggdrasil-go `src/core/link.go`), less the options that meshboot sets itself.

use super::host::{parse, split_port};
use super::{address, domain};
use crate::diag::{Problem, quote};
use crate::fleet::model::{Host, PeerUri};
use crate::fleet::rule::Rule;

const SCHEMES: [&str; 5] = ["tcp", "tls", "quic", "ws", "wss"];
const AS_IN: &str = "as in `tls://peer.example.net:443`";

/// Reads a peer's URI.
pub(in crate::fleet) fn parse_uri(text: &str) -> Result<PeerUri, Problem> {
    let problem =
        |why: &str| Problem::new(Rule::PeerUri, format!("{} is not a peer: {why}", quote(text))).hint(AS_IN);
    let (scheme, rest) = text.split_once("://").ok_or_else(|| problem("it has no scheme"))?;
    if !SCHEMES.contains(&scheme) {
        return Err(problem(&format!("{} is not one of {}", quote(scheme), SCHEMES.join(", "))));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') || text.contains('#') {
        return Err(problem("it has a user or a fragment"));
    }
    let web = scheme.starts_with("ws");
    if !web && !path.is_empty() {
        return Err(problem("only `ws` and `wss` have a path"));
    }
    if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)) {
        return Err(problem("its path has characters other than letters, digits and `/-._~`"));
    }
    let default = web.then_some(if scheme == "ws" { 80 } else { 443 });
    let (name, port) = split_port(authority, default).map_err(|why| problem(&why))?;
    let host = parse(name)?;
    if let Host::Address(ip) = host
        && address::is_mesh(ip)
    {
        return Err(Problem::new(
            Rule::AddressMesh,
            format!("`{ip}` is a mesh address: a peer is reached outside the mesh"),
        )
        .hint("write the peer's public address or name"));
    }
    let options = query
        .split('&')
        .filter(|it| !it.is_empty())
        .map(|it| option(it, scheme))
        .collect::<Result<_, _>>()?;
    Ok(PeerUri { scheme: scheme.to_owned(), host, port, path: path.to_owned(), options })
}

fn option(text: &str, scheme: &str) -> Result<(String, String), Problem> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let problem = |message: String| Err(Problem::new(Rule::PeerOption, message));
    match key {
        "key" if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {}
        "key" => return problem("`key` of a peer is its public key: 64 hexadecimal digits".into()),
        "maxbackoff" => {
            return Err(
                Problem::new(Rule::PeerOption, "`maxbackoff` is set by meshboot, to 30 s").hint("remove it")
            );
        }
        // Not repeated: it is a secret.
        "password" => {
            return Err(Problem::new(
                Rule::PeerOption,
                "a peer with a `password` would put a secret into every payload",
            )
            .hint("use a public peer, and pin it by `key=`"));
        }
        "priority" if value.parse::<u8>().is_ok() => {}
        "priority" => return problem(format!("`priority` of a peer is 0 to 255, not {}", quote(value))),
        "sni" if !matches!(scheme, "tls" | "quic" | "wss") => {
            return problem(format!("`sni` has no meaning for {}", quote(scheme)));
        }
        "sni" if domain::parse(value).is_ok() => {}
        "sni" => return problem(format!("`sni` of a peer is a domain name, not {}", quote(value))),
        _ => {
            return Err(Problem::new(Rule::PeerOption, format!("a peer has no option {}", quote(key)))
                .hint("known: key, priority, sni"));
        }
    }
    let value = if key == "key" { value.to_ascii_lowercase() } else { value.to_owned() };
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::parse_uri;
    use crate::fleet::values::rule_of;

    #[test]
    fn a_peer_is_scheme_host_port_and_known_options() {
        let key = format!("tls://a.example:1?key={}", "a".repeat(64));
        let table = [
            ("tls://peer.example.net:443", "ok"),
            ("tcp://203.0.113.1:1", "ok"),
            ("quic://[2001:db8::1]:443", "ok"),
            ("wss://peer.example.net/mesh", "ok"),
            (&key, "ok"),
            ("tls://a.example:1?priority=3&sni=b.example", "ok"),
            ("peer.example.net:443", "peer-uri"),
            ("http://peer.example.net:443", "peer-uri"),
            ("tls://peer.example.net", "peer-uri"),
            ("tls://peer.example.net:443/x", "peer-uri"),
            ("tls://u@peer.example.net:443", "peer-uri"),
            ("wss://a.example/$(id)", "peer-uri"),
            ("tls://[200::1]:443", "address-mesh"),
            ("tls://a b:443", "address"),
            ("tls://a.example:1?key=abc", "peer-option"),
            ("tls://a.example:1?maxbackoff=30s", "peer-option"),
            ("tls://a.example:1?password=hunter2", "peer-option"),
            ("tls://a.example:1?priority=256", "peer-option"),
            ("tcp://a.example:1?sni=b.example", "peer-option"),
            ("tls://a.example:1?sni=", "peer-option"),
            ("tls://a.example:1?colour=red", "peer-option"),
        ];
        for (text, rule) in table {
            assert_eq!(rule_of(parse_uri(text)), rule, "{text}");
        }
    }
}
