//! What a test needs of the machine it runs on. Where that is missing the test is skipped, aloud; with `CI=true` it
//! fails.
//!
//! To add a requirement: a function that returns whether the test may go on, and that calls [`skip`] where it may not.

use std::io::Write;
use std::path::Path;

/// Says that the calling test is skipped and why: on standard error, and in the list that `./test.sh` prints.
///
/// # Panics
///
/// With `CI=true`, where nothing may be skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
pub(crate) fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var("CI").as_deref() != Ok("true"), "skipped in CI: {why}");
    eprintln!("skipped: {test}: {why}");
    if let Ok(list) = std::env::var("MESHBOOT_SKIPPED") {
        let mut file =
            std::fs::File::options().append(true).create(true).open(list).expect("the list of skipped tests");
        writeln!(file, "skipped: {test}: {why}").expect("writing the list of skipped tests");
    }
}

/// Whether this process is root and these programs exist; skips otherwise.
pub(crate) fn root_and(programs: &[&str]) -> bool {
    if !rustix::process::geteuid().is_root() {
        skip("needs root (hint: ./test.sh uses sudo)");
        return false;
    }
    self::programs(programs)
}

/// Whether these programs exist; skips otherwise.
pub(crate) fn programs(programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = |program: &str| {
        path.split(':').chain(["/usr/sbin", "/sbin"]).any(|dir| Path::new(dir).join(program).exists())
    };
    match programs.iter().find(|program| !found(program)) {
        Some(missing) => {
            skip(&format!("`{missing}` is not installed (hint: ./test.sh installs what the tests use)"));
            false
        }
        None => true,
    }
}
