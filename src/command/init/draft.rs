//! The text of a new fleet file: comments for a newcomer, values quoted as YAML needs it.

use std::borrow::Cow;

use super::Answers;
use crate::diag::{Refusal, quote};

/// The file for these answers; an error where an answer does not have its form.
pub(super) fn text(answers: &Answers) -> Result<String, Refusal> {
    let name = scalar(answers.fleet.as_deref().unwrap_or_default()).into_owned();
    let email = scalar(answers.email.as_deref().unwrap_or_default()).into_owned();
    let keys = lines(&answers.ssh_keys, |key| Ok(format!("    - {}\n", scalar(key))))?;
    let wans = lines(&answers.wans, wan)?;
    let ingress = lines(&answers.ingress, node)?;
    let services = lines(&answers.services, service)?;
    let peers = lines(&answers.peers, |peer| Ok(format!("    - {}\n", scalar(peer))))?;
    let wans = if wans.is_empty() { " []\n".to_owned() } else { format!("\n{wans}") };
    let peers = if peers.is_empty() { " []\n".to_owned() } else { format!("\n{peers}") };
    let listen = answers.mesh_listen;
    Ok(format!(
        "\
# A fleet: one home, and the cloud machines that make it reachable.
# `meshboot check` judges this file, `meshboot build` makes what every machine boots from.
version: 1
fleet: {name}

admin:
  email: {email}   # the certificate authority writes to this address
  ssh-keys:   # who may log in to the machines; passwords are never taken
{keys}
home:
  name: {name}   # host name of the machine at home
  network: dhcp
  # network: {{address: 192.168.1.10/24, gateway: 192.168.1.1, dns: [192.168.1.1]}}
  # lan: [192.168.1.0/24]   # further networks that may reach the home directly
  mesh-listen: {listen}   # true: the router forwards `mesh.port` to the home too
  # Uplinks: the router forwards TCP 80 and 443 to the home. None behind a provider's NAT: then the mesh carries all.
  wans:{wans}
# Cloud machines that relay. `generic` is pasted into any cloud's user-data field.
ingress:
{ingress}
# Public Yggdrasil peers, through which home and cloud machines find each other first.
mesh:
  port: 4781
  peers:{peers}
# Domains, and the machines on the LAN that serve them.
services:
{services}  # - {{domain: photos.example.org, to: [\"http://192.168.1.30\", \"http://192.168.1.31\"], check: /healthz}}
  # - {{domain: private.example.org, to: \"http://192.168.1.40\", clearnet: false}}   # mesh and LAN only

# Other TCP ports that are relayed the same way.
# ports:
#   - {{listen: 25565, to: \"192.168.1.50:25565\"}}

# For trials, whose certificates no browser trusts and which no limit of the CA stops:
# acme: {{server: letsencrypt-staging}}
"
    ))
}

fn lines(
    values: &[String],
    mut line: impl FnMut(&str) -> Result<String, Refusal>,
) -> Result<String, Refusal> {
    values.iter().map(|value| line(value)).collect()
}

fn wan(text: &str) -> Result<String, Refusal> {
    let (name, rest) = pair(text, "an uplink", "fiber=203.0.113.10")?;
    let (address, weight) = split_weight(rest);
    let weight = weight.map_or(String::new(), |weight| format!(", weight: {weight}"));
    Ok(format!("    - {{name: {}, address: {}{weight}}}\n", scalar(name), scalar(address)))
}

/// Splits `address:weight`; the colons of an IPv6 address are no weight, so that one stands in brackets before it.
fn split_weight(text: &str) -> (&str, Option<u32>) {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        match rest.strip_prefix(':').map(str::parse) {
            Some(Ok(weight)) => return (address, Some(weight)),
            None if rest.is_empty() => return (address, None),
            _ => return (text, None),
        }
    }
    match text.split_once(':') {
        Some((address, weight)) if !weight.contains(':') => match weight.parse() {
            Ok(weight) => (address, Some(weight)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

fn node(text: &str) -> Result<String, Refusal> {
    let (name, rest) = pair(text, "a cloud machine", "fra1=hetzner:fsn1")?;
    let (provider, location) = rest.split_once(':').map_or((rest, None), |(one, other)| (one, Some(other)));
    let location = location.map_or(String::new(), |location| format!(", location: {}", scalar(location)));
    Ok(format!("  - {{name: {}, provider: {}{location}}}\n", scalar(name), scalar(provider)))
}

fn service(text: &str) -> Result<String, Refusal> {
    let (domain, to) = pair(text, "a service", "cloud.example.org=http://192.168.1.20:8080")?;
    Ok(format!("  - {{domain: {}, to: {}}}\n", scalar(domain), scalar(to)))
}

fn pair<'t>(text: &'t str, what: &str, example: &str) -> Result<(&'t str, &'t str), Refusal> {
    match text.split_once('=') {
        Some((left, right)) if !left.trim().is_empty() && !right.trim().is_empty() => {
            Ok((left.trim(), right.trim()))
        }
        _ => Err(Refusal::usage(format!("{} is not {what}", quote(text))).hint(format!("as in `{example}`"))),
    }
}

/// A value as YAML reads it back: plain where nothing in it means anything, else in double quotes (JSON's are YAML's).
fn scalar(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._+/=-".contains(&byte);
    let starts_plain = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok();
    let is_word =
        matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off");
    // An SSH key has spaces, which are plain in a list of one a line.
    let is_key = text.starts_with("ssh-") && text.bytes().all(|byte| is_plain(byte) || byte == b' ');
    if (starts_plain && text.bytes().all(is_plain) && !is_word) || is_address || is_key {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(serde_json::Value::from(text).to_string())
    }
}
