#!/bin/bash
# What the examples need beyond `make setup`: ffmpeg, and the image of the edge video example, in .cache/examples/edge-video.tar.
set -euo pipefail
cd "$(dirname "$0")/.."
die() { echo "evio: $*" >&2; exit 1; }
. hack/apt.sh
[ "$(id -u)" = 0 ] || die "run this as root (it installs Debian packages); try: sudo make edge-video"
install_missing "ffmpeg:ffmpeg" ""
mkdir -p .cache/examples
node examples/edge-video/bundle.ts
node hack/images/build.ts host edge-video --out .cache/examples/edge-video.tar
