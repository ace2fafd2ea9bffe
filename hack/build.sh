#!/bin/bash
# Builds tincan and evio-cni (release) and the shipped bundle into dist/. Cargo and esbuild decide what is stale.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

started=$SECONDS
log=$(mktemp)
build() {
  cargo build --release --locked "$@" >"$log" 2>&1 || { grep -E '^(error|warning: unused)' -A8 "$log" >&2 || tail -20 "$log" >&2; echo "evio: cargo build failed (log: $log)" >&2; exit 1; }
}
build --workspace --exclude evio-cni
# The CNI plugin runs on hosts we know nothing about, so it is static: with musl where Rust has it (rustup target add), else with glibc.
host=$(rustc -vV | sed -n 's/^host: //p')
musl=${host/-gnu/-musl}
if [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ]; then
  build -p evio-cni --target "$musl"
else
  RUSTFLAGS='-C target-feature=+crt-static' build -p evio-cni --target "$host"
fi
node hack/bundle.ts >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -f "$log"
[ $((SECONDS - started)) -lt 5 ] || echo "evio: built in $((SECONDS - started)) s"
