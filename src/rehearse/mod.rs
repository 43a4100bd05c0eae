//! A whole fleet on this machine: every node boots from its real payload in a container, the internet around it is
//! network namespaces with real programs, and scenarios use it, break it, and say what a visitor noticed.
//!
//! `plan` says who is where, `preflight` whether this machine can do it, `root` makes what nodes boot over, `payloads`
//! what they boot from, `lab` builds and removes everything, `registry` remembers what has to be removed, and
//! `scenarios` prove things. Not here: how it is shown (`command::rehearse`). Only addresses inside the rehearsal's own
//! namespaces are ever contacted, except for Debian's packages when the root is first made.

pub mod event;
pub mod home_stand_in;
pub mod interrupt;
pub mod lab;
pub mod machine;
mod payloads;
pub mod plan;
pub mod preflight;
pub mod registry;
pub mod root;
pub mod scenario;
pub mod scenarios;
pub mod visitor;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::fleet::model::Fleet;
use event::{Event, Events};
use interrupt::{Interrupt, Interrupted};
use lab::{Ground, Lab};
use payloads::Payloads;
use plan::Plan;
use registry::{Made, Registry};
use root::Root;
use scenario::{Scenario, Verdict};

/// What is to be rehearsed.
#[derive(Debug)]
pub struct Order<'a> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// What to prove, in this order.
    pub scenarios: Vec<&'static Scenario>,
    /// Leave everything up afterwards until somebody interrupts.
    pub keep: bool,
}

/// What came out of a rehearsal.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// From the start to a fleet that serves; the making of the root is left out.
    pub ready_after: Duration,
    /// What each scenario proved, in their order, and how long it took.
    pub verdicts: Vec<(&'static str, Verdict, Duration)>,
    /// What could not be removed.
    pub left: Vec<String>,
}

/// Stands a fleet up, runs scenarios, and removes everything again, whatever happens.
pub fn run(order: &Order<'_>, events: &Events, interrupt: &Interrupt) -> Result<Rehearsed> {
    // Files on the nodes' disks get the modes that are asked for.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let plan = Plan::new(order.fleet)?;
    let cache = root::cache();
    // Which root it will be is known only with the payloads; their keys need a private folder on a disk with space.
    let any_root = has_root(&cache);
    let found = preflight::examine(&cache, any_root, plan.ingress.len() + 1)?;
    let (stale, errors) = registry::sweep()?;
    if stale > 0 {
        events.tell(Event::Note(format!("took away what {stale} killed rehearsal(s) had left")));
    }
    for error in errors {
        events.tell(Event::Note(format!("left by a killed rehearsal: {error:#}")));
    }
    if !found.delays {
        events.tell(Event::Note(
            "this kernel has no netem: links have no delay and lose nothing by chance".to_owned(),
        ));
    }
    for note in &plan.notes {
        events.tell(Event::Note(note.clone()));
    }

    let registry = Arc::new(Registry::begin()?);
    let folder = cache.join(format!("rehearsal-{}", std::process::id()));
    registry.add(&Made::Folder(folder.clone()))?;
    let outcome = in_folder(order, plan, &folder, found.delays, &registry, events, interrupt);
    let mut left = Vec::new();
    let removed = registry::remove_folder(&folder);
    let outcome = outcome.map(|(rehearsed, errors)| {
        left.extend(errors.iter().map(|error| format!("{error:#}")));
        rehearsed
    });
    left.extend(removed.err().map(|error| format!("{error:#}")));
    if left.is_empty()
        && let Ok(registry) = Arc::try_unwrap(registry)
    {
        registry.end()?;
    }
    outcome.map(|rehearsed| Rehearsed { left, ..rehearsed })
}

fn has_root(cache: &Path) -> bool {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"rehearsal-root-"))
}

fn in_folder(
    order: &Order<'_>,
    plan: Plan,
    folder: &Path,
    delays: bool,
    registry: &Arc<Registry>,
    events: &Events,
    interrupt: &Interrupt,
) -> Result<(Rehearsed, Vec<anyhow::Error>)> {
    let making = || format!("making `{}`", folder.display());
    DirBuilder::new().mode(0o700).create(folder).with_context(making)?;
    let payloads = Payloads::build(&plan.fleet, folder)?;
    let root = Root::with(&payloads.packages);
    root.make(registry, events, interrupt)?;

    let start = Instant::now();
    let ground =
        Ground { plan, payloads, root, registry: Arc::clone(registry), folder: folder.to_owned(), delays };
    let mut lab = Lab::build(ground, events.clone(), interrupt.clone())?;
    let ready_after = start.elapsed();
    let verdicts = prove(&mut lab, order, events, interrupt);
    if order.keep && interrupt.check().is_ok() {
        events.tell(Event::Kept);
        while interrupt.sleep(Duration::from_hours(1)).is_ok() {}
    }
    events.tell(Event::TakingDown);
    let errors = lab.take_down();
    let verdicts = verdicts?;
    Ok((Rehearsed { ready_after, verdicts, left: Vec::new() }, errors))
}

/// Runs the scenarios one after another; only an interruption ends them early.
fn prove(
    lab: &mut Lab,
    order: &Order<'_>,
    events: &Events,
    interrupt: &Interrupt,
) -> Result<Vec<(&'static str, Verdict, Duration)>, Interrupted> {
    let mut verdicts = Vec::new();
    for scenario in &order.scenarios {
        interrupt.check()?;
        events.tell(Event::Began { scenario: scenario.name });
        let start = Instant::now();
        let verdict = match (scenario.unfit)(&lab.plan) {
            Some(why) => Verdict::skipped(why),
            None => (scenario.run)(lab).unwrap_or_else(|error| Verdict::broken(&error)),
        };
        // What was interrupted proves nothing.
        interrupt.check()?;
        let took = start.elapsed();
        events.tell(Event::Ended { scenario: scenario.name, verdict: verdict.clone(), took });
        verdicts.push((scenario.name, verdict, took));
    }
    Ok(verdicts)
}
