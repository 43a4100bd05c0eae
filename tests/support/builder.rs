//! Runs the real `meshboot build` on a fleet in a folder of its own.
//!
//! Not here: what the output is to be; that stands in the test that checks it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Outcome, run};
use super::scratch::Folder;

/// The program under test.
pub(crate) const MESHBOOT: &str = env!("CARGO_BIN_EXE_meshboot");

/// How long one build may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A small fleet: a home, a node of a known and two of an unknown address, services of both kinds.
pub(crate) const FLEET: &str = r#"version: 1
fleet: hearth
admin:
  email: me@example.org
  ssh-keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon me@hearth"]
home:
  name: hearth
  network: {address: 192.168.1.10/24, gateway: 192.168.1.1, dns: [192.168.1.1]}
  lan: [192.168.1.0/24]
  wans: [{name: fiber, address: 203.0.113.10, weight: 1}]
ingress:
  - {name: fra1, provider: hetzner, location: fsn1}
  - {name: any1, provider: generic}
  - {name: old1, provider: digitalocean, address: [198.51.100.9, "2600::9"]}
mesh: {peers: ["tls://peer.example.net:443"], port: 4781}
services:
  - {domain: cloud.example.org, to: "http://192.168.1.20:8080"}
  - {domain: private.example.org, to: "http://192.168.1.40", clearnet: false}
"#;

/// A folder with a fleet file.
#[derive(Debug)]
pub(crate) struct Bench {
    folder: Folder,
}

impl Bench {
    /// With [`FLEET`].
    pub(crate) fn new() -> Self {
        Self::with(FLEET)
    }

    /// With another fleet.
    pub(crate) fn with(fleet: &str) -> Self {
        let bench = Self { folder: Folder::new() };
        bench.write("fleet.yaml", fleet);
        bench
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("making a folder");
        std::fs::write(path, text).expect("writing a file");
    }

    /// Text of a file in the folder.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("reading `{name}`: {error}"))
    }

    /// `meshboot build fleet.yaml --out out` with further arguments.
    pub(crate) fn build(&self, further: &[&str]) -> Outcome {
        let (fleet, out) = (self.path("fleet.yaml"), self.path("out"));
        let mut argv = vec![MESHBOOT, "build", text(&fleet), "--out", text(&out)];
        argv.extend(further);
        run(&argv, LIMIT)
    }

    /// Every path below `name`, sorted, folders with a slash at the end.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let root = self.path(name);
        let mut found = Vec::new();
        walk(&root, &root, &mut found);
        found.sort();
        found
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let name = text(path.strip_prefix(root).expect("it is below the root")).to_owned();
        if path.is_dir() {
            found.push(format!("{name}/"));
            walk(root, &path, found);
        } else {
            found.push(name);
        }
    }
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths in tests are UTF-8")
}
