//! The home's mesh key on its way from the seed: taken once, and gone from there afterwards.
//!
//! Not here: ISO 9660 as a machine boots from it (`first_boot`). The volume here is one that every kernel mounts (ext4);
//! what wipes it looks at bytes, whatever the file system.

mod support;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use meshboot::identity::PrivateKey;
use support::command::run;
use support::network::Namespace;
use support::node::Node;
use support::requirement;
use support::scratch::Folder;
use support::seed_device::SeedDevice;

const LIMIT: Duration = Duration::from_secs(20);
const STEP: &str = "/usr/local/lib/meshboot/steps/30-mesh-key 2>&1";
const KEY: &str = "/etc/meshboot/mesh-key.pem";

/// The step and what it calls, as they stand in the role's profile.
fn home() -> Option<Node> {
    if !requirement::root_and(&["losetup", "mkfs.ext4"]) {
        return None;
    }
    let node = Node::new(Namespace::new("home"))?;
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/local-proxy/usr/local/lib/meshboot");
    for script in ["steps/30-mesh-key", "wipe-seed"] {
        let text = std::fs::read(profile.join(script)).expect("a script of the profile");
        node.put(&format!("/usr/local/lib/meshboot/{script}"), 0o755, text);
    }
    node.ask("install -d /etc/meshboot");
    Some(node)
}

/// A seed volume with the key on it.
fn volume(pem: &str) -> Vec<u8> {
    let folder = Folder::new();
    let files = folder.folder("files");
    std::fs::write(files.join("mesh-key.pem"), pem).expect("a file");
    std::fs::write(files.join("user-data"), "#cloud-config\n").expect("a file");
    let image = folder.path().join("seed.img").display().to_string();
    let make = ["mkfs.ext4", "-q", "-L", "CIDATA", "-d", &files.display().to_string(), &image, "4M"];
    run(&make, LIMIT).expect_success();
    std::fs::read(&image).expect("a volume")
}

/// Shows the device to the node, and no other: other tests have volumes with this label too.
fn plug_in(node: &Node, seed: &SeedDevice) -> String {
    let number = std::fs::metadata(seed.device()).expect("a device").rdev();
    let device = seed.device().display().to_string();
    node.ask(&format!("mknod {device} b {} {}", rustix::fs::major(number), rustix::fs::minor(number)));
    device
}

/// How often a text stands on the volume.
fn count(seed: &SeedDevice, text: &str) -> usize {
    seed.bytes().windows(text.len()).filter(|window| *window == text.as_bytes()).count()
}

fn new_key() -> (String, String) {
    let pem = PrivateKey::generate().expect("randomness").to_pem().expect("a key").expose().clone();
    let line = pem.lines().nth(1).expect("a PEM file has a second line").to_owned();
    (pem, line)
}

#[test]
fn key_is_taken_from_a_volume_and_wiped_there() {
    let Some(home) = home() else { return };
    let (pem, line) = new_key();
    let seed = SeedDevice::new(&volume(&pem));
    let device = plug_in(&home, &seed);
    assert_eq!(count(&seed, &line), 1);
    home.ask(STEP);
    assert_eq!(home.read(KEY).as_deref(), Some(pem.as_str()));
    assert_eq!(home.ask(&format!("stat -c '%a %U' {KEY}")).trim(), "600 root");
    assert_eq!(count(&seed, &line), 0, "the key is still on the volume");
    assert_eq!(count(&seed, "#cloud-config"), 1, "the rest of the seed stays");
    let sum = format!("sha256sum {device}");
    let before = home.ask(&sum);
    home.ask(STEP);
    assert_eq!(home.ask(&sum), before, "a second run changes nothing");
    assert_eq!(home.read(KEY).as_deref(), Some(pem.as_str()));
    // A node that has lost its key finds nothing of use there any more.
    home.ask(&format!("rm {KEY}"));
    let again = home.shell(STEP);
    assert!(!again.succeeded() && home.read(KEY).is_none(), "{again}");
}

#[test]
fn a_volume_that_cannot_be_written_is_named() {
    let Some(home) = home() else { return };
    let (pem, line) = new_key();
    let seed = SeedDevice::read_only(&volume(&pem));
    let device = plug_in(&home, &seed);
    let said = home.ask(STEP);
    assert!(
        said.contains(&format!("the mesh key stays readable on {device}"))
            && said.contains("destroy that medium"),
        "{said}"
    );
    assert!(!said.contains(&line), "the key itself is never said");
    assert_eq!(count(&seed, &line), 1);
    assert_eq!(home.read(KEY).as_deref(), Some(pem.as_str()));
}

#[test]
fn key_is_taken_from_a_folder_and_wiped_there() {
    const FOLDER: &str = "/var/lib/cloud/seed/nocloud/mesh-key.pem";
    let Some(home) = home() else { return };
    let (pem, _) = new_key();
    let nothing = home.shell(STEP);
    assert!(
        !nothing.succeeded() && nothing.stdout.contains("no mesh key: boot with the seed attached"),
        "{nothing}"
    );
    home.put(FOLDER, 0o600, &pem[..40]);
    assert!(!home.shell(STEP).succeeded(), "half a key is no key");
    assert_eq!(home.read(KEY), None);
    home.put(FOLDER, 0o600, &pem);
    home.ask(STEP);
    assert_eq!(home.read(KEY).as_deref(), Some(pem.as_str()));
    assert_eq!(home.read(FOLDER), None);
}
