//! Somebody with a browser: HTTPS from any place of the lab to an address of the caller's choice, with the name and
//! the trust that a visitor has.
//!
//! Every request is a connection of its own, as a new visitor's is. Not here: load, and everything that is not HTTP
//! ([`Namespace::within`] gives raw sockets).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::Client;
use reqwest::tls::TlsInfo;

use super::lab::namespace::Namespace;
use super::lab::tls;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Name in the address line: SNI and `Host`.
    pub domain: &'a str,
    /// Where the name leads, for this question.
    pub address: IpAddr,
    /// `https`, or `http`.
    pub scheme: &'static str,
    /// Path, with its slash.
    pub path: &'a str,
    /// Another `Host` than the SNI says.
    pub host: Option<&'a str>,
    /// Header fields beside.
    pub headers: &'a [(&'a str, &'a str)],
    /// How long all of it may take.
    pub patience: Duration,
}

impl<'a> Question<'a> {
    /// `https://DOMAIN/`, at an address.
    #[must_use]
    pub fn https(domain: &'a str, address: IpAddr) -> Self {
        Self {
            domain,
            address,
            scheme: "https",
            path: "/",
            host: None,
            headers: &[],
            patience: Duration::from_secs(10),
        }
    }

    /// `http://DOMAIN/`, at an address.
    #[must_use]
    pub fn http(domain: &'a str, address: IpAddr) -> Self {
        Self { scheme: "http", ..Self::https(domain, address) }
    }

    /// The same with another path.
    #[must_use]
    pub fn path(self, path: &'a str) -> Self {
        Self { path, ..self }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// The server's certificate, DER; none without TLS.
    pub certificate: Option<Vec<u8>>,
    /// From the first packet to the last byte.
    pub took: Duration,
}

impl Answer {
    /// A header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A header field of the request as the upstream server got it.
    #[must_use]
    pub fn seen_header(&self, name: &str) -> Option<&str> {
        self.body.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Somebody who trusts the certificate authority of the lab, and nothing else.
#[derive(Debug, Clone)]
pub struct Visitor {
    tls: rustls::ClientConfig,
}

impl Visitor {
    /// Trusts these roots.
    pub fn trusting(roots_pem: &str) -> Result<Self> {
        Ok(Self { tls: tls::client(roots_pem, &["h2", "http/1.1"])? })
    }

    /// Asks from a place. The outer error is the rehearsal's own; the inner one is what the visitor sees in place of an
    /// answer.
    pub fn ask(&self, from: &Namespace, question: &Question<'_>) -> Result<Result<Answer, reqwest::Error>> {
        from.within(|| -> Result<_> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("making a client")?;
            let client = self.client(question)?;
            Ok(runtime.block_on(exchange(&client, question)))
        })?
    }

    fn client(&self, question: &Question<'_>) -> Result<Client> {
        let port = if question.scheme == "https" { 443 } else { 80 };
        Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .tls_info(true)
            .no_proxy()
            .resolve(question.domain, SocketAddr::new(question.address, port))
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(question.patience)
            .build()
            .context("making a client")
    }
}

async fn exchange(client: &Client, question: &Question<'_>) -> Result<Answer, reqwest::Error> {
    let start = Instant::now();
    let mut request = client.get(format!("{}://{}{}", question.scheme, question.domain, question.path));
    if let Some(host) = question.host {
        request = request.header("host", host);
    }
    for (name, value) in question.headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await?;
    let certificate = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let certificate = certificate.map(<[u8]>::to_vec);
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    Ok(Answer {
        status: response.status().as_u16(),
        headers: headers.collect(),
        certificate,
        body: String::from_utf8_lossy(&response.bytes().await?).into_owned(),
        took: start.elapsed(),
    })
}

/// An error and its causes as one sentence.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |source| source.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
