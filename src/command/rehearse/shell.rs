//! `meshboot rehearse shell NODE`: a shell on a node of a rehearsal that runs, or in the network of anybody else in it.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::Outcome;
use crate::diag::Refusal;
use crate::rehearse::registry::{self, Listed, Made};

/// Whom to visit.
#[derive(Debug, Clone)]
pub struct Shell {
    /// A node, or somebody around: `visitor`, `stranger`, `router`, …
    pub place: String,
    /// What to run there; a shell if empty.
    pub argv: Vec<String>,
}

/// Becomes the shell; returns only with an error.
pub fn run(request: &Shell) -> Result<Outcome> {
    if !rustix::process::geteuid().is_root() {
        return Err(Refusal::input("entering a rehearsal needs root").hint("run it with `sudo`").into());
    }
    let running: Vec<Listed> = registry::list()?.into_iter().filter(|listed| listed.runs).collect();
    if running.is_empty() {
        return Err(Refusal::input("no rehearsal runs")
            .hint("`meshboot rehearse FLEET --keep` leaves one up")
            .into());
    }
    let Some(argv) = running.iter().find_map(|listed| way_into(listed, &request.place)) else {
        let places: Vec<String> = running.iter().flat_map(places).map(|place| format!("`{place}`")).collect();
        return Err(Refusal::input(format!("there is no `{}` in the rehearsal", request.place))
            .hint(format!("there are {}", places.join(", ")))
            .into());
    };
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]);
    if request.argv.is_empty() {
        command.arg("bash");
    } else {
        command.args(&request.argv);
    }
    Err(command.exec()).with_context(|| format!("running `{}`", argv[0]))
}

/// The words before a command that is to run at a place.
fn way_into(listed: &Listed, place: &str) -> Option<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let node = listed.made.iter().rev().find_map(|made| match made {
        Made::Node(name, process) if name == place && process.runs() => Some(process.id.to_string()),
        _ => None,
    });
    if let Some(id) = node {
        return Some(words(&["nsenter", "--all", "--target", &id, "--", "env", "HOME=/root"]));
    }
    let namespace = namespaces(listed).find(|(label, _)| *label == place)?.1;
    Some(words(&["ip", "netns", "exec", namespace]))
}

/// Networks that are not a node's: label and name.
fn namespaces(listed: &Listed) -> impl Iterator<Item = (&str, &str)> {
    listed.made.iter().filter_map(|made| match made {
        // `mbr-<process id>-<label>`
        Made::Namespace(name) => Some((name.splitn(3, '-').nth(2)?, name.as_str())),
        _ => None,
    })
}

fn places(listed: &Listed) -> Vec<String> {
    let nodes = listed.made.iter().filter_map(|made| match made {
        Made::Node(name, process) if process.runs() => Some(name.clone()),
        _ => None,
    });
    let others = namespaces(listed)
        .filter(|(label, _)| !label.starts_with("node-"))
        .map(|(label, _)| label.to_owned());
    nodes.chain(others).collect()
}
