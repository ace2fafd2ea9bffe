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
# What Docker Compose reads its files by; its command is called cmd.
version=v2.16.2
if [ ! -x "$CACHE/compose-spec-$version/cmd" ]; then
  CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN=$CACHE/compose-spec-$version go install -trimpath -ldflags="-s -w" "github.com/compose-spec/compose-go/v2/cmd@$version" \
    >"$CACHE/compose-spec.log" 2>&1 </dev/null || { tail -5 "$CACHE/compose-spec.log" >&2; die "compose-go could not be built (log: $CACHE/compose-spec.log)"; }
fi
ln -sf "compose-spec-$version/cmd" "$CACHE/compose-spec"
node examples/edge-video/bundle.ts
node hack/images/build.ts host edge-video --out "$CACHE/edge-video.tar"
