//! Embeds `profiles/`, `cloud-init/` and `packer/` into the library, and fails the build with file and line on a
//! template or profile that does not parse.
//!
//! Not here: what counts as broken. That is `src/profile/judge.rs`, which this file and the library's tests share. To
//! embed one more tree, add it to `TREES`; to embed one more file, put it there.

use std::error::Error;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[expect(dead_code, unreachable_pub, reason = "the library uses the rest of these shared files")]
#[path = "src/profile/provider.rs"]
mod provider;

#[expect(unreachable_pub, reason = "shared with the library, where it is public")]
#[path = "src/profile/judge.rs"]
mod judge;

/// Folders beside this file whose files are embedded.
const TREES: [&str; 3] = ["cloud-init", "packer", "profiles"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo:rerun-if-changed=src/profile");
    let mut paths = Vec::new();
    for tree in TREES {
        // Cargo scans a folder for newer files by itself; a `chmod` alone is not seen, as it leaves the mtime.
        println!("cargo:rerun-if-changed={tree}");
        collect(&root.join(tree), &mut paths)?;
    }
    paths.sort();

    let mut source =
        String::from("/// Every embedded file, sorted by path.\nstatic FILES: &[Embedded] = &[\n");
    let mut faults = Vec::new();
    for path in &paths {
        let name =
            path.strip_prefix(&root)?.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
        let full =
            root.join(name).into_os_string().into_string().map_err(|_| "the crate's path is not UTF-8")?;
        let contents = fs::read(path).map_err(|error| format!("reading {name}: {error}"))?;
        faults.extend(judge::judge(name, &contents));
        let executable = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
        writeln!(
            source,
            "    Embedded {{ path: {name:?}, contents: include_str!({full:?}), executable: {executable} }},"
        )?;
    }
    source.push_str("];\n");
    if !faults.is_empty() {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(format!("embedded files do not parse:\n{}", list.join("\n")).into());
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), source)?;
    Ok(())
}

/// Adds every file below `folder`. A `README.md` is for people and stays out; a link or device is an error, because
/// what it points at would be embedded under another name.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder).map_err(|error| format!("reading {}: {error}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&path, paths)?;
        } else if !kind.is_file() {
            return Err(format!("{} is neither a file nor a folder", path.display()).into());
        } else if entry.file_name() != "README.md" {
            paths.push(path);
        }
    }
    Ok(())
}
