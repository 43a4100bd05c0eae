//! The house has floors: a module imports from the ones below it, never from above or beside.
//!
//! Reads every file under `src/`, finds the paths that lead out of the file's own top-level module, and compares
//! floors. To add a top-level module: name it in [`FLOORS`], and in the picture in `src/lib.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules, from the top of the house to the ground.
const FLOORS: [&str; 14] = [
    "cli", "command", "home", "rehearse", "image", "provider", "payload", "render", "peers", "fleet",
    "identity", "profile", "sys", "diag",
];

/// Lines beyond which a file asks for a second room; listed, not refused.
const LONG: usize = 400;

/// An import that points up or sideways, or that nobody placed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    file: String,
    line: usize,
    from: String,
    to: String,
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|name| *name == module)
}

/// Module path of a file below `src/`: `fleet/rules/mod.rs` is `[fleet, rules]`.
fn modules(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// The source without comments, with the lines kept.
fn without_comments(source: &str) -> String {
    let strip = |line: &str| match line.find("//") {
        // A URL in a string is no comment; what stands before it cannot be a path of ours that ends there.
        Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    source.lines().map(strip).collect::<Vec<_>>().join("\n")
}

/// Top-level modules that the text names by `crate::` or by climbing out with `super::`, with the byte where.
fn named(source: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in source.match_indices(root) {
            let before = source[..at].chars().next_back();
            if before
                .is_some_and(|character| character.is_alphanumeric() || character == '_' || character == ':')
            {
                continue;
            }
            let rest = &source[at..];
            let climbs = rest.split("::").take_while(|part| *part == "super").count();
            let path =
                if root == "crate::" { &rest["crate::".len()..] } else { &rest["super::".len() * climbs..] };
            // Fewer climbs stay inside the module; an inline `mod tests` needs one more to leave it.
            if root == "super::" && climbs < depth {
                continue;
            }
            let is_crate = root == "crate::";
            let wanted = |name: &String| is_crate || floor(name).is_some();
            found.extend(first_segments(path).into_iter().filter(wanted).map(|name| (at, name)));
        }
    }
    found
}

/// The first segment of a path, or those of a group in braces.
fn first_segments(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|it| it.is_alphanumeric() || matches!(it, '_' | '*')).collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let mut depth = 0_usize;
    let mut segments = vec![word(group)];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => segments.push(word(&group[at + 1..])),
            _ => {}
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// Every import of one file that is not allowed.
fn faults(file: &Path, source: &str) -> Vec<Fault> {
    let path = modules(file);
    // `lib.rs` and `main.rs` are the roof: they may name everything.
    let Some(from) = path.first() else { return Vec::new() };
    let source = without_comments(source);
    let bad = |(at, to): (usize, String)| {
        let is_down = matches!((floor(from), floor(&to)), (Some(from), Some(to)) if from < to);
        let line = source[..at].matches('\n').count() + 1;
        (*from != to && !is_down).then(|| Fault {
            file: file.display().to_string(),
            line,
            from: from.clone(),
            to,
        })
    };
    named(&source, path.len()).into_iter().filter_map(bad).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("reading {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "long files are listed for the reader of the test's output")]
fn imports_only_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 30, "saw {} files in {}: has the source moved?", files.len(), src.display());

    let mut all = BTreeSet::new();
    let mut edges = 0;
    for file in &files {
        let source = fs::read_to_string(file).expect("a source file");
        let below = file.strip_prefix(&src).expect("a file below src");
        if source.lines().count() > LONG {
            println!("{}: {} lines", below.display(), source.lines().count());
        }
        edges += named(&without_comments(&source), modules(below).len()).len();
        all.extend(faults(below, &source));
    }
    assert!(edges > 50, "saw {edges} imports only: does this test still understand the source?");
    assert!(all.is_empty(), "imports that point up or sideways: {all:#?}");
}

#[test]
fn every_top_level_module_has_a_floor() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    let modules: Vec<&str> =
        lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")).collect();
    assert!(modules.len() >= 9, "{modules:?}");
    for module in modules {
        assert!(floor(module.trim_end_matches(';')).is_some(), "`{module}` has no floor");
    }
}

#[test]
fn an_import_that_points_up_is_seen() {
    let seen = |file: &str, source: &str| -> Vec<String> {
        faults(Path::new(file), source)
            .into_iter()
            .map(|fault| format!("{}:{}", fault.line, fault.to))
            .collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(seen("fleet/mod.rs", "use crate::diag::Report;\nuse crate::fleet::model;"), none);
    assert_eq!(seen("fleet/mod.rs", "\nuse crate::render::NodeFile;"), ["2:render"]);
    assert_eq!(seen("sys/atomic.rs", "use crate::{diag::{A, B}, fleet::Fleet, diag};"), ["1:fleet"]);
    assert_eq!(seen("sys/atomic.rs", "use crate::{\n    diag::A,\n    identity::Key,\n};"), ["1:identity"]);
    assert_eq!(seen("fleet/rules/home.rs", "fn f() { super::super::super::payload::x() }"), ["1:payload"]);
    assert_eq!(seen("fleet/rules/home.rs", "use super::super::model::Home; use super::all;"), none);
    assert_eq!(seen("fleet/rules/home.rs", "pub(in crate::fleet) fn f() {}"), none);
    assert_eq!(seen("diag/mod.rs", "/// See [`crate::fleet`].\n// crate::cli::x"), none);
    assert_eq!(seen("diag/mod.rs", "use crate::unknown::X;"), ["1:unknown"]);
    assert_eq!(seen("diag/mod.rs", "use crate::*;"), ["1:*"]);
    assert_eq!(seen("render/mod.rs", "use super::super::cli;"), ["1:cli"]);
}
