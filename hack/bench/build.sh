#!/bin/bash
# Builds the peers that `make bench` measures Evio beside, as their own release builds, into .cache/bench/NAME-VERSION/bin, and
# names them in .cache/bench/peers. Quick when nothing changed: the first time takes some minutes. Needs root, Go, cargo.
#
# A peer that cannot be built is said so, and is left out of the figures; the others are measured.
set -euo pipefail
cd "$(dirname "$0")/../.."
die() { echo "evio: $*" >&2; exit 1; }
. hack/apt.sh
[ "$(id -u)" = 0 ] || die "run this as root (it installs Debian packages); try: sudo make bench"
CACHE=$PWD/.cache/bench
mkdir -p "$CACHE"

# wg sets up WireGuard in every program that speaks it. The reference plugins of the CNI are there for hack/setup.sh.
install_missing "wg:wireguard-tools" "wg-quick.target"

# NAME HOW PACKAGE VERSION PROGRAM...
# wireguard-go has no tags to speak of: the newest commit. Nebula 1.12 wants a newer Go than 1.26, 1.11 a module that the Go proxy
# does not give out.
PEERS="wireguard-go go golang.zx2c4.com/wireguard v0.0.0-20260522210424-ecfc5a8d5446 wireguard
nebula go github.com/slackhq/nebula v1.10.3 nebula nebula-cert
boringtun cargo boringtun-cli 0.7.1 boringtun-cli
vpncloud cargo vpncloud 2.3.0 vpncloud"

# build HOW PACKAGE VERSION DIRECTORY PROGRAM...
build() {
  local how=$1 package=$2 version=$3 directory=$4 program paths=()
  shift 4
  case $how in
    go)
      # A module is its one program, or has them in cmd/.
      for program; do
        if [ "${package##*/}" = "$program" ] && [ $# = 1 ]; then paths+=("$package@$version"); else paths+=("$package/cmd/$program@$version"); fi
      done
      CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN=$directory/bin go install -trimpath -ldflags="-s -w" "${paths[@]}"
      ;;
    # Its own release profile, and the versions of its own lock file.
    cargo) cargo install --quiet --locked --root "$directory" --version "=$version" "$package" ;;
  esac
}

: >"$CACHE/peers.new"
while read -r name how package version programs; do
  directory=$CACHE/$name-$version
  if [ ! -e "$directory/.built" ]; then
    echo "evio: building $name $version"
    log=$CACHE/$name.log
    t0=$SECONDS
    rm -rf "$directory"
    # shellcheck disable=SC2086
    if ! { command -v "$how" >/dev/null && build "$how" "$package" "$version" "$directory" $programs; } >"$log" 2>&1 </dev/null; then
      tail -5 "$log" >&2
      echo "evio: $name $version could not be built and is left out (log: $log)" >&2
      continue
    fi
    touch "$directory/.built"
    echo "evio: built $name in $((SECONDS - t0)) s"
  fi
  echo "$name $version $directory/bin" >>"$CACHE/peers.new"
done <<<"$PEERS"
mv "$CACHE/peers.new" "$CACHE/peers"
