//! The checkers of a node's scripts and units: shellcheck, pyflakes, systemd-analyze; and certbot's own help.

use std::collections::BTreeSet;

use super::support::fleets;
use super::support::judge::Judge;
use super::{Node, distinct};

/// A script on a node is read in one go: house style.
const MOST_LINES: usize = 60;

/// Where a node's scripts lie.
const SCRIPTS: &[&str] = &["usr"];

/// Absolute paths of a node's files whose first line starts with `start`.
fn files_that_start(node: &Node<'_>, start: &str) -> Vec<String> {
    let rootfs = node.built.rootfs(&node.name);
    let mut found: Vec<String> = super::contents(&rootfs)
        .into_iter()
        .filter(|(_, bytes)| bytes.starts_with(start.as_bytes()))
        .map(|(path, _)| format!("/{path}"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{}: no file starts with `{start}`", node.label);
    found
}

#[test]
fn shellcheck_accepts_every_script() {
    let Some(_) = Judge::new() else { return };
    let fleets = fleets::all();
    for node in distinct(&fleets, SCRIPTS) {
        let judge = node.stage();
        let mut scripts = files_that_start(&node, "#!/bin/sh");
        assert!(scripts.len() > 8, "{}: only {scripts:?}", node.label);
        for script in &scripts {
            let text = node.built.text(&node.name, &format!("rootfs{script}"));
            assert!(
                text.lines().count() < MOST_LINES,
                "{}: {script} has {} lines",
                node.label,
                text.lines().count()
            );
            assert!(
                text.lines().any(|line| line.starts_with("set -eu")),
                "{}: {script} goes on after errors",
                node.label
            );
        }
        // What is sourced, and what cloud-init's bootcmd runs.
        scripts.push("/usr/local/lib/meshboot/report".to_owned());
        judge.put("/cloud-config.yaml", 0o600, &node.built.read(&node.name, "cloud-config.yaml"));
        let commands = judge.run(&["python3", "-c", BOOT_COMMANDS]).expect_success();
        assert!(commands.lines().count() > 1, "{}: {commands}", node.label);
        scripts.extend(commands.lines().map(str::to_owned));
        let mut argv = vec!["shellcheck", "--external-sources", "--severity=style"];
        argv.extend(scripts.iter().map(String::as_str));
        let outcome = judge.run(&argv);
        assert!(outcome.succeeded(), "{}: {outcome}", node.label);
    }
}

/// Writes each boot command as a script of its own and prints their names.
const BOOT_COMMANDS: &str = r##"
import yaml
for number, command in enumerate(yaml.safe_load(open("/cloud-config.yaml"))["bootcmd"]):
    name = f"/bootcmd-{number}"
    with open(name, "w") as file:
        file.write("#!/bin/sh\n" + command)
    print(name)
"##;

#[test]
fn pyflakes_accepts_every_python_program() {
    let Some(_) = Judge::new() else { return };
    let fleets = fleets::all();
    let homes: Vec<Node<'_>> = distinct(&fleets, SCRIPTS)
        .into_iter()
        .filter(|node| node.built.text(&node.name, "manifest.json").contains("local-proxy"))
        .collect();
    assert!(!homes.is_empty(), "no home");
    for node in homes {
        let judge = node.stage();
        for program in files_that_start(&node, "#!/usr/bin/python3") {
            judge.run(&["pyflakes3", &program]).expect_success();
            judge.run(&["python3", "-I", "-W", "error", "-m", "py_compile", &program]).expect_success();
        }
    }
}

#[test]
fn systemd_accepts_every_unit() {
    let Some(_) = Judge::new() else { return };
    let fleets = fleets::all();
    for node in distinct(&fleets, &["etc/systemd", "usr"]) {
        let judge = node.stage();
        // The unit that bootcmd puts between cloud-init and sshd is one of them.
        judge.put("/cloud-config.yaml", 0o600, &node.built.read(&node.name, "cloud-config.yaml"));
        judge.run(&["python3", "-c", EARLY_UNIT]).expect_success();
        let units =
            judge.shell("cd /etc/systemd/system; ls -d meshboot-*.service meshboot-*.timer").expect_success();
        assert!(units.lines().count() > 5, "{}: {units}", node.label);
        let mut argv = vec!["systemd-analyze", "verify", "--man=no", "--recursive-errors=one"];
        argv.extend(units.lines());
        argv.extend(["haproxy.service", "yggdrasil.service"]);
        let outcome = judge.run(&argv);
        assert!(outcome.succeeded() && outcome.stderr.trim().is_empty(), "{}: {outcome}", node.label);
    }
}

/// Takes the unit out of the boot command that writes it.
const EARLY_UNIT: &str = r#"
import yaml
commands = yaml.safe_load(open("/cloud-config.yaml"))["bootcmd"]
text = next(command for command in commands if "meshboot-early.service <<'END'" in command)
unit = text.split("<<'END'\n", 1)[1].split("\nEND\n", 1)[0]
open("/etc/systemd/system/meshboot-early.service", "w").write(unit + "\n")
"#;

#[test]
fn certbot_knows_every_option_that_is_used() {
    let Some(judge) = Judge::new() else { return };
    let fleets = fleets::all();
    let help = judge.run(&["certbot", "--help", "all"]).expect_success();
    let mut judged = 0;
    for node in distinct(&fleets, SCRIPTS) {
        let scripts = super::contents(&node.built.rootfs(&node.name));
        let texts = scripts.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes));
        for text in texts.filter(|text| text.contains("certbot certonly")) {
            let command = text.split("certbot certonly").nth(1).expect("what follows it");
            let command = command.replace("\\\n", " ");
            let words = command.lines().next().expect("a line").split_whitespace();
            for word in words.filter(|word| word.starts_with("--")) {
                let option = word.split('=').next().unwrap_or(word);
                judged += 1;
                assert!(help.contains(option), "{}: certbot does not know `{option}`", node.label);
            }
        }
    }
    assert!(judged > 10, "only {judged} options were looked at");
}

#[test]
fn every_package_that_is_installed_is_in_debian_13() {
    let Some(judge) = Judge::new() else { return };
    let fleets = fleets::all();
    let packages: BTreeSet<String> = fleets.iter().flat_map(|(_, built)| built.packages()).collect();
    assert!(packages.len() > 5, "{packages:?}");
    // What the judge's root was made of was installed from Debian 13 itself.
    let mut argv = vec!["dpkg-query", "--show", "--showformat=${db:Status-Status}\n"];
    argv.extend(packages.iter().map(String::as_str));
    let outcome = judge.run(&argv);
    assert!(outcome.succeeded(), "{outcome}");
    assert!(outcome.stdout.lines().all(|line| line == "installed"), "{outcome}");
}
