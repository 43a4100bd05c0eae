//! The output folder: whose it is, and how it is written without ever being half written.
//!
//! A folder is a fleet's when `.meshboot-fleet` in it says so. Everything is written into a private folder inside it and
//! moved to its place at the end (`sys::staging`). The folder holds secrets, so it is closed to others and out of git.
//!
//! Not here: what the files say (`payload`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::nodes::{Chosen, Order, for_each};
use super::{BuiltNode, Request};
use crate::diag::Refusal;
use crate::fleet::model::Fleet;
use crate::identity::Token;
use crate::payload::dns_zone;
use crate::payload::launch_sheet;
use crate::payload::manifest::{Manifest, sha256_hex};
use crate::payload::node::{Artefact, NodeArtefacts, PUBLIC_MODE, SECRET_MODE};
use crate::sys::atomic::{TEMPORARY_PREFIX, WriteError, create_private_dir};
use crate::sys::staging::Staging;
use crate::sys::unchanged;

/// Says whose folder it is.
const MARKER: &str = ".meshboot-fleet";

/// Keeps the folder out of git.
const GITIGNORE: &str = ".gitignore";

/// Names a node's folder as ours, and says what it holds.
const MANIFEST: &str = "manifest.json";

/// What lies in an output folder beside the nodes.
const OURS: [&str; 5] = [MARKER, GITIGNORE, "SHA256SUMS", "dns.zone", "index.html"];

/// Foreign files that a refusal names.
const NAMED_FILES: usize = 3;

/// A folder that was looked at, not yet touched.
#[derive(Debug)]
pub(super) struct OutFolder {
    path: Utf8PathBuf,
    /// Files that are not ours lie there too.
    shared: bool,
    /// Nodes of this or another fleet whose artefacts lie there, with the fleet that they name.
    nodes: BTreeMap<String, String>,
}

/// What a build did to the folder.
pub(super) struct Written {
    pub(super) built: Vec<BuiltNode>,
    pub(super) kept: Vec<String>,
    pub(super) missing: Vec<String>,
    pub(super) removed: Vec<String>,
}

/// A built node on its way to the launch sheet and the sums.
struct Summary {
    built: BuiltNode,
    sheet: launch_sheet::BuiltNode,
    sums: Vec<(String, String)>,
}

impl OutFolder {
    /// Looks at a folder. One that holds another fleet's files, or files that are not ours, is refused unless `force`.
    pub(super) fn examine(path: &Utf8Path, fleet: &Fleet, force: bool) -> Result<Self, Refusal> {
        let reading =
            |error: &io::Error| Refusal::input(format!("reading the output folder `{path}`: {error}"));
        let mut folder = Self { path: path.to_owned(), shared: false, nodes: BTreeMap::new() };
        let entries = match path.read_dir_utf8() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(WriteError::NotAFolder { path: path.to_owned() }.into());
            }
            Err(error) => return Err(reading(&error)),
        };
        let mut names = BTreeSet::new();
        for entry in entries {
            let entry = entry.map_err(|error| reading(&error))?;
            if let Some(found) = manifest_of(entry.path()) {
                folder.nodes.insert(entry.file_name().to_owned(), found.fleet);
            }
            // What a killed build left behind is nobody's; it is removed before the next one writes.
            if !entry.file_name().starts_with(TEMPORARY_PREFIX) {
                names.insert(entry.file_name().to_owned());
            }
        }
        match fs::read_to_string(path.join(MARKER)) {
            Ok(marker) if marker.trim_end() != fleet.name.as_str() && !force => {
                return Err(other_fleet(path, marker.trim_end()));
            }
            Err(_) if !names.is_empty() && !force => return Err(foreign(path, &names)),
            _ => {}
        }
        folder.shared =
            names.iter().any(|name| !OURS.contains(&name.as_str()) && !folder.nodes.contains_key(name));
        Ok(folder)
    }

    /// Refuses, `--force` or not, to replace a folder that has a node's name and is not a node's.
    pub(super) fn refuse_foreign<'a>(&self, nodes: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
        for node in nodes {
            let path = self.path.join(node);
            if !self.nodes.contains_key(node) && fs::symlink_metadata(&path).is_ok() {
                return Err(Refusal::input(format!("`{path}` is in the way, and meshboot did not write it"))
                    .hint("move it away, or name another folder with `--out`"));
            }
        }
        Ok(())
    }

    /// Writes everything that was chosen, then the files of the fleet, then moves all to its place.
    pub(super) fn write(
        &self,
        order: &Order<'_>,
        chosen: &[Chosen<'_>],
        tokens: &[Option<Token>],
        request: &Request,
    ) -> Result<Written> {
        let new = self.prepare()?;
        let written = self.fill(order, chosen, tokens, request);
        if written.is_err() && new {
            // It was made a moment ago and holds nothing; if it does after all, this does nothing.
            let _ = fs::remove_dir(&self.path);
        }
        written
    }

    /// Makes the folder or closes it to others; removes what a killed build left behind. Says whether it is new.
    fn prepare(&self) -> Result<bool, Refusal> {
        // A folder that holds other files keeps its mode: closing `/srv` would not be taken well. What is secret is in
        // folders and files that are closed themselves.
        let new = !self.shared && create_private_dir(&self.path)?;
        let entries = self.path.read_dir_utf8().into_iter().flatten().flatten();
        for left in entries.filter(|entry| entry.file_name().starts_with(TEMPORARY_PREFIX)) {
            let removed = if left.path().is_dir() {
                fs::remove_dir_all(left.path())
            } else {
                fs::remove_file(left.path())
            };
            removed.map_err(|error| Refusal::input(format!("removing `{}`: {error}", left.path())))?;
        }
        Ok(new)
    }

    fn fill(
        &self,
        order: &Order<'_>,
        chosen: &[Chosen<'_>],
        tokens: &[Option<Token>],
        request: &Request,
    ) -> Result<Written> {
        let fleet = order.fleet;
        let staging = Staging::begin(&self.path).map_err(Refusal::from)?;
        let summaries = for_each(*order, chosen, tokens, |made, token| self.stage(&staging, made, token))?;
        let (removed, kept) = self.left_over(fleet, chosen, request);
        let missing = missing(fleet, chosen, &kept);

        let mut sums: Vec<(String, String)> = Vec::new();
        let mut sheet = BTreeMap::new();
        let mut built = Vec::with_capacity(summaries.len());
        for summary in summaries {
            sums.extend(summary.sums);
            sheet.insert(summary.built.name.clone(), summary.sheet);
            built.push(summary.built);
        }
        for node in &kept {
            let folder = self.path.join(node);
            sum_folder(&self.path, &folder, &mut sums).with_context(|| format!("reading `{folder}`"))?;
            if let Some(node) = kept_node(&folder) {
                sheet.insert(node.manifest.node.clone(), node);
            }
        }
        self.write_fleet_files(&staging, order, &sheet, sums)?;
        staging.commit().map_err(Refusal::from)?;
        for node in &removed {
            let folder = self.path.join(node);
            fs::remove_dir_all(&folder).with_context(|| format!("removing `{folder}`"))?;
        }
        Ok(Written { built, kept, missing, removed })
    }

    /// Nodes there that this build does not write: those to remove, and those that stay.
    fn left_over(
        &self,
        fleet: &Fleet,
        chosen: &[Chosen<'_>],
        request: &Request,
    ) -> (Vec<String>, Vec<String>) {
        let in_fleet = |name: &str| {
            name == fleet.home.name.as_str() || fleet.ingress.iter().any(|node| node.name.as_str() == name)
        };
        let others =
            self.nodes.iter().filter(|(name, _)| !chosen.iter().any(|node| node.name() == name.as_str()));
        let (remove, keep): (Vec<_>, Vec<_>) = others.partition(|(name, named)| {
            named.as_str() != fleet.name.as_str() || (request.nodes.is_empty() && !in_fleet(name))
        });
        let names = |list: Vec<(&String, &String)>| list.into_iter().map(|(name, _)| name.clone()).collect();
        (names(remove), names(keep))
    }

    /// Writes a node's artefacts, unless they stand there already, byte for byte.
    fn stage(&self, staging: &Staging, made: NodeArtefacts, token: Option<&Token>) -> Result<Summary> {
        let built = BuiltNode::new(&made, token).context("reading what was just made")?;
        let node = Utf8Path::new(&built.name);
        let wanted: Vec<_> = made
            .artefacts
            .iter()
            .map(|artefact| (artefact.path.as_path(), artefact.contents.as_slice(), artefact.mode))
            .collect();
        let current = unchanged::is_folder(&self.path.join(node), &wanted);
        let mut sums = Vec::with_capacity(made.artefacts.len());
        for Artefact { path, mode, contents, sha256 } in made.artefacts {
            let path = node.join(path);
            let written = match &sha256 {
                _ if current => Ok(()),
                Some(sum) => staging.write_shared(&path, &contents, mode, sum),
                None => staging.write(&path, &contents, mode),
            };
            written.map_err(Refusal::from)?;
            sums.push((path.into_string(), sha256.unwrap_or_else(|| sha256_hex(&contents))));
        }
        let sheet = launch_sheet::BuiltNode { manifest: made.manifest, user_data: made.user_data.text };
        Ok(Summary { built, sheet, sums })
    }

    /// Launch sheet, zone, sums, and what marks the folder.
    fn write_fleet_files(
        &self,
        staging: &Staging,
        order: &Order<'_>,
        sheet: &BTreeMap<String, launch_sheet::BuiltNode>,
        mut sums: Vec<(String, String)>,
    ) -> Result<()> {
        let address = order.facts.home_mesh_address.ip();
        let page = launch_sheet::render(order.fleet, address, sheet)?;
        let zone = dns_zone::text(order.fleet, address);
        for (name, mode, text) in [("index.html", SECRET_MODE, page), ("dns.zone", PUBLIC_MODE, zone)] {
            sums.push((name.to_owned(), sha256_hex(text.as_bytes())));
            staging.write_changed(name, text.as_bytes(), mode).map_err(Refusal::from)?;
        }
        sums.sort();
        let mut lines = String::with_capacity(sums.len() * 128);
        for (path, sum) in sums {
            lines.extend([sum.as_str(), "  ", path.as_str(), "\n"]);
        }
        let mut others = vec![("SHA256SUMS", lines), (MARKER, format!("{}\n", order.fleet.name))];
        // One that stands there may be somebody's.
        if fs::symlink_metadata(self.path.join(GITIGNORE)).is_err() {
            others.push((GITIGNORE, "*\n".to_owned()));
        }
        for (name, text) in others {
            staging.write_changed(name, text.as_bytes(), PUBLIC_MODE).map_err(Refusal::from)?;
        }
        Ok(())
    }
}

fn missing(fleet: &Fleet, chosen: &[Chosen<'_>], kept: &[String]) -> Vec<String> {
    let names = std::iter::once(&fleet.home.name).chain(fleet.ingress.iter().map(|node| &node.name));
    let there =
        |name: &str| kept.iter().any(|kept| kept == name) || chosen.iter().any(|node| node.name() == name);
    names.filter(|name| !there(name.as_str())).map(ToString::to_string).collect()
}

/// What the manifest in a node's folder says; nothing where there is none that can be read.
fn manifest_of(folder: &Utf8Path) -> Option<Manifest> {
    serde_json::from_slice(&fs::read(folder.join(MANIFEST)).ok()?).ok()
}

fn kept_node(folder: &Utf8Path) -> Option<launch_sheet::BuiltNode> {
    let user_data = fs::read_to_string(folder.join("user-data")).ok()?;
    manifest_of(folder).map(|manifest| launch_sheet::BuiltNode { manifest, user_data })
}

/// Sums of every file below `folder`, by their paths from `root`.
fn sum_folder(root: &Utf8Path, folder: &Utf8Path, sums: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sum_folder(root, entry.path(), sums)?;
        } else if let Ok(path) = entry.path().strip_prefix(root) {
            sums.push((path.to_string(), sha256_hex(&fs::read(entry.path())?)));
        }
    }
    Ok(())
}

fn other_fleet(path: &Utf8Path, found: &str) -> Refusal {
    Refusal::input(format!("`{path}` holds the output of another fleet, `{found}`"))
        .hint("name another folder with `--out`, or replace that output with `--force`")
}

fn foreign(path: &Utf8Path, names: &BTreeSet<String>) -> Refusal {
    let mut list: Vec<_> = names.iter().take(NAMED_FILES).map(|name| format!("`{name}`")).collect();
    if names.len() > NAMED_FILES {
        list.push(format!("{} more", names.len() - NAMED_FILES));
    }
    Refusal::input(format!("`{path}` holds files that meshboot did not write: {}", list.join(", ")))
        .hint("name an empty folder with `--out`, or write beside those files with `--force`")
}
