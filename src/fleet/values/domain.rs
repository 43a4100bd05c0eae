//! DNS names: read as a browser reads them (UTS 46), kept in lower-case A-labels.
//!
//! What no public CA certifies is judged with the ACME server, in `rules`.

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::diag::{Problem, quote};
use crate::fleet::model::Domain;
use crate::fleet::rule::Rule;

/// Top-level domains that are never in public DNS (RFC 6761, 6762, 7686, 8375, 9476, and what routers use).
const NOT_PUBLIC: [&str; 16] = [
    "alt",
    "corp",
    "fritz.box",
    "home",
    "home.arpa",
    "internal",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "intranet",
    "onion",
    "private",
    "test",
    "workgroup",
];

/// Reads a name of one label or more, as of a machine on the LAN.
pub(in crate::fleet) fn parse_any(text: &str) -> Result<Domain, Problem> {
    let problem =
        |why: &str| Problem::new(Rule::Domain, format!("{} is not a domain name: {why}", quote(text)));
    if text.is_empty() {
        return Err(problem("it is empty"));
    }
    if text.starts_with("*.") {
        let message = format!("{} is a wildcard", quote(text));
        return Err(Problem::new(Rule::DomainWildcard, message)
            .hint("name each domain: every service gets its own certificate and its own upstreams"));
    }
    if let Some(bare) = text.strip_suffix('.') {
        return Err(problem("it ends with a dot").hint(format!("write {}", quote(bare))));
    }
    if text.contains("://") || text.contains('/') {
        return Err(problem("it holds a slash").hint("write the name alone, without scheme, port and path"));
    }
    if let Some((name, _)) = text.split_once(':') {
        return Err(problem("it holds a colon").hint(format!("write {}, without a port", quote(name))));
    }
    if text.split('.').any(str::is_empty) {
        return Err(problem("a label is empty"));
    }
    if text.contains('_') {
        return Err(problem("a host's name has no underscore (RFC 1123)").hint("use `-`"));
    }
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore)
        .map_err(|_| problem("it holds a character or a hyphen that names cannot have"))?;
    if ascii.len() > 253 {
        return Err(problem(&format!("it is {} characters long, and names end at 253", ascii.len())));
    }
    if let Some(label) = ascii.split('.').find(|label| label.len() > 63) {
        return Err(problem(&format!("a label is {} characters long, and labels end at 63", label.len())));
    }
    if ascii.split('.').any(str::is_empty) {
        return Err(problem("a label is empty"));
    }
    let top = ascii.rsplit('.').next().unwrap_or_default();
    // What browsers take for an IPv4 address (WHATWG URL, "ends in a number").
    if top.bytes().all(|byte| byte.is_ascii_digit()) || top.strip_prefix("0x").is_some_and(is_hexadecimal) {
        return Err(problem("it ends in a number, so it is read as an IP address"));
    }
    Ok(Domain::from_valid(ascii))
}

/// Reads a name of at least two labels, as of a service.
pub(in crate::fleet) fn parse(text: &str) -> Result<Domain, Problem> {
    if text.parse::<std::net::IpAddr>().is_ok() {
        let message = format!("{} is an IP address where a domain name belongs", quote(text));
        return Err(Problem::new(Rule::Domain, message));
    }
    let domain = parse_any(text)?;
    if !domain.as_str().contains('.') {
        let message = format!("{} is not a domain name: it has one label only", quote(text));
        return Err(
            Problem::new(Rule::Domain, message).hint(format!("write it in full, as `{domain}.example.org`"))
        );
    }
    Ok(domain)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The ending that keeps a name out of public DNS, where it has one.
pub(in crate::fleet) fn special_ending(domain: &Domain) -> Option<&'static str> {
    let is_under = |ending: &str| {
        domain.as_str().strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    NOT_PUBLIC.into_iter().find(|ending| is_under(ending))
}

/// Whether `domain` is `zone` or below it.
pub(in crate::fleet) fn is_within(domain: &Domain, zone: &Domain) -> bool {
    let rest = domain.as_str().strip_suffix(zone.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::{Domain, is_within, parse, parse_any, special_ending};
    use crate::fleet::values::rule_of;

    #[test]
    fn names_are_kept_in_lower_case_a_labels() {
        let table = [
            ("Cloud.Example.ORG", "cloud.example.org"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("ｃloud.example", "cloud.example"),
            ("cloud。example", "cloud.example"),
        ];
        for (text, ascii) in table {
            assert_eq!(parse(text), Ok(Domain::from_valid(ascii)), "{text}");
        }
    }

    #[test]
    fn what_is_no_name() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}example", "abcdefg.".repeat(32));
        let table = [
            ("", "domain"),
            ("cloud", "domain"),
            ("cloud.example.", "domain"),
            (".example", "domain"),
            ("a..example", "domain"),
            ("-a.example", "domain"),
            ("a-.example", "domain"),
            ("a_b.example", "domain"),
            ("a b.example", "domain"),
            ("a\u{202e}b.example", "domain"),
            ("xn--a.example", "domain"),
            ("*.example.org", "domain-wildcard"),
            ("a.*.example", "domain"),
            ("https://a.example", "domain"),
            ("a.example:443", "domain"),
            ("192.168.1.1", "domain"),
            ("2001:db8::1", "domain"),
            ("192.168.1", "domain"),
            ("192.168.1.010", "domain"),
            ("a.0x7f", "domain"),
            (&long_label, "domain"),
            (&long_name, "domain"),
        ];
        for (text, rule) in table {
            assert_eq!(rule_of(parse(text)), rule, "{text}");
        }
        assert!(parse_any("nas").is_ok());
    }

    #[test]
    fn endings_outside_public_dns() {
        let special = |text: &str| special_ending(&Domain::from_valid(text));
        assert_eq!(special("cloud.local"), Some("local"));
        assert_eq!(special("a.home.arpa"), Some("home.arpa"));
        assert_eq!(special("a.notlocal"), None);
        assert_eq!(special("local.example.org"), None);
    }

    #[test]
    fn a_zone_holds_itself_and_what_is_below() {
        let within =
            |domain: &str| is_within(&Domain::from_valid(domain), &Domain::from_valid("example.org"));
        assert!(within("example.org") && within("a.example.org"));
        assert!(!within("badexample.org") && !within("example.com"));
    }
}
