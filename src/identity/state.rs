//! What a fleet must not lose between two builds: its keys, its tokens, and the time of its last change.
//!
//! The order that keeps every promise: [`State::open`], [`State::token`] for each node, [`State::build_facts_parts`],
//! render, [`State::save`], and only then write artefacts. Keys are on the disk before `open` returns; tokens are
//! when `save` returns. Dropping the state unlocks the folder.
//!
//! Not here: files and locks (`folder`), their format (`stored`).

use std::fmt;
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use zeroize::Zeroizing;

use super::folder::{FreshFile, StateFolder};
use super::stored::{Stored, StoredToken};
use super::token::{CLOCK_LEEWAY, to_rfc_3339, unix_seconds};
use super::{
    DEFAULT_LIFE, JoinClaims, JoinSigner, JoinVerifier, KeyError, MeshAddress, PrivateKey, StateError,
    TokenError,
};
use crate::diag::Secret;

/// The fleet's private key.
const FLEET_KEY: &str = "fleet.pem";
/// The home's Yggdrasil key.
const HOME_KEY: &str = "home.pem";
/// Everything else.
const STATE: &str = "state.json";

/// A token is used again while it has more than this to live.
const SHORTEST_LIFE: Duration = Duration::from_hours(48);

/// How long another build is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Times that a clock can show: from 2025, before which this did not exist, up to 2200.
const PLAUSIBLE_UNIX_SECONDS: std::ops::Range<u64> = 1_735_689_600..7_258_118_400;

/// A fleet's identity, open and locked.
pub struct State {
    folder: StateFolder,
    now: SystemTime,
    fleet_key: PrivateKey,
    home_key: PrivateKey,
    home_key_pem: Secret<String>,
    signer: JoinSigner,
    verifier: JoinVerifier,
    stored: Stored,
    changed: bool,
}

/// What a node's files are made from, as far as it comes from the fleet's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactParts {
    /// Public key of the home in the mesh, 64 lower-case hexadecimal digits.
    pub home_public_key: String,
    /// Mesh address of the home.
    pub home_mesh_address: MeshAddress,
    /// Public half of the fleet key in PEM (SPKI, RFC 8410).
    pub fleet_public_key_pem: String,
    /// When a key or token was last made, in seconds since 1970.
    pub build_time_unix_seconds: u64,
}

/// A node's join token.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token itself, PASETO v4.public.
    pub text: Secret<String>,
    /// Counts the node's tokens from 1.
    pub serial: u64,
    /// From when on it is refused, in seconds since 1970.
    pub expires_unix_seconds: u64,
    /// Why it was made just now; nothing if an older one is used again.
    pub minted: Option<MintReason>,
}

/// Why a token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintReason {
    /// The node had none.
    First,
    /// The old one has at most 48 hours to live, or none.
    Expiring,
    /// It was asked for (`--renew`).
    Renewed,
    /// The old one was for another role.
    RoleChanged,
}

impl fmt::Display for MintReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "the first one",
            Self::Expiring => "the last one expires within 48 hours",
            Self::Renewed => "asked for",
            Self::RoleChanged => "the role changed",
        })
    }
}

impl State {
    /// Opens the state of the fleet `fleet_name` in `.meshboot` beside its file, or makes it with new keys if there
    /// was none. A lost, damaged or exposed file is an error, never a new key.
    pub fn open(fleet_folder: &Utf8Path, fleet_name: &str, now: SystemTime) -> Result<Self, StateError> {
        let now_unix_seconds = unix_seconds(now);
        if !PLAUSIBLE_UNIX_SECONDS.contains(&now_unix_seconds) {
            return Err(StateError::Clock { now: shown(now_unix_seconds) });
        }
        let folder =
            StateFolder::open(fleet_folder, LOCK_WAIT, || fresh_files(fleet_name, now_unix_seconds))?;
        let path = folder.path_of(STATE);
        let stored = Stored::parse(&folder.read(STATE)?, &path)?;
        if stored.fleet != fleet_name {
            return Err(StateError::OtherFleet {
                path: folder.path().to_owned(),
                found: stored.fleet,
                wanted: fleet_name.to_owned(),
            });
        }
        let fleet_key = read_key(&folder, FLEET_KEY, &stored.fleet_public_key)?;
        let home_key = read_key(&folder, HOME_KEY, &stored.home_public_key)?;
        let broken = |name: &str| StateError::Key { path: folder.path_of(name), source: KeyError::Content };
        Ok(Self {
            home_key_pem: home_key.to_pem().map_err(|_| broken(HOME_KEY))?,
            signer: JoinSigner::new(&fleet_key).map_err(|_| broken(FLEET_KEY))?,
            verifier: JoinVerifier::new(&fleet_key.public()).map_err(|_| broken(FLEET_KEY))?,
            folder,
            now,
            fleet_key,
            home_key,
            stored,
            changed: false,
        })
    }

    /// Whether this state was made just now, with new keys.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.folder.is_new()
    }

    /// The folder that holds the state.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        self.folder.path()
    }

    /// The public facts. Take them after the last token: making one moves the build time.
    pub fn build_facts_parts(&self) -> Result<FactParts, StateError> {
        let home = self.home_key.public();
        let fleet_public_key_pem = self.fleet_key.public().to_pem().map_err(|_| StateError::Key {
            path: self.folder.path_of(FLEET_KEY),
            source: KeyError::Content,
        })?;
        Ok(FactParts {
            home_public_key: home.to_hex(),
            home_mesh_address: home.mesh_address(),
            fleet_public_key_pem,
            build_time_unix_seconds: self.stored.build_time_unix_seconds,
        })
    }

    /// The home's Yggdrasil key, PKCS#8 PEM. Goes into the home's own seed or image and nowhere else.
    #[must_use]
    pub fn home_key_pem(&self) -> &Secret<String> {
        &self.home_key_pem
    }

    /// The join token of a node: the last one while it has more than 48 hours to live, else, or with `renew`, a new
    /// one with a higher serial. New ones count only once they are saved.
    pub fn token(&mut self, node: &str, role: &str, renew: bool) -> Result<Token, StateError> {
        let reason = match self.stored.tokens.get(node) {
            None => MintReason::First,
            Some(_) if renew => MintReason::Renewed,
            Some(last) => match self.judge(node, role, last)? {
                None => return Ok(reused(last)),
                Some(reason) => reason,
            },
        };
        let now = unix_seconds(self.now);
        if !renew && self.stored.build_time_unix_seconds > now.saturating_add(CLOCK_LEEWAY.as_secs()) {
            return Err(self.clock_behind(node, self.stored.build_time_unix_seconds));
        }
        self.mint(node, role, now, reason)
    }

    /// Makes new tokens durable. Changes nothing on the disk if nothing is new.
    pub fn save(&mut self) -> Result<(), StateError> {
        if !self.changed {
            return Ok(());
        }
        let text = self.stored.to_text().map(Zeroizing::new).map_err(|error| StateError::Damaged {
            path: self.folder.path_of(STATE),
            reason: error.to_string(),
        })?;
        self.folder.write(STATE, &text)?;
        self.changed = false;
        Ok(())
    }

    /// Why a new token must be made in place of `last`; nothing if it is still good.
    fn judge(&self, node: &str, role: &str, last: &StoredToken) -> Result<Option<MintReason>, StateError> {
        let unusable =
            |source| StateError::Token { path: self.folder.path_of(STATE), node: node.to_owned(), source };
        let claims = match self.verifier.verify(&last.token, &self.stored.fleet, self.now) {
            Ok(claims) => claims,
            Err(TokenError::Expired { .. }) => return Ok(Some(MintReason::Expiring)),
            Err(TokenError::NotYetValid { .. }) => {
                return Err(self.clock_behind(node, self.stored.build_time_unix_seconds));
            }
            Err(error) => return Err(unusable(error)),
        };
        let expires = claims.expires_unix_seconds;
        if claims.node != node || claims.serial != last.serial || expires != last.expires_unix_seconds {
            return Err(unusable(TokenError::Claims));
        }
        if claims.role != role {
            return Ok(Some(MintReason::RoleChanged));
        }
        let left = expires.saturating_sub(unix_seconds(self.now));
        Ok((left <= SHORTEST_LIFE.as_secs()).then_some(MintReason::Expiring))
    }

    fn mint(&mut self, node: &str, role: &str, now: u64, reason: MintReason) -> Result<Token, StateError> {
        let path = self.folder.path_of(STATE);
        let serial =
            self.stored.tokens.get(node).map_or(Some(1), |last| last.serial.checked_add(1)).ok_or_else(
                || StateError::Damaged {
                    path: path.clone(),
                    reason: format!("the serial of `{node}` is too high"),
                },
            )?;
        let expires = now + DEFAULT_LIFE.as_secs();
        let claims = JoinClaims {
            fleet: self.stored.fleet.clone(),
            node: node.to_owned(),
            role: role.to_owned(),
            serial,
            issued_unix_seconds: now,
            expires_unix_seconds: expires,
        };
        let text = self.signer.sign(&claims).map_err(|source| StateError::Token {
            path,
            node: node.to_owned(),
            source,
        })?;
        let token = StoredToken { token: text.expose().clone(), serial, expires_unix_seconds: expires };
        self.stored.tokens.insert(node.to_owned(), token);
        self.stored.build_time_unix_seconds = now;
        self.changed = true;
        Ok(Token { text, serial, expires_unix_seconds: expires, minted: Some(reason) })
    }

    fn clock_behind(&self, node: &str, built: u64) -> StateError {
        StateError::ClockBehind {
            now: shown(unix_seconds(self.now)),
            built: shown(built),
            node: node.to_owned(),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("folder", &self.folder.path())
            .field("fleet", &self.stored.fleet)
            .field("nodes", &self.stored.tokens.keys())
            .finish_non_exhaustive()
    }
}

fn reused(last: &StoredToken) -> Token {
    Token {
        text: Secret::new(last.token.clone()),
        serial: last.serial,
        expires_unix_seconds: last.expires_unix_seconds,
        minted: None,
    }
}

/// A time for people: RFC 3339 where that can write it.
fn shown(unix_seconds: u64) -> String {
    to_rfc_3339(unix_seconds).unwrap_or_else(|| format!("{unix_seconds} seconds after 1970"))
}

/// The files of a fleet that has never been built.
fn fresh_files(fleet_name: &str, now: u64) -> Result<Vec<FreshFile>, StateError> {
    let mut files = Vec::new();
    let mut public_keys = Vec::new();
    for name in [FLEET_KEY, HOME_KEY] {
        let key = PrivateKey::generate().map_err(StateError::Randomness)?;
        let pem =
            key.to_pem().map_err(|_| StateError::Key { path: name.into(), source: KeyError::Content })?;
        files.push((name, Zeroizing::new(pem.expose().clone().into_bytes())));
        public_keys.push(key.public().to_hex());
    }
    let home = public_keys.pop().unwrap_or_default();
    let fleet = public_keys.pop().unwrap_or_default();
    let text = Stored::new(fleet_name, now, fleet, home)
        .to_text()
        .map_err(|error| StateError::Damaged { path: STATE.into(), reason: error.to_string() })?;
    files.push((STATE, Zeroizing::new(text)));
    Ok(files)
}

fn read_key(folder: &StateFolder, name: &str, public_key: &str) -> Result<PrivateKey, StateError> {
    let key = PrivateKey::from_pem(&folder.read(name)?)
        .map_err(|source| StateError::Key { path: folder.path_of(name), source })?;
    if key.public().to_hex() != public_key {
        return Err(StateError::OtherKey { path: folder.path_of(name) });
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
