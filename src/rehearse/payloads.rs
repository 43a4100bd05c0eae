//! What the nodes boot from: made by the same code as `meshboot build`, with keys and tokens of the rehearsal's own in
//! a private folder, never the fleet's.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::machine::Machine;
use crate::diag::Secret;
use crate::fleet::model::Fleet;
use crate::identity::{MeshAddress, State};
use crate::payload::node::{NodeSetting, compose};
use crate::render::{self, BuildFacts, NodePayload, Role};

/// Where cloud-init looks for a seed on the disk (cloud-init `doc/rtd/reference/datasources/nocloud.rst`).
const SEED: &str = "/var/lib/cloud/seed/nocloud";

/// A network configuration of ours matches names, which netplan does in a container as it does on a machine; the root
/// is set to networkd's renderer for the other case, cloud-init's own fallback (`root`).
const RENDERER: (&str, &str) =
    ("/etc/cloud/cloud.cfg.d/93_own_network.cfg", "system_info:\n  network:\n    renderers: [netplan]\n");

/// Lists a role's packages on the node.
const PACKAGES: &str = "/etc/meshboot/packages";

/// All nodes' seeds.
#[derive(Debug)]
pub struct Payloads {
    /// The home's.
    pub home: Seed,
    /// The ingress nodes', in the order of the fleet.
    pub ingress: Vec<Seed>,
    /// Mesh address of the home, known beforehand.
    pub home_mesh_address: MeshAddress,
    /// Packages of both roles, in Debian's names, sorted.
    pub packages: Vec<String>,
}

/// What one node finds in its seed: file name and contents.
#[derive(Debug)]
pub struct Seed {
    /// Node's name.
    pub node: String,
    files: Vec<(&'static str, Secret<Vec<u8>>)>,
}

impl Seed {
    /// Puts it on a machine that is off.
    pub fn sow(&self, machine: &Machine) -> Result<()> {
        self.files
            .iter()
            .try_for_each(|(name, contents)| machine.put(&format!("{SEED}/{name}"), 0o600, contents.expose()))
            .with_context(|| format!("sowing `{}`", self.node))?;
        if self.file("network-config").is_some() {
            machine.put(RENDERER.0, 0o644, RENDERER.1)?;
        }
        Ok(())
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, contents)| contents.expose().as_slice())
    }
}

impl Payloads {
    /// Makes them all; `folder` is private and gets the rehearsal's keys.
    pub fn build(fleet: &Fleet, folder: &Path) -> Result<Self> {
        let folder = Utf8Path::from_path(folder).context("a folder whose path is no text")?;
        let mut state = State::open(folder, fleet.name.as_str(), SystemTime::now())?;
        let tokens: Vec<_> = fleet
            .ingress
            .iter()
            .map(|node| state.token(node.name.as_str(), Role::Ingress.as_str(), false))
            .collect::<Result<_, _>>()?;
        state.save()?;
        let parts = state.build_facts_parts()?;
        let facts = BuildFacts {
            home_mesh_address: parts.home_mesh_address,
            home_public_key: parts.home_public_key,
            fleet_public_key_pem: parts.fleet_public_key_pem,
            build_time_unix_seconds: parts.build_time_unix_seconds,
        };
        let mut packages = BTreeSet::new();
        let payload = render::local_proxy(fleet, &facts, state.home_key_pem())?;
        packages.extend(packages_of(&payload));
        let home = home_seed(payload, state.home_key_pem());
        let mut ingress = Vec::new();
        for (node, token) in fleet.ingress.iter().zip(&tokens) {
            let payload = render::ingress(fleet, &facts, node, &token.text)?;
            packages.extend(packages_of(&payload));
            ingress.push(ingress_seed(payload, fleet, &node.provider, &facts)?);
        }
        let packages = packages.into_iter().collect();
        Ok(Self { home, ingress, home_mesh_address: facts.home_mesh_address, packages })
    }
}

/// The home boots from its seed volume: the payload in plain text, with the mesh key in a file of its own.
fn home_seed(payload: NodePayload, mesh_key_pem: &Secret<String>) -> Seed {
    let mut seed =
        seed(&payload.files.node.to_string(), payload.cloud_config.into_bytes(), payload.meta_data);
    seed.files.push(("mesh-key.pem", Secret::new(mesh_key_pem.expose().clone().into_bytes())));
    if payload.seed_has_network_config {
        seed.files.push(("network-config", Secret::new(payload.network_config.into_bytes())));
    }
    seed
}

/// An ingress node boots from what is pasted, byte for byte, in its provider's encoding.
fn ingress_seed(payload: NodePayload, fleet: &Fleet, provider: &str, facts: &BuildFacts) -> Result<Seed> {
    let node = payload.files.node.to_string();
    let meta_data = payload.meta_data.clone();
    let setting = NodeSetting {
        fleet: fleet.name.as_str(),
        provider: Some(provider),
        mesh_address: None,
        build_time_unix_seconds: facts.build_time_unix_seconds,
        join_token: None,
        mesh_key_pem: None,
    };
    let artefacts = compose(payload, &setting)?;
    Ok(seed(&node, artefacts.user_data.text.into_bytes(), meta_data))
}

fn seed(node: &str, user_data: Vec<u8>, meta_data: String) -> Seed {
    Seed {
        node: node.to_owned(),
        files: vec![
            ("user-data", Secret::new(user_data)),
            ("meta-data", Secret::new(meta_data.into_bytes())),
        ],
    }
}

fn packages_of(payload: &NodePayload) -> Vec<String> {
    let file = payload.files.files.iter().find(|file| file.path == PACKAGES);
    let text = file.map(|file| String::from_utf8_lossy(&file.contents).into_owned()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
