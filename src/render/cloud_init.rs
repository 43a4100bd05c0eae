//! The cloud-init texts of a node: cloud-config, meta-data, network configuration.
//!
//! cloud-config's text is a template, for its comments; every value in it is written as a JSON or block scalar by a
//! filter. Not here: encoding for a provider (`payload`).

use anyhow::Result;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::tree::short_hex;
use super::{BuildFacts, NodeFiles, NodePayload, Role, template};
use crate::diag::Secret;
use crate::fleet::model::{Fleet, Network, NodeName};

#[derive(Serialize)]
struct Context<'a> {
    node: &'a str,
    fleet: &'a str,
    role: Role,
    ssh_keys: &'a [String],
    build_time: u64,
    payload_id: &'a str,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    mode: String,
    text: &'a str,
}

pub(super) fn payload(
    fleet: &Fleet,
    facts: &BuildFacts,
    files: NodeFiles,
    mesh_key_pem: Option<&Secret<String>>,
) -> Result<NodePayload> {
    let cloud_config = cloud_config(fleet, facts, &files, None)?;
    let pasted_cloud_config = mesh_key_pem
        .map(|key| self::cloud_config(fleet, facts, &files, Some(key)).map(Secret::new))
        .transpose()?;
    let network = match files.role {
        Role::Ingress => &Network::Dhcp,
        Role::LocalProxy => &fleet.home.network,
    };
    Ok(NodePayload {
        meta_data: meta_data(&files.node, &cloud_config)?,
        network_config: network_config(network)?,
        seed_has_network_config: *network != Network::Dhcp,
        pasted_cloud_config,
        cloud_config,
        files,
    })
}

fn cloud_config(
    fleet: &Fleet,
    facts: &BuildFacts,
    files: &NodeFiles,
    mesh_key: Option<&Secret<String>>,
) -> Result<String> {
    let mut carried = Vec::with_capacity(files.files.len() + 1);
    for file in &files.files {
        carried.push(File {
            path: file.path.as_str(),
            mode: format!("{:04o}", file.mode),
            text: std::str::from_utf8(&file.contents)?,
        });
    }
    if let Some(key) = mesh_key {
        carried.push(File {
            path: "/etc/meshboot/mesh-key.pem",
            mode: "0600".to_owned(),
            text: key.expose(),
        });
    }
    let context = Context {
        node: files.node.as_str(),
        fleet: fleet.name.as_str(),
        role: files.role,
        ssh_keys: &fleet.admin.ssh_keys,
        build_time: facts.build_time_unix_seconds,
        payload_id: &files.payload_id,
        files: carried,
    };
    template::render("cloud-init/cloud-config.yaml.j2", &context)
}

/// The seed's meta-data. The instance-id is a hash of the payload: a changed payload is applied, an equal one is not
/// applied twice.
fn meta_data(node: &NodeName, cloud_config: &str) -> Result<String> {
    #[derive(Serialize)]
    struct MetaData {
        instance_id: String,
        node: String,
    }
    let digest = Sha256::digest(cloud_config.as_bytes());
    let context =
        MetaData { instance_id: format!("meshboot-{}", short_hex(&digest)), node: node.to_string() };
    template::render("cloud-init/meta-data.yaml.j2", &context)
}

fn network_config(network: &Network) -> Result<String> {
    #[derive(Serialize)]
    struct Static {
        dhcp: bool,
        address: String,
        gateway: String,
        dns: Vec<String>,
    }
    let context = match network {
        Network::Dhcp => {
            Static { dhcp: true, address: String::new(), gateway: String::new(), dns: Vec::new() }
        }
        Network::Static { address, gateway, dns } => Static {
            dhcp: false,
            address: address.to_string(),
            gateway: gateway.to_string(),
            dns: dns.iter().map(ToString::to_string).collect(),
        },
    };
    template::render("cloud-init/network-config.yaml.j2", &context)
}

/// The settings that the node's scripts source.
pub(super) fn node_environment(node: &NodeName, role: Role, further: &[(&str, &str)]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let mut text = format!("NODE={}\nROLE={}\n", quoted(node.as_str()), quoted(role.as_str()));
    for (name, value) in further {
        text.extend([name, "=", &quoted(value), "\n"]);
    }
    text
}
