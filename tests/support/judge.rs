//! Debian 13's own programs, run in a Debian 13 root over files of ours.
//!
//! The root is made by `tests/roots/make` and stays clean: what a judge and its files need to write goes to a layer
//! above it. Mounts and network live in namespaces of the judged command, so nothing is left behind. To add a
//! program: its package in `tests/roots/make`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Outcome, run};
use super::requirement;
use super::scratch::{Folder, set_mode};

/// How long one program may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Making a root for the first time downloads some hundred megabytes.
const ROOT_LIMIT: Duration = Duration::from_mins(15);

/// Sets the scene inside fresh namespaces, then becomes the program.
const STAGE: &str = r#"
lower=$1 layer=$2; shift 2
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
mount -t proc proc "$layer/root/proc"
mount -t sysfs -o ro sysfs "$layer/root/sys"
mount -t tmpfs -o mode=755 tmpfs "$layer/root/run"
mkdir -p "$layer/root/dev/net"
[ -e "$layer/root/dev/net/tun" ] || mknod "$layer/root/dev/net/tun" c 10 200
ip link set lo up
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root TERM=dumb \
    setpriv --pdeathsig KILL chroot "$layer/root" "$@"
"#;

/// A Debian 13 root with files of ours in it.
#[derive(Debug)]
pub(crate) struct Judge {
    layer: Folder,
    root: PathBuf,
}

impl Judge {
    /// Opens a root with the packages of both roles and the judging programs; `None` where the test is skipped.
    pub(crate) fn new() -> Option<Self> {
        if !requirement::root_and(&["mmdebstrap", "unshare", "ip"]) {
            return None;
        }
        let root = make_root(&["judge"]);
        let layer = Folder::new();
        for name in ["upper", "work", "root"] {
            layer.folder(name);
        }
        Some(Self { layer, root })
    }

    /// Puts a file at its absolute path, with its mode; folders on the way are made.
    pub(crate) fn put(&self, path: &str, mode: u32, contents: &[u8]) {
        let target = self.inside(path);
        let parent = target.parent().expect("an absolute path has a parent");
        std::fs::create_dir_all(parent)
            .unwrap_or_else(|error| panic!("making `{}`: {error}", parent.display()));
        std::fs::write(&target, contents)
            .unwrap_or_else(|error| panic!("writing `{}`: {error}", target.display()));
        set_mode(&target, mode);
    }

    /// Puts everything below `tree` at its place, as `build` laid it out under `<node>/rootfs`.
    pub(crate) fn put_tree(&self, tree: &Path) {
        let into = self.layer.path().join("upper");
        let (from, into) = (format!("{}/.", tree.display()), into.display().to_string());
        run(&["cp", "--archive", "--no-preserve=ownership", &from, &into], LIMIT).expect_success();
    }

    /// What a program left at an absolute path, if anything.
    pub(crate) fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.inside(path)).ok()
    }

    /// Runs a program of the root as root, with no network but loopback.
    pub(crate) fn run(&self, argv: &[&str]) -> Outcome {
        let (root, layer) = (self.root.display().to_string(), self.layer.path().display().to_string());
        let mut all =
            vec!["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork"];
        all.extend(["--kill-child", "sh", "-euc", STAGE, "stage", &root, &layer]);
        all.extend(argv);
        let mut outcome = run(&all, LIMIT);
        // What the reader wants to see is the program, not the stage around it.
        outcome.argv = argv.iter().map(|&word| word.to_owned()).collect();
        outcome
    }

    /// The command line that runs a program of the root in the network that it is started in.
    pub(crate) fn argv(&self, argv: &[&str]) -> Vec<String> {
        let (root, layer) = (self.root.display().to_string(), self.layer.path().display().to_string());
        let mut all = vec!["unshare", "--mount", "--pid", "--fork", "--kill-child"];
        all.extend(["sh", "-euc", STAGE, "stage", &root, &layer]);
        all.extend(argv);
        all.into_iter().map(str::to_owned).collect()
    }

    /// Runs a line of POSIX shell in the root.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.run(&["sh", "-euc", script])
    }

    fn inside(&self, path: &str) -> PathBuf {
        let relative = path.strip_prefix('/').unwrap_or_else(|| panic!("`{path}` is not absolute"));
        self.layer.path().join("upper").join(relative)
    }
}

/// Where a root or a package repository lies; made first if it is not there.
pub(crate) fn make_root(arguments: &[&str]) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/roots/make");
    let mut argv = vec![script];
    argv.extend(arguments);
    PathBuf::from(run(&argv, ROOT_LIMIT).expect_success().trim_end())
}
