//! The DNS server: knot, authoritative for the root zone, so that every name of the fleet exists and no other does.
//!
//! Not here: resolvers that fail (`Internet::lose_names`).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::interrupt::Interrupt;
use super::super::plan::{Plan, Record};
use super::super::registry::Registry;
use super::disk::Disk;
use super::namespace::Namespace;
use super::program::Program;

/// Seconds that an answer may be kept.
const TTL_SECONDS: u32 = 5;

/// How long knot may take to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// The running server.
#[derive(Debug)]
pub struct Dns {
    program: Program,
    records: Vec<Record>,
    resolver: IpAddr,
    serial: u32,
}

impl Dns {
    /// Starts it with all of the plan's records, and returns once it answers.
    pub fn start(
        registry: &Arc<Registry>,
        disk: &Disk,
        network: &Namespace,
        plan: &Plan,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut listen = String::new();
        for address in plan.resolver.addresses() {
            // Writing to a string cannot fail.
            let _ = writeln!(listen, "    listen: {address}@53");
        }
        let configuration = format!(
            "server:\n    rundir: /run/knot\n    user: root:root\n{listen}\
             log:\n  - target: stderr\n    any: warning\n\
             database:\n    storage: /var/lib/knot\n\
             zone:\n  - domain: .\n    file: /etc/rehearsal/zone\n    zonefile-load: whole\n    journal-content: none\n"
        );
        disk.put("/etc/rehearsal/knot.conf", 0o644, configuration)?;
        let text = zone(&plan.records, 1, plan.resolver.ipv4.into());
        disk.put("/etc/rehearsal/zone", 0o644, text)?;
        let make = ["install", "-d", "/run/knot", "/var/lib/knot"];
        disk.run(network, &make, LIMIT)?.success()?;
        let argv = ["knotd", "-c", "/etc/rehearsal/knot.conf"];
        let program = disk.start(registry, network, "knot", &argv)?;
        let resolver = plan.resolver.ipv4.into();
        let mut dns = Self { program, records: plan.records.clone(), resolver, serial: 1 };
        interrupt.wait_until("the DNS server", LIMIT, || {
            dns.program.check()?;
            let status = disk.run(network, &["knotc", "-c", "/etc/rehearsal/knot.conf", "status"], LIMIT)?;
            Ok(status.succeeded())
        })?;
        Ok(dns)
    }

    /// From now on `name` has these addresses, and no others.
    pub fn set(&mut self, disk: &Disk, network: &Namespace, name: &str, addresses: &[IpAddr]) -> Result<()> {
        self.records.retain(|record| record.name != name);
        let named = addresses.iter().map(|&address| Record { name: name.to_owned(), address });
        self.records.extend(named);
        self.serial += 1;
        disk.put("/etc/rehearsal/zone", 0o644, zone(&self.records, self.serial, self.resolver))?;
        let argv = ["knotc", "-b", "-c", "/etc/rehearsal/knot.conf", "zone-reload", "."];
        disk.run(network, &argv, LIMIT)?
            .success()
            .with_context(|| format!("giving `{name}` new addresses"))?;
        Ok(())
    }

    /// What `name` resolves to.
    pub fn addresses_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.records.iter().filter(move |record| record.name == name).map(|record| record.address)
    }

    /// Ends it.
    pub fn take_down(&mut self) -> Result<()> {
        self.program.take_down()
    }
}

/// The root zone as a master file (RFC 1035 section 5).
fn zone(records: &[Record], serial: u32, resolver: IpAddr) -> String {
    let mut text = format!(
        "$ORIGIN .\n$TTL {TTL_SECONDS}\n@ SOA ns.rehearsal.example. nobody.rehearsal.example. {serial} 60 60 600 {TTL_SECONDS}\n\
         @ NS ns.rehearsal.example.\nns.rehearsal.example. A {resolver}\n"
    );
    for record in records {
        let kind = if record.address.is_ipv4() { "A" } else { "AAAA" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}. {kind} {}", record.name, record.address);
    }
    text
}
