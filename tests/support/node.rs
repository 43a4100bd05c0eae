//! A Debian 13 root that stays mounted, in a network of its own: programs of a node run in it side by side, as its
//! users, over one disk and one `/run`, without systemd.
//!
//! Not here: machines that boot (`machine`), programs that run once (`judge`). What systemd would do (start haproxy
//! and yggdrasil as their units say) stands in [`Node::start_haproxy`] and [`Node::start_yggdrasil`]. Everything
//! lives in a PID and a mount namespace, which end with the value, or with the test's process.

use std::path::PathBuf;
use std::time::Duration;

use meshboot::render::NodeFiles;

use super::command::{Outcome, run, run_with_input};
use super::judge::make_root;
use super::network::{Background, Namespace, wait_until};
use super::scratch::{Folder, set_mode};

/// How long one program may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Mounts the disk, then waits for its end. `/dev/log` is left out: haproxy logs nowhere.
const HOLD: &str = r#"
lower=$1 layer=$2
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
mount -t proc proc "$layer/root/proc"
mount -t sysfs -o ro sysfs "$layer/root/sys"
mount -t tmpfs -o mode=755 tmpfs "$layer/root/run"
mkdir -p "$layer/root/dev/net" "$layer/root/run/systemd/resolve" "$layer/root/run/lock"
[ -e "$layer/root/dev/net/tun" ] || mknod -m 666 "$layer/root/dev/net/tun" c 10 200
chroot "$layer/root" install -d -o haproxy -g haproxy -m 2775 /run/haproxy
chroot "$layer/root" install -d -o yggdrasil -g yggdrasil /run/yggdrasil
touch "$layer/ready"
exec chroot "$layer/root" sleep infinity
"#;

/// Stands for systemd where a node's script asks it for a reload.
const SYSTEMCTL: &str = "#!/bin/sh\n[ \"$*\" = \"reload haproxy.service\" ] && exec kill -USR2 \"$(cat /run/haproxy.pid)\"\nexit 1\n";

/// A root with files of ours, mounted for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Node {
    // Programs end before the disk and the network that they use.
    holder: Background,
    first_process: u32,
    layer: Folder,
    /// The node's network.
    pub(crate) network: Namespace,
}

impl Node {
    /// Mounts a fresh root in `network`; `None` where the test is skipped.
    pub(crate) fn new(network: Namespace) -> Option<Self> {
        if !super::requirement::root_and(&["mmdebstrap", "unshare", "nsenter", "ip", "nft"]) {
            return None;
        }
        let root = make_root(&["judge"]).display().to_string();
        let layer = Folder::new();
        for name in ["upper", "work", "root"] {
            layer.folder(name);
        }
        let place = layer.path().display().to_string();
        let argv = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-euc",
            HOLD,
            "hold",
            &root,
            &place,
        ];
        let holder = network.spawn(&argv, &layer.path().join("holder.log"));
        wait_until("the node's disk", Duration::from_secs(20), || layer.path().join("ready").exists())
            .unwrap_or_else(|error| panic!("{error}\n{}", holder.log()));
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let first_process = std::fs::read_to_string(&children)
            .ok()
            .and_then(|list| list.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("`{children}` names no process: {}", holder.log()));
        let node = Self { holder, first_process, layer, network };
        node.put("/usr/local/sbin/systemctl", 0o755, SYSTEMCTL);
        Some(node)
    }

    /// Puts a file at its absolute path; folders on the way are made.
    pub(crate) fn put(&self, path: &str, mode: u32, contents: impl AsRef<[u8]>) {
        let target = self.inside(path);
        let parent = target.parent().expect("an absolute path has a parent");
        std::fs::create_dir_all(parent)
            .unwrap_or_else(|error| panic!("making `{}`: {error}", parent.display()));
        std::fs::write(&target, contents)
            .unwrap_or_else(|error| panic!("writing `{}`: {error}", target.display()));
        set_mode(&target, mode);
    }

    /// Puts all files of a payload at their places, as first boot does.
    pub(crate) fn put_files(&self, files: &NodeFiles) {
        for file in &files.files {
            self.put(file.path.as_str(), file.mode, &file.contents);
        }
    }

    /// What is at an absolute path, if anything. A symbolic link is followed only where it is relative.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        std::fs::read(self.inside(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Changes one piece of a file.
    #[track_caller]
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path).unwrap_or_else(|| panic!("there is no `{path}`"));
        assert!(text.contains(from), "`{path}` holds no `{from}`:\n{text}");
        std::fs::write(self.inside(path), text.replace(from, to))
            .unwrap_or_else(|error| panic!("writing `{path}`: {error}"));
    }

    /// Runs a program of the root in the node's network.
    pub(crate) fn run(&self, argv: &[&str]) -> Outcome {
        self.run_in(&self.network, argv)
    }

    /// Runs a program of the root in another network.
    pub(crate) fn run_in(&self, network: &Namespace, argv: &[&str]) -> Outcome {
        let all = self.argv(network, argv);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut outcome = run(&all, LIMIT);
        // What the reader wants to see is the program, not the way into the root.
        outcome.argv = argv.iter().map(|&word| word.to_owned()).collect();
        outcome
    }

    /// Runs a line of POSIX shell in the root.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.run(&["sh", "-euc", script])
    }

    /// Its answer to a line of shell that succeeds.
    #[track_caller]
    pub(crate) fn ask(&self, script: &str) -> String {
        self.shell(script).expect_success()
    }

    /// Says one thing to haproxy's runtime API.
    #[track_caller]
    pub(crate) fn ask_haproxy(&self, request: &str) -> String {
        let mut file = tempfile::tempfile().expect("a temporary file");
        std::io::Write::write_all(&mut file, format!("{request}\n").as_bytes())
            .expect("writing a temporary file");
        std::io::Seek::rewind(&mut file).expect("rewinding a temporary file");
        let all = self.argv(&self.network, &["nc", "-U", "-N", "/run/haproxy/admin.sock"]);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        run_with_input(&all, file.into(), LIMIT).expect_success()
    }

    /// Starts a program of the root that runs until the value is dropped.
    pub(crate) fn spawn(&self, name: &str, argv: &[&str]) -> Background {
        self.spawn_in(&self.network, name, argv)
    }

    /// As [`Self::spawn`], in another network.
    pub(crate) fn spawn_in(&self, network: &Namespace, name: &str, argv: &[&str]) -> Background {
        let all = self.argv(network, argv);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        network.spawn(&all, &self.layer.path().join(format!("{name}.log")))
    }

    /// Starts haproxy as Debian's unit does with our drop-in, and returns once it answers.
    pub(crate) fn start_haproxy(&self) -> Background {
        let argv = [
            "haproxy",
            "-W",
            "-f",
            "/etc/meshboot/haproxy.cfg",
            "-p",
            "/run/haproxy.pid",
            "-S",
            "/run/haproxy-master.sock",
        ];
        let _ = std::fs::remove_file(self.inside("/run/haproxy.pid"));
        let program = self.spawn("haproxy", &argv);
        let up = || {
            self.shell("test -s /run/haproxy.pid && echo show info | nc -U -N /run/haproxy/admin.sock")
                .succeeded()
        };
        wait_until("haproxy", Duration::from_secs(10), up)
            .unwrap_or_else(|error| panic!("{error}\n{}", program.log()));
        program
    }

    /// Starts yggdrasil as Debian's unit does with our drop-in, and returns once its interface has an address.
    pub(crate) fn start_yggdrasil(&self) -> Background {
        self.ask("chown root:yggdrasil /etc/meshboot/mesh-key.pem && chmod 0640 /etc/meshboot/mesh-key.pem");
        let program = self.spawn(
            "yggdrasil",
            &[
                "setpriv",
                "--reuid=yggdrasil",
                "--regid=yggdrasil",
                "--init-groups",
                "--no-new-privs",
                "--inh-caps=-all,+net_admin,+net_bind_service",
                "--ambient-caps=-all,+net_admin,+net_bind_service",
                "--bounding-set=-all,+net_admin,+net_bind_service",
                "--pdeathsig=KILL",
                "yggdrasil",
                "-useconffile",
                "/etc/meshboot/yggdrasil.conf",
            ],
        );
        let up = || {
            self.network
                .run(&["ip", "-6", "-o", "address", "show", "dev", "mesh0"])
                .stdout
                .contains(" inet6 2")
        };
        wait_until("the mesh interface", Duration::from_secs(15), up)
            .unwrap_or_else(|error| panic!("{error}\n{}", program.log()));
        program
    }

    fn inside(&self, path: &str) -> PathBuf {
        assert!(path.starts_with('/'), "`{path}` is not absolute");
        PathBuf::from(format!("/proc/{}/root{path}", self.first_process))
    }

    fn argv(&self, network: &Namespace, argv: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = [
            "nsenter",
            &format!("--target={}", self.first_process),
            "--mount",
            "--pid",
            "--root",
            "--wd",
            &format!("--net={}", network.path().display()),
            "--",
            "env",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
            "HOME=/root",
            "TERM=dumb",
            "setpriv",
            "--pdeathsig=KILL",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect();
        all.extend(argv.iter().map(|&word| word.to_owned()));
        all
    }
}
