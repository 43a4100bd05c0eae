//! Both roles boot on Debian 13 from exactly what `build` wrote, and are looked at from inside and outside.
//!
//! A boot takes a minute and answers many questions, so a scenario is played once and every question counts as a test
//! of its own. To add a check: a line in a scenario's list. To add a scenario: a file, and a line in `main`.
//! Not here: whether single files are well formed (`judges`), what happens when WANs fail (`rehearse`).

#[path = "../support/mod.rs"]
mod support;

mod after;
mod boot;
mod home;
mod ingress;
mod node;
mod offline;
mod pasted;
mod record;

use libtest_mimic::{Arguments, Trial};

use record::Scenario;

fn main() {
    let arguments = Arguments::from_args();
    let trials = trials(&boot::SCENARIO).chain(trials(&offline::SCENARIO)).chain(trials(&pasted::SCENARIO));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// One test for each check of a scenario; whichever comes first plays it.
fn trials<S: 'static>(scenario: &'static Scenario<S>) -> impl Iterator<Item = Trial> {
    scenario.checks.iter().flat_map(|group| group.iter()).map(move |check| {
        let name = check.0;
        Trial::test(format!("{}::{name}", scenario.name), move || Ok(record::verdict(scenario, name)?))
    })
}
