//! Fleets that the real `meshboot build` has built.
//!
//! Not here: what is wrong or right with them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::run;
use super::scratch::Folder;

/// What `build` wrote for one fleet.
#[derive(Debug)]
pub(crate) struct Built {
    out: PathBuf,
    /// Takes the output away when dropped; without one it belongs to the test run.
    folder: Option<Folder>,
}

impl Built {
    /// Builds the fleet that `text` describes; gone when dropped.
    pub(crate) fn new(text: &str) -> Self {
        let folder = Folder::new();
        let mut built = Self::inside(folder.path(), text);
        built.folder = Some(folder);
        built
    }

    /// Builds the fleet that `text` describes inside `folder`, which stays; what is there already is used as it is.
    pub(crate) fn inside(folder: &Path, text: &str) -> Self {
        let out = folder.join("out");
        if !out.join("SHA256SUMS").exists() {
            std::fs::create_dir_all(folder).expect("making a folder");
            let fleet = folder.join("fleet.yaml");
            std::fs::write(&fleet, text).expect("writing a fleet");
            let argv = [
                env!("CARGO_BIN_EXE_meshboot"),
                "build",
                &fleet.display().to_string(),
                "--out",
                &out.display().to_string(),
            ];
            run(&argv, Duration::from_mins(1)).expect_success();
        }
        Self { out, folder: None }
    }

    /// Builds one of `examples/`.
    pub(crate) fn example(name: &str) -> Self {
        Self::new(&example_text(name))
    }

    /// What it wrote.
    pub(crate) fn out(&self) -> &Path {
        &self.out
    }

    /// A file of a node, as in `user-data`.
    #[track_caller]
    pub(crate) fn read(&self, node: &str, file: &str) -> Vec<u8> {
        let path = self.out().join(node).join(file);
        std::fs::read(&path).unwrap_or_else(|error| panic!("reading `{}`: {error}", path.display()))
    }

    /// As [`Self::read`], as text.
    #[track_caller]
    pub(crate) fn text(&self, node: &str, file: &str) -> String {
        String::from_utf8(self.read(node, file)).expect("UTF-8")
    }

    /// Names of its nodes: the folders that hold a manifest. Never empty.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.out()).expect("the output folder").flatten();
        let mut nodes: Vec<String> = entries
            .filter(|entry| entry.path().join("manifest.json").exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        nodes.sort();
        assert!(!nodes.is_empty(), "no node in the output folder");
        nodes
    }

    /// A node's files at their places.
    pub(crate) fn rootfs(&self, node: &str) -> PathBuf {
        self.out().join(node).join("rootfs")
    }

    /// Everything that any node installs, by its own list.
    pub(crate) fn packages(&self) -> Vec<String> {
        let lists = self.nodes().into_iter().map(|node| self.text(&node, "rootfs/etc/meshboot/packages"));
        let mut names: Vec<String> =
            lists.flat_map(|list| list.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// The text of one of `examples/`.
pub(crate) fn example_text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading `{}`: {error}", path.display()))
}

/// File names of all of `examples/`; never empty.
pub(crate) fn examples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the examples")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no examples");
    names
}
