//! Dialogues: what is typed, and the file that comes of it.

use std::fs;
use std::io::Cursor;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Answers, Request, run};
use crate::diag::Refusal;
use crate::fleet::model::Fleet;
use crate::fleet::{Parsed, load};
use crate::sys::printer::Printer;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon me@hearth";

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("a path in UTF-8");
    (folder, path)
}

/// Answers the questions; every fleet that comes of it has no finding at all.
fn dialogue(answers: Answers, typed: &str, folder: &Utf8Path) -> anyhow::Result<Fleet> {
    let file = folder.join("fleet.yaml");
    let request = Request { file: file.clone(), force: true, answers, ssh_folder: Some(folder.join(".ssh")) };
    let mut printer = Printer::to_streams(std::io::sink(), std::io::sink());
    run(request, Some(&mut Cursor::new(typed.to_owned())), &mut printer)?;
    let Parsed { fleet, warnings } = load(&file)?;
    assert!(warnings.is_empty(), "{warnings}");
    Ok(fleet)
}

#[test]
fn answers_become_a_fleet() {
    let (_keep, folder) = folder();
    let typed = format!(
        "hearth\nme@example.org\n{KEY}\nfiber=203.0.113.10:2\nsix=[2001:db8::1]:3\nlte=lte.example.net\n\nfra1=hetzner:fsn1\n\n\
         cloud.example.org=http://192.168.1.20:8080\ngit.example.org=https://nas:3000\n\ntls://peer.example.net:443\n\n"
    );
    let fleet = dialogue(Answers::default(), &typed, &folder).expect("a fleet");
    let wans: Vec<_> =
        fleet.home.wans.iter().map(|wan| format!("{} {} {}", wan.name, wan.address, wan.weight)).collect();
    assert_eq!(wans, ["fiber 203.0.113.10 2", "six 2001:db8::1 3", "lte lte.example.net 1"]);
    assert_eq!(fleet.ingress[0].location.as_deref(), Some("fsn1"));
    assert_eq!(fleet.services.len(), 2);
    assert_eq!(fleet.admin.ssh_keys, [KEY]);
}

#[test]
fn a_bad_answer_is_asked_for_again() {
    let (_keep, folder) = folder();
    let typed = format!(
        "My Fleet\nhearth\nme\nme@example.org\nnone.pub\nssh-ed25519 AAAA x\n{KEY}\nfiber\nfiber=192.168.1.1\n\
         fiber=203.0.113.10:257\nfiber=203.0.113.10\nfiber=203.0.113.11\n\nfra1=hetznr\nhearth=hetzner\n\n\
         cloud.example.org=ftp://x\ncloud.example.org=http://nas\nCLOUD.example.org=http://nas\n\nhttp://x\n\n"
    );
    let fleet = dialogue(Answers::default(), &typed, &folder).expect("a fleet");
    assert_eq!(fleet.home.wans.len(), 1);
    assert_eq!(fleet.ingress[0].provider, "generic");
    assert_eq!(fleet.services.len(), 1);
    assert!(fleet.mesh.peers.is_empty() && fleet.home.mesh_listen);
}

#[test]
fn a_home_behind_a_providers_nat_needs_a_peer() {
    let (_keep, folder) = folder();
    let typed = format!(
        "\nme@example.org\n{KEY}\n\n\ncloud.example.org=http://nas\n\n\ntls://peer.example.net:443\n\n"
    );
    let fleet = dialogue(Answers::default(), &typed, &folder).expect("a fleet");
    assert!(fleet.home.wans.is_empty());
    assert_eq!(fleet.mesh.peers.len(), 1);
    assert_eq!(fleet.name.as_str(), "hearth");
}

#[test]
fn the_key_in_the_ssh_folder_is_the_default() {
    let (_keep, folder) = folder();
    fs::create_dir(folder.join(".ssh")).expect("a folder");
    fs::write(folder.join(".ssh/a.pub"), "not a key\n").expect("a file");
    fs::write(folder.join(".ssh/id_ed25519.pub"), format!("{KEY}\n")).expect("a file");
    let typed = "\nme@example.org\n\n\n\ncloud.example.org=http://nas\n\ntls://peer.example.net:443\n\n";
    assert_eq!(dialogue(Answers::default(), typed, &folder).expect("a fleet").admin.ssh_keys, [KEY]);
}

#[test]
fn answers_that_end_too_early_write_nothing() {
    let (_keep, folder) = folder();
    let error = dialogue(Answers::default(), "hearth\n", &folder).expect_err("an end");
    assert!(error.downcast_ref::<Refusal>().is_some(), "{error}");
    assert!(!folder.join("fleet.yaml").exists());
}

#[test]
fn values_are_quoted_as_yaml_needs_it() {
    let (_keep, folder) = folder();
    let answers = Answers {
        fleet: Some("yes".into()),
        email: Some("a#b@example.org".into()),
        ssh_keys: vec![format!("{KEY}: # {{x}} \"q\"")],
        ingress: vec!["null=generic".into(), "n1=generic".into()],
        services: vec!["x.example.org=http://nas".into()],
        peers: vec!["wss://peer.example.net/a?priority=1".into()],
        ..Answers::default()
    };
    let fleet = dialogue(answers, "\n", &folder).expect("a fleet");
    assert_eq!(fleet.admin.email, "a#b@example.org");
    assert_eq!(fleet.admin.ssh_keys, [format!("{KEY}: # {{x}} \"q\"")]);
    assert_eq!(fleet.ingress[0].name.as_str(), "null");
}
