//! The certificate authority: Debian's pebble (RFC 8555), which validates over the rehearsed internet, names included.
//!
//! Its root is a new one every time; [`Acme::roots_pem`] asks for it, and the visitor trusts that alone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::interrupt::Interrupt;
use super::super::plan::{ACME_NAME, Plan};
use super::super::registry::Registry;
use super::disk::Disk;
use super::namespace::Namespace;
use super::pki::Pki;
use super::program::Program;

/// How long pebble may take to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// Where pebble tells of itself.
const MANAGEMENT: &str = "15000";

/// The running authority.
#[derive(Debug)]
pub struct Acme {
    program: Program,
    roots_pem: String,
}

impl Acme {
    /// Starts it and returns once it answers.
    pub fn start(
        registry: &Arc<Registry>,
        disk: &Disk,
        network: &Namespace,
        plan: &Plan,
        pki: &Pki,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let identity = pki.issue(&[ACME_NAME.to_owned()])?;
        disk.put("/etc/rehearsal/acme.pem", 0o644, &identity.chain_pem)?;
        disk.put("/etc/rehearsal/acme-key.pem", 0o600, &identity.key_pem)?;
        disk.put("/etc/rehearsal/ca.pem", 0o644, pki.certificate_pem())?;
        let configuration = serde_json::json!({ "pebble": {
            "listenAddress": "[::]:443",
            "managementListenAddress": format!("[::]:{MANAGEMENT}"),
            "certificate": "/etc/rehearsal/acme.pem",
            "privateKey": "/etc/rehearsal/acme-key.pem",
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "retryAfter": {"authz": 1, "order": 1},
        }});
        disk.put("/etc/rehearsal/pebble.json", 0o644, configuration.to_string())?;
        let resolver = format!("{}:53", plan.resolver.ipv4);
        // Its pauses of up to 15 s before it validates are for testing clients' patience.
        let argv =
            ["env", "PEBBLE_VA_NOSLEEP=1", "pebble", "-config", "/etc/rehearsal/pebble.json", "-dnsserver"];
        let argv: Vec<&str> = argv.into_iter().chain([resolver.as_str()]).collect();
        let mut program = disk.start(registry, network, "pebble", &argv)?;
        let mut roots_pem = String::new();
        interrupt.wait_until("the certificate authority", LIMIT, || {
            program.check()?;
            let address = format!("{ACME_NAME}:{MANAGEMENT}:127.0.0.1");
            let url = format!("https://{ACME_NAME}:{MANAGEMENT}/roots/0");
            let argv = ["curl", "--silent", "--fail", "--max-time", "5", "--cacert", "/etc/rehearsal/ca.pem"];
            let argv: Vec<&str> = argv.into_iter().chain(["--resolve", &address, &url]).collect();
            let outcome = disk.run(network, &argv, LIMIT)?;
            roots_pem.clone_from(&outcome.stdout);
            Ok(outcome.succeeded())
        })?;
        anyhow::ensure!(
            roots_pem.contains("BEGIN CERTIFICATE"),
            "pebble's root is no certificate: {roots_pem}"
        );
        Ok(Self { program, roots_pem })
    }

    /// The root that the services' certificates lead to.
    #[must_use]
    pub fn roots_pem(&self) -> &str {
        &self.roots_pem
    }

    /// What it has said: each order and each validation.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.said()
    }

    /// Ends it.
    pub fn take_down(&mut self) -> Result<()> {
        self.program.take_down().context("ending the certificate authority")
    }
}
