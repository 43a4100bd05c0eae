//! How long each stage takes inside the process. Whole-process figures, which the limits are about, come from
//! `benches/figures.sh`.
//!
//! To add a stage: a function with a criterion group, and its name in `criterion_group!`.

use std::hint::black_box;
use std::time::SystemTime;

use camino::Utf8Path;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use meshboot::identity::State;

/// A state with 1,000 tokens: made, and used again.
fn identity(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("identity");
    group.sample_size(20);
    let now = SystemTime::now();
    let nodes: Vec<String> = (0..1000).map(|number| format!("node-{number:05}")).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
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

criterion_group!(benches, identity);
criterion_main!(benches);
