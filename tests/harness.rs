//! The test harness itself: its networks carry packets, its machines boot, and it leaves nothing behind.
//!
//! Not here: anything about meshboot.

mod support;

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::internet::{CLOUD_NODE, Internet};
use support::machine::{Machine, has_ended};
use support::network::{Namespace, wait_until};
use support::requirement;
use support::scan::{Answer, open_ports, scan};
use support::seed_device::SeedDevice;

const PATIENCE: Duration = Duration::from_millis(700);

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Names, mounts and folders that a process of this test program has made and that are there now.
fn left_behind(process: u32) -> Vec<String> {
    let mine = format!("{process}-");
    let mut names = Vec::new();
    let temporary = std::env::temp_dir();
    for (folder, prefix) in [(Path::new("/run/netns"), "meshboot-"), (&temporary, "meshboot-test-")] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        names.extend(
            entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(&mine))),
        );
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the list of mounts");
    names.extend(mounts.lines().filter(|line| line.contains(&format!("-{mine}"))).map(str::to_owned));
    names
}

/// Processes whose command line names a folder or a namespace of that process.
fn processes_of(process: u32) -> Vec<String> {
    let mine = format!("-{process}-");
    let entries = std::fs::read_dir("/proc").expect("the list of processes").flatten();
    entries
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&mine))
        .collect()
}

/// The file behind a loop device, if it is in use by a test.
fn backing_file(device: &Path) -> Option<String> {
    let name = device.file_name()?.to_str()?;
    let file = std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).ok()?;
    file.contains("meshboot-test-").then_some(file)
}

#[test]
fn scanner_tells_open_from_refused_from_silent() {
    if !requirement::root_and(&["ip", "nft"]) {
        return;
    }
    let (here, there) = (Namespace::new("here"), Namespace::new("there"));
    here.link("eth0", &there, "eth0");
    here.ip("addr add 198.51.100.1/24 dev eth0");
    there.ip("addr add 198.51.100.2/24 dev eth0");
    let listener = there.within(|| std::net::TcpListener::bind("198.51.100.2:4780").expect("a free port"));
    let found = here.within(|| scan(address("198.51.100.2"), [4779, 4780], PATIENCE));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(4779, Answer::Refused), (4780, Answer::Open)]);
    there
        .run(&[
            "nft",
            "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }",
        ])
        .expect_success();
    let found = here.within(|| scan(address("198.51.100.2"), [4779, 4780], PATIENCE));
    assert!(found.is_empty(), "{found:?}");
    drop(listener);
}

/// A stock image in the test's cloud gets its addresses, its names and its packages, and can be seen from outside.
#[test]
fn stock_image_boots_in_the_cloud() {
    let Some(mut internet) = Internet::new() else { return };
    internet.start_services();
    internet.start_mirror(&["haproxy", "netcat-openbsd"]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut machine = Machine::new(internet.cloud_socket(), folder.join("stock-image.console"));
    for (path, contents) in Internet::mirror_settings() {
        machine.put(path, 0o644, contents.as_bytes());
    }
    let (path, contents) = Internet::fallback_network();
    machine.put(path, 0o644, contents);
    let user_data =
        "#cloud-config\npackage_update: true\npackages: [haproxy]\nruncmd: [[touch, /root/seen]]\n";
    machine.put("var/lib/cloud/seed/nocloud/user-data", 0o600, user_data.as_bytes());
    machine.put("var/lib/cloud/seed/nocloud/meta-data", 0o644, b"instance-id: stock\n");
    machine.start().expect("the machine starts");
    let status = machine.run_for(&["cloud-init", "status", "--wait", "--long"], Duration::from_secs(90));
    assert!(
        status.succeeded() && status.stdout.contains("status: done"),
        "{status}\n{}",
        machine.console_tail(60)
    );
    assert!(machine.shell("test -e /root/seen").succeeded(), "{}", machine.console_tail(60));
    let version = machine.ask("dpkg-query --show haproxy").expect("haproxy is installed");
    assert!(version.starts_with("haproxy\t3.0"), "{version}");
    let open = internet.visitor.within(|| open_ports(address(CLOUD_NODE.1), PATIENCE));
    assert_eq!(open, [22], "an unguarded machine shows SSH");
    machine.reboot().expect("the machine comes back");
    let back = || machine.shell("systemctl is-active haproxy").succeeded();
    wait_until("haproxy after a reboot", Duration::from_secs(30), back).expect("haproxy is back");
}

#[test]
fn mesh_peer_is_up() {
    let Some(mut internet) = Internet::new() else { return };
    internet.start_mesh();
    assert_eq!(internet.visitor.within(|| scan(address("192.0.2.9"), [443], PATIENCE)).len(), 1);
}

/// A scene with all that could be left behind: networks, programs, a machine, a block device.
fn scene(console: &str) -> Option<(Machine, SeedDevice, Internet)> {
    let mut internet = Internet::new()?;
    internet.start_services();
    internet.start_mesh();
    let seed = SeedDevice::new(&vec![0; 1 << 20]);
    let console = Path::new(env!("CARGO_TARGET_TMPDIR")).join(console);
    let mut machine = Machine::new(internet.home_socket(), console);
    machine.start().expect("the machine starts");
    Some((machine, seed, internet))
}

#[test]
fn nothing_is_left_behind() {
    let Some(scene) = scene("left-behind.console") else { return };
    let me = std::process::id();
    let leader = scene.0.leader().expect("the machine is on");
    let device = scene.1.device().to_owned();
    assert!(!left_behind(me).is_empty() && !processes_of(me).is_empty(), "the search finds what is there");
    assert!(!has_ended(leader) && backing_file(&device).is_some(), "the search finds what is there");
    drop(scene);
    assert_eq!(left_behind(me), Vec::<String>::new());
    assert_eq!(processes_of(me), Vec::<String>::new());
    assert!(has_ended(leader), "the machine runs on");
    assert_eq!(backing_file(&device), None);
}

/// Tells `nothing_survives_a_kill`, started by itself, what to do: hold a scene, or be the next test.
const PART: &str = "MESHBOOT_TEST_PART";

/// This program once more, to play a part.
fn player(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "nothing_survives_a_kill", "--nocapture"]).env(PART, part);
    command
}

/// The processes of a test that is killed die with it; names and files are taken away by the next test.
#[test]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn nothing_survives_a_kill() {
    match std::env::var(PART).as_deref() {
        Ok("hold") => {
            let (machine, seed, _internet) = scene("killed.console").expect("the parent was not skipped");
            println!("\nholding {} {}", machine.leader().expect("it is on"), seed.device().display());
            std::thread::sleep(Duration::from_mins(2));
            return;
        }
        Ok("next") => {
            drop((Namespace::new("next"), SeedDevice::new(&vec![0; 1 << 20])));
            return;
        }
        _ if !requirement::root_and(&["systemd-nspawn"]) => return,
        _ => {}
    }
    let mut child = player("hold").stdout(Stdio::piped()).spawn().expect("starting this program");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let line =
        lines.map_while(Result::ok).find(|line| line.starts_with("holding ")).expect("it holds a scene");
    let mut words = line.split_whitespace().skip(1);
    let leader = words.next().and_then(|word| word.parse().ok()).expect("a process id");
    let device = PathBuf::from(words.next().expect("a device"));
    child.kill().expect("killing a child of ours");
    child.wait().expect("waiting for it");
    wait_until("the machine's end", Duration::from_secs(5), || has_ended(leader))
        .expect("it dies with the test");
    wait_until("the programs' end", Duration::from_secs(5), || processes_of(child.id()).is_empty())
        .unwrap_or_else(|error| panic!("{error}: {:?}", processes_of(child.id())));
    assert!(!left_behind(child.id()).is_empty(), "a kill leaves names: nothing was shown");
    assert!(player("next").status().expect("starting this program").success(), "the next test");
    assert_eq!(left_behind(child.id()), Vec::<String>::new());
    assert_eq!(backing_file(&device), None);
}
