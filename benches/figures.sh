#!/bin/bash
# Whole-process figures of `check` and `build`: wall clock and peak memory, against the limits that they have.
#
#   benches/figures.sh [RUNS]     prints a table for docs/performance.md; exits with 1 if a limit is not kept
#
# Every figure is the median of RUNS (default 9) processes, with all their input and output on the disk below $TMPDIR;
# the work of all processors together stands beside it, since a busy machine makes the first longer and not the second.
# Needs GNU time (Debian package `time`). To add a figure: one line `figure …` at the end.
#
# Names in backticks are markdown, `fresh` is called through eval, and os-release is the system's:
# shellcheck disable=SC2016,SC2317,SC1091
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-9}
exceeded=0
number=0
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

[ -x /usr/bin/time ] || { echo 'figures: GNU time is missing: apt-get install time' >&2; exit 2; }
cargo build --quiet --release --bin meshboot --example generate-fleet
release=${CARGO_TARGET_DIR:-target}/release
meshboot=$release/meshboot
generate=$release/examples/generate-fleet

# Prints the middle one of the lines on standard input.
median() { sort --numeric-sort | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'; }

# figure NAME LIMIT-ms LIMIT-MiB PREPARE COMMAND…: PREPARE is run by the shell before each run and is not counted; `OUT`
# in the command stands for the folder that it made. A limit of `-` is none.
figure() {
    local name=$1 limit_ms=$2 limit_mib=$3 prepare=$4 run=$work/run begun ended ms cpu mib verdict=
    shift 4
    : > "$run.ms"
    : > "$run.cpu"
    : > "$run.mib"
    for _ in $(seq "$runs"); do
        "$prepare"
        # What earlier runs left to write is not this run's to wait for.
        sync --file-system "$work"
        begun=$EPOCHREALTIME
        /usr/bin/time --format='%M %U %S' --output="$run" "${@//OUT/$work/$number}" > "$run.said" 2>&1 || {
            cat "$run.said" >&2
            exit 2
        }
        ended=$EPOCHREALTIME
        awk -v a="$begun" -v b="$ended" 'BEGIN { printf "%.0f\n", (b - a) * 1000 }' >> "$run.ms"
        awk '{ printf "%.0f\n", ($2 + $3) * 1000 }' "$run" >> "$run.cpu"
        awk '{ printf "%.0f\n", $1 / 1024 }' "$run" >> "$run.mib"
    done
    ms=$(median < "$run.ms")
    cpu=$(median < "$run.cpu")
    mib=$(median < "$run.mib")
    if { [ "$limit_ms" != - ] && [ "$ms" -gt "$limit_ms" ]; } || { [ "$limit_mib" != - ] && [ "$mib" -gt "$limit_mib" ]; }; then
        verdict=' **exceeded**'
        exceeded=1
    fi
    printf '| %s | %s | %s | %s | %s | %s |\n' "$name" "$ms" "$limit_ms" "$cpu" "$mib" "$limit_mib$verdict"
}

# What a figure prepares: nothing, or a folder of its own with a fleet file and nothing else. Folders are removed at the
# end, since ext4 is slow for half a minute to create files after many were removed.
nothing() { :; }
fresh() {
    number=$((number + 1))
    mkdir "$work/$number"
    cp "$fleet" "$work/$number/fleet.yaml"
}

for ingress in 250 500 1000 2000; do "$generate" "$ingress" 200 > "$work/$ingress.yaml"; done
"$generate" --lines 10000 > "$work/lines.yaml"
build=("$meshboot" build OUT/fleet.yaml --out OUT/out)

printf 'meshboot %s, %s cores, %s, median of %s\n\n' "$(git rev-parse --short HEAD 2> /dev/null || echo unversioned)" \
    "$(nproc)" "$(. /etc/os-release && echo "$PRETTY_NAME")" "$runs"
echo '| what | time (ms) | limit | work (ms) | peak memory (MiB) | limit |'
echo '| --- | ---: | ---: | ---: | ---: | ---: |'
figure '`check examples/hearth.yaml`' - - nothing "$meshboot" check examples/hearth.yaml
figure '`check`, 10,000 lines' 200 - nothing "$meshboot" check "$work/lines.yaml"
fleet=examples/hearth.yaml
figure '`build examples/hearth.yaml`, first' 50 64 fresh "${build[@]}"
figure '`build examples/hearth.yaml`, again' 50 64 nothing "${build[@]}"
# Large ones are long enough for fewer runs, and fill a disk with more.
runs=$(((runs + 2) / 3))
for ingress in 250 500 1000 2000; do
    fleet=$work/$ingress.yaml
    limits=(- -)
    [ "$ingress" != 1000 ] || limits=(2000 256)
    figure "\`build\`, $ingress ingress nodes, 200 services, first" "${limits[@]}" fresh "${build[@]}"
    figure "\`build\`, $ingress ingress nodes, 200 services, again" "${limits[@]}" nothing "${build[@]}"
done
exit "$exceeded"
