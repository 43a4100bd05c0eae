//! `meshboot rehearse`: stands the fleet up on this machine, breaks it, and reports; with a shell into one that is
//! kept.
//!
//! Not here: the rehearsal itself (`rehearse`). Progress is talk and goes to stderr, the outcome to stdout.

mod live;
mod shell;
mod show;

use std::sync::mpsc::channel;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;

use super::Outcome;
use crate::diag::Refusal;
use crate::fleet::{self, Parsed};
use crate::rehearse::event::Events;
use crate::rehearse::interrupt::Interrupt;
use crate::rehearse::scenario::Scenario;
use crate::rehearse::{self, Order, scenarios};
use crate::sys::printer::Printer;

pub use shell::{Shell, run as shell};

/// What is to be rehearsed, and how to say what came out.
#[derive(Debug, Clone)]
pub struct Request {
    /// The fleet's file.
    pub fleet_file: Utf8PathBuf,
    /// Names of scenarios; all of them if empty.
    pub scenarios: Vec<String>,
    /// Leave everything up afterwards.
    pub keep: bool,
    /// Print the outcome as JSON.
    pub json: bool,
}

/// Rehearses a fleet. The outcome is a refusal when a scenario failed, or something could not be removed.
pub fn run(request: &Request, printer: &mut Printer) -> Result<Outcome> {
    let chosen = choose(&request.scenarios)?;
    let Parsed { fleet, warnings } = fleet::load(&request.fleet_file)?;
    if !warnings.is_empty() {
        printer.talk(warnings.to_text(printer.colours_talk()).trim_end());
    }
    let order = Order { fleet: &fleet, scenarios: chosen, keep: request.keep };
    let interrupt = Interrupt::on_signals().context("listening for signals")?;
    let (sender, events) = channel();
    let rehearsed = std::thread::scope(|scope| {
        let order = &order;
        let work = scope.spawn(move || {
            let events = Events::to(sender);
            rehearse::run(order, &events, &interrupt)
        });
        live::show(&events, printer);
        work.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the rehearsal ended by a panic")))
    })?;
    let passed =
        rehearsed.left.is_empty() && rehearsed.verdicts.iter().all(|(_, verdict, _)| verdict.passed());
    let text = if request.json { show::json(&fleet, &rehearsed)? } else { show::table(&rehearsed) };
    printer.data(&text).context("writing the outcome")?;
    for left in &rehearsed.left {
        printer.talk(&format!("not removed: {left}"));
    }
    Ok(if passed { Outcome::Done } else { Outcome::Refused })
}

/// Prints every scenario and what it shows.
pub fn list(printer: &mut Printer) -> Result<Outcome> {
    let width = scenarios::ALL.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
    let line = |scenario: &Scenario| format!("{:width$}  {}\n", scenario.name, scenario.about);
    printer.data(&scenarios::ALL.iter().map(line).collect::<String>()).context("writing the scenarios")?;
    Ok(Outcome::Done)
}

/// The scenarios with these names, in the order of the list; all if none is named.
fn choose(names: &[String]) -> Result<Vec<&'static Scenario>, Refusal> {
    let known = |name: &String| scenarios::ALL.iter().any(|scenario| scenario.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<String> = scenarios::ALL.iter().map(|scenario| format!("`{}`", scenario.name)).collect();
        return Err(Refusal::usage(format!("there is no scenario `{unknown}`"))
            .hint(format!("the scenarios are {}", all.join(", "))));
    }
    let wanted = |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(scenarios::ALL.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::{choose, scenarios};

    #[test]
    fn scenarios_are_chosen_by_name() {
        assert_eq!(choose(&[]).expect("all").len(), scenarios::ALL.len());
        let one = choose(&["serves".to_owned()]).expect("one");
        assert_eq!(one.iter().map(|scenario| scenario.name).collect::<Vec<_>>(), ["serves"]);
        let refusal = choose(&["servs".to_owned()]).expect_err("there is no such");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("`serves`")));
    }
}
