//! `meshboot init`: a commented fleet file from a few questions, or from flags without questions.
//!
//! What it writes passes `check`: every answer is judged by the rules of the fleet itself, at once, in a draft whose
//! open places hold examples. Not here: the text (`draft`), keys (`ssh_key`). To add a question: a field of
//! [`Answers`], a flag in `cli::init`, and its place in `draft` and `questions`.

mod draft;
mod questions;
mod ssh_key;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead};

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};

use super::Outcome;
use crate::diag::Refusal;
use crate::fleet;
use crate::sys::atomic::{self, WriteError};
use crate::sys::printer::Printer;

/// What is known of the fleet before anybody is asked; as typed.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Name of the fleet, and of the home.
    pub fleet: Option<String>,
    /// Address for the certificate authority.
    pub email: Option<String>,
    /// Public keys, or files that hold them.
    pub ssh_keys: Vec<String>,
    /// Uplinks, `NAME=ADDRESS[:WEIGHT]`.
    pub wans: Vec<String>,
    /// Cloud machines, `NAME=PROVIDER[:LOCATION]`.
    pub ingress: Vec<String>,
    /// Services, `DOMAIN=URL`.
    pub services: Vec<String>,
    /// Public mesh peers.
    pub peers: Vec<String>,
    /// The router forwards the mesh port.
    pub mesh_listen: bool,
}

/// What to write, and where.
#[derive(Debug, Clone)]
pub struct Request {
    /// The file to write; `-` for stdout.
    pub file: Utf8PathBuf,
    /// Replace what is there.
    pub force: bool,
    /// What is known already.
    pub answers: Answers,
    /// Where keys are looked for when none is named.
    pub ssh_folder: Option<Utf8PathBuf>,
}

/// Writes the file. Without `input` there is nobody to ask, and what is missing is an error of usage.
pub fn run(
    request: Request,
    input: Option<&mut impl BufRead>,
    printer: &mut Printer,
) -> anyhow::Result<Outcome> {
    let Request { file, force, mut answers, ssh_folder } = request;
    let to_stdout = file == "-";
    if !to_stdout && !force && file.as_path().symlink_metadata().is_ok() {
        return Err(is_there(&file).into());
    }
    answers.ssh_keys = ssh_key::resolve(&answers.ssh_keys)?;
    let found =
        if answers.ssh_keys.is_empty() { ssh_folder.as_deref().and_then(ssh_key::find) } else { None };
    if let Some(input) = input {
        questions::ask(&mut answers, found.as_ref(), input, printer)?;
    } else {
        answers.ssh_keys.extend(found.map(|found| found.line));
        complete(&answers)?;
    }
    let text = draft::text(&answers)?;
    let origin = if to_stdout { "fleet.yaml" } else { file.as_str() };
    // A finding here is a bad value of a flag, shown in the file as it would be.
    fleet::parse(&text, &format!("{origin} (not written)"))?;
    if to_stdout {
        printer.data(&text).context("writing the fleet file")?;
        return Ok(Outcome::Done);
    }
    write(&file, &text, force)?;
    let file = crate::diag::escape(file.as_str());
    printer.talk(&format!(
        "wrote {file}\nnext: look it over, then `meshboot check {file}` and `meshboot build {file}`"
    ));
    Ok(Outcome::Done)
}

fn write(file: &Utf8Path, text: &str, force: bool) -> anyhow::Result<()> {
    const MODE: u32 = 0o644;
    let result = if force {
        atomic::write(file, text.as_bytes(), MODE)
    } else {
        atomic::create(file, text.as_bytes(), MODE)
    };
    match result {
        Ok(()) => Ok(()),
        Err(WriteError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            Err(is_there(file).into())
        }
        Err(error) => Err(Refusal::from(error).into()),
    }
}

fn is_there(file: &Utf8Path) -> Refusal {
    Refusal::input(format!("`{file}` is there already"))
        .hint("name another file, or replace it with `--force`")
}

/// Refuses to go on where a flag is missing and nobody can be asked.
fn complete(answers: &Answers) -> Result<(), Refusal> {
    let is_dialled = answers.mesh_listen && !answers.wans.is_empty();
    let no_contact = answers.peers.is_empty() && !is_dialled;
    let missing: Vec<&str> = [
        (answers.fleet.is_none(), "--fleet"),
        (answers.email.is_none(), "--email"),
        (answers.ssh_keys.is_empty(), "--ssh-key"),
        (answers.ingress.is_empty(), "--ingress"),
        (answers.services.is_empty(), "--service"),
        (no_contact, "--peer"),
    ]
    .into_iter()
    .filter_map(|(is_missing, flag)| is_missing.then_some(flag))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::usage(format!(
        "nobody can be asked here (no terminal), and these flags are missing: {}",
        missing.join(", ")
    ))
    .hint("`meshboot init --help` has an example with all of them"))
}
