//! Ed25519 keys and the PEM files that hold them.
//!
//! Not here: where the files lie (`folder`) and what is signed with a key (`token`).

use std::fmt;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    self, ALGORITHM_OID, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes, PrivateKeyInfoRef,
    PublicKeyBytes, SecretDocument,
};
use zeroize::Zeroizing;

use super::MeshAddress;
use crate::diag::Secret;

/// Label of a PKCS#8 private key in PEM (RFC 7468 section 10).
const PRIVATE_LABEL: &str = "PRIVATE KEY";

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No whole PEM block: cut off, or something else.
    #[error("it holds no whole PEM block, or a damaged one")]
    Pem,
    /// A PEM block of another kind, an encrypted key or a certificate for instance.
    #[error("its PEM block is not a plain private key (`BEGIN PRIVATE KEY`)")]
    Label,
    /// A key of another algorithm.
    #[error("it is a key of another kind, not ed25519")]
    Algorithm,
    /// The right kind, but its content does not fit.
    #[error("its key is damaged")]
    Content,
}

/// An ed25519 private key; wiped when dropped, never printed.
pub struct PrivateKey(SigningKey);

/// An ed25519 public key, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PrivateKey {
    /// Makes a key from the operating system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a 32-byte seed (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads PKCS#8 PEM, with or without the public half (RFC 5958).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(|_| KeyError::Pem)?;
        if label != PRIVATE_LABEL {
            return Err(KeyError::Label);
        }
        let info = document.decode_msg::<PrivateKeyInfoRef<'_>>().map_err(|_| KeyError::Content)?;
        if info.algorithm.oid != ALGORITHM_OID {
            return Err(KeyError::Algorithm);
        }
        // Also compares the public half, where there is one.
        SigningKey::try_from(info).map(Self).map_err(|_| KeyError::Content)
    }

    /// The key as PKCS#8 version 1 PEM, 48 bytes of DER, byte for byte what `openssl genpkey -algorithm ed25519`
    /// writes and what Yggdrasil's `PrivateKeyPath` takes.
    pub fn to_pem(&self) -> Result<Secret<String>, pkcs8::Error> {
        let bytes = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let mut pem = bytes.to_pkcs8_pem(LineEnding::LF)?;
        Ok(Secret::new(std::mem::take(&mut *pem)))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Seed and public key, 64 bytes, as signing libraries want them.
    pub(super) fn seed_and_public(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.to_keypair_bytes())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public())
    }
}

impl PublicKey {
    /// A key from its 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits, as Yggdrasil writes keys.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            for digit in [byte >> 4, byte & 0xf] {
                hex.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
            }
            hex
        })
    }

    /// Reads SPKI PEM (RFC 8410).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        PublicKeyBytes::from_public_key_pem(pem).map(|key| Self(key.0)).map_err(|error| match error {
            pkcs8::spki::Error::OidUnknown { .. } => KeyError::Algorithm,
            _ => KeyError::Pem,
        })
    }

    /// The key as SPKI PEM (RFC 8410), as `openssl pkey -pubout` writes it.
    pub fn to_pem(&self) -> Result<String, pkcs8::spki::Error> {
        PublicKeyBytes(self.0).to_public_key_pem(LineEnding::LF)
    }

    /// The address in the mesh of the node that has this key.
    #[must_use]
    pub fn mesh_address(&self) -> MeshAddress {
        MeshAddress::from_public_key(&self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 section 10.3: the private key, alone and with its public half, and the public key of section 10.1.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const WITH_PUBLIC: &str = "-----BEGIN PRIVATE KEY-----\n\
        MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
        Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn reads_and_writes_the_keys_of_rfc_8410() {
        let key = PrivateKey::from_pem(PRIVATE).expect("the RFC's private key");
        assert_eq!(key.to_pem().expect("it is encoded").expose(), PRIVATE);
        assert_eq!(key.public().to_pem().expect("it is encoded"), PUBLIC);
        let both = PrivateKey::from_pem(WITH_PUBLIC).expect("the RFC's key with attributes and public half");
        assert_eq!(both.to_pem().expect("it is encoded").expose(), PRIVATE);
        assert_eq!(PublicKey::from_pem(PUBLIC).expect("the RFC's public key"), key.public());
        assert_eq!(key.public().to_hex(), "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    }

    #[test]
    fn says_what_is_wrong_with_a_key() {
        let x25519 = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VuBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        // The same key beside a public half that is not its own.
        let foreign = WITH_PUBLIC.replace("ZuE=", "ZuA=");
        let cases = [
            ("", KeyError::Pem),
            ("hello", KeyError::Pem),
            (&PRIVATE[..60], KeyError::Pem),
            (&PRIVATE.replace("MC4C", "M!4C"), KeyError::Pem),
            (PUBLIC, KeyError::Label),
            (&PRIVATE.replace("PRIVATE", "ENCRYPTED PRIVATE"), KeyError::Label),
            (x25519, KeyError::Algorithm),
            (&PRIVATE.replace("MC4C", "MC5C"), KeyError::Content),
            (&foreign, KeyError::Content),
        ];
        for (pem, expected) in cases {
            let error = PrivateKey::from_pem(pem).expect_err(pem);
            assert_eq!(error, expected, "{pem}");
        }
        assert_eq!(PublicKey::from_pem(PRIVATE).expect_err("a private key"), KeyError::Pem);
    }

    #[test]
    fn never_prints_a_private_key() {
        let key = PrivateKey::from_seed(&[7; 32]);
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public().to_hex()) && !shown.contains("0707"), "{shown}");
        assert_ne!(
            PrivateKey::generate().expect("randomness").public(),
            PrivateKey::generate().expect("randomness").public()
        );
    }
}
