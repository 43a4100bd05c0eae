//! cloud-init judges what it is given: cloud-config, user-data as encoded, network configuration, seed volume, and the
//! commands that it runs first.

use std::collections::BTreeSet;

use super::distinct;
use super::support::fleets;
use super::support::judge::Judge;
use super::support::seed_device::SeedDevice;

#[test]
fn cloud_init_accepts_every_cloud_config_and_network_config() {
    let Some(judge) = Judge::new() else { return };
    let fleets = fleets::all();
    // A fleet's ingress nodes differ in names and limits alone.
    let networks: BTreeSet<Vec<u8>> = fleets
        .iter()
        .flat_map(|(_, built)| built.nodes().into_iter().map(|node| built.read(&node, "network-config")))
        .collect();
    assert!(networks.len() > 2, "static and DHCP networks");
    // A fleet's ingress nodes differ in names and limits alone.
    let nodes = distinct(&fleets, &["etc/meshboot/haproxy.cfg", "var/lib/meshboot/peers.json"]);
    let cloud_configs = nodes.iter().map(|node| node.built.read(&node.name, "cloud-config.yaml"));
    let judged = cloud_configs
        .map(|text| ("cloud-config", text))
        .chain(networks.into_iter().map(|text| ("network-config", text)));
    for (kind, text) in judged {
        judge.put("/judged", 0o600, &text);
        let outcome = judge.run(&["cloud-init", "schema", "--schema-type", kind, "--config-file", "/judged"]);
        assert!(outcome.succeeded() && outcome.stdout.contains("Valid schema"), "{kind}: {outcome}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
        assert!(!said.contains("deprecat"), "{kind}: {outcome}");
    }
}

/// What the provider's field carries becomes, inside cloud-init, the cloud-config that can be read.
#[test]
fn cloud_init_decodes_user_data_to_the_cloud_config() {
    let Some(judge) = Judge::new() else { return };
    let fleets = fleets::all();
    let mut encoded = 0;
    let nodes = distinct(&fleets, &["etc", "usr", "var"]);
    for (number, node) in nodes.iter().enumerate() {
        let user_data = node.built.read(&node.name, "user-data");
        encoded += usize::from(!user_data.starts_with(b"#cloud-config"));
        judge.put(&format!("/decode/{number}"), 0o600, &user_data);
    }
    assert!(encoded > 0, "no payload was encoded: nothing was decoded");
    judge.run(&["python3", "-c", DECODE]).expect_success();
    for (number, node) in nodes.iter().enumerate() {
        let decoded = judge.read(&format!("/decode/{number}.decoded")).expect("it was decoded");
        let decoded = String::from_utf8(decoded).expect("text");
        let readable = node.built.text(&node.name, "cloud-config.yaml");
        if node.built.text(&node.name, "manifest.json").contains("\"ingress\"") {
            assert_eq!(decoded, readable, "{}", node.label);
        } else {
            // The home's carries its key besides, for where there is no seed.
            assert!(decoded.contains("/etc/meshboot/mesh-key.pem"), "{}", node.label);
        }
    }
}

/// cloud-init's own way from a field's bytes to its parts, `user_data.py`; exactly one part comes out.
const DECODE: &str = r#"
import os
from cloudinit.helpers import Paths
from cloudinit.user_data import UserDataProcessor
for name in os.listdir("/decode"):
    raw = open(f"/decode/{name}", "rb").read()
    message = UserDataProcessor(Paths({})).process(raw)
    parts = [part for part in message.walk() if not part.is_multipart()]
    assert len(parts) == 1, (name, parts)
    assert parts[0].get_content_type() == "text/cloud-config", (name, parts[0].get_content_type())
    open(f"/decode/{name}.decoded", "wb").write(parts[0].get_payload(decode=True))
"#;

#[test]
fn blkid_and_ds_identify_find_the_seed() {
    let Some(_) = Judge::new() else { return };
    let fleets = fleets::all();
    for node in distinct(&fleets, &["etc/systemd"]) {
        let device = SeedDevice::new(&node.built.read(&node.name, "seed.iso"));
        let judge = node.stage();
        let name = device.device().display().to_string();
        let number = name.trim_start_matches("/dev/loop").to_owned();
        let outcome = judge.shell(&format!(
            "mknod {name} b 7 {number}
             blkid -c /dev/null --output export {name}
             blkid -L CIDATA
             printf 'datasource_list: [ Ec2, OpenStack, NoCloud, None ]\\n' >/etc/cloud/cloud.cfg.d/90_dpkg.cfg
             mkdir -p /run/cloud-init
             /usr/lib/cloud-init/ds-identify --force
             cat /run/cloud-init/cloud.cfg"
        ));
        assert!(outcome.succeeded(), "{}: {outcome}", node.label);
        assert!(
            outcome.stdout.contains("LABEL=CIDATA") && outcome.stdout.contains("TYPE=iso9660"),
            "{outcome}"
        );
        assert!(outcome.stdout.contains("datasource_list: [ NoCloud, None ]"), "{}: {outcome}", node.label);
    }
}

/// A clock that is behind is set to the build time, one that is right is left alone. A container shares its host's
/// clock, so it is the command that is looked at, with a `date` that writes down what it is asked.
#[test]
fn first_boot_command_sets_a_clock_that_is_behind() {
    let Some(_) = Judge::new() else { return };
    let fleets = fleets::all();
    for node in distinct(&fleets, &["etc/systemd"]) {
        let judge = node.stage();
        let manifest: serde_json::Value =
            serde_json::from_str(&node.built.text(&node.name, "manifest.json")).expect("JSON");
        let build_time = manifest["build-time"].as_u64().expect("seconds");
        judge.put("/cloud-config.yaml", 0o600, &node.built.read(&node.name, "cloud-config.yaml"));
        judge.put("/usr/local/bin/date", 0o755, DATE.as_bytes());
        for (now, set) in [(0, true), (build_time - 1, true), (build_time, false), (build_time + 1, false)] {
            judge.put("/now", 0o644, now.to_string().as_bytes());
            judge.put("/asked", 0o644, b"");
            judge.run(&["python3", "-c", FIRST_COMMAND]).expect_success();
            let asked = String::from_utf8(judge.read("/asked").expect("it is there")).expect("text");
            let wanted = if set { format!("-u -s @{build_time}\n") } else { String::new() };
            assert_eq!(
                asked, wanted,
                "{}: the clock says {now}, the fleet was built at {build_time}",
                node.label
            );
        }
    }
}

const DATE: &str = "#!/bin/sh\nif [ \"$1\" = +%s ]; then cat /now; else echo \"$@\" >>/asked; fi\n";

/// Runs the first boot command as cloud-init does: a string, by sh.
const FIRST_COMMAND: &str = r#"
import subprocess, yaml
command = yaml.safe_load(open("/cloud-config.yaml"))["bootcmd"][0]
subprocess.run(["/bin/sh", "-c", command], check=True)
"#;
