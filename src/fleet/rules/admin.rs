//! `admin`: the ACME account's address, and who may log in.

use super::super::model::Admin;
use super::super::raw::RawAdmin;
use super::super::rule::Rule;
use super::super::shape::Given;
use super::super::values::{email, ssh_key};
use super::{Seen, all, value};
use crate::diag::{Findings, Problem};

pub(super) fn judge(raw: &RawAdmin, findings: &mut Findings) -> Given<Admin> {
    let email = value(&raw.email, findings, |text| email::check(text).map(|()| text.to_owned()));
    let ssh_keys = ssh_keys(raw, findings);
    Ok(Admin { email: email?.value, ssh_keys: ssh_keys? })
}

fn ssh_keys(raw: &RawAdmin, findings: &mut Findings) -> Given<Vec<String>> {
    let texts = raw.ssh_keys.as_ref().map_err(|it| *it)?;
    if texts.is_empty() {
        let problem = Problem::new(Rule::NoSshKey, "nobody could log in: `ssh-keys` is empty")
            .hint("add the line in `~/.ssh/id_ed25519.pub`; passwords are never taken");
        return Err(findings.error(raw.place, problem));
    }
    let mut seen = Seen::new();
    let keys = texts.iter().map(|text| {
        if let Ok(text) = text
            && ssh_key::is_private(&text.value)
        {
            findings.redact(text.span);
        }
        let key =
            value(text, findings, |text| ssh_key::check(text).map(|identity| (identity, text.to_owned())))?;
        let (identity, line) = key.value;
        if let Some(first) = seen.before(identity, key.span) {
            let problem =
                Problem::new(Rule::DuplicateSshKey, "this key is listed twice").hint("remove one of them");
            findings.warning(key.span, problem.first(first));
        }
        Ok(line)
    });
    all(keys.collect())
}
