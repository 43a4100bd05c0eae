//! What `build` says: the nodes with their sizes against the limits, what to know, and what to do next; or JSON.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;

use super::{Built, BuiltNode};
use crate::diag::escape;
use crate::identity::MintReason;
use crate::payload::launch_sheet::{grouped, utc};
use crate::payload::manifest::UserDataEntry;
use crate::payload::user_data::PORTABLE_BUDGET;
use crate::render::Role;

/// The outcome as JSON with a final newline.
pub(super) fn json(built: &Built) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Node<'a> {
        name: &'a str,
        role: Role,
        provider: Option<&'a str>,
        folder: String,
        user_data: &'a UserDataEntry,
        token: Option<serde_json::Value>,
    }
    let node = |node: &'_ BuiltNode| {
        let token = node.token.as_ref().map(|token| {
            json!({
                "serial": token.serial,
                "expires": token.expires_unix_seconds,
                "minted": token.minted.map(|reason| reason.to_string()),
            })
        });
        serde_json::to_value(Node {
            name: &node.name,
            role: node.role,
            provider: node.provider.as_deref(),
            folder: built.out.join(&node.name).into_string(),
            user_data: &node.user_data,
            token,
        })
    };
    let nodes = built.nodes.iter().map(node).collect::<Result<Vec<_>, _>>();
    let value = json!({
        "fleet": built.fleet,
        "out": built.out,
        "launch-sheet": built.out.join("index.html"),
        "nodes": nodes.context("writing the outcome as JSON")?,
        "kept": built.kept,
        "missing": built.missing,
        "removed": built.removed,
        "new-keys": built.new_keys,
        "without-address": built.without_address,
    });
    Ok(format!("{value:#}\n"))
}

/// The nodes, one a line, in columns.
pub(super) fn table(built: &Built, colour: bool) -> String {
    let (bold, reset) = if colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    let mut rows =
        vec![["node", "role", "provider", "user-data", "of", "form", "join token"].map(str::to_owned)];
    rows.extend(built.nodes.iter().map(row));
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = format!("{bold}{}{reset} in {}\n", built.fleet, escape(built.out.as_str()));
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::from("  ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a `String` cannot fail.
            let _ = match column {
                3 | 4 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        let line = line.trim_end();
        let _ = if number == 0 { writeln!(text, "{bold}{line}{reset}") } else { writeln!(text, "{line}") };
    }
    text
}

fn row(node: &BuiltNode) -> [String; 7] {
    let entry = &node.user_data;
    let token = node.token.as_ref().map_or_else(
        || "none".to_owned(),
        |token| {
            let age = if token.minted.is_some() { "new" } else { "used again" };
            format!("{age}, until {}", utc(token.expires_unix_seconds))
        },
    );
    [
        node.name.clone(),
        node.role.as_str().to_owned(),
        node.provider.clone().unwrap_or_else(|| "at home".to_owned()),
        grouped(entry.counted),
        entry.limit.map_or_else(|| "no limit".to_owned(), grouped),
        entry.encoding.in_words().to_owned(),
        token,
    ]
}

/// What to know and what to do next, a line each.
pub(super) fn talk(built: &Built, colour: bool) -> Vec<String> {
    let (bold, reset) = if colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    let mut lines = Vec::new();
    lines.extend(notes(built).into_iter().map(|note| format!("{bold}note:{reset} {note}")));
    lines.push(String::new());
    lines.push(format!("{bold}next{reset}"));
    let steps = next_steps(built);
    lines.extend(steps.into_iter().enumerate().map(|(index, step)| format!("  {}. {step}", index + 1)));
    lines
}

fn notes(built: &Built) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(folder) = &built.new_keys {
        notes.push(format!(
            "the fleet's keys were made, in `{folder}`: keep a copy in a safe place, as without them every node has to be \
             set up anew"
        ));
    }
    let home = built.nodes.iter().find(|node| node.user_data.holds_mesh_key);
    if let Some(home) = home {
        let folder = built.out.join(&home.name);
        notes.push(format!(
            "`{folder}/user-data` and `cloud-config.yaml` hold the home's private mesh key; `seed.iso` carries it as \
             a file of its own, which first boot wipes. Prefer the seed"
        ));
        if home.user_data.counted > PORTABLE_BUDGET {
            notes.push(format!(
                "the home's user-data is larger than {} bytes: not every field takes it, the seed always works",
                grouped(PORTABLE_BUDGET)
            ));
        }
    }
    for node in &built.nodes {
        if let Some(reason @ (MintReason::Expiring | MintReason::Renewed | MintReason::RoleChanged)) =
            node.token.as_ref().and_then(|token| token.minted)
        {
            notes.push(format!(
                "`{}` has a new join token ({reason}): paste its new payload, not an older one",
                node.name
            ));
        }
    }
    let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !built.without_address.is_empty() {
        notes.push(format!(
            "the home does not let these in yet, as the file gives no address for them: {}",
            list(&built.without_address)
        ));
    }
    for (names, what) in [
        (&built.kept, "older output was kept"),
        (&built.missing, "not built yet"),
        (&built.removed, "removed, as they left the fleet"),
    ] {
        if !names.is_empty() {
            notes.push(format!("{what}: {}", list(names)));
        }
    }
    notes
}

fn next_steps(built: &Built) -> Vec<String> {
    let out = &built.out;
    let mut steps = vec![format!(
        "open `{}` in a browser: it says for each node what to paste where",
        out.join("index.html")
    )];
    if let Some(home) = built.nodes.iter().find(|node| node.role == Role::LocalProxy) {
        steps.push(format!(
            "start the home from a Debian 13 cloud image with `{}` attached",
            out.join(&home.name).join("seed.iso")
        ));
    }
    if let Some(node) = built.nodes.iter().find(|node| node.role == Role::Ingress) {
        steps.push(format!(
            "paste `{}` into the user-data field of a new machine, and so on for each node",
            out.join(&node.name).join("user-data")
        ));
    }
    steps.push(format!("publish the records of `{}`", out.join("dns.zone")));
    steps
}
