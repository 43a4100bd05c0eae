//! How `meshboot build` treats its output folder: what it refuses, what it keeps, and that nothing is ever half written.
//!
//! Not here: what the artefacts hold (`build`).

mod support;

use std::os::unix::fs::PermissionsExt as _;

use support::builder::{Bench, FLEET, LIMIT, MESHBOOT, text};
use support::command::{Outcome, run};
use support::requirement;

/// The same fleet under another name.
fn other_fleet() -> String {
    FLEET.replace("fleet: hearth", "fleet: cottage")
}

fn refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.is_empty(), "{outcome}");
    for word in words.iter().chain(&["hint:"]) {
        assert!(outcome.stderr.contains(word), "`{word}` in {outcome}");
    }
}

#[test]
fn refuses_a_folder_that_holds_files_of_somebody_else() {
    let bench = Bench::new();
    for name in ["letter.txt", "notes", "photo.jpg", "taxes.ods", "zebra"] {
        bench.write(&format!("out/{name}"), "mine");
    }
    let before = bench.list("out");
    refused(
        &bench.build(&[]),
        &["did not write: `letter.txt`, `notes`, `photo.jpg`, 2 more", "`--out`", "`--force`"],
    );
    assert_eq!(bench.list("out"), before);

    bench.write("out/.gitignore", "notes\n");
    std::fs::set_permissions(bench.path("out"), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    bench.build(&["--force"]).expect_success();
    // From now on it is this fleet's, and still not closed to whoever uses the other files.
    bench.build(&[]).expect_success();
    let mode =
        |name: &str| std::fs::metadata(bench.path(name)).expect("it exists").permissions().mode() & 0o777;
    assert_eq!((mode("out"), mode("out/fra1"), mode("out/index.html")), (0o755, 0o700, 0o600));
    assert_eq!(bench.read("out/.gitignore"), "notes\n");
    assert_eq!(bench.read("out/notes"), "mine");
    assert!(bench.path("out/fra1/user-data").exists());
    assert_eq!(bench.read("out/.meshboot-fleet"), "hearth\n");
}

#[test]
fn refuses_a_folder_of_another_fleet_and_replaces_it_only_by_force() {
    let bench = Bench::new();
    bench.build(&[]).expect_success();
    bench.write("cottage/fleet.yaml", &other_fleet().replace("name: old1", "name: new1"));
    let out = bench.path("out");
    let fleet = bench.path("cottage/fleet.yaml");
    let build = |further: &[&str]| {
        let mut argv = vec![MESHBOOT, "build", text(&fleet), "--out", text(&out)];
        argv.extend(further);
        run(&argv, LIMIT)
    };
    let before = bench.read("out/SHA256SUMS");
    refused(&build(&[]), &["the output of another fleet, `hearth`", "`--out`", "`--force`"]);
    assert_eq!(bench.read("out/SHA256SUMS"), before);
    assert!(!bench.path("cottage/.meshboot").exists(), "a refusal makes no keys");

    build(&["--force"]).expect_success();
    assert_eq!(bench.read("out/.meshboot-fleet"), "cottage\n");
    assert!(bench.path("out/new1").exists() && !bench.path("out/old1").exists());
}

#[test]
fn refuses_to_replace_a_folder_that_only_has_a_nodes_name() {
    let bench = Bench::new();
    bench.write("out/fra1/thesis.tex", "years of work");
    refused(&bench.build(&["--force"]), &["fra1` is in the way", "move it away"]);
    assert_eq!(bench.read("out/fra1/thesis.tex"), "years of work");
    assert_eq!(bench.list("out"), ["fra1/", "fra1/thesis.tex"]);
}

#[test]
fn refuses_what_cannot_be_a_folder() {
    let bench = Bench::new();
    bench.write("out", "a file");
    refused(&bench.build(&[]), &["out` is not a folder", "name another folder"]);
    assert_eq!(bench.read("out"), "a file");
    bench.write("file", "a file");
    let inside = bench.path("file/out");
    let fleet = bench.path("fleet.yaml");
    refused(&run(&[MESHBOOT, "build", text(&fleet), "--out", text(&inside)], LIMIT), &["file/out"]);
    std::fs::create_dir(bench.path("elsewhere")).expect("a folder");
    std::os::unix::fs::symlink("elsewhere", bench.path("link")).expect("a link");
    let link = bench.path("link");
    refused(
        &run(&[MESHBOOT, "build", text(&fleet), "--out", text(&link)], LIMIT),
        &["link` is a symbolic link"],
    );
    assert!(bench.list("elsewhere").is_empty());
}

#[test]
fn refuses_names_that_no_node_has() {
    let bench = Bench::new();
    for option in ["--node", "--renew"] {
        let outcome = bench.build(&[option, "fra2"]);
        refused(
            &outcome,
            &["the fleet `hearth` has no node `fra2`", "its nodes are `hearth`, `fra1`, `any1`, `old1`"],
        );
    }
    refused(&bench.build(&["--renew", "hearth"]), &["`hearth` is the home"]);
    assert!(!bench.path("out").exists() && !bench.path(".meshboot").exists());
}

#[test]
fn builds_chosen_nodes_and_keeps_the_others() {
    let bench = Bench::new();
    let first = bench.build(&["--node", "fra1"]).expect_success();
    assert!(first.contains("fra1") && !first.contains("any1"), "{first}");
    assert!(!bench.path("out/any1").exists());
    bench.build(&["--node", "any1", "--node", "hearth"]).expect_success();
    let fra1 = bench.read("out/fra1/manifest.json");
    bench.build(&["--node", "any1"]).expect_success();
    assert_eq!(bench.read("out/fra1/manifest.json"), fra1);
    let sums = bench.read("out/SHA256SUMS");
    for node in ["fra1", "any1", "hearth"] {
        assert!(sums.contains(&format!("  {node}/user-data\n")), "{node}");
        assert!(bench.read("out/index.html").contains(node), "{node}");
    }
    assert!(bench.read("out/index.html").contains("Not built yet: old1."));
    run(
        &["sh", "-c", "cd \"$0\" && sha256sum -c --quiet --strict SHA256SUMS", text(&bench.path("out"))],
        LIMIT,
    )
    .expect_success();
}

#[test]
fn takes_away_what_left_the_fleet() {
    let bench = Bench::new();
    bench.build(&[]).expect_success();
    bench.write("out/notes-of-mine", "kept");
    bench.write("fleet.yaml", &FLEET.replace("  - {name: any1, provider: generic}\n", ""));
    let outcome = bench.build(&[]);
    assert!(outcome.stderr.contains("removed, as they left the fleet: `any1`"), "{outcome}");
    assert!(!bench.path("out/any1").exists());
    assert!(!bench.read("out/SHA256SUMS").contains("any1"));
    assert_eq!(bench.read("out/notes-of-mine"), "kept");
}

#[test]
fn uses_a_token_again_and_renews_it_when_asked() {
    let bench = Bench::new();
    let token = |node: &str| bench.read(&format!("out/{node}/rootfs/etc/meshboot/join-token"));
    bench.build(&[]).expect_success();
    let (fra1, any1) = (token("fra1"), token("any1"));
    let again = bench.build(&[]);
    assert!(again.stdout.contains("used again, until"), "{again}");
    assert_eq!((token("fra1"), token("any1")), (fra1.clone(), any1.clone()));
    let renewed = bench.build(&["--renew", "fra1"]);
    assert!(renewed.stderr.contains("`fra1` has a new join token (asked for)"), "{renewed}");
    assert_ne!(token("fra1"), fra1);
    assert_eq!(token("any1"), any1);
    for secret in [fra1, token("fra1"), any1] {
        assert!(!renewed.stdout.contains(secret.trim()) && !renewed.stderr.contains(secret.trim()));
    }
}

#[test]
fn says_clearly_where_the_homes_key_lies() {
    let bench = Bench::new();
    let outcome = bench.build(&[]);
    assert!(
        outcome.stderr.contains("hearth/user-data` and `cloud-config.yaml` hold the home's private mesh key")
    );
    assert!(!bench.build(&["--node", "fra1"]).stderr.contains("mesh key"));
}

#[test]
fn opens_an_existing_folder_to_nobody_else() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("out")).expect("a folder");
    std::fs::set_permissions(bench.path("out"), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    bench.build(&[]).expect_success();
    let mode = std::fs::metadata(bench.path("out")).expect("a folder").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
}

#[test]
fn clears_what_a_killed_build_left_behind() {
    let bench = Bench::new();
    bench.write("out/.meshboot-new-Ab3/fra1/user-data", "half");
    bench.build(&[]).expect_success();
    assert!(!bench.path("out/.meshboot-new-Ab3").exists());
}

/// Runs a build where `/mnt` is a small or read-only file system, in a mount namespace that ends with it.
fn build_on(bench: &Bench, mount: &str, script: &str) -> Option<Outcome> {
    if !requirement::root_and(&["unshare", "mount"]) {
        return None;
    }
    let fleet = bench.path("fleet.yaml");
    let script = format!("mount -t tmpfs {mount} tmpfs /mnt\n{script}");
    Some(run(&["unshare", "--mount", "sh", "-euc", &script, "sh", MESHBOOT, text(&fleet)], LIMIT))
}

#[test]
fn a_full_disk_leaves_the_old_output_and_nothing_half_written() {
    let bench = Bench::new();
    bench.build(&[]).expect_success();
    // Room for one whole output (some 600 KiB) and a part of the next, for which the old one would have to go first.
    let script = "\"$1\" build \"$2\" --out /mnt/out --node fra1 >/dev/null 2>&1
        find /mnt/out -type f | sort | xargs sha256sum > /tmp/sums.$$
        dd if=/dev/zero of=/mnt/filler bs=1k count=\"$(($(df --output=avail -k /mnt | tail -1) - 150))\" status=none
        code=0; \"$1\" build \"$2\" --out /mnt/out || code=$?
        find /mnt/out -type f | sort | xargs sha256sum | cmp - /tmp/sums.$$ || { echo changed; exit 9; }
        rm /tmp/sums.$$
        find /mnt/out -name '.meshboot-new-*' | grep . && exit 8
        exit $code";
    let Some(outcome) = build_on(&bench, "-o size=2m", script) else { return };
    refused(&outcome, &["No space left on device", "free some space"]);

    let script = "code=0; \"$1\" build \"$2\" --out /mnt/out || code=$?
        [ ! -e /mnt/out ] || { ls -lA /mnt/out; exit 9; }
        exit $code";
    let Some(outcome) = build_on(&bench, "-o size=100k", script) else { return };
    refused(&outcome, &["No space left on device", "free some space"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    let script = "\"$1\" build \"$2\" --out /mnt/out";
    let Some(outcome) = build_on(&bench, "-o ro", script) else { return };
    refused(&outcome, &["`/mnt/out`", "read-only file system"]);
    let script = "mkdir /mnt/out; chmod 0555 /mnt /mnt/out
        setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all sh -c '
            mkdir -p /tmp/fleet.$$; cp \"$2\" /tmp/fleet.$$/fleet.yaml
            code=0; \"$1\" build /tmp/fleet.$$/fleet.yaml --out /mnt/out || code=$?
            rm -r /tmp/fleet.$$; exit $code' sh \"$1\" \"$2\"";
    let Some(outcome) = build_on(&bench, "-o size=1m", script) else { return };
    refused(&outcome, &["`/mnt/out`"]);
}

#[test]
fn builds_at_the_same_time_know_each_others_nodes() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for node in ["hearth", "fra1", "any1", "old1"] {
            let bench = &bench;
            scope.spawn(move || bench.build(&["--node", node]).expect_success());
        }
    });
    let sums = bench.read("out/SHA256SUMS");
    for node in ["hearth", "fra1", "any1", "old1"] {
        assert!(sums.contains(&format!("  {node}/user-data\n")), "`{node}` in {sums}");
    }
}

#[test]
fn says_once_where_new_keys_lie() {
    let bench = Bench::new();
    let first = bench.build(&[]);
    assert!(first.stderr.contains("the fleet's keys were made, in `"), "{first}");
    let second = bench.build(&[]);
    assert!(!second.stderr.contains("keys were made"), "{second}");
}

#[test]
fn a_fleet_beside_which_no_key_can_lie_is_refused() {
    let bench = Bench::new();
    for fleet in ["-", "/dev/null"] {
        let out = bench.path("out");
        let outcome = run(&[MESHBOOT, "build", fleet, "--out", text(&out)], LIMIT);
        refused(&outcome, &["is not a file", "beside its file", "`fleet.yaml`"]);
        assert!(!out.exists());
    }
    if !requirement::root_and(&["setpriv"]) {
        return;
    }
    let fleet = bench.path("fleet.yaml");
    // The program itself may lie where only its builder may look.
    let program = bench.path("meshboot");
    std::fs::copy(MESHBOOT, &program).expect("a copy");
    let folder = bench.path("");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let argv = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        text(&program),
        "build",
        text(&fleet),
    ];
    refused(&run(&argv, LIMIT), &[".meshboot`", "keys are kept beside its file"]);
    assert!(!bench.path(".meshboot").exists());
}
