#!/bin/bash
# Chromium for the test of the map: 300 MB with what it needs, so only the verbs that use it install it.
set -euo pipefail
cd "$(dirname "$0")/../.."
die() { echo "evio: $*" >&2; exit 1; }
. hack/apt.sh
install_missing "chromium:chromium /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core" ""
