//! `state.json`: what a fleet remembers beside its two keys.
//!
//! Not here: reading and writing the file (`folder`) and what its fields lead to (`state`). To add a field: give it a
//! serde default, or raise [`VERSION`] and read both.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::StateError;

/// Version of the file's format.
const VERSION: u64 = 1;

/// Content of `state.json`. Has no `Debug`, because tokens are secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Stored {
    version: u64,
    /// Name of the fleet.
    pub(super) fleet: String,
    /// When a key or token was last made.
    pub(super) build_time_unix_seconds: u64,
    /// Public half of `fleet.pem` in hexadecimal: shows when another key was put in its place.
    pub(super) fleet_public_key: String,
    /// The same for `home.pem`.
    pub(super) home_public_key: String,
    /// By node, those of nodes that left the fleet too: a serial must never be used again.
    pub(super) tokens: BTreeMap<String, StoredToken>,
}

/// One node's last join token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StoredToken {
    /// PASETO v4.public.
    pub(super) token: String,
    /// As in the token.
    pub(super) serial: u64,
    /// As in the token.
    pub(super) expires_unix_seconds: u64,
}

/// The part that every version of the file has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl Stored {
    /// The state of a fleet that has just been made.
    pub(super) fn new(fleet: &str, now: u64, fleet_public_key: String, home_public_key: String) -> Self {
        Self {
            version: VERSION,
            fleet: fleet.to_owned(),
            build_time_unix_seconds: now,
            fleet_public_key,
            home_public_key,
            tokens: BTreeMap::new(),
        }
    }

    /// Reads the text of the file at `path`.
    pub(super) fn parse(text: &str, path: &Utf8Path) -> Result<Self, StateError> {
        // The parser's own words may quote a token.
        let damaged = |error: serde_json::Error| StateError::Damaged {
            path: path.to_owned(),
            reason: format!("line {}, column {} is not what was written", error.line(), error.column()),
        };
        let Versioned { version } = serde_json::from_str(text).map_err(damaged)?;
        if version != VERSION {
            return Err(StateError::Version { path: path.to_owned(), found: version, known: VERSION });
        }
        serde_json::from_str(text).map_err(damaged)
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}
