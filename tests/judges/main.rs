//! Debian 13's own programs judge what `build` writes.
//!
//! Every node of every fleet of `support::fleets` stands before: cloud-init (`cloud`), haproxy, nft, yggdrasil, sshd and
//! the others that read its files (`configuration`), and the checkers of its scripts and units (`programs`). Here: that
//! the judges are the right ones, and do refuse. Not here: whether a node boots (`first_boot`). To add a judge: a test
//! in one of these rooms, over [`distinct`] nodes.

#[path = "../support/mod.rs"]
mod support;

mod cloud;
mod configuration;
mod programs;

use std::collections::BTreeSet;
use std::path::Path;

use support::built::Built;
use support::judge::Judge;

/// One node of one fleet.
struct Node<'a> {
    /// Fleet and node, for messages.
    label: String,
    built: &'a Built,
    name: String,
}

impl Node<'_> {
    /// A root with the node's files in it, as first boot finds them.
    fn stage(&self) -> Judge {
        let judge = Judge::new().expect("the first judge was not skipped");
        judge.put_tree(&self.built.rootfs(&self.name));
        judge
    }
}

/// Nodes whose files below `parts` of their root differ from those of every node before: judging the same bytes twice
/// shows nothing.
fn distinct<'a>(fleets: &'a [(String, Built)], parts: &[&str]) -> Vec<Node<'a>> {
    let mut seen = BTreeSet::new();
    let mut nodes = Vec::new();
    for (fleet, built) in fleets {
        for name in built.nodes() {
            let rootfs = built.rootfs(&name);
            if seen.insert(parts.iter().map(|part| contents(&rootfs.join(part))).collect::<Vec<_>>()) {
                nodes.push(Node { label: format!("{fleet}, {name}"), built, name });
            }
        }
    }
    assert!(nodes.len() > 1, "both roles have these files");
    nodes
}

/// Names and bytes of a file, or of all files below a folder; nothing where there is none.
fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    if path.is_file() {
        return vec![(path.display().to_string(), std::fs::read(path).expect("a file of ours"))];
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| contents(path)).map(|(name, bytes)| (relative(&name), bytes)).collect()
}

/// What follows `rootfs` in a path: two nodes' files are compared, not their places.
fn relative(path: &str) -> String {
    path.rsplit("/rootfs/").next().unwrap_or(path).to_owned()
}

/// The versions that the judgement is about; a Debian update that changes one shows up here first.
#[test]
#[expect(clippy::print_stdout, reason = "the versions are the point")]
fn judges_are_debian_13s_programs() {
    let Some(judge) = Judge::new() else { return };
    let versions =
        judge.shell("dpkg-query --show haproxy yggdrasil nftables certbot cloud-init systemd openssh-server");
    let versions = versions.expect_success();
    println!("{versions}");
    for expected in ["haproxy\t3.0.", "yggdrasil\t0.5.", "nftables\t1.1.", "certbot\t4.", "cloud-init\t25.1"]
    {
        assert!(versions.lines().any(|line| line.starts_with(expected)), "no {expected:?} in\n{versions}");
    }
}

/// A judge that lets everything pass is no judge: each one is shown something that it has to refuse.
#[test]
fn judges_refuse_what_is_wrong() {
    let Some(judge) = Judge::new() else { return };
    judge.put("/bad/haproxy.cfg", 0o644, b"frontend f\n  bind :80\n  default_backend missing\n");
    judge.put("/bad/rules.nft", 0o644, b"table inet t { chain c { tcp dport nonsense accept } }\n");
    judge.put("/bad/user-data", 0o644, b"#cloud-config\nruncmd: 7\n");
    judge.put("/bad/script", 0o755, b"#!/bin/sh\necho $1\n");
    judge.put("/bad/module.py", 0o644, b"import os\nprint(missing)\n");
    judge.put("/etc/systemd/system/bad.service", 0o644, b"[Service]\nExecStart=/no/such/program\n");
    judge.put("/bad/yggdrasil.conf", 0o644, b"{ Peers: [");
    let wrong: &[&[&str]] = &[
        &["haproxy", "-c", "-f", "/bad/haproxy.cfg"],
        &["nft", "-c", "-f", "/bad/rules.nft"],
        &["cloud-init", "schema", "-c", "/bad/user-data"],
        &["shellcheck", "/bad/script"],
        &["pyflakes3", "/bad/module.py"],
        &["systemd-analyze", "verify", "/etc/systemd/system/bad.service"],
        &["yggdrasil", "-useconffile", "/bad/yggdrasil.conf", "-address"],
    ];
    for argv in wrong {
        let outcome = judge.run(argv);
        assert!(!outcome.succeeded(), "{outcome}");
        assert_ne!(outcome.code, Some(127), "{outcome}");
    }
}

/// What a judge writes stays in its own layer.
#[test]
fn root_stays_clean() {
    let Some(judge) = Judge::new() else { return };
    judge.shell("echo mine > /etc/written-by-a-test").expect_success();
    assert_eq!(judge.read("/etc/written-by-a-test").as_deref(), Some(&b"mine\n"[..]));
    let another = Judge::new().expect("the first one was not skipped");
    assert!(!another.shell("cat /etc/written-by-a-test").succeeded());
}
