//! One fixture a rule, with what the command says of it; and fleets that are accepted, with what was read.

use std::collections::BTreeSet;
use std::path::Path;

use assert_cmd::Command;
use meshboot::fleet::{LARGEST, Rule, parse};

use super::{folder, rules_of, yaml_files};

fn stem(file: &Path) -> String {
    file.file_stem().expect("a file name").to_string_lossy().into_owned()
}

#[test]
fn every_fixture_says_what_its_snapshot_says() {
    for file in yaml_files("tests/fixtures/invalid") {
        let output = Command::cargo_bin("meshboot")
            .expect("the binary")
            .current_dir(folder("tests/fixtures/invalid"))
            .args(["check", "--strict", &format!("{}.yaml", stem(&file))])
            .output()
            .expect("running meshboot");
        let said = format!(
            "exit code: {:?}\n----- stdout -----\n{}----- stderr -----\n{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(output.status.code(), Some(1), "{said}");
        insta::with_settings!({
            snapshot_path => folder("tests/fixtures/invalid"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(stem(&file), said) });
    }
}

#[test]
fn every_rule_has_a_fixture_and_every_fixture_breaks_its_rule_alone() {
    let mut seen = BTreeSet::new();
    for file in yaml_files("tests/fixtures/invalid") {
        let rule = stem(&file);
        // The one fixture that is no text is judged by the command only.
        if let Ok(text) = std::fs::read_to_string(&file) {
            assert_eq!(rules_of(&text), [rule.as_str()], "{}", file.display());
        } else {
            assert_eq!(rule, Rule::NotUtf8.id());
        }
        seen.insert(rule);
    }
    // Eight megabytes are made, not kept.
    assert_eq!(rules_of(&"#".repeat(LARGEST + 1)), [Rule::FileTooLarge.id()]);
    seen.insert(Rule::FileTooLarge.id().to_owned());

    let rules: BTreeSet<String> = Rule::ALL.iter().map(|rule| rule.id().to_owned()).collect();
    assert_eq!(seen, rules);
    assert_eq!(rules.len(), Rule::ALL.len(), "two rules with one identifier");
}

#[test]
fn valid_fixtures_are_read_as_their_snapshots_say() {
    for file in yaml_files("tests/fixtures/valid") {
        let text = std::fs::read_to_string(&file).expect("a fixture");
        let parsed =
            parse(&text, "fleet.yaml").unwrap_or_else(|report| panic!("{}:\n{report}", file.display()));
        assert!(parsed.warnings.is_empty(), "{}:\n{}", file.display(), parsed.warnings);
        insta::with_settings!({
            snapshot_path => folder("tests/fixtures/valid"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_debug_snapshot!(stem(&file), parsed.fleet) });
    }
}

#[test]
fn examples_pass_check_strict() {
    let files = yaml_files("examples");
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        Command::cargo_bin("meshboot")
            .expect("the binary")
            .args(["check", "--strict"])
            .arg(&file)
            .assert()
            .success()
            .stdout("");
    }
}
