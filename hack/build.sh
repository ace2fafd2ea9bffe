#!/bin/bash
# Builds tincan (release) and the shipped bundle into dist/. Cargo and esbuild decide what is stale.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

started=$SECONDS
log=$(mktemp)
cargo build --release --locked --workspace >"$log" 2>&1 || { grep -E '^(error|warning: unused)' -A8 "$log" >&2 || tail -20 "$log" >&2; echo "evio: cargo build failed (log: $log)" >&2; exit 1; }
node hack/bundle.ts >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -f "$log"
[ $((SECONDS - started)) -lt 5 ] || echo "evio: built in $((SECONDS - started)) s"
