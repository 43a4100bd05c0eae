//! Join tokens: what an ingress node shows to the home to be let in, signed by the fleet key.
//!
//! The format is PASETO v4.public with the claims below, no footer, and an implicit assertion that names purpose and
//! version, so that nothing else that the fleet key signs can pass for a join token.
//! Source: <https://github.com/paseto-standard/paseto-spec/blob/master/docs/01-Protocol-Versions/Version4.md>.
//!
//! Not here: whether a serial was used before (the home service) and when a new token is made (`state`). To add a
//! claim: a field in [`JoinClaims`] and `Wire`, and a new assertion, since old homes refuse claims they do not know.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use pasetors::Public;
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};
use serde::{Deserialize, Serialize};

use super::{PrivateKey, PublicKey};
use crate::diag::Secret;

/// How long a token is good for when it is made: 7 days.
pub const DEFAULT_LIFE: Duration = Duration::from_hours(7 * 24);

/// How far the clocks of workstation and home may differ before a fresh token counts as not yet valid.
pub(super) const CLOCK_LEEWAY: Duration = Duration::from_mins(5);

/// Purpose and version, signed with every token but not sent.
const ASSERTION: &[u8] = b"meshboot-join-v1";

/// Longest text worth looking at, in bytes; a real token has some 350.
const LONGEST: usize = 2048;

/// What a join token says. All names are the fleet file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinClaims {
    /// Name of the fleet.
    pub fleet: String,
    /// Name of the node that may join.
    pub node: String,
    /// Role of the node, as in `ingress`.
    pub role: String,
    /// Counts a node's tokens from 1: a higher one retires the identity that a lower one gave.
    pub serial: u64,
    /// When it was made, in seconds since 1970.
    pub issued_unix_seconds: u64,
    /// From when on it is refused, in seconds since 1970.
    pub expires_unix_seconds: u64,
}

/// The claims as they are signed; times in RFC 3339, as PASETO's registered claims want them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    fleet: String,
    node: String,
    role: String,
    serial: u64,
    iat: String,
    exp: String,
}

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a PASETO v4.public token without footer.
    #[error("the token is malformed")]
    Malformed,
    /// Not signed by this fleet's key as a join token, or changed since.
    #[error("the token's signature is not the fleet's")]
    Signature,
    /// Signed by the fleet's key, but its claims are not those of a join token of this version.
    #[error("the token's claims are not those of a join token")]
    Claims,
    /// Made for another fleet.
    #[error("the token is for the fleet `{found}`")]
    OtherFleet {
        /// The fleet that it names.
        found: String,
    },
    /// Made in the future: one of the two clocks is wrong.
    #[error("the token is not valid before {issued}")]
    NotYetValid {
        /// When it was made, in RFC 3339.
        issued: String,
    },
    /// Its time is over.
    #[error("the token expired at {expired}")]
    Expired {
        /// When it expired, in RFC 3339.
        expired: String,
    },
    /// Claims that cannot be signed: a time beyond the year 9999, an expiry before the issue, or an empty name.
    #[error("a token with these claims cannot be made")]
    Unsignable,
}

/// Makes join tokens with a fleet's private key.
pub struct JoinSigner(AsymmetricSecretKey<V4>);

/// Judges join tokens with a fleet's public key.
pub struct JoinVerifier(AsymmetricPublicKey<V4>);

impl JoinSigner {
    /// Signs with this key.
    pub fn new(key: &PrivateKey) -> Result<Self, TokenError> {
        AsymmetricSecretKey::from(key.seed_and_public().as_ref())
            .map(Self)
            .map_err(|_| TokenError::Unsignable)
    }

    /// Signs the claims. The same claims give the same token.
    pub fn sign(&self, claims: &JoinClaims) -> Result<Secret<String>, TokenError> {
        let names = [&claims.fleet, &claims.node, &claims.role];
        if claims.expires_unix_seconds <= claims.issued_unix_seconds
            || names.iter().any(|name| name.is_empty())
        {
            return Err(TokenError::Unsignable);
        }
        let wire = Wire {
            fleet: claims.fleet.clone(),
            node: claims.node.clone(),
            role: claims.role.clone(),
            serial: claims.serial,
            iat: to_rfc_3339(claims.issued_unix_seconds).ok_or(TokenError::Unsignable)?,
            exp: to_rfc_3339(claims.expires_unix_seconds).ok_or(TokenError::Unsignable)?,
        };
        let message = serde_json::to_vec(&wire).map_err(|_| TokenError::Unsignable)?;
        PublicToken::sign(&self.0, &message, None, Some(ASSERTION))
            .map(Secret::new)
            .map_err(|_| TokenError::Unsignable)
    }
}

impl JoinVerifier {
    /// Takes what this key's private half has signed.
    pub fn new(key: &PublicKey) -> Result<Self, TokenError> {
        AsymmetricPublicKey::from(key.as_bytes()).map(Self).map_err(|_| TokenError::Signature)
    }

    /// Judges a token at the time `now` in the fleet `fleet`. Nothing that a token says is looked at before its
    /// signature was found good.
    pub fn verify(&self, token: &str, fleet: &str, now: SystemTime) -> Result<JoinClaims, TokenError> {
        let claims = self.claims(token)?;
        if claims.fleet != fleet {
            return Err(TokenError::OtherFleet { found: claims.fleet });
        }
        let now = unix_seconds(now);
        if claims.expires_unix_seconds <= now {
            let expired = to_rfc_3339(claims.expires_unix_seconds).unwrap_or_default();
            return Err(TokenError::Expired { expired });
        }
        if claims.issued_unix_seconds > now.saturating_add(CLOCK_LEEWAY.as_secs()) {
            let issued = to_rfc_3339(claims.issued_unix_seconds).unwrap_or_default();
            return Err(TokenError::NotYetValid { issued });
        }
        Ok(claims)
    }

    /// What a token says, once its signature was found good.
    fn claims(&self, token: &str) -> Result<JoinClaims, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Malformed);
        }
        let untrusted = UntrustedToken::<Public, V4>::try_from(token).map_err(|_| TokenError::Malformed)?;
        if token.matches('.').count() != 2 {
            return Err(TokenError::Malformed);
        }
        let trusted = PublicToken::verify(&self.0, &untrusted, None, Some(ASSERTION))
            .map_err(|_| TokenError::Signature)?;
        let wire: Wire = serde_json::from_str(trusted.payload()).map_err(|_| TokenError::Claims)?;
        let issued = from_rfc_3339(&wire.iat).ok_or(TokenError::Claims)?;
        let expires = from_rfc_3339(&wire.exp).ok_or(TokenError::Claims)?;
        if expires <= issued {
            return Err(TokenError::Claims);
        }
        Ok(JoinClaims {
            fleet: wire.fleet,
            node: wire.node,
            role: wire.role,
            serial: wire.serial,
            issued_unix_seconds: issued,
            expires_unix_seconds: expires,
        })
    }
}

impl fmt::Debug for JoinSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSigner([redacted])")
    }
}

impl fmt::Debug for JoinVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinVerifier")
    }
}

/// Seconds since 1970; 0 before.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A time as RFC 3339 in UTC, as far as its year has four digits.
pub(super) fn to_rfc_3339(unix_seconds: u64) -> Option<String> {
    let seconds = i64::try_from(unix_seconds).ok()?;
    Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

fn from_rfc_3339(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}

#[cfg(test)]
mod tests;
