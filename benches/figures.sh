#!/bin/bash
# Whole-process figures of `check` and `build`: wall clock and peak memory, against the limits that they have.
#
#   benches/figures.sh [RUNS]     prints a table for docs/performance.md; exits with 1 if a limit is not kept
#
# Every figure is the median of RUNS (default 9) processes, with all their input and output on the disk below $TMPDIR.
# Needs GNU time (Debian package `time`). To add a figure: one line `figure …` at the end.
#
# Names in backticks are markdown, `fresh` is called through eval, and os-release is the system's:
# shellcheck disable=SC2016,SC2317,SC1091
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-9}
kept=0
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

[ -x /usr/bin/time ] || { echo 'figures: GNU time is missing: apt-get install time' >&2; exit 2; }
cargo build --quiet --release --bin meshboot --example generate-fleet
release=${CARGO_TARGET_DIR:-target}/release
meshboot=$release/meshboot
generate=$release/examples/generate-fleet

# Prints the middle one of the lines on standard input.
median() { sort --numeric-sort | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'; }

# figure NAME LIMIT-ms LIMIT-MiB PREPARE COMMAND…: PREPARE is run by the shell before each run and is not counted. A
# limit of `-` is none.
figure() {
    local name=$1 limit_ms=$2 limit_mib=$3 prepare=$4 times=$work/times peaks=$work/peaks begun ended ms mib verdict=
    shift 4
    : > "$times"
    : > "$peaks"
    for _ in $(seq "$runs"); do
        eval "$prepare"
        # What earlier runs left to write is not this run's to wait for.
        sync --file-system "$work"
        begun=$EPOCHREALTIME
        /usr/bin/time --format=%M --output="$work/peak" "$@" > "$work/said" 2>&1 || {
            cat "$work/said" >&2
            exit 2
        }
        ended=$EPOCHREALTIME
        awk -v a="$begun" -v b="$ended" 'BEGIN { printf "%.1f\n", (b - a) * 1000 }' >> "$times"
        awk '{ printf "%.1f\n", $1 / 1024 }' "$work/peak" >> "$peaks"
    done
    ms=$(median < "$times")
    mib=$(median < "$peaks")
    awk -v ms="$ms" -v mib="$mib" -v a="$limit_ms" -v b="$limit_mib" \
        'BEGIN { exit !((a != "-" && ms > a) || (b != "-" && mib > b)) }' && { verdict=' **over**'; kept=1; }
    printf '| %s | %s ms | %s | %s MiB | %s |\n' "$name" "$ms" "$limit_ms" "$mib" "$limit_mib$verdict"
}

# fresh FILE: a folder of its own for a fleet file, without state and artefacts.
fresh() {
    rm -rf "$work/fleet"
    mkdir "$work/fleet"
    cp "$1" "$work/fleet/fleet.yaml"
}

for ingress in 250 500 1000 2000; do "$generate" "$ingress" 200 > "$work/$ingress.yaml"; done
"$generate" --lines 10000 > "$work/lines.yaml"
build=("$meshboot" build "$work/fleet/fleet.yaml" --out "$work/fleet/out")

printf 'meshboot %s, %s cores, %s\n\n' "$(git rev-parse --short HEAD 2> /dev/null || echo unversioned)" "$(nproc)" \
    "$(. /etc/os-release && echo "$PRETTY_NAME")"
echo '| what | time | limit (ms) | peak memory | limit (MiB) |'
echo '| --- | ---: | ---: | ---: | ---: |'
figure '`check`, `examples/hearth.yaml`' - - : "$meshboot" check examples/hearth.yaml
figure '`check`, 10,000 lines' 200 - : "$meshboot" check "$work/lines.yaml"
figure '`build`, `examples/hearth.yaml`, for the first time' 50 64 'fresh examples/hearth.yaml' "${build[@]}"
figure '`build`, `examples/hearth.yaml`, again' 50 64 : "${build[@]}"
for ingress in 250 500; do
    figure "\`build\`, $ingress ingress nodes, 200 services, for the first time" - - "fresh '$work/$ingress.yaml'" "${build[@]}"
done
figure '`build`, 1000 ingress nodes, 200 services, for the first time' 2000 256 "fresh '$work/1000.yaml'" "${build[@]}"
figure '`build`, 1000 ingress nodes, 200 services, again' 2000 256 : "${build[@]}"
figure '`build`, 2000 ingress nodes, 200 services, for the first time' - - "fresh '$work/2000.yaml'" "${build[@]}"
exit "$kept"
