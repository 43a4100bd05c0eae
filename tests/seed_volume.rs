//! The real programs judge a seed volume: `blkid`, `xorriso`, `isoinfo`, `bsdtar`, and a Linux kernel.
//!
//! Not here: what a node's seed holds (`tests/build.rs`). A program that is missing fails the test and is named.

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use meshboot::payload::iso::{self, Extent, IsoFile, SECTOR};
use meshboot::payload::manifest::sha256_hex;
use support::requirement;

const BUILD_TIME: u64 = 1_764_000_000;

struct Seed {
    folder: tempfile::TempDir,
    files: Vec<(&'static str, u32, Vec<u8>)>,
    extents: Vec<Extent>,
}

impl Seed {
    fn new() -> Self {
        let large =
            (0..5_000_001_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let files = vec![
            ("user-data", 0o644, b"#cloud-config\nhostname: fra1\n".to_vec()),
            ("meta-data", 0o644, b"instance-id: 7f3a\n".to_vec()),
            ("network-config", 0o644, b"version: 2\n".to_vec()),
            ("bundle.tar.gz", 0o644, large),
            ("mesh-key.pem", 0o400, vec![b'k'; SECTOR]),
            ("vendor-data", 0o644, Vec::new()),
        ];
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut volume = Vec::new();
        let given: Vec<_> =
            files.iter().map(|(name, mode, contents)| IsoFile { name, mode: *mode, contents }).collect();
        let extents = iso::write(&mut volume, "CIDATA", BUILD_TIME, &given).expect("a volume");
        std::fs::write(folder.path().join("seed.iso"), volume).expect("writing the volume");
        Self { folder, files, extents }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("seed.iso")
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output =
        Command::new("timeout").arg("60").arg(program).args(arguments).output().expect("timeout runs");
    assert_ne!(output.status.code(), Some(127), "`{program}` is missing: test.sh installs it");
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn blkid_sees_an_iso9660_volume_with_the_label_cidata() {
    let seed = Seed::new();
    let output = run("blkid", &["-p", "-o", "export", text(&seed.path())]);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    for line in ["TYPE=iso9660", "LABEL=CIDATA", "UUID=2025-11-24-16-00-00-00", "USAGE=filesystem"] {
        assert!(said.lines().any(|found| found == line), "{line} in {said}");
    }
}

#[test]
fn xorriso_reads_every_file_back_by_its_real_name() {
    let seed = Seed::new();
    let out = seed.folder.path().join("out");
    let output =
        run("xorriso", &["-osirrox", "on", "-indev", text(&seed.path()), "-extract", "/", text(&out)]);
    assert!(output.status.success(), "{}", said(&output));
    for word in ["WARNING", "SORRY", "FAILURE"] {
        assert!(!said(&output).contains(word), "{}", said(&output));
    }
    for (name, mode, contents) in &seed.files {
        assert!(std::fs::read(out.join(name)).expect(name) == *contents, "{name} differs");
        let found = std::fs::metadata(out.join(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!(found, *mode, "{name}");
    }
}

#[test]
fn isoinfo_shows_plain_joliet_and_rock_ridge_names() {
    let seed = Seed::new();
    let list = |options: &[&str]| {
        let path = seed.path();
        let mut arguments = vec!["-f", "-i", text(&path)];
        arguments.extend(options);
        let output = run("isoinfo", &arguments);
        assert!(output.status.success(), "{}", said(&output));
        let mut names: Vec<_> =
            String::from_utf8_lossy(&output.stdout).lines().map(|line| line[1..].to_owned()).collect();
        names.sort();
        names
    };
    let mut real: Vec<_> = seed.files.iter().map(|(name, ..)| (*name).to_owned()).collect();
    real.sort();
    assert_eq!(list(&["-R"]), real);
    assert_eq!(list(&["-J"]), real);
    assert_eq!(
        list(&[]),
        [
            "BUNDLE_TAR.GZ;1",
            "MESH_KEY.PEM;1",
            "META_DATA.;1",
            "NETWORK_CONFIG.;1",
            "USER_DATA.;1",
            "VENDOR_DATA.;1"
        ]
    );
}

#[test]
fn libarchive_reads_every_file_back_with_its_mode() {
    let seed = Seed::new();
    let out = seed.folder.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    let output = run("bsdtar", &["-xpf", text(&seed.path()), "-C", text(&out)]);
    assert!(output.status.success(), "{}", said(&output));
    for (name, mode, contents) in &seed.files {
        assert!(std::fs::read(out.join(name)).expect(name) == *contents, "{name} differs");
        let found = std::fs::metadata(out.join(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!(found, *mode, "{name}");
    }
}

/// What the kernel under test does first, on the host's own files: mounts the volume by each of its three trees and
/// tells what it sees, then switches itself off.
const INIT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t tmpfs tmpfs /mnt
mkdir /mnt/seed
for module in $(find /usr/lib/uml/modules -name cdrom.ko) $(find /usr/lib/uml/modules -name isofs.ko); do
    insmod "$module"
done
for options in ro ro,norock ro,norock,nojoliet; do
    mount -t iso9660 -o "$options" /dev/ubda /mnt/seed
    cd /mnt/seed
    stat --format "$options %n %a %U" ./*
    sha256sum -- * | sed "s/^/$options /"
    cd /
    umount /mnt/seed
done
echo o > /proc/sysrq-trigger
sleep 60
"#;

/// The kernel runs as a process (User-mode Linux), because the machine's own may come without ISO 9660.
#[test]
fn linux_mounts_it_by_each_of_its_trees() {
    if !requirement::root_and(&["linux.uml", "insmod"]) {
        return;
    }
    let seed = Seed::new();
    let init = seed.folder.path().join("init");
    std::fs::write(&init, INIT).expect("a script");
    std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let volume = format!("ubd0={}", text(&seed.path()));
    let init = format!("init={}", text(&init));
    let quiet = [
        "mem=128M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        "con=null",
        "con0=null,fd:1",
    ];
    let folder = format!("uml_dir={}/", text(seed.folder.path()));
    let mut arguments = vec![volume.as_str(), init.as_str(), folder.as_str()];
    arguments.extend(quiet);
    let output = run("linux.uml", &arguments);
    let said = said(&output).replace('\r', "");
    let line = |wanted: String| assert!(said.lines().any(|found| found == wanted), "`{wanted}` in\n{said}");
    for (name, mode, contents) in &seed.files {
        let digest = sha256_hex(contents);
        let plain = match name.rsplit_once('.') {
            Some((stem, extension)) => format!("{}.{extension}", stem.replace(['-', '.'], "_")),
            None => name.replace('-', "_"),
        };
        line(format!("ro ./{name} {mode:o} root"));
        line(format!("ro {digest}  {name}"));
        line(format!("ro,norock {digest}  {name}"));
        line(format!("ro,norock,nojoliet {digest}  {plain}"));
    }
}

#[test]
fn each_file_lies_in_one_piece_where_the_writer_says() {
    let seed = Seed::new();
    let volume = std::fs::read(seed.path()).expect("the volume");
    assert_eq!(volume.len() % SECTOR, 0);
    assert_eq!(seed.extents.len(), seed.files.len());
    for (extent, (name, _, contents)) in seed.extents.iter().zip(&seed.files) {
        let start = usize::try_from(extent.offset).expect("small");
        assert_eq!((extent.name.as_str(), start % SECTOR), (*name, 0));
        assert!(volume[start..start + contents.len()] == *contents, "{name}");
    }
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let (first, second) = (Seed::new(), Seed::new());
    assert!(std::fs::read(first.path()).expect("one") == std::fs::read(second.path()).expect("other"));
}

#[test]
fn refuses_names_and_labels_that_not_every_reader_could_show() {
    let file = |name| IsoFile { name, mode: 0o644, contents: b"" };
    for (files, words) in [
        (vec![file("a b")], "only letters"),
        (vec![file("Ünï")], "only letters"),
        (vec![file("")], "empty"),
        (vec![file(".hidden")], "dot"),
        (vec![file("a-name-that-has-more-than-31-characters")], "31"),
        (vec![file("user-data"), file("user_data")], "USER_DATA"),
    ] {
        let error = iso::write(&mut Vec::new(), "CIDATA", 0, &files).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
    for label in ["", "cidata", "SEVENTEEN_LETTERS"] {
        assert!(iso::write(&mut Vec::new(), label, 0, &[]).is_err(), "{label}");
    }
}

#[test]
fn a_folder_of_many_files_crosses_sectors_between_records() {
    let names: Vec<String> = (0..100).map(|number| format!("file-number-{number:03}.txt")).collect();
    let files: Vec<_> =
        names.iter().map(|name| IsoFile { name, mode: 0o644, contents: name.as_bytes() }).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("many.iso");
    iso::write(&mut std::fs::File::create(&path).expect("a file"), "MANY", BUILD_TIME, &files)
        .expect("a volume");
    let output = run("isoinfo", &["-R", "-f", "-i", text(&path)]);
    let found: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| line[1..].to_owned()).collect();
    assert_eq!(found, names);
}
