//! One node's artefacts: everything that `build` writes below `out/<node>/`, in memory.
//!
//! Not here: what the files say (`render`), where they are written (`command::build`). To add an artefact, push one more
//! in `compose`.

use std::net::Ipv6Addr;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;

use super::iso::IsoFile;
use super::manifest::{JoinTokenEntry, Manifest, UserDataEntry};
use super::user_data::{self, Part, UserData};
use super::{bundle, iso};
use crate::diag::{Refusal, RefusalKind, Secret};
use crate::profile;
use crate::profile::provider::Provider;
use crate::render::NodePayload;

/// Label by which cloud-init finds a seed (cloud-init `doc/rtd/reference/datasources/nocloud.rst`).
const SEED_LABEL: &str = "CIDATA";

/// Mode of what may hold a join token or the mesh key.
pub const SECRET_MODE: u32 = 0o600;

/// Mode of what holds none.
pub const PUBLIC_MODE: u32 = 0o644;

/// What a node is for its artefacts, beside its files.
#[derive(Debug, Clone, Copy)]
pub struct NodeSetting<'a> {
    /// Fleet's name.
    pub fleet: &'a str,
    /// Name of the provider's profile; a home has none.
    pub provider: Option<&'a str>,
    /// Mesh address, where it is known beforehand.
    pub mesh_address: Option<Ipv6Addr>,
    /// The fleet's build time in seconds since 1970.
    pub build_time_unix_seconds: u64,
    /// What the manifest says of the node's join token.
    pub join_token: Option<&'a JoinTokenEntry>,
    /// The home's mesh key, for its own seed; no other node is given it.
    pub mesh_key_pem: Option<&'a Secret<String>>,
}

/// A file below `out/<node>/`.
#[derive(Debug)]
pub struct Artefact {
    /// Path below the node's folder.
    pub path: Utf8PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// The bytes.
    pub contents: Vec<u8>,
    /// SHA-256 where it is known already, 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
}

/// Everything of one node.
#[derive(Debug)]
pub struct NodeArtefacts {
    /// Files below `out/<node>/`.
    pub artefacts: Vec<Artefact>,
    /// What `manifest.json` says.
    pub manifest: Manifest,
    /// The text to paste.
    pub user_data: UserData,
}

/// Makes all artefacts of a node.
pub fn compose(payload: NodePayload, setting: &NodeSetting<'_>) -> Result<NodeArtefacts> {
    let node = payload.files.node.clone();
    let pasted =
        payload.pasted_cloud_config.as_ref().map_or(payload.cloud_config.as_str(), |text| text.expose());
    let user_data = encode(pasted, setting, &payload)?;
    let mut manifest =
        Manifest::new(setting.fleet, &payload.files, setting.mesh_address, setting.build_time_unix_seconds);
    manifest.provider = setting.provider.map(str::to_owned);
    let bundle =
        bundle::pack(&payload.files, &manifest).with_context(|| format!("packing the bundle of `{node}`"))?;
    let seed = seed(&payload, setting, &bundle).with_context(|| format!("writing the seed of `{node}`"))?;
    manifest.user_data = Some(UserDataEntry::new(&user_data, payload.pasted_cloud_config.is_some()));
    manifest.join_token = setting.join_token.cloned();

    let mut artefacts = vec![
        artefact("user-data", SECRET_MODE, user_data.text.clone()),
        artefact("cloud-config.yaml", SECRET_MODE, pasted.to_owned()),
        artefact("meta-data", PUBLIC_MODE, payload.meta_data),
        artefact("network-config", PUBLIC_MODE, payload.network_config),
        artefact("manifest.json", PUBLIC_MODE, manifest.to_json()?),
        artefact("bundle.tar.gz", SECRET_MODE, bundle),
        artefact("seed.iso", SECRET_MODE, seed),
    ];
    // A manifest lists the files in their own order.
    let listed = payload.files.files.into_iter().zip(&manifest.files);
    artefacts.extend(listed.map(|(file, entry)| Artefact {
        path: Utf8PathBuf::from(format!("rootfs{}", file.path)),
        mode: file.mode,
        contents: file.contents,
        sha256: Some(entry.sha256.clone()),
    }));
    Ok(NodeArtefacts { artefacts, manifest, user_data })
}

fn artefact(path: &str, mode: u32, contents: impl Into<Vec<u8>>) -> Artefact {
    Artefact { path: path.into(), mode, contents: contents.into(), sha256: None }
}

fn encode(cloud_config: &str, setting: &NodeSetting<'_>, payload: &NodePayload) -> Result<UserData> {
    let Some(name) = setting.provider else {
        return Ok(user_data::encode_unbounded(cloud_config)?);
    };
    let provider: &Provider =
        profile::provider(name).with_context(|| format!("finding the provider `{name}`"))?;
    let part = |file: &crate::render::NodeFile| Part {
        name: file.path.to_string(),
        bytes: file.contents.len() as u64,
    };
    let parts: Vec<_> = payload.files.files.iter().map(part).collect();
    user_data::encode(cloud_config, provider, &parts).map_err(|error| {
        let message = format!("encoding the user-data of `{}`: {error}", payload.files.node);
        Refusal { kind: RefusalKind::Input, message, hint: error.hint() }.into()
    })
}

/// The seed volume: the payload in plain text, and beside it the bundle and, for the home, its mesh key, which lies
/// alone in its sectors so that first boot can wipe it.
fn seed(payload: &NodePayload, setting: &NodeSetting<'_>, bundle: &[u8]) -> Result<Vec<u8>> {
    let file = |name, mode, contents| IsoFile { name, mode, contents };
    let mut files = vec![
        file("user-data", SECRET_MODE, payload.cloud_config.as_bytes()),
        file("meta-data", PUBLIC_MODE, payload.meta_data.as_bytes()),
    ];
    if payload.seed_has_network_config {
        files.push(file("network-config", PUBLIC_MODE, payload.network_config.as_bytes()));
    }
    files.push(file("bundle.tar.gz", SECRET_MODE, bundle));
    if let Some(key) = setting.mesh_key_pem {
        files.push(file("mesh-key.pem", SECRET_MODE, key.expose().as_bytes()));
    }
    let mut volume = Vec::new();
    iso::write(&mut volume, SEED_LABEL, setting.build_time_unix_seconds, &files)?;
    Ok(volume)
}
