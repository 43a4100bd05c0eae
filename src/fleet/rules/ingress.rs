//! `ingress`: the cloud machines that relay.

use super::super::model::{Host, Ingress, NodeName};
use super::super::raw::{MaybeText, RawIngress};
use super::super::rule::Rule;
use super::super::shape::{Given, nearest};
use super::super::values::host;
use super::{all, node_name, value};
use crate::diag::{Findings, Problem, Spanned, quote};
use crate::profile;

/// A node whose parts were judged.
pub(super) struct JudgedIngress {
    pub(super) name: Given<Spanned<NodeName>>,
    provider: Given<String>,
    location: Given<Option<String>>,
    pub(super) addresses: Given<Vec<Given<Spanned<Host>>>>,
}

impl JudgedIngress {
    /// The node, once its connection limit is known.
    pub(super) fn finish(self, max_connections: u32) -> Given<Ingress> {
        let addresses = all(self.addresses?)?.into_iter().map(|host| host.value).collect();
        Ok(Ingress {
            name: self.name?.value,
            provider: self.provider?,
            location: self.location?,
            addresses,
            max_connections,
        })
    }
}

pub(super) fn judge(raw: &RawIngress, findings: &mut Findings) -> JudgedIngress {
    let addresses = raw.addresses.as_ref().map_err(|it| *it);
    JudgedIngress {
        name: node_name(&raw.name, "a node", findings),
        provider: value(&raw.provider, findings, provider).map(|it| it.value),
        location: location(&raw.location, findings),
        addresses: addresses.map(|texts| {
            let judge = |text| value(text, findings, |text| host::parse_public(text, "an ingress node"));
            texts.iter().map(judge).collect()
        }),
    }
}

fn provider(text: &str) -> Result<String, Problem> {
    if profile::provider(text).is_some() {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = profile::provider_names().collect();
    let problem =
        Problem::new(Rule::Provider, format!("{} is not a provider that meshboot knows", quote(text)));
    Err(match nearest(text, &known) {
        Some(nearest) => {
            problem.hint(format!("did you mean `{nearest}`? `generic` fits every cloud that runs cloud-init"))
        }
        None => problem
            .hint(format!("known: {}; `generic` fits every cloud that runs cloud-init", known.join(", "))),
    })
}

fn location(text: &MaybeText, findings: &mut Findings) -> Given<Option<String>> {
    let Some(text) = text.as_ref().map_err(|it| *it)? else { return Ok(None) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.value.is_empty() || text.value.len() > 64 || !text.value.bytes().all(is_plain) {
        let problem =
            Problem::new(Rule::Location, format!("{} is not the name of a location", quote(&text.value)))
                .hint("write it as the provider does, as in `fsn1` or `eu-central-1`");
        return Err(findings.error(text.span, problem));
    }
    Ok(Some(text.value.clone()))
}
