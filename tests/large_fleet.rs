//! Fleets far larger than anybody's: no findings, the same bytes twice, and memory that grows with the fleet.
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
const LIMIT: Duration = Duration::from_mins(3);

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
    if !requirement::programs(&["time"]) {
        return;
    }
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

/// Peak memory of the whole process, from the kernel: what a node adds is small, and 1,000 stay below 256 MiB.
#[test]
fn memory_grows_with_the_fleet_and_stays_small() {
    if !requirement::programs(&["time"]) {
        return;
    }
    let peaks: Vec<u64> = [50, 150]
        .into_iter()
        .map(|ingress| {
            let folder = Folder::new();
            fs::write(folder.path().join("fleet.yaml"), generate::fleet(ingress, 200)).expect("a fleet file");
            build(folder.path())
        })
        .collect();
    let a_node = peaks[1].saturating_sub(peaks[0]) / 100;
    let thousand = peaks[1] + 850 * a_node;
    assert!(thousand < 256 << 10, "{peaks:?} KiB with 50 and 150 nodes: {thousand} KiB with 1,000");
}

/// Builds the fleet in `folder`; its peak memory in KiB.
fn build(folder: &Path) -> u64 {
    let (file, out) = (folder.join("fleet.yaml"), folder.join("out"));
    let (file, out) = (file.display().to_string(), out.display().to_string());
    let argv =
        ["/usr/bin/time", "--format=%M", env!("CARGO_BIN_EXE_meshboot"), "build", &file, "--out", &out];
    let outcome = run(&argv, LIMIT);
    assert!(outcome.succeeded(), "{outcome}");
    // The last line on standard error is what `time` says.
    let peak = outcome.stderr.lines().last().and_then(|line| line.parse().ok());
    peak.unwrap_or_else(|| panic!("no peak: {outcome}"))
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
