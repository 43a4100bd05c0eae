//! What the embedded trees hold, and that broken files are refused with their line.

use super::judge::{Fault, judge};
use super::{FILES, file, files_under, provider, provider_names};

#[test]
fn finds_embedded_files_by_path_and_prefix() {
    assert!(!FILES.is_empty());
    assert!(FILES.is_sorted_by(|a, b| a.path < b.path));
    for embedded in FILES {
        assert_eq!(file(embedded.path), Some(embedded));
    }
    assert_eq!(file("profiles/providers/nowhere.yaml"), None);
    assert_eq!(files_under("profiles/providers/").count(), provider_names().count());
    assert_eq!(files_under("profiles/providers/ge").count(), 1);
    assert!(FILES.iter().all(|file| !file.path.ends_with("README.md")));
}

#[test]
fn knows_every_provider_of_the_design() {
    let names: Vec<_> = provider_names().collect();
    assert_eq!(
        names,
        [
            "aws",
            "azure",
            "digitalocean",
            "exoscale",
            "gcp",
            "generic",
            "hetzner",
            "linode",
            "oci",
            "openstack",
            "proxmox",
            "scaleway",
            "upcloud",
            "vultr"
        ]
    );
    assert_eq!(provider("generic").and_then(super::provider::Provider::budget), Some(16_384));
    assert_eq!(provider("proxmox").and_then(super::provider::Provider::budget), None);
    assert_eq!(provider("nowhere"), None);
}

#[test]
fn no_known_limit_is_below_the_portable_budget() {
    for name in provider_names() {
        let profile = provider(name).expect("named");
        let Some(budget) = profile.budget() else { continue };
        assert!(profile.user_data.counts.of(16_384) <= budget, "{name} takes less than `generic` promises");
    }
}

#[test]
fn refuses_a_broken_file_with_its_line() {
    let sound = file("profiles/providers/generic.yaml").expect("embedded").contents;
    let unknown_key = sound.replacen("counts:", "count:", 1);
    let cases: [(&str, &[u8], u64, &str); 8] = [
        ("profiles/ingress/a.cfg.j2", b"one\n{% if x %}\n{{ y }}\n", 3, "syntax error"),
        ("profiles/ingress/a.cfg.j2", b"one\ntwo {{ y }\n", 2, "syntax error"),
        ("cloud-init/b.j2", b"{{ a }}\n{% nonsense %}\n", 2, "syntax error"),
        ("profiles/providers/x.yaml", b"title: X\nuser-data: [\n", 2, "expected mapping"),
        ("profiles/providers/x.yaml", unknown_key.as_bytes(), 5, "count"),
        ("profiles/other.yaml", b"a: 1\nb: [1, 2\nc: 3\n", 3, ""),
        ("packer/x.json", b"{\n  \"a\": 1,\n}\n", 3, "trailing comma"),
        ("profiles/ingress/text", b"one\ntwo\n\xff\n", 3, "not UTF-8"),
    ];
    for (path, contents, line, words) in cases {
        let Fault { path: at, line: found, message } = judge(path, contents).expect(path);
        assert_eq!((at.as_str(), found), (path, line), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn accepts_what_is_sound() {
    assert_eq!(judge("profiles/a.j2", b"{% for x in y %}{{ x }}{% endfor %}\n"), None);
    assert_eq!(judge("profiles/a.sh", b"#!/bin/sh\n{% not a template\n"), None);
    for embedded in FILES {
        assert_eq!(judge(embedded.path, embedded.contents.as_bytes()), None);
    }
}
