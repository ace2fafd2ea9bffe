#!/bin/bash
# What the examples need beyond `make setup`, in .cache/examples: ffmpeg, what reads compose files, and the images of the edge video
# example. Needs root and Go.
set -euo pipefail
cd "$(dirname "$0")/.."
die() { echo "evio: $*" >&2; exit 1; }
. hack/apt.sh
[ "$(id -u)" = 0 ] || die "run this as root (it installs Debian packages); try: sudo make edge-video"
install_missing "ffmpeg:ffmpeg" ""
CACHE=$PWD/.cache/examples
mkdir -p "$CACHE"
# What Docker Compose reads its files by. Go decides whether it is stale.
CGO_ENABLED=0 go build -C hack/compose -trimpath -buildvcs=false -ldflags="-s -w" -o "$CACHE/compose" . >"$CACHE/compose.log" 2>&1 </dev/null ||
  { tail -5 "$CACHE/compose.log" >&2; die "hack/compose could not be built (log: $CACHE/compose.log)"; }
node examples/edge-video/bundle.ts
node hack/images/build.ts host edge-video --out "$CACHE/edge-video.tar"
