//! What the README says in figures is what `build` makes.
//!
//! Not here: whether its commands work, which a fresh clone shows.

mod support;

use support::builder::Bench;
use support::generate;

/// How far a figure may be off, in percent: small changes of the profiles need no change of the README.
const TOLERANCE_PERCENT: u64 = 5;

/// Cells of the README's table of sizes: fleet, node, provider, cloud-config, user-data, limit.
fn rows(readme: &str) -> Vec<Vec<String>> {
    let (_, after) = readme.split_once("| fleet | node | provider |").expect("the table of sizes");
    let lines = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

fn number(cell: &str) -> Option<u64> {
    cell.split(' ').next()?.replace(',', "").parse().ok()
}

fn is_near(said: &str, real: u64) -> bool {
    number(said).is_some_and(|said| said.abs_diff(real) * 100 <= real * TOLERANCE_PERCENT)
}

#[test]
fn the_readme_tells_sizes_as_they_are() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |name: &str| std::fs::read_to_string(format!("{root}/{name}")).expect(name);
    let fleets = [("hearth", read("examples/hearth.yaml")), ("50 services", generate::fleet(3, 50))];
    let benches = fleets.map(|(name, text)| (name, Bench::with(&text)));
    for (_, bench) in &benches {
        bench.build(&[]).expect_success();
    }
    let rows = rows(&read("README.md"));
    assert!(rows.len() >= 6, "{rows:?}");
    for row in rows {
        let [fleet, node, _, readable, given, limit] = &row[..] else { panic!("{row:?}") };
        let (_, bench) = benches.iter().find(|(name, _)| name == fleet).expect("a fleet of the table");
        let node = node.trim_matches('`');
        let size = |name: &str| bench.read(&format!("out/{node}/{name}")).len() as u64;
        assert!(is_near(readable, size("cloud-config.yaml")), "{row:?}: {}", size("cloud-config.yaml"));
        assert!(is_near(given, size("user-data")), "{row:?}: {}", size("user-data"));
        let manifest: serde_json::Value =
            serde_json::from_str(&bench.read(&format!("out/{node}/manifest.json"))).expect("JSON");
        assert_eq!(manifest["user-data"]["limit"].as_u64(), number(limit), "{row:?}");
    }
}
