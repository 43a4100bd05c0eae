//! `meshboot build`: one fleet file becomes the folder of section 5 of the design.
//!
//! Order: refuse what can be refused without writing, open the fleet's identity, make tokens and save them, make every
//! node's artefacts beside their place, then move them there. An error before the move leaves the old output as it was.
//!
//! Not here: what is typed (`cli::build`), what is in the artefacts (`payload`). To add a file that
//! belongs to the fleet and not to a node, add it in `folder`.

mod folder;
mod nodes;
mod show;

use std::time::SystemTime;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::Outcome;
use crate::diag::Refusal;
use crate::fleet::model::Fleet;
use crate::fleet::{self, Parsed};
use crate::identity::{MintReason, State};
use crate::payload::manifest::UserDataEntry;
use crate::render::{BuildFacts, Role};
use crate::sys::atomic::folder_of;
use crate::sys::printer::Printer;

use nodes::Chosen;

/// What is to be built.
#[derive(Debug, Clone)]
pub struct Request {
    /// The fleet's file; its identity lies beside it.
    pub fleet_file: Utf8PathBuf,
    /// Nodes to build; all of them if empty.
    pub nodes: Vec<String>,
    /// Folder to write.
    pub out: Utf8PathBuf,
    /// Take over a folder that is not this fleet's.
    pub force: bool,
    /// Nodes that get a new join token, whatever the age of the last one.
    pub renew: Vec<String>,
    /// The time of the build.
    pub now: SystemTime,
    /// Print the outcome as JSON.
    pub json: bool,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Fleet's name.
    pub fleet: String,
    /// Folder that was written.
    pub out: Utf8PathBuf,
    /// Nodes that were built, the home first, then in the order of the file.
    pub nodes: Vec<BuiltNode>,
    /// Nodes whose older artefacts stay.
    pub kept: Vec<String>,
    /// Nodes of the fleet that have no artefacts yet.
    pub missing: Vec<String>,
    /// Nodes that left the fleet, and whose artefacts were removed.
    pub removed: Vec<String>,
    /// The folder of the fleet's keys, if this build made them.
    pub new_keys: Option<Utf8PathBuf>,
    /// Names of ingress nodes whose address the file does not give: the home does not let them in yet.
    pub without_address: Vec<String>,
}

/// A node that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltNode {
    /// Node's name.
    pub name: String,
    /// Node's role.
    pub role: Role,
    /// Name of the provider's profile; a home has none.
    pub provider: Option<String>,
    /// Size and form of its payload.
    pub user_data: UserDataEntry,
    /// Its join token; a home has none.
    pub token: Option<BuiltToken>,
}

/// A join token that a payload carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltToken {
    /// Counts the node's tokens from 1.
    pub serial: u64,
    /// From when on it is refused, in seconds since 1970.
    pub expires_unix_seconds: u64,
    /// Why it was made just now; nothing if an older one is used again.
    pub minted: Option<MintReason>,
}

/// Builds a fleet from its file: the nodes go to stdout, talk to stderr.
pub fn run(request: &Request, printer: &mut Printer) -> Result<Outcome> {
    refuse_what_is_no_file(&request.fleet_file)?;
    let Parsed { fleet, warnings } = fleet::load(&request.fleet_file)?;
    if !warnings.is_empty() {
        printer.talk(warnings.to_text(printer.colours_talk()).trim_end());
    }
    let built = build(&fleet, &folder_of(&request.fleet_file), request)?;
    if request.json {
        printer.data(&show::json(&built)?).context("writing the outcome")?;
        return Ok(Outcome::Done);
    }
    printer.data(&show::table(&built, printer.colours_data())).context("writing the outcome")?;
    for line in show::talk(&built, printer.colours_talk()) {
        printer.talk(&line);
    }
    Ok(Outcome::Done)
}

/// Refuses a fleet that has no place beside which its keys can be kept: standard input, a pipe, a device.
fn refuse_what_is_no_file(fleet_file: &Utf8Path) -> Result<(), Refusal> {
    let is_something_else = |found: std::fs::Metadata| !found.is_file() && !found.is_dir();
    if fleet_file == "-" || fleet_file.metadata().is_ok_and(is_something_else) {
        return Err(Refusal::input(format!(
            "`{fleet_file}` is not a file, and a fleet's keys are kept beside its file"
        ))
        .hint("save it as `fleet.yaml` in a folder of its own, and build that"));
    }
    Ok(())
}

/// Builds a fleet whose identity lies in `fleet_folder`; `request.fleet_file` is not read.
pub fn build(fleet: &Fleet, fleet_folder: &Utf8Path, request: &Request) -> Result<Built> {
    let chosen = nodes::choose(fleet, request)?;
    let look = || {
        let out = folder::OutFolder::examine(&request.out, fleet, request.force)?;
        out.refuse_foreign(chosen.iter().map(Chosen::name))?;
        Ok::<_, Refusal>(out)
    };
    // What is refused makes no keys.
    look()?;
    let mut state = State::open(fleet_folder, fleet.name.as_str(), request.now).map_err(Refusal::from)?;
    // Once more, now that the state's lock keeps other builds out: one may have written there meanwhile.
    let out = look()?;
    let tokens = nodes::tokens(&mut state, &chosen, &request.renew)?;
    let parts = state.build_facts_parts().map_err(Refusal::from)?;
    state.save().map_err(Refusal::from)?;
    let facts = BuildFacts {
        home_mesh_address: parts.home_mesh_address,
        home_public_key: parts.home_public_key,
        fleet_public_key_pem: parts.fleet_public_key_pem,
        build_time_unix_seconds: parts.build_time_unix_seconds,
    };

    let order = nodes::Order { fleet, facts: &facts, mesh_key_pem: state.home_key_pem() };
    let folder::Written { built, kept, missing, removed } = out.write(&order, &chosen, &tokens, request)?;
    let without_address = fleet.ingress.iter().filter(|node| node.addresses.is_empty());
    Ok(Built {
        fleet: fleet.name.to_string(),
        out: request.out.clone(),
        nodes: built,
        kept,
        missing,
        removed,
        new_keys: state.is_new().then(|| state.folder().to_owned()),
        without_address: without_address.map(|node| node.name.to_string()).collect(),
    })
}
