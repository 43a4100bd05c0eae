//! What is known of a cloud provider: how much user-data it takes and how it counts, what its console calls things,
//! and what a machine there starts with. Data, not code: `profiles/providers/<name>.yaml`.
//!
//! Not here: API calls (`provider`) and the choice of an encoding (`payload`). To add a provider, add one file there;
//! `profiles/providers/README.md` lists the keys. `build.rs` includes this file, so it imports nothing of the crate.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A provider's profile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Provider {
    /// Name that people know, as in `Hetzner Cloud`.
    pub title: String,
    /// The field that takes a payload.
    pub user_data: UserDataField,
    /// How a person puts the payload there.
    pub console: Console,
    /// Image to choose, as the console or the API names it.
    pub image: Fact<String>,
    /// What the provider's own firewall does to a new machine.
    pub firewall: ProviderFirewall,
    /// Link-local addresses at which the provider answers machines over HTTP, user-data among the answers.
    pub metadata: Metadata,
    /// User that the provider's Debian image lets in by SSH.
    pub login: Fact<String>,
    /// Whether a new machine has IPv6.
    pub ipv6: Fact<Ipv6Default>,
    /// Whether a machine's public IPv4 address stands on its own interface; else the provider translates (1:1 NAT).
    pub public_address_on_interface: Fact<bool>,
    /// What else a person should know before pasting; each a sentence.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Something stated, and how sure it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fact<T> {
    /// What is stated.
    pub value: T,
    /// How sure it is.
    pub certainty: Certainty,
    /// Who says so.
    #[serde(default)]
    pub source: Option<String>,
}

/// How sure a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Run here, against the real program.
    Tested,
    /// The provider's documentation or published source, or cloud-init's source, says so.
    Documented,
    /// Common knowledge that nothing at hand confirms.
    Assumed,
}

/// The field that takes a payload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UserDataField {
    /// Most that it takes, in bytes of what `counts` names; `null` where nothing bounds it, as for a file.
    pub limit: Fact<Option<u64>>,
    /// What is counted against the limit.
    pub counts: Counts,
    /// Bytes of the limit that others use, such as SSH keys counted together with the payload.
    #[serde(default)]
    pub reserved: u64,
    /// Encodings that arrive whole, the most readable first.
    pub encodings: Fact<Vec<Encoding>>,
}

/// What a provider counts against its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// Bytes of the field's text, as pasted.
    Text,
    /// Bytes after the provider has undone its own base64; for pasted text the same number as `text`.
    Raw,
    /// Characters of the base64 form that the API carries: four for every three bytes begun.
    Base64,
}

impl Counts {
    /// What a text of `bytes` bytes counts.
    #[must_use]
    pub fn of(self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        match self {
            Self::Text | Self::Raw => bytes,
            Self::Base64 => bytes.div_ceil(3) * 4,
        }
    }

    /// Unit, for people.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Text | Self::Raw => "bytes",
            Self::Base64 => "base64 characters",
        }
    }
}

/// A form of user-data that is text and that cloud-init reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// `#cloud-config` as it is.
    Plain,
    /// One MIME part: gzip in base64, which cloud-init 20.4 and later unpacks from any plain-text field.
    MimeGzip,
}

impl Encoding {
    /// Name, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::MimeGzip => "gzip in MIME",
        }
    }
}

/// How a person puts a payload into the provider's console.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Console {
    /// Label of the box that takes the payload; `null` where the console has none.
    pub label: Fact<Option<String>>,
    /// What to do, one line each, up to and including pasting.
    pub steps: Vec<String>,
}

/// What the provider's own firewall does to a new machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProviderFirewall {
    /// Whether it lets everything in at first.
    pub starts: Fact<FirewallStart>,
    /// Where it is set, as the provider names it.
    #[serde(rename = "where")]
    pub place: String,
}

/// What the provider's firewall does before anybody has set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirewallStart {
    /// Everything is let in.
    Open,
    /// Nothing, or SSH at most: the node's ports have to be opened.
    Closed,
    /// It depends on a policy of the account; look before relying on it.
    Policy,
}

/// Where the provider answers machines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Metadata {
    /// Addresses; empty where there is no such service.
    pub addresses: Fact<Vec<IpAddr>>,
}

/// Whether a new machine has IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Default {
    /// Without asking.
    On,
    /// Only when chosen.
    Off,
    /// As the network it is put in has it.
    Network,
}

impl Provider {
    /// What is wrong with a profile that has the right shape; `None` when it is sound.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let field = &self.user_data;
        if field.encodings.value.is_empty() {
            return Some("`user-data.encodings` names none".to_owned());
        }
        if field.limit.value.is_some_and(|limit| limit <= field.reserved) {
            return Some("`user-data.reserved` leaves nothing of `user-data.limit`".to_owned());
        }
        if self.console.steps.is_empty() {
            return Some("`console.steps` names none".to_owned());
        }
        None
    }

    /// What a payload may count at most, what others use of the field taken off; `None` where nothing bounds it.
    #[must_use]
    pub fn budget(&self) -> Option<u64> {
        self.user_data.limit.value.map(|limit| limit - self.user_data.reserved)
    }
}
