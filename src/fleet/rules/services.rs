//! `services`: domains and what serves them.

use std::collections::HashMap;

use super::super::model::{Acme, Domain, Scheme, Service, Upstream};
use super::super::raw::{MaybeText, RawFleet, RawService};
use super::super::rule::Rule;
use super::super::shape::Given;
use super::super::values::{domain, upstream, url};
use super::ports::{Relay, warn_of_mdns};
use super::{Seen, all, each, repeated, value};
use crate::diag::{Findings, Problem, Spanned, quote};

/// New certificates for one registered domain in seven days.
const CERTIFICATES_A_WEEK: usize = 50;

/// Judges every service; each keeps the place of its domain.
pub(super) fn judge(
    raw: &RawFleet,
    relay: &Relay,
    acme: Option<&Acme>,
    findings: &mut Findings,
) -> Given<Vec<Spanned<Service>>> {
    let public_ca = acme
        .is_some_and(|acme| [url::LETSENCRYPT, url::LETSENCRYPT_STAGING].contains(&acme.directory.as_str()));
    let mut seen = Seen::new();
    let services = each(&raw.services, |raw| {
        let domain = domain_of(raw, relay, public_ca, &mut seen, findings);
        let upstreams = upstreams(raw, relay, findings);
        let verify = verify(raw, upstreams.as_deref().ok(), findings);
        let check = check(&raw.check, findings);
        let clearnet =
            raw.clearnet.as_ref().map_err(|it| *it).map(|it| it.as_ref().is_none_or(|it| it.value));
        let domain = domain?;
        Ok(domain.with(Service {
            domain: domain.value.clone(),
            upstreams: upstreams?,
            verify: verify?,
            check: check?,
            clearnet: clearnet?,
        }))
    })?;
    let services = all(services.into_iter().map(|service| service.and_then(|service| service)).collect())?;
    if acme.is_some_and(|acme| acme.directory == url::LETSENCRYPT) {
        ca_limits(&services, findings);
    }
    Ok(services)
}

/// Warns where the first certificates take more than a week (<https://letsencrypt.org/docs/rate-limits/>).
fn ca_limits(services: &[Spanned<Service>], findings: &mut Findings) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for service in services {
        // Without the public suffix list this takes `co.uk` for one domain: too careful, never too late.
        let name = service.value.domain.as_str();
        let parent = name.rmatch_indices('.').nth(1).map_or(name, |(at, _)| &name[at + 1..]);
        let count = counts.entry(parent).or_default();
        *count += 1;
        if *count == CERTIFICATES_A_WEEK + 1 {
            let message = format!(
                "Let's Encrypt issues {CERTIFICATES_A_WEEK} certificates a week for the names under `{parent}`"
            );
            let problem = Problem::new(Rule::CaLimits, message)
                .hint("the services from here on get theirs a week later; spread them over domains, or add them bit by bit");
            findings.warning(service.span, problem);
        }
    }
}

fn domain_of(
    raw: &RawService,
    relay: &Relay,
    public_ca: bool,
    seen: &mut Seen<Domain>,
    findings: &mut Findings,
) -> Given<Spanned<Domain>> {
    let domain = value(&raw.domain, findings, domain::parse)?;
    if let Some(ending) = domain::special_ending(&domain.value)
        && public_ca
    {
        let message = format!("no public CA certifies `{}`: `{ending}` is not in public DNS", domain.value);
        let problem = Problem::new(Rule::DomainNotPublic, message)
            .hint("use a domain that you own, or set `acme.server` to the directory of a CA of your own");
        return Err(findings.error(domain.span, problem));
    }
    if relay.is_wan(&domain.value) {
        let message = format!(
            "`{}` is the name of a WAN, and a service's name leads to the ingress nodes",
            domain.value
        );
        let problem = Problem::new(Rule::DomainOfWan, message).hint("give the WAN a name of its own");
        return Err(findings.error(domain.span, problem));
    }
    if let Some(first) = seen.before(domain.value.clone(), domain.span) {
        let message = format!("two services have the domain `{}`", domain.value);
        repeated(findings, first, domain.span, Rule::DuplicateDomain, message);
    }
    Ok(domain)
}

fn upstreams(raw: &RawService, relay: &Relay, findings: &mut Findings) -> Given<Vec<Upstream>> {
    let texts = raw.to.as_ref().map_err(|it| *it)?;
    if texts.is_empty() {
        let problem = Problem::new(Rule::NoUpstream, "nothing serves this domain: `to` is empty")
            .hint("add `to: \"http://192.168.1.20:8080\"`");
        return Err(findings.error(raw.to_place, problem));
    }
    let mut seen = Seen::new();
    let mut first_scheme = None;
    let judge = |text: &Given<Spanned<String>>| {
        if let Ok(text) = text
            && text.value.contains('@')
        {
            findings.redact(text.span);
        }
        let upstream = value(text, findings, |text| {
            let upstream = upstream::parse(text)?;
            relay.refuse_loop(&upstream.host, upstream.port)?;
            Ok(upstream)
        });
        warn_of_mdns(&upstream, |upstream| &upstream.host, findings);
        let upstream = upstream?;
        let Upstream { scheme, host, port } = &upstream.value;
        if let Some(first) = seen.before((host.clone(), *port), upstream.span) {
            let message = format!("`{host}` with port {port} is listed twice");
            repeated(findings, first, upstream.span, Rule::DuplicateUpstream, message);
        }
        if *first_scheme.get_or_insert(*scheme) != *scheme {
            let problem = Problem::new(
                Rule::MixedSchemes,
                "the upstreams of one service are all `http` or all `https`",
            )
            .hint("a visitor may meet any of them, so they must be alike");
            findings.error(upstream.span, problem);
        }
        Ok(upstream.value)
    };
    all(texts.iter().map(judge).collect())
}

fn verify(raw: &RawService, upstreams: Option<&[Upstream]>, findings: &mut Findings) -> Given<bool> {
    let Some(verify) = raw.verify.as_ref().map_err(|it| *it)? else { return Ok(true) };
    if upstreams.is_some_and(|upstreams| upstreams.iter().all(|upstream| upstream.scheme == Scheme::Http)) {
        let problem = Problem::new(
            Rule::VerifyWithoutTls,
            "`verify` has no meaning: an `http` upstream shows no certificate",
        )
        .hint("remove `verify`, or write the upstream as `https://`");
        return Err(findings.error(verify.span, problem));
    }
    Ok(verify.value)
}

fn check(raw: &MaybeText, findings: &mut Findings) -> Given<Option<String>> {
    let Some(text) = raw.as_ref().map_err(|it| *it)? else { return Ok(None) };
    // RFC 3986's path and query, less quotes, which haproxy's configuration would read.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/?&=:@!$+,;%*()".contains(&byte);
    let why = if !text.value.starts_with('/') {
        "it does not start with `/`"
    } else if !text.value.bytes().all(is_plain) {
        "it has characters other than letters, digits and `-._~/?&=:@!$+,;%*()`"
    } else if text.value.len() > 512 {
        "it is longer than 512 characters"
    } else {
        return Ok(Some(text.value.clone()));
    };
    let problem = Problem::new(
        Rule::CheckPath,
        format!("{} is not the path of a health check: {why}", quote(&text.value)),
    );
    Err(findings.error(text.span, problem.hint("as in `/healthz`")))
}
