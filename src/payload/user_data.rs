//! User-data: what a person pastes, in the most readable form that the provider takes whole.
//!
//! Plain `#cloud-config` where it fits, else one MIME part that holds it gzipped in base64. cloud-init unpacks that out
//! of any plain-text field (`cloudinit/user_data.py`, tried with 20.4 to 26), but only when the header stands at byte 0.
//!
//! Not here: what the text says (`render`) and what a provider takes (`profiles/providers/`). To add an encoding, add
//! a variant to `Encoding`, an arm to `encode_as`, and its name to the profiles of the providers that take it.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};

use crate::profile::provider::{Counts, Encoding, Provider};

/// What a payload may count where nothing bounds it, before people are told that few consoles take it: the smallest
/// limit of any provider known.
pub const PORTABLE_BUDGET: u64 = 16_384;

/// Header of the MIME part. `MIME-Version` comes first, and nothing may come before it, not even an empty line.
const MIME_HEADER: &str = "MIME-Version: 1.0\n\
                           Content-Type: application/gzip\n\
                           Content-Transfer-Encoding: base64\n\
                           \n";

/// How hard a payload is compressed. Level 9 takes twice as long for less than a hundredth.
const MIME_LEVEL: u32 = 6;

/// Base64 characters on a line: the most that RFC 2045 section 6.8 allows.
const LINE: usize = 76;

/// Byte 9 of a gzip header for "unknown" (RFC 1952 section 2.3.1), so that the builder's system does not show.
const GZIP_UNKNOWN_SYSTEM: u8 = 255;

/// How many of a payload's parts an error names.
const NAMED_PARTS: usize = 3;

/// A payload in its final form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserData {
    /// The text to paste, byte for byte.
    pub text: String,
    /// Its form.
    pub encoding: Encoding,
    /// What it counts against the limit, in the unit of `counts`.
    pub counted: u64,
    /// What the provider counts.
    pub counts: Counts,
    /// Most that the provider takes of this payload; `None` where nothing bounds it.
    pub limit: Option<u64>,
}

/// A part of a payload, for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// File's path on the node.
    pub name: String,
    /// Its bytes before any encoding.
    pub bytes: u64,
}

/// Why there is no user-data for a provider.
#[derive(Debug, thiserror::Error)]
pub enum UserDataError {
    /// No encoding makes it small enough.
    #[error(
        "the payload is {counted} {} and {provider} takes {limit}; the largest parts are {}",
        counts.unit(),
        list(largest)
    )]
    TooLarge {
        /// Provider's title.
        provider: String,
        /// What the smallest form counts.
        counted: u64,
        /// Its unit.
        counts: Counts,
        /// The limit.
        limit: u64,
        /// The largest parts, the largest first.
        largest: Vec<Part>,
    },
    /// The compressor failed.
    #[error("compressing user-data")]
    Compress(#[from] io::Error),
}

impl UserDataError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } => Some(
                "use a provider with a larger limit, attach seed.iso to the machine instead of pasting, or take \
                 something out of the fleet"
                    .to_owned(),
            ),
            Self::Compress(_) => None,
        }
    }
}

fn list(parts: &[Part]) -> String {
    let named: Vec<String> =
        parts.iter().map(|part| format!("`{}` ({} bytes)", part.name, part.bytes)).collect();
    named.join(", ")
}

/// Encodes a cloud-config for `provider`: its encodings are tried in order, and the first that fits is taken.
/// `parts` is what an error names when none does.
pub fn encode(cloud_config: &str, provider: &Provider, parts: &[Part]) -> Result<UserData, UserDataError> {
    let counts = provider.user_data.counts;
    let budget = provider.budget();
    let mut smallest = u64::MAX;
    for &encoding in &provider.user_data.encodings.value {
        let text = encode_as(cloud_config, encoding)?;
        let counted = counts.of(text.len());
        if budget.is_none_or(|budget| counted <= budget) {
            return Ok(UserData { text, encoding, counted, counts, limit: budget });
        }
        smallest = smallest.min(counted);
    }
    Err(UserDataError::TooLarge {
        provider: provider.title.clone(),
        counted: smallest,
        counts,
        limit: budget.unwrap_or_default(),
        largest: largest(parts),
    })
}

/// Encodes a cloud-config for a machine whose provider is not known, as a home's: within the portable budget where an
/// encoding brings it there, else plain, since a file has no limit.
pub fn encode_unbounded(cloud_config: &str) -> Result<UserData, UserDataError> {
    let whole = |text: String, encoding| {
        let counted = Counts::Text.of(text.len());
        UserData { text, encoding, counted, counts: Counts::Text, limit: None }
    };
    if cloud_config.len() as u64 > PORTABLE_BUDGET {
        let packed = encode_as(cloud_config, Encoding::MimeGzip)?;
        if packed.len() as u64 <= PORTABLE_BUDGET {
            return Ok(whole(packed, Encoding::MimeGzip));
        }
    }
    Ok(whole(cloud_config.to_owned(), Encoding::Plain))
}

fn encode_as(cloud_config: &str, encoding: Encoding) -> io::Result<String> {
    match encoding {
        Encoding::Plain => Ok(cloud_config.to_owned()),
        Encoding::MimeGzip => {
            let packed = STANDARD.encode(gzip(cloud_config.as_bytes(), Compression::new(MIME_LEVEL))?);
            let mut text = String::with_capacity(MIME_HEADER.len() + packed.len() + packed.len() / LINE + 1);
            text.push_str(MIME_HEADER);
            let mut rest = packed.as_str();
            while !rest.is_empty() {
                let (line, after) = rest.split_at(rest.len().min(LINE));
                text.push_str(line);
                text.push('\n');
                rest = after;
            }
            Ok(text)
        }
    }
}

/// Gzip whose bytes depend on nothing but the input: no time, no name, no system.
pub(super) fn gzip(contents: &[u8], level: Compression) -> io::Result<Vec<u8>> {
    let mut encoder =
        GzBuilder::new().mtime(0).operating_system(GZIP_UNKNOWN_SYSTEM).write(Vec::new(), level);
    encoder.write_all(contents)?;
    encoder.finish()
}

fn largest(parts: &[Part]) -> Vec<Part> {
    let mut parts = parts.to_vec();
    parts.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    parts.truncate(NAMED_PARTS);
    parts
}

#[cfg(test)]
#[path = "user_data_tests.rs"]
mod tests;
