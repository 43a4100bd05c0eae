//! Connection limits: the home takes more than all of its ingress nodes together send, so that no one of them can
//! starve the home's own health checks (measured: a full listener takes every path down).

use super::super::raw::{MaybeInteger, RawFleet};
use super::super::rule::Rule;
use super::super::shape::Given;
use super::{all, within};
use crate::diag::{Findings, Problem};

/// The home's limit where none is written: 8,000 idle TLS connections take some 176 MB at 22 KB each.
const HOME: u32 = 8_000;
/// An ingress node's limit where none is written, at most.
const INGRESS: u32 = 4_000;

/// The limits of the home and of each ingress node, in the order of the file.
pub(super) fn judge(raw: &RawFleet, findings: &mut Findings) -> Given<(u32, Vec<u32>)> {
    let raw_home = raw.home.as_ref().map_err(|it| *it);
    let home = raw_home.and_then(|home| limit(&home.max_connections, 100..=1_000_000, findings));
    let nodes = raw.ingress.as_ref().map_err(|it| *it);
    let written = nodes.map(|nodes| {
        let judge = |node: &Given<_>| {
            let node: &super::super::raw::RawIngress =
                node.as_ref().map_err(|it: &crate::diag::Reported| *it)?;
            limit(&node.max_connections, 1..=1_000_000, findings)
        };
        nodes.iter().map(judge).collect::<Vec<_>>()
    });
    let (home, written) = (home?.unwrap_or(HOME), all(written?)?);
    let share = default_share(home, written.len());
    let nodes: Vec<u32> = written.into_iter().map(|limit| limit.unwrap_or(share)).collect();

    let sum: u64 = nodes.iter().copied().map(u64::from).sum();
    if sum >= u64::from(home) {
        let place = raw_home.map(|home| match &home.max_connections {
            Ok(Some(limit)) => limit.span,
            _ => home.place,
        })?;
        let message = format!("the home takes {home} connections, and its ingress nodes may send {sum}");
        let wanted = sum + sum / 7 + 1;
        let problem = Problem::new(Rule::ConnectionLimits, message)
            .hint(format!("set `max-connections` of `home` to {wanted} or lower those of the ingress nodes"));
        return Err(findings.error(place, problem));
    }
    Ok((home, nodes))
}

/// What each node gets of seven eighths of the home's limit; the rest is for LAN, mesh and health checks.
fn default_share(home: u32, nodes: usize) -> u32 {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX).max(1);
    ((home - home / 8) / nodes).clamp(1, INGRESS)
}

fn limit(
    raw: &MaybeInteger,
    range: std::ops::RangeInclusive<u32>,
    findings: &mut Findings,
) -> Given<Option<u32>> {
    let Some(number) = raw.as_ref().map_err(|it| *it)? else { return Ok(None) };
    within(number, range, Rule::MaxConnections, "a connection limit", findings).map(Some)
}

#[cfg(test)]
mod tests {
    use super::default_share;

    #[test]
    fn shares_stay_below_the_homes_limit() {
        for (home, nodes, share) in
            [(8_000, 0, 4_000), (8_000, 1, 4_000), (8_000, 4, 1_750), (8_000, 1_000, 7), (100, 1_000, 1)]
        {
            assert_eq!(default_share(home, nodes), share, "{home} {nodes}");
        }
    }
}
