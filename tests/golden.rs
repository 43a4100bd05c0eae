//! The product as files: every `examples/*.yaml`, built with fixed keys at a fixed time, is kept under
//! `tests/golden/<example>/`, so that a change of the product is reviewed as the product.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes the trees anew. To stay readable a tree says each thing once:
//!
//! - `LISTING` has every artefact with mode, size and SHA-256, binary ones too;
//! - a text that equals one kept before is named there and not kept again;
//! - where cloud-config, manifest and launch sheet repeat other artefacts, double angle quotes name them.
//!
//! Not here: whether the product is right; the real programs judge that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use meshboot::command::build::{Request, build};
use meshboot::fleet;
use meshboot::payload::manifest::sha256_hex;

/// 2026-01-01 00:00:00 UTC, the time of every golden build.
const NOW_UNIX_SECONDS: u64 = 1_767_225_600;

/// The fixture keys' public halves, as `openssl pkey -pubout` tells them.
const FLEET_PUBLIC_KEY: &str = "562f84cef7f3fc336a1ac4c5fe4cb34e01a48a54a82ee792f3604828788ff17f";
const HOME_PUBLIC_KEY: &str = "acb49f54509e03aa00a783e5683a824c4ea905fb1961bf6a43f36ae34c4fa8e5";

/// How many spaces cloud-config puts before a line of a file.
const INDENT: usize = 6;

fn crate_root() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_example_builds_what_was_reviewed() {
    let actual = tempfile::tempdir().expect("a temporary folder");
    let examples = examples();
    assert!(examples.len() >= 4, "examples are missing: {examples:?}");
    let mut kept = BTreeMap::new();
    for example in &examples {
        let out = build_example(example);
        let name = example.file_stem().expect("a file has a name");
        let folder = Utf8PathBuf::try_from(actual.path().join(name)).expect("UTF-8");
        snapshot(name, &out.path, &folder, &mut kept);
    }
    let golden = crate_root().join("tests/golden");
    if std::env::var("UPDATE_GOLDEN").as_deref() == Ok("1") {
        let _ = fs::remove_dir_all(&golden);
        let status = Command::new("cp").arg("-r").arg(actual.path()).arg(&golden).status().expect("cp runs");
        assert!(status.success());
        fs::set_permissions(&golden, fs::Permissions::from_mode(0o755)).expect("its mode");
        return;
    }
    let diff = Command::new("diff").arg("-ruN").arg(&golden).arg(actual.path()).output().expect("diff runs");
    let text = String::from_utf8_lossy(&diff.stdout);
    assert!(
        diff.status.success(),
        "the product changed; if that is meant, review it with\n  UPDATE_GOLDEN=1 cargo test --test golden && git diff \
         tests/golden\n{}",
        text.lines().take(200).collect::<Vec<_>>().join("\n")
    );
}

fn examples() -> Vec<Utf8PathBuf> {
    let folder = crate_root().join("examples");
    let entries = folder.read_dir_utf8().expect("the examples").map(|entry| entry.expect("an entry"));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path().to_owned())
        .filter(|path| path.extension() == Some("yaml"))
        .collect();
    paths.sort();
    paths
}

struct BuiltExample {
    path: Utf8PathBuf,
    _keep: tempfile::TempDir,
}

fn build_example(example: &Utf8Path) -> BuiltExample {
    let keep = tempfile::tempdir().expect("a temporary folder");
    let folder = Utf8PathBuf::try_from(keep.path().to_owned()).expect("UTF-8");
    let text = fs::read_to_string(example).expect("an example");
    let parsed =
        fleet::parse(&text, example.as_str()).unwrap_or_else(|report| panic!("{example}: {report:?}"));
    put_state(&folder, parsed.fleet.name.as_str());
    let out = folder.join("out");
    let request = Request {
        fleet_file: example.to_owned(),
        nodes: Vec::new(),
        out: out.clone(),
        force: false,
        renew: Vec::new(),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_UNIX_SECONDS),
        json: false,
    };
    build(&parsed.fleet, &folder, &request).unwrap_or_else(|error| panic!("{example}: {error:#}"));
    BuiltExample { path: out, _keep: keep }
}

/// A fleet's identity with the fixture keys and no tokens yet; signing is deterministic.
fn put_state(folder: &Utf8Path, fleet: &str) {
    let state = folder.join(".meshboot");
    fs::create_dir(&state).expect("a folder");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).expect("its mode");
    let json = serde_json::json!({
        "version": 1,
        "fleet": fleet,
        "build-time-unix-seconds": NOW_UNIX_SECONDS,
        "fleet-public-key": FLEET_PUBLIC_KEY,
        "home-public-key": HOME_PUBLIC_KEY,
        "tokens": {},
    });
    let fixture =
        |name| fs::read_to_string(crate_root().join("tests/fixtures/state").join(name)).expect("a key");
    let files = [
        (".gitignore", "*\n".to_owned()),
        ("fleet.pem", fixture("fleet.pem")),
        ("home.pem", fixture("home.pem")),
        ("state.json", format!("{json:#}\n")),
    ];
    for (name, text) in files {
        fs::write(state.join(name), text).expect("a file");
        fs::set_permissions(state.join(name), fs::Permissions::from_mode(0o600)).expect("its mode");
    }
}

/// Copies what is worth reading of `out` to `folder` and lists all of it. `kept` holds digests of texts kept so far.
fn snapshot(example: &str, out: &Utf8Path, folder: &Utf8Path, kept: &mut BTreeMap<String, String>) {
    let mut paths = Vec::new();
    walk(out, &mut paths);
    paths.sort();
    let mut listing = String::from("mode  bytes    sha256            artefact\n");
    for path in paths {
        let relative = path.strip_prefix(out).expect("it is below").to_owned();
        let contents = fs::read(&path).expect("an artefact");
        let mode = fs::metadata(&path).expect("an artefact").permissions().mode() & 0o7777;
        let digest = sha256_hex(&contents);
        let _ = write!(listing, "{mode:04o}  {:<7}  {}  {relative}", contents.len(), &digest[..16]);
        // What only repeats the other artefacts' digests or bytes says nothing more; and a kept `.gitignore` would hide
        // the whole snapshot from git.
        let repeated = ["SHA256SUMS", ".gitignore"].contains(&relative.as_str())
            || relative.file_name() == Some("user-data");
        match std::str::from_utf8(&contents) {
            Ok(_) if repeated => {}
            Ok(text) => {
                let text = readable(&relative, text, out);
                let place = format!("{example}/{relative}");
                let first = kept.entry(sha256_hex(text.as_bytes())).or_insert_with(|| place.clone());
                if *first == place {
                    let target = folder.join(&relative);
                    fs::create_dir_all(target.parent().expect("it has a folder")).expect("a folder");
                    fs::write(target, text).expect("a snapshot");
                } else {
                    let _ = write!(listing, "  = {first}");
                }
            }
            Err(_) => {
                let _ = write!(listing, "  (binary)");
            }
        }
        listing.push('\n');
    }
    fs::write(folder.join("LISTING"), listing).expect("the listing");
}

/// A text without what other artefacts of the same tree hold already.
fn readable(relative: &Utf8Path, text: &str, out: &Utf8Path) -> String {
    let mut text = text.to_owned();
    match relative.file_name() {
        Some("cloud-config.yaml") => {
            let rootfs = out.join(relative.parent().expect("a node's folder")).join("rootfs");
            let mut files = Vec::new();
            walk(&rootfs, &mut files);
            for file in files {
                let place = file.strip_prefix(&rootfs).expect("it is below");
                let block = indented(&fs::read_to_string(&file).expect("a text"));
                if block.lines().count() > 1 {
                    text = text.replace(&format!("|\n{block}"), &format!("<<rootfs/{place}>>\n"));
                }
            }
        }
        Some("manifest.json") => {
            let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let count = manifest["files"].as_array().expect("a list").len();
            manifest["files"] = format!("<<{count} files>>").into();
            text = format!("{manifest:#}\n");
        }
        Some("index.html") => {
            for node in out.read_dir_utf8().expect("the nodes").map(|entry| entry.expect("an entry")) {
                let Ok(user_data) = fs::read_to_string(node.path().join("user-data")) else { continue };
                let start = format!("<textarea id=\"text-{}\"", node.file_name());
                let Some(begin) = text.find(&start) else { continue };
                let begin = begin + text[begin..].find('>').expect("the element's start") + 1;
                let end = begin + text[begin..].find("</textarea>").expect("the element's end");
                assert!(end - begin >= user_data.len(), "the page holds the whole payload");
                text.replace_range(begin..end, &format!("<<{}/user-data>>", node.file_name()));
            }
        }
        _ => {}
    }
    text
}

fn indented(text: &str) -> String {
    let margin = " ".repeat(INDENT);
    let mut block = String::new();
    for line in text.lines() {
        if !line.is_empty() {
            block.push_str(&margin);
            block.push_str(line);
        }
        block.push('\n');
    }
    block
}

fn walk(folder: &Utf8Path, paths: &mut Vec<Utf8PathBuf>) {
    for entry in folder.read_dir_utf8().expect("a folder") {
        let path = entry.expect("an entry").path().to_owned();
        if Path::new(&path).is_dir() {
            walk(&path, paths);
        } else {
            paths.push(path);
        }
    }
}
