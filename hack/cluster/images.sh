#!/bin/bash
# Makes the cluster's own images out of this machine's files, without Docker: pause, coredns, and tools for tests (busybox, ip,
# iperf3, curl). The same files give the same bytes; nothing is done when nothing changed.
#
#   images.sh [conformance]    conformance: those that Kubernetes' end-to-end tests of networking use
. "$(dirname "$0")/lib.sh"
. "$HERE/rootfs.sh"
what=${1:-all}
case $what in
  all) needed="pause coredns" programs="busybox iperf3 ip curl" out=$IMAGES ;;
  conformance) needed="pause coredns agnhost e2e.test" programs="busybox ip ss curl dig nc bash getent" out=$CONFORMANCE ;;
  *) die "usage: images.sh [conformance]" ;;
esac
for f in $needed; do [ -x "$BIN/$f" ] || die "$BIN/$f is missing; build it: hack/cluster/build.sh${1:+ $1}"; done
TOOLS=
for f in $programs; do TOOLS+=" $(command -v "$f")" || die "$f is missing; install it by: hack/cluster/build.sh${1:+ $1}"; done
mkdir -p "$out"
# shellcheck disable=SC2086
stamp=$({ cat "$0" "$HERE/rootfs.sh" "$HERE/mkimage.py"; cd "$BIN"; stat -Lc '%n %s %Y' $TOOLS $needed; } | sha256sum | cut -c1-16)
if [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then exit; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
image() { "$HERE/mkimage.py" "$out/$1.tar" "$2" "$work/$1" -- "${@:3}"; }

# tools_root ROOT: a file system with $TOOLS in it, and busybox for the rest.
tools_root() {
  local root=$1 f
  mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,run,tmp,root,var,usr/bin,usr/sbin}
  chmod 1777 "$root/tmp"
  # shellcheck disable=SC2086
  with "$root" $TOOLS
  busybox_at "$root"
  echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
  echo root:x:0: >"$root/etc/group"
  echo "hosts: files dns" >"$root/etc/nsswitch.conf"
  # The C library loads these by name, not by link.
  for f in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
    # Read to its end: else ldconfig could be told that nobody reads, and that ends this script.
    f=$(ldconfig -p | awk -v name=$f '$1 == name && !n++ {print $NF}')
    if [ -n "$f" ]; then with "$root" "$f"; fi
  done
}

if [ "$what" = all ]; then
  mkdir -p "$work/pause" "$work/coredns"
  cp "$BIN/pause" "$work/pause/"
  image pause localhost/pause:1 /pause
  cp "$BIN/coredns" "$work/coredns/"
  image coredns localhost/coredns:1 /coredns
  tools_root "$work/tools"
  image tools localhost/tools:1 /bin/sleep 1000000
  echo "evio: made the images pause, coredns and tools in $out"
else
  # The tests ask for images by registry, name and version. This file gives them a registry, localhost/e2e, for each of theirs; what
  # they then ask for is said by the program itself.
  go mod download -json "k8s.io/kubernetes@$(kubernetes_version)" >"$work/module" || die "the Go module k8s.io/kubernetes could not be had"
  sources=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' "$work/module")
  grep -oE 'yaml:"[A-Za-z0-9]+"' "$sources/test/utils/image/manifest.go" | sed -E 's/yaml:"(.*)"/\1: localhost\/e2e/' >"$work/repositories"
  KUBE_TEST_REPO_LIST=$work/repositories "$BIN/e2e.test" --list-images 2>"$work/log" | sort -u >"$work/names" ||
    die "$BIN/e2e.test does not list images: $(tail -n 1 "$work/log")"
  # named NAME...: all versions of these, with commas between.
  named() {
    local name
    for name in "$@"; do
      grep "^localhost/e2e/$name:" "$work/names" || die "Kubernetes' tests have no image $name any more; see $0"
    done | paste -sd,
  }
  # As test/images/agnhost/Dockerfile of Kubernetes makes it. It is what all tests use but for few, which want a shell (busybox),
  # dig (dnsutils), or a web server that they never ask (httpd, nginx).
  root=$work/agnhost
  tools_root "$root"
  # busybox as a shell takes its own nc before the one that is there.
  ln -sf "$(command -v bash)" "$root/bin/sh"
  if [ ! -e "$root/bin/bash" ]; then ln -s "$(command -v bash)" "$root/bin/bash"; fi
  mkdir -p "$root/uploads"
  cp "$BIN/agnhost" "$BIN/coredns" "$root/"
  ln -s agnhost "$root/agnhost-2"
  cp "$sources"/test/images/agnhost/porter/localhost.{crt,key} "$root/"
  chmod 644 "$root"/localhost.*
  names=$(named agnhost busybox jessie-dnsutils)
  image agnhost "$names" /agnhost pause
  mkdir -p "$work"/{httpd,pause}
  cp -L "$(command -v busybox)" "$work/httpd/busybox"
  names=$(named httpd nginx)
  image httpd "$names" /busybox httpd -f -p 80
  cp "$BIN/pause" "$work/pause/"
  names=$(named pause)
  image pause "$names" /pause
  cp "$work/repositories" "$out/repositories.yaml"
  echo "evio: made the images that Kubernetes' tests of networking use in $out"
fi
echo "$stamp" >"$out/.stamp"
