//! How long each stage takes inside the process. Whole-process figures, which the limits are about, come from
//! `benches/figures.sh`.
//!
//! To add a stage: a function with a criterion group, and its name in `criterion_group!`.

#[path = "../tests/support/generate.rs"]
mod generate;

use std::hint::black_box;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use meshboot::command::build::{self, Request};
use meshboot::diag::Secret;
use meshboot::fleet::model::Fleet;
use meshboot::fleet::parse;
use meshboot::identity::{PrivateKey, State};
use meshboot::render::{self, BuildFacts};

/// Ingress nodes and services of the large fleet.
const LARGE: (usize, usize) = (1000, 200);

/// What a newcomer starts from.
const EXAMPLE: &str = include_str!("../examples/hearth.yaml");

/// Text to findings.
fn check(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check");
    let (large, lines) = (generate::fleet(LARGE.0, LARGE.1), generate::fleet_of_lines(10_000));
    for (name, text) in [("example", EXAMPLE), ("1,000 nodes", &large), ("10,000 lines", &lines)] {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(fleet(black_box(text)))));
    }
    group.finish();
}

/// Fleet to files and cloud-config of one node.
fn render(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render");
    let key = PrivateKey::from_seed(&[1; 32]);
    let facts = BuildFacts {
        home_mesh_address: key.public().mesh_address(),
        home_public_key: key.public().to_hex(),
        fleet_public_key_pem: key.public().to_pem().expect("a public key"),
        build_time_unix_seconds: 1_800_000_000,
    };
    let pem = key.to_pem().expect("a private key");
    let token = Secret::new("v4.public.".to_owned() + &"A".repeat(300));
    let large = fleet(&generate::fleet(LARGE.0, LARGE.1));
    for (name, fleet) in [("example", &fleet(EXAMPLE)), ("1,000 nodes", &large)] {
        group.bench_function(format!("an ingress node, {name}"), |bencher| {
            bencher.iter(|| {
                black_box(render::ingress(fleet, &facts, &fleet.ingress[0], &token)).expect("a payload")
            });
        });
        group.bench_function(format!("the home, {name}"), |bencher| {
            bencher.iter(|| black_box(render::local_proxy(fleet, &facts, &pem)).expect("a payload"));
        });
    }
    group.finish();
}

/// Fleet to files on the disk: for the first time, and with everything there already.
fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10);
    for (name, fleet) in [("example", fleet(EXAMPLE)), ("100 nodes", fleet(&generate::fleet(100, LARGE.1)))] {
        group.bench_function(format!("{name}, for the first time"), |bencher| {
            bencher.iter_batched_ref(folder, |folder| build_in(&fleet, folder), BatchSize::PerIteration);
        });
        let mut built = folder();
        build_in(&fleet, &mut built);
        group.bench_function(format!("{name}, again"), |bencher| {
            bencher.iter(|| build_in(&fleet, &mut built));
        });
    }
    group.finish();
}

/// A state with 1,000 tokens: made, and used again.
fn identity(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("identity");
    group.sample_size(20);
    let now = SystemTime::now();
    let nodes: Vec<String> = (0..1000).map(|number| format!("node-{number:05}")).collect();
    let folder = folder();
    let path = Utf8Path::from_path(folder.path()).expect("its name is UTF-8");
    let mut state = State::open(path, "large", now).expect("a state");
    group.bench_function("mint 1,000 tokens", |bencher| {
        bencher.iter(|| {
            for node in &nodes {
                black_box(state.token(node, "ingress", true).expect("a token"));
            }
        });
    });
    state.save().expect("it is saved");
    drop(state);
    group.bench_function("use 1,000 tokens again", |bencher| {
        bencher.iter_batched(
            || State::open(path, "large", now).expect("a state"),
            |mut state| {
                for node in &nodes {
                    black_box(state.token(node, "ingress", false).expect("a token"));
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn fleet(text: &str) -> Fleet {
    parse(text, "fleet.yaml").expect("no findings").fleet
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn build_in(fleet: &Fleet, folder: &mut tempfile::TempDir) {
    let path = Utf8PathBuf::try_from(folder.path().to_owned()).expect("its name is UTF-8");
    let request = Request {
        fleet_file: path.join("fleet.yaml"),
        nodes: Vec::new(),
        out: path.join("out"),
        force: false,
        renew: Vec::new(),
        now: SystemTime::now(),
        json: false,
    };
    black_box(build::build(fleet, &path, &request).expect("it is built"));
}

criterion_group!(benches, check, render, build, identity);
criterion_main!(benches);
