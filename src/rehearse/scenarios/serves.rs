//! Every service answers over HTTPS through every ingress node, IPv4 and IPv6, with a certificate that the authority
//! issued over HTTP-01 through an ingress node. A mesh-only service answers in the mesh, and through an ingress node
//! nothing but the challenge.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;

use super::super::lab::Lab;
use super::super::lab::namespace::Namespace;
use super::super::scenario::{Limit, Scenario, Verdict, fits_all};
use super::super::visitor::{Question, causes};
use crate::fleet::model::Service;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "serves",
    about: "every service answers over HTTPS through every ingress node, IPv4 and IPv6; a mesh-only one in the mesh alone",
    unfit: fits_all,
    run,
};

/// What a service answers where it is not served (RFC 9110 section 15.5.20).
const MISDIRECTED: u16 = 421;

/// How long a visitor may wait for one answer when nothing is wrong.
const PATIENCE: Limit = Limit::AtMost(2.0);

/// How long the mesh may take to find its way from a user to the home.
const MESH: Duration = Duration::from_secs(45);

fn run(lab: &mut Lab) -> Result<Verdict> {
    let mut verdict = Verdict::new();
    let mut tally = Tally::default();
    let fleet = &lab.plan.fleet;
    for service in &fleet.services {
        let expected = if service.clearnet { 200 } else { MISDIRECTED };
        for node in &lab.plan.ingress {
            for address in node.addresses() {
                tally.ask(lab, &lab.internet.visitor, service, address, expected, &mut verdict)?;
            }
        }
    }
    mesh(lab, &mut tally, &mut verdict)?;
    lan(lab, &mut tally, &mut verdict)?;
    redirects(lab, &mut tally, &mut verdict)?;
    certificates(lab, &mut verdict)?;
    verdict.measure("requests", tally.asked, "", Some(Limit::AtLeast(1.0)));
    verdict.none_of("wrong answers", tally.wrong);
    verdict.measure("slowest answer", tally.slowest.as_secs_f64(), "s", Some(PATIENCE));
    Ok(verdict)
}

#[derive(Default)]
struct Tally {
    asked: f64,
    wrong: usize,
    slowest: Duration,
}

impl Tally {
    /// Asks for a service at an address, and counts whether the answer is the one expected: from one of the service's
    /// own servers, where it is served.
    fn ask(
        &mut self,
        lab: &Lab,
        from: &Namespace,
        service: &Service,
        address: IpAddr,
        expected: u16,
        verdict: &mut Verdict,
    ) -> Result<()> {
        let domain = service.domain.as_str();
        lab.interrupt.check()?;
        self.asked += 1.0;
        let complaint = match lab.visitor.ask(from, &Question::https(domain, address).path("/who"))? {
            Err(error) => Some(causes(&error)),
            Ok(answer) => {
                self.slowest = self.slowest.max(answer.took);
                let served_by = answer.seen_header("served-by").unwrap_or_default();
                let is_its_own = service
                    .upstreams
                    .iter()
                    .any(|upstream| served_by.ends_with(&format!(":{}", upstream.port)));
                if answer.status != expected {
                    Some(format!("status {} in place of {expected}", answer.status))
                } else if expected == 200 && !is_its_own {
                    Some(format!(
                        "an answer of somebody else: {}",
                        answer.body.chars().take(200).collect::<String>()
                    ))
                } else {
                    None
                }
            }
        };
        if let Some(complaint) = complaint {
            self.wrong += 1;
            verdict.note(format!("{domain} at {address} from {}: {complaint}", from.name()));
        }
        Ok(())
    }
}

/// Users of the mesh reach every service at the home's own address, with no ingress node in between.
fn mesh(lab: &Lab, tally: &mut Tally, verdict: &mut Verdict) -> Result<()> {
    if lab.plan.fleet.mesh.peers.is_empty() {
        verdict.note("the fleet names no public mesh peer, so there is no user of the mesh to ask from");
        return Ok(());
    }
    let user = &lab.internet.mesh_peer;
    let home = IpAddr::V6(lab.home_mesh_address.ip());
    let target = home.to_string();
    let took = lab.interrupt.wait_until("the home over the mesh", MESH, || {
        let ping = ["ping", "-6", "-c", "1", "-W", "1", &target];
        Ok(lab.disk.run(user, &ping, Duration::from_secs(5))?.succeeded())
    })?;
    verdict.measure("mesh reached after", took.as_secs_f64(), "s", None);
    for service in &lab.plan.fleet.services {
        tally.ask(lab, user, service, home, 200, verdict)?;
    }
    Ok(())
}

/// Machines on the LAN reach every service directly, mesh-only ones too.
fn lan(lab: &Lab, tally: &mut Tally, verdict: &mut Verdict) -> Result<()> {
    for service in &lab.plan.fleet.services {
        tally.ask(lab, &lab.house.machine, service, lab.plan.lan.home.into(), 200, verdict)?;
    }
    Ok(())
}

/// Plain HTTP leads to HTTPS through every ingress node.
fn redirects(lab: &Lab, tally: &mut Tally, verdict: &mut Verdict) -> Result<()> {
    let Some(service) = lab.plan.fleet.services.iter().find(|service| service.clearnet) else {
        return Ok(());
    };
    let domain = service.domain.as_str();
    for address in lab.plan.ingress.iter().flat_map(super::super::plan::IngressPlan::addresses) {
        tally.asked += 1.0;
        let answer = lab.visitor.ask(&lab.internet.visitor, &Question::http(domain, address).path("/x"))?;
        let wanted = format!("https://{domain}/x");
        let seen =
            answer.as_ref().map(|answer| (answer.status, answer.header("location").unwrap_or_default()));
        if !matches!(seen, Ok((301, location)) if location == wanted) {
            tally.wrong += 1;
            verdict.note(format!("http://{domain}/x at {address}: {seen:?} in place of 301 to {wanted}"));
        }
    }
    Ok(())
}

/// The authority validated every name through an ingress node.
fn certificates(lab: &Lab, verdict: &mut Verdict) -> Result<()> {
    let issued = lab.home.ask("ls -d /etc/letsencrypt/live/*/ | wc -l")?;
    let issued: usize = issued.parse()?;
    let services = lab.plan.fleet.services.len();
    verdict.none_of("services without a certificate", services.saturating_sub(issued));
    Ok(())
}
