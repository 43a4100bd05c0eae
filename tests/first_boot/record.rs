//! Plays a scenario once per test run and keeps what each check found, so that every check can be a test of its own
//! although cargo-nextest gives each test its own process.
//!
//! The record lies in the build folder under the run's id; a lock makes the first test play and the others wait.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::support::fleets::run_name;
use super::support::requirement;

/// A question to a scene: its name, and what answers it.
pub(crate) type Check<S> = (&'static str, fn(&mut S) -> anyhow::Result<()>);

/// Something that is set up once and then asked many things.
pub(crate) struct Scenario<S: 'static> {
    /// First part of its tests' names.
    pub(crate) name: &'static str,
    /// Sets the scene; `None` where it has been skipped.
    pub(crate) set: fn() -> anyhow::Result<Option<S>>,
    /// What is asked, in this order: a later check sees what an earlier one has done.
    pub(crate) checks: &'static [&'static [Check<S>]],
    /// What helps to understand a failure.
    pub(crate) traces: fn(&S) -> String,
}

#[derive(Serialize, Deserialize)]
struct Record {
    skipped: bool,
    /// Why the scene could not be set; then no check has run.
    unset: Option<String>,
    /// For each check its error, if it failed.
    verdicts: BTreeMap<String, Option<String>>,
    seconds: BTreeMap<String, f64>,
}

/// Where scenarios leave their records, consoles and journals.
pub(crate) fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("first-boot");
    std::fs::create_dir_all(&folder).expect("a folder in the build folder");
    folder
}

/// What a check found; plays the scenario unless this run has done so already.
pub(crate) fn verdict<S>(scenario: &Scenario<S>, check: &str) -> Result<(), String> {
    let record = recorded(scenario);
    if record.skipped {
        requirement::skip("a boot needs root and the test roots");
        return Ok(());
    }
    if let Some(reason) = record.unset {
        return Err(format!("setting the scene: {reason}"));
    }
    match record.verdicts.get(check) {
        Some(None) => Ok(()),
        Some(Some(error)) => Err(error.clone()),
        None => Err("this check was not reached".to_owned()),
    }
}

fn recorded<S>(scenario: &Scenario<S>) -> Record {
    let run = run_name();
    let lock = File::create(folder().join(format!("{}.lock", scenario.name))).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("locking a file of ours");
    let path = folder().join(format!("{}.json", scenario.name));
    let known =
        std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<(String, Record)>(&text).ok());
    if let Some((of_run, record)) = known
        && of_run == run
    {
        return record;
    }
    let entry = (run, play(scenario));
    std::fs::write(&path, serde_json::to_vec_pretty(&entry).expect("a record is plain data"))
        .expect("writing a record");
    entry.1
}

fn play<S>(scenario: &Scenario<S>) -> Record {
    let mut record =
        Record { skipped: false, unset: None, verdicts: BTreeMap::new(), seconds: BTreeMap::new() };
    let start = Instant::now();
    let scene = guarded(scenario.set);
    record.seconds.insert("(setting the scene)".to_owned(), start.elapsed().as_secs_f64());
    let mut scene = match scene {
        Ok(Some(scene)) => scene,
        Ok(None) => {
            record.skipped = true;
            return record;
        }
        Err(reason) => {
            record.unset = Some(reason);
            return record;
        }
    };
    for (name, check) in scenario.checks.iter().copied().flatten() {
        let start = Instant::now();
        let outcome = guarded(|| check(&mut scene));
        record.seconds.insert((*name).to_owned(), start.elapsed().as_secs_f64());
        record.verdicts.insert((*name).to_owned(), outcome.err());
    }
    let traces = (scenario.traces)(&scene);
    let first_error = record.verdicts.values_mut().find_map(Option::as_mut);
    if let Some(error) = first_error {
        error.push_str("\n\n");
        error.push_str(&traces);
    }
    record
}

/// An error or a panic as text, with all its reasons.
fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
            .unwrap_or_else(|| "a panic without words".to_owned())),
    }
}
