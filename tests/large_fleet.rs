//! Fleets far larger than anybody's: no findings, the same bytes twice, and little memory.
//!
//! Not here: time, which `benches/figures.sh` measures on a machine that does nothing else. To add a size: an entry in
//! the table of its test.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use meshboot::fleet;
use support::command::run;
use support::generate;
use support::requirement;
use support::scratch::Folder;

/// Generous: on a busy machine, not optimised.
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn generated_fleets_have_no_findings() {
    for (ingress, services) in [(1, 0), (1, 1), (7, 6), (4000, 4000)] {
        let text = generate::fleet(ingress, services);
        let parsed = fleet::parse(&text, "fleet.yaml")
            .unwrap_or_else(|report| panic!("{ingress} {services}: {}", report.to_text(false)));
        assert!(parsed.warnings.is_empty(), "{ingress} {services}: {}", parsed.warnings.to_text(false));
        assert_eq!((parsed.fleet.ingress.len(), parsed.fleet.services.len()), (ingress, services));
    }
    let lines = generate::fleet_of_lines(10_000).lines().count();
    assert!((10_000..10_100).contains(&lines), "{lines}");
}

/// 150 nodes made by several threads: the second build finds everything as it is to be and writes nothing.
#[test]
fn a_second_build_of_a_large_fleet_writes_nothing() {
    let folder = Folder::new();
    fs::write(folder.path().join("fleet.yaml"), generate::fleet(150, 50)).expect("a fleet file");
    build(folder.path());
    let first = listing(&folder.path().join("out"));
    assert!(first.len() > 150 * 30, "{} files", first.len());
    build(folder.path());
    assert!(listing(&folder.path().join("out")) == first, "files were written again");
    let sums = folder.path().join("out").display().to_string();
    run(&["sh", "-euc", "cd \"$1\" && exec sha256sum --check --quiet SHA256SUMS", "sums", &sums], LIMIT)
        .expect_success();
}

/// 150 nodes fit into 32 MiB of private memory: what is made of a node is written at once and given back. They need
/// less than 20; all of their artefacts together would not fit.
#[test]
fn memory_holds_a_few_nodes_and_not_the_fleet() {
    if !requirement::programs(&["prlimit"]) {
        return;
    }
    let folder = Folder::new();
    fs::write(folder.path().join("fleet.yaml"), generate::fleet(150, 200)).expect("a fleet file");
    // The kernel counts what the process may write to; peak memory would count pages of the program's file as well, as
    // many as happen to be cached. Large pieces are given back at once, so that no holes in glibc's heap are counted.
    build_by(folder.path(), &["prlimit", "--data=33554432", "env", "MALLOC_MMAP_THRESHOLD_=131072"]);
}

/// Builds the fleet in `folder`.
fn build(folder: &Path) {
    build_by(folder, &[]);
}

/// Builds the fleet in `folder`, run by another program.
fn build_by(folder: &Path, runner: &[&str]) {
    let (file, out) = (folder.join("fleet.yaml"), folder.join("out"));
    let (file, out) = (file.display().to_string(), out.display().to_string());
    let mut argv = runner.to_vec();
    argv.extend([env!("CARGO_BIN_EXE_meshboot"), "build", &file, "--out", &out]);
    run(&argv, LIMIT).expect_success();
}

/// Every file below a folder with what changes when it is written: inode and time of change.
fn listing(folder: &Path) -> Vec<(String, u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder exists") {
            let entry = entry.expect("an entry");
            let found = entry.metadata().expect("it exists");
            if found.is_dir() {
                folders.push(entry.path());
            } else {
                all.push((
                    entry.path().display().to_string(),
                    found.ino(),
                    found.mtime(),
                    found.mtime_nsec(),
                ));
            }
        }
    }
    all.sort();
    all
}
