//! Arbitrary input: no panic, bounded time, and every accepted fleet is read back as the same.
//!
//! `PROPTEST_CASES=100000 cargo nextest run --release --test check fuzz` looks longer; what it finds is kept in
//! `tests/check/fuzz.regressions` and tried first from then on.

use std::time::Duration;

use meshboot::fleet::parse;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;

use super::written;
use super::yaml_files;

/// Far above what an input of this size takes, even on a busy machine without optimisation.
const LIMIT: Duration = Duration::from_secs(5);

/// Pieces of YAML and of values that mean something somewhere.
#[rustfmt::skip]
const WORDS: [&str; 65] = [
    "*a", "&a ", "<<: ", "!!str ", "!", "|\n", ">\n", "? ", "- ", ": ", "{", "}", "[", "]", ", ", "#", "\"",
    "'", "\n", "\r\n", "\r", "\t", "\u{0}", "\u{feff}", "\u{85}", "\u{2028}", "\u{202e}", "---\n", "...\n",
    "%YAML 1.2\n", "null", "~", "true", "-1", "0", "65536", "99999999999999999999", "1e9", "::ffff:1.2.3.4",
    "fe80::1%eth0", "200::1", "0.0.0.0/0", "xn--", "xn--a", "é", "漢", "*.", "env:", "file:", "http://",
    "https://[::1]:0", "tls://", "?key=", "@", "/", "\\x00", "\\u0000", "name", "version", "fleet", "home",
    "ingress", "services", "to", "dns",
];

/// Keys of a fleet.
#[rustfmt::skip]
const KEYS: [&str; 36] = [
    "version", "fleet", "admin", "home", "ingress", "mesh", "services", "ports", "acme", "dns", "mesh-dns",
    "firewall", "name", "email", "ssh-keys", "network", "address", "gateway", "lan", "wans", "weight",
    "provider", "location", "peers", "port", "domain", "to", "verify", "check", "clearnet", "listen",
    "server", "zone", "key", "allow", "max-connections",
];

/// What this thread has computed so far: a busy machine takes longer, but computes no more.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().expect("not negative"),
        time.tv_nsec.try_into().expect("below a second"),
    )
}

/// Judges a text; shows every finding in both forms, and holds what is accepted to its own text.
fn survive(text: &str) {
    let start = processor_time();
    match parse(text, "fleet.yaml") {
        Ok(parsed) => {
            assert_eq!(parsed.warnings.count(meshboot::diag::Severity::Error), 0);
            let again = written::text(&parsed.fleet);
            let read = parse(&again, "again").unwrap_or_else(|report| panic!("{again}\n{report}"));
            assert_eq!(read.fleet, parsed.fleet, "{again}");
        }
        Err(report) => {
            assert!(report.count(meshboot::diag::Severity::Error) > 0, "refused without an error");
            let shown = report.to_text(false);
            let is_plain = |character: char| character == '\n' || !character.is_control();
            assert!(shown.chars().all(is_plain), "a control character: {shown:?}");
            assert!(shown.lines().all(|line| line.chars().count() < 2_000), "an endless line");
            serde_json::to_string(&report).expect("JSON");
        }
    }
    let taken = processor_time().saturating_sub(start);
    assert!(taken < LIMIT, "{taken:?} for {} bytes", text.len());
}

/// Texts that are valid, and those that break one rule each.
fn corpus() -> Vec<String> {
    let folders = ["tests/fixtures/valid", "tests/fixtures/invalid", "examples"];
    let files = folders.into_iter().flat_map(yaml_files);
    let texts: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    assert!(texts.len() > 70, "saw {} files", texts.len());
    texts
}

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    Delete(Index, usize),
    Insert(Index, String),
    /// Copies a piece of one place to another.
    Copy(Index, usize, Index),
    DropLine(Index),
    RepeatLine(Index, usize),
    SwapLines(Index, Index),
}

fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(&WORDS[..]);
    prop_oneof![words.prop_map(str::to_owned), "[a-z0-9:./\\[\\]{}*&!|>'\"%@,#?_ \\n-]{0,12}", "\\PC{0,8}"]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Change::Delete(at, length)),
        (any::<Index>(), piece()).prop_map(|(at, text)| Change::Insert(at, text)),
        (any::<Index>(), 1..200_usize, any::<Index>())
            .prop_map(|(from, length, to)| Change::Copy(from, length, to)),
        any::<Index>().prop_map(Change::DropLine),
        (any::<Index>(), 1..50_usize).prop_map(|(at, times)| Change::RepeatLine(at, times)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Change::SwapLines(one, other)),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if characters.is_empty() || lines.is_empty() {
        return text.to_owned();
    }
    let joined = |parts: &[&[char]]| parts.iter().copied().flatten().collect::<String>();
    let cut = |at: &Index, length: usize| {
        let start = at.index(characters.len());
        (start, (start + length).min(characters.len()))
    };
    match change {
        Change::Delete(at, length) => {
            let (start, end) = cut(at, *length);
            joined(&[&characters[..start], &characters[end..]])
        }
        Change::Insert(at, piece) => {
            let (start, _) = cut(at, 0);
            let piece: Vec<char> = piece.chars().collect();
            joined(&[&characters[..start], &piece, &characters[start..]])
        }
        Change::Copy(from, length, to) => {
            let ((start, end), (to, _)) = (cut(from, *length), cut(to, 0));
            joined(&[&characters[..to], &characters[start..end], &characters[to..]])
        }
        Change::DropLine(at) => {
            lines.remove(at.index(lines.len()));
            lines.concat()
        }
        Change::RepeatLine(at, times) => {
            let at = at.index(lines.len());
            let repeated = lines[at].repeat(*times);
            lines.insert(at, &repeated);
            lines.concat()
        }
        Change::SwapLines(one, other) => {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
            lines.concat()
        }
    }
}

/// A value of any shape, as JSON.
fn anything() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        piece().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let key = prop_oneof![prop::sample::select(&KEYS[..]).prop_map(str::to_owned), piece(),];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(key, inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_pieces(pieces in prop::collection::vec(piece(), 0..200)) {
        survive(&pieces.concat());
    }

    #[test]
    fn changed_fleets(start in any::<Index>(), changes in prop::collection::vec(change(), 1..6)) {
        let corpus = corpus();
        let start = corpus[start.index(corpus.len())].clone();
        survive(&changes.iter().fold(start, |text, change| apply(&text, change)));
    }

    #[test]
    fn structured_values(value in anything()) {
        survive(&value.to_string());
    }
}

#[test]
fn accepted_fleets_are_read_back_as_the_same() {
    let mut accepted = 0;
    for text in corpus() {
        survive(&text);
        accepted += usize::from(parse(&text, "fleet.yaml").is_ok());
    }
    assert!(accepted >= 10, "{accepted} accepted");
}

/// Inputs that cost more than their length in programs that are not careful.
#[test]
fn large_inputs_take_linear_time() {
    let repeated = |piece: &str, bytes: usize| piece.repeat(bytes / piece.len());
    for piece in [
        "[",
        "{",
        "- ",
        "? ",
        "a: ",
        "\"",
        "'",
        "\n",
        " ",
        "\t",
        "#",
        "a\n",
        "a: b\n",
        "- a\n",
        "*a ",
        "&a ",
        "!a ",
        "%a\n",
        "---\n",
        "{a: b, ",
        "[a, ",
        "|\n",
        ">\n a\n",
        "é",
        "\\",
        ":",
        ",",
        "\r",
        "key: x\n",
        "-----BEGIN PRIVATE KEY\n",
        "unknown-key: [1, 2, 3]\n",
        "fleet: x\n",
    ] {
        survive(&repeated(piece, 1 << 18));
        survive(&format!("version: {}", repeated(piece, 1 << 18)));
        survive(&format!("fleet: \"{}", repeated(piece, 1 << 18)));
        survive(&format!("services: [{}", repeated(piece, 1 << 18)));
    }
}

/// The size that performance is measured at (`docs/performance.md`), here only against losing linearity.
#[test]
fn a_fleet_of_10_000_lines_is_read() {
    let text = large_fleet(1_000, 200, 10_000);
    assert_eq!(text.lines().count(), 10_000);
    let start = processor_time();
    let parsed = parse(&text, "fleet.yaml").unwrap_or_else(|report| panic!("{report}"));
    let taken = processor_time().saturating_sub(start);
    assert!(taken < LIMIT, "{taken:?}");
    assert_eq!((parsed.fleet.ingress.len(), parsed.fleet.services.len()), (1_000, 200));
}

/// A fleet of many nodes and services, padded with comments to a number of lines.
fn large_fleet(nodes: usize, services: usize, lines: usize) -> String {
    let head = super::cases::GOOD;
    let (before, rest) = head.split_at(head.find("ingress:").expect("ingress"));
    let mesh = &rest[rest.find("mesh:").expect("mesh")..rest.find("services:").expect("services")];
    let mut text = format!("{before}ingress:\n");
    for number in 0..nodes {
        let (high, low) = (100 + number / 250, number % 250);
        let entry = format!(
            "- name: node-{number}\n  provider: hetzner\n  location: fsn1\n  address: 198.51.{high}.{low}\n"
        );
        text.push_str(&entry);
    }
    text.push_str(mesh);
    text.push_str("services:\n");
    for number in 0..services {
        let to = [0, 1]
            .map(|net| format!("  - http://10.{net}.{}.{}:8080\n", number / 250, number % 250))
            .concat();
        let entry = format!("- domain: s{number}.example.org\n  to:\n{to}  check: /healthz\n");
        text.push_str(&entry);
    }
    let missing = lines - text.lines().count();
    text + &"# a line that says why something is as it is\n".repeat(missing)
}
