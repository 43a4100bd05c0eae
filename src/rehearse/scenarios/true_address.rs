//! A service sees the visitor's true address, through every ingress node and both families; and what a visitor claims
//! of himself is not passed on.

use std::net::IpAddr;

use anyhow::Result;

use super::super::lab::Lab;
use super::super::plan::Plan;
use super::super::scenario::{Limit, Scenario, Verdict};
use super::super::visitor::{Question, causes};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "true-address",
    about: "services see the visitor's true address through every ingress node, whatever he claims to be",
    unfit,
    run,
};

fn unfit(plan: &Plan) -> Option<&'static str> {
    let serves = plan.fleet.services.iter().any(|service| service.clearnet);
    (!serves || plan.ingress.is_empty()).then_some("the fleet has no service on the internet")
}

/// What a visitor says of himself that nobody is to believe.
const CLAIMS: [(&str, &str); 3] =
    [("x-forwarded-for", "192.168.1.5"), ("x-real-ip", "192.168.1.5"), ("forwarded", "for=192.168.1.5")];

fn run(lab: &mut Lab) -> Result<Verdict> {
    let mut verdict = Verdict::new();
    let (mut asked, mut wrong) = (0.0, 0);
    let Some(service) = lab.plan.fleet.services.iter().find(|service| service.clearnet) else {
        return Ok(Verdict::skipped("the fleet has no service on the internet"));
    };
    for node in &lab.plan.ingress {
        for address in node.addresses() {
            for (from, place) in
                [(&lab.internet.visitor, &lab.plan.visitor), (&lab.internet.stranger, &lab.plan.stranger)]
            {
                lab.interrupt.check()?;
                asked += 1.0;
                let truth: IpAddr = if address.is_ipv4() { place.ipv4.into() } else { place.ipv6.into() };
                let question =
                    Question { headers: &CLAIMS, ..Question::https(service.domain.as_str(), address) };
                let seen = match lab.visitor.ask(from, &question)? {
                    Err(error) => Err(causes(&error)),
                    Ok(answer) => {
                        let claimed =
                            ["x-real-ip", "forwarded"].iter().find(|name| answer.seen_header(name).is_some());
                        match (answer.seen_header("x-forwarded-for").map(str::to_owned), claimed) {
                            (_, Some(name)) => Err(format!("`{name}` was passed on")),
                            (Some(seen), None) if seen == truth.to_string() => Ok(()),
                            (seen, None) => Err(format!("the service saw {seen:?} in place of {truth}")),
                        }
                    }
                };
                if let Err(complaint) = seen {
                    wrong += 1;
                    verdict.note(format!("{} at {address}: {complaint}", service.domain));
                }
            }
        }
    }
    verdict.measure("requests", asked, "", Some(Limit::AtLeast(1.0)));
    verdict.none_of("wrong addresses", wrong);
    Ok(verdict)
}
