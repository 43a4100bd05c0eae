//! `dns` and `firewall`: who publishes records, and who else may come in.

use super::super::model::{AllowEntry, Dns, Firewall, Service};
use super::super::raw::{RawDns, RawFleet, Text, Texts};
use super::super::rule::Rule;
use super::super::shape::{Given, nearest};
use super::super::values::{domain, host, network, secret};
use super::{Seen, all, value};
use crate::diag::{Findings, Problem, Spanned, quote};

/// Publishers: dynamic updates by standard, and the providers whose API takes one token.
const PROVIDERS: [&str; 6] = ["cloudflare", "desec", "digitalocean", "gandi", "hetzner", "rfc2136"];
const RFC2136: &str = "rfc2136";

/// Judges `dns`, with the services whose records it publishes.
pub(super) fn judge(
    raw: &RawFleet,
    services: Option<&Vec<Spanned<Service>>>,
    findings: &mut Findings,
) -> Given<Option<Dns>> {
    let Some(raw) = raw.dns.as_ref().map_err(|it| *it)? else { return Ok(None) };
    let provider = value(&raw.provider, findings, provider);
    let server = server(raw, provider.as_ref().ok(), findings);
    let zone = value(&raw.zone, findings, domain::parse);
    let key = value(&raw.key, findings, secret::parse);
    if let Ok(zone) = &zone {
        for service in services.into_iter().flatten() {
            if !domain::is_within(&service.value.domain, &zone.value) {
                let message = format!(
                    "`{}` is not in the zone `{}`, so its records are not published",
                    service.value.domain, zone.value
                );
                let problem = Problem::new(Rule::DomainOutsideZone, message)
                    .hint("add its records by hand, as `dns.zone` in the output lists them");
                findings.warning(service.span, problem);
            }
        }
    }
    Ok(Some(Dns { provider: provider?.value, server: server?, zone: zone?.value, key: key?.value }))
}

fn provider(text: &str) -> Result<String, Problem> {
    if PROVIDERS.contains(&text) {
        return Ok(text.to_owned());
    }
    let problem =
        Problem::new(Rule::DnsProvider, format!("{} is not a publisher that meshboot knows", quote(text)));
    Err(match nearest(text, &PROVIDERS) {
        Some(nearest) => problem.hint(format!("did you mean `{nearest}`?")),
        None => problem.hint(format!("known: {}", PROVIDERS.join(", "))),
    })
}

fn server(
    raw: &RawDns,
    provider: Option<&Spanned<String>>,
    findings: &mut Findings,
) -> Given<Option<String>> {
    let server = raw.server.as_ref().map_err(|it| *it)?;
    let standard = provider.map(|provider| provider.value == RFC2136);
    match (server, standard) {
        (None, Some(true)) => {
            let problem =
                Problem::new(Rule::DnsServer, "`rfc2136` needs the `server` that takes the updates")
                    .hint("add `server: ns1.example.org`: the zone's primary");
            Err(findings.error(raw.place, problem))
        }
        (Some(server), Some(false)) => {
            let problem = Problem::new(Rule::DnsServer, "only `rfc2136` has a `server`").hint("remove it");
            Err(findings.error(server.span, problem))
        }
        (None, _) => Ok(None),
        (Some(server), _) => match judge_server(&server.value) {
            Ok(()) => Ok(Some(server.value.clone())),
            Err(problem) => Err(findings.error(server.span, problem)),
        },
    }
}

fn judge_server(text: &str) -> Result<(), Problem> {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return host::parse_lan(text).map(|_| ());
    }
    let (name, _) = host::split_port(text, Some(53)).map_err(|why| {
        Problem::new(Rule::DnsServer, format!("{} is not a server: {why}", quote(text)))
            .hint("as in `ns1.example.org` or `[2001:db8::53]:53`")
    })?;
    host::parse_lan(name).map(|_| ())
}

/// Judges `firewall.allow`.
pub(super) fn firewall(raw: &Texts, findings: &mut Findings) -> Given<Firewall> {
    let texts = raw.as_ref().map_err(|it| *it)?;
    let mut seen = Seen::new();
    let mut networks = Vec::new();
    let judge = |text: &Text| {
        let entry = value(text, findings, allow)?;
        if let Some(first) = seen.before(format!("{:?}", entry.value), entry.span) {
            let problem =
                Problem::new(Rule::DuplicateAllow, "this entry is listed twice").hint("remove one of them");
            findings.warning(entry.span, problem.first(first));
        } else if let AllowEntry::Network(network) = entry.value {
            networks.push(Ok(entry.with(network)));
        }
        Ok(entry.value)
    };
    let allow = all(texts.iter().map(judge).collect());
    super::home::overlaps(&networks, findings);
    Ok(Firewall { allow: allow? })
}

fn allow(text: &str) -> Result<AllowEntry, Problem> {
    if text.contains('/') || text.contains(':') || text.parse::<std::net::IpAddr>().is_ok() {
        return network::parse(text).map(AllowEntry::Network);
    }
    domain::parse(text).map(AllowEntry::Name)
}
