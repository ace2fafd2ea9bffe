#!/bin/bash
# Installs what `make release` and the long tests of the packages need beyond hack/setup.sh: compilers for other machines, an emulator to
# run what they make, lintian and debootstrap. Quiet and quick when everything is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

die() { echo "evio: $*" >&2; exit 1; }
needs=""
# A file that is no command, and the package it comes in.
want() { [ -e "$1" ] || needs+=" $2-is-missing:$2"; }
for pair in dpkg-shlibdeps:dpkg-dev aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu arm-linux-gnueabihf-gcc:gcc-arm-linux-gnueabihf \
  qemu-aarch64-static:qemu-user-static lintian:lintian debootstrap:debootstrap; do
  needs+=" $pair"
done
want /usr/aarch64-linux-gnu/lib/libc.a libc6-dev-arm64-cross
want /usr/arm-linux-gnueabihf/lib/libc.a libc6-dev-armhf-cross
# Node.js runs under the emulator too.
want /usr/aarch64-linux-gnu/lib/libstdc++.so.6 libstdc++6-arm64-cross
want /usr/aarch64-linux-gnu/lib/libatomic.so.1 libatomic1-arm64-cross
. hack/apt.sh
install_missing "$needs" ""
