#!/bin/bash
# Runs every test of this crate: ./test.sh [--all] [FILTER…]
#
# Installs the Debian packages that the tests use (with sudo where it is not root), makes the Debian 13 roots that the
# judges and the boots run in (kept between runs, in $MESHBOOT_CACHE), and runs everything with cargo-nextest.
# --all adds the slow ones: soaks and long boots, which carry `#[ignore]`. What cannot run here is named as skipped;
# with CI=true it fails instead.
set -euo pipefail
cd "$(dirname "$0")"

packages=(
    apt-utils bind9-utils ca-certificates curl debian-archive-keyring dnsmasq-base genisoimage iproute2 iputils-ping
    libarchive-tools mmdebstrap nftables openssl procps python3 shellcheck systemd-container util-linux
    xorriso
)
# A Linux kernel that runs as a process, and what loads its modules; there is none for other processors.
case $(dpkg --print-architecture) in
    amd64 | i386) packages+=(kmod user-mode-linux) ;;
esac

say() { printf 'test.sh: %s\n' "$*" >&2; }

all=
if [ "${1:-}" = --all ]; then
    all=1
    shift
fi

if [ "$(id -u)" = 0 ]; then
    sudo=()
    export MESHBOOT_CACHE=${MESHBOOT_CACHE:-/var/cache/meshboot-tests}
else
    command -v sudo > /dev/null || { say 'the tests make network namespaces and mounts: run as root, or install sudo'; exit 2; }
    sudo=(sudo --preserve-env)
    export MESHBOOT_CACHE=${MESHBOOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/meshboot}
    # The tests run as root, the compiler does not.
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${host}_RUNNER=sudo --preserve-env"
fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed \
        || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    "${sudo[@]}" apt-get -qq update
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}"
fi

if ! cargo nextest --version > /dev/null 2>&1; then
    say 'installing cargo-nextest (some minutes, once)'
    cargo install cargo-nextest --locked || say 'cargo-nextest cannot be had: using cargo test'
fi

# Both at once: the roots wait for the network, the compiler for the processor.
roots_log=$(mktemp)
skipped=$(mktemp)
trap 'rm -f "$roots_log" "$skipped"' EXIT
export MESHBOOT_SKIPPED=$skipped
"${sudo[@]}" tests/roots/make judge > "$roots_log" 2>&1 &
roots=$!
cargo test --no-run --quiet
if ! wait "$roots"; then
    cat "$roots_log" >&2
    say 'the Debian 13 roots could not be made'
    exit 1
fi

status=0
if cargo nextest --version > /dev/null 2>&1; then
    cargo nextest run ${all:+--run-ignored all --profile all} --color never "$@" 2>&1 | tee "$roots_log" || status=$?
    summary=$(grep -E '^ +Summary \[' "$roots_log" || true)
else
    # One after another: tests that count what is left behind share a process here.
    cargo test --no-fail-fast "$@" -- --test-threads 1 ${all:+--include-ignored} 2>&1 | tee "$roots_log" || status=$?
    summary=$(grep '^test result:' "$roots_log" || true)
fi
if [ -s "$skipped" ]; then
    sort -u "$skipped" >&2
    say "$(sort -u "$skipped" | wc -l) skipped"
    # The counts come last.
    printf '%s\n' "$summary"
fi
exit "$status"
