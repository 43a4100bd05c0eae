//! Certificates of the rehearsal itself: a CA that every node trusts, like one that its administrator installed, for
//! the certificate authority's own API and for upstream servers that are to be verified.
//!
//! Not here: the services' certificates, which come from pebble by ACME.

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A CA that exists for one rehearsal.
pub struct Pki {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, and its issuer's where there is one.
    pub chain_pem: String,
    /// The private key, PKCS#8.
    pub key_pem: String,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Pki {
    /// Makes one.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate().context("making a key")?;
        let mut parameters = parameters(&[], "meshboot rehearsal")?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = parameters.self_signed(&key).context("making a CA")?.pem();
        Ok(Self { issuer: Issuer::new(parameters, key), certificate_pem })
    }

    /// The CA's certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for these names.
    pub fn issue(&self, names: &[String]) -> Result<Identity> {
        let key = KeyPair::generate().context("making a key")?;
        let certificate = parameters(names, "rehearsed server")?.signed_by(&key, &self.issuer);
        let certificate = certificate.context("signing a certificate")?;
        let chain_pem = format!("{}{}", certificate.pem(), self.certificate_pem);
        Ok(Identity { chain_pem, key_pem: key.serialize_pem() })
    }
}

/// A certificate that nobody vouches for.
pub fn self_signed(names: &[String]) -> Result<Identity> {
    let key = KeyPair::generate().context("making a key")?;
    let certificate = parameters(names, "self-signed server")?.self_signed(&key);
    Ok(Identity {
        chain_pem: certificate.context("signing a certificate")?.pem(),
        key_pem: key.serialize_pem(),
    })
}

fn parameters(names: &[String], common_name: &str) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(names).context("naming a certificate")?;
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    Ok(parameters)
}
