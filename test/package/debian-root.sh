#!/bin/bash
# Makes a clean Debian root (debootstrap, minbase) with systemd and what looks at it, and prints where it is: .cache/debian-root/KEY, named by
# what it was made of. With arguments, a NAME and PACKAGES, it has those packages too, and is below .cache/debian-root-NAME. Nothing is written into it afterwards: machines have it as their lower layer.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=bookworm
# What a test needs to look (ip), and what the package depends on or recommends: the machines have no network to get it by.
include=systemd,systemd-sysv,iproute2,nftables,libatomic1
name=${1:-}
shift $(($# > 0))
for package in "$@"; do include+=,$package; done
key=$(echo "$include" | cat "$0" - | sha256sum | cut -c1-16)
cache=$PWD/.cache/debian-root${name:+-$name}
to=$cache/$key
if [ ! -e "$to" ]; then
  command -v debootstrap >/dev/null || hack/release/setup.sh >&2
  # The mirror that this machine has its own packages from.
  mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1 || true)
  rm -rf "$cache"
  mkdir -p "$cache"
  log=$cache/log
  debootstrap --variant=minbase --include=$include $suite "$to.new" ${mirror:+"$mirror"} >"$log" 2>&1 ||
    { tail -5 "$log" >&2; echo "evio: debootstrap failed (log: $log)" >&2; exit 1; }
  rm -rf "$to.new/var/cache/apt/archives" "$to.new"/var/lib/apt/lists/* "$to.new"/dev/*
  mkdir -p "$to.new/var/cache/apt/archives/partial" "$to.new/var/lib/apt/lists/partial"
  mv "$to.new" "$to"
fi
echo "$to"
