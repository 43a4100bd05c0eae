//! TLS settings of the rehearsal's own servers and clients.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::pki::Identity;

/// A server that shows this certificate.
pub fn server(identity: &Identity) -> Result<Arc<ServerConfig>> {
    let chain = certificates(&identity.chain_pem)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).context("reading a key")?;
    let configuration = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("setting up a TLS server")?;
    Ok(Arc::new(configuration))
}

/// A client that trusts these roots and nothing else. Protocols are by ALPN, as in `h2`.
pub fn client(roots_pem: &str, protocols: &[&str]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(roots_pem)? {
        roots.add(certificate).context("trusting a root")?;
    }
    let mut configuration = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    configuration.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(configuration)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().context("reading certificates")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
