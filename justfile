# Every recipe is one plain command; `just --list` names them.

# What a change has to pass.
ci:
    .ci/run

# Every test but the slow ones.
test *filter:
    ./test.sh {{filter}}

# Every test.
test-all *filter:
    ./test.sh --all {{filter}}

# The lints alone.
lint:
    cargo clippy --all-targets -- -D warnings

# Formats the source.
format:
    cargo fmt

# The example fleet's payloads, in out/.
example:
    cargo run --release -- build examples/hearth.yaml

# Figures per function.
bench:
    cargo bench

# The documentation of the library.
doc:
    cargo doc --no-deps --open

# Writes the examples' golden trees anew, to be reviewed with git diff.
golden:
    env UPDATE_GOLDEN=1 cargo test --test golden
