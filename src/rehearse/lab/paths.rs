//! Whether the fleet serves: what the relays and the certificate authority say, and how to wait for it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Lab;
use crate::rehearse::machine::Machine;

/// How long paths and certificates may take to come about.
const SERVING: Duration = Duration::from_mins(3);

/// How long the home's certificate unit may run, all services together.
const CERTIFICATES: Duration = Duration::from_mins(3);

/// How often relays are asked.
const LOOK: Duration = Duration::from_millis(300);

/// A path of a relay, as haproxy sees it (`show stat`, management guide section 9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathState {
    /// Backend, as in `home-443`.
    pub backend: String,
    /// Server, as in `wan-fiber` or `mesh`.
    pub server: String,
    /// Whether it is up.
    pub up: bool,
    /// The word for its state, as in `UP`, `DOWN 1/3`, `MAINT`.
    pub status: String,
}

/// The paths of an ingress node's relay, or the upstreams of the home's.
pub fn paths(machine: &Machine) -> Result<Vec<PathState>> {
    let statistics = machine.ask_haproxy("show stat")?;
    let path = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let (backend, server, status) = (*cells.first()?, *cells.get(1)?, *cells.get(17)?);
        let is_path = !backend.starts_with('#') && !matches!(server, "FRONTEND" | "BACKEND" | "");
        is_path.then(|| PathState {
            backend: backend.to_owned(),
            server: server.to_owned(),
            // `no check` is never down.
            up: status.starts_with("UP") || status == "no check",
            status: status.to_owned(),
        })
    };
    Ok(statistics.lines().filter_map(path).collect())
}

impl Lab {
    /// Waits until every path of every ingress node is up and every service has a certificate of the authority's.
    pub fn wait_until_serving(&self) -> Result<()> {
        self.wait_for_paths()?;
        self.get_certificates()
    }

    /// Waits until every path of every ingress node that is on is up.
    pub fn wait_for_paths(&self) -> Result<()> {
        let start = std::time::Instant::now();
        loop {
            let mut down = Vec::new();
            for machine in self.ingress.iter().filter(|machine| machine.is_on()) {
                let paths = paths(machine)?;
                anyhow::ensure!(!paths.is_empty(), "haproxy of `{}` has no paths", machine.name);
                down.extend(paths.iter().filter(|path| !path.up).map(|path| {
                    format!("{}: {}/{} {}", machine.name, path.backend, path.server, path.status)
                }));
            }
            if down.is_empty() {
                return Ok(());
            }
            if start.elapsed() > SERVING {
                bail!("paths that are not up after {} s: {}", SERVING.as_secs(), down.join(", "));
            }
            self.interrupt.sleep(LOOK)?;
        }
    }

    /// Has the home get its certificates now, rather than at its timer's next turn, and checks that each is there.
    fn get_certificates(&self) -> Result<()> {
        let outcome =
            self.home.run_for(&["systemctl", "start", "meshboot-certificates.service"], CERTIFICATES)?;
        outcome.success().context("getting certificates")?;
        for service in &self.plan.fleet.services {
            let file = format!("/etc/letsencrypt/live/{}/fullchain.pem", service.domain);
            if !self.home.run(&["test", "-s", &file])?.succeeded() {
                let said = self.home.ask(
                    "journalctl --unit meshboot-certificates.service --no-pager --output cat | tail -n 20",
                )?;
                bail!("`{}` has no certificate: {said}", service.domain);
            }
        }
        Ok(())
    }
}
