//! `http://host:port` and `https://host:port`: a server on the LAN.

use super::host::{parse_lan, split_port};
use crate::diag::{Problem, quote};
use crate::fleet::model::{Scheme, Upstream};
use crate::fleet::rule::Rule;

const AS_IN: &str = "as in `http://192.168.1.20:8080`";

/// Reads an upstream.
pub(in crate::fleet) fn parse(text: &str) -> Result<Upstream, Problem> {
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = if lower.starts_with("http://") {
        (Scheme::Http, &text[7..])
    } else if lower.starts_with("https://") {
        (Scheme::Https, &text[8..])
    } else {
        let problem = Problem::new(
            Rule::Upstream,
            format!("{} is not an upstream: it starts with neither `http://` nor `https://`", quote(text)),
        );
        return Err(if text.contains("://") {
            problem.hint("other protocols are relayed as `ports`")
        } else {
            problem.hint(AS_IN)
        });
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if let Some((_, host)) = authority.rsplit_once('@') {
        // Not repeated: it may hold a password.
        return Err(Problem::new(Rule::UpstreamExtras, "an upstream has no user or password").hint(format!(
            "write `{}://{}`: logging in is the service's own affair",
            if scheme == Scheme::Http { "http" } else { "https" },
            crate::diag::escape(host)
        )));
    }
    if !matches!(tail, "" | "/") {
        return Err(Problem::new(
            Rule::UpstreamExtras,
            format!("{} has more than a host and a port", quote(text)),
        )
        .hint("a visitor's path is passed on as it is: remove what follows the port"));
    }
    let default = if scheme == Scheme::Http { 80 } else { 443 };
    let (name, port) = split_port(authority, Some(default)).map_err(|why| {
        Problem::new(Rule::Upstream, format!("{} is not an upstream: {why}", quote(text))).hint(AS_IN)
    })?;
    Ok(Upstream { scheme, host: parse_lan(name)?, port })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::fleet::values::rule_of;

    #[test]
    fn an_upstream_is_scheme_host_and_port() {
        let table = [
            ("http://192.168.1.20:8080", "ok"),
            ("http://192.168.1.20", "ok"),
            ("HTTPS://nas:443/", "ok"),
            ("https://[fd00::1]:3000", "ok"),
            ("192.168.1.20:8080", "upstream"),
            ("ftp://nas", "upstream"),
            ("http://", "upstream"),
            ("http://nas:0", "upstream"),
            ("http://nas:65536", "upstream"),
            ("http://fd00::1:3000", "upstream"),
            ("http://nas/path", "upstream-extras"),
            ("http://nas?x", "upstream-extras"),
            ("http://nas#x", "upstream-extras"),
            ("http://me:pw@nas", "upstream-extras"),
            ("http://na s", "address"),
            ("http://0.0.0.0", "address-kind"),
            ("http://[200::1]", "address-mesh"),
            ("http://[::ffff:1.2.3.4]", "address-mapped"),
            ("http://[fe80::1%25eth0]", "address-zone"),
        ];
        for (text, rule) in table {
            assert_eq!(rule_of(parse(text)), rule, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let problem = parse("http://me:hunter2@nas").expect_err("user");
        assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
    }
}
