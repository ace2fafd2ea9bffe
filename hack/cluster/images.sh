#!/bin/bash
# Makes the cluster's own images out of this machine's files, without Docker: pause, coredns, and tools for tests (busybox, ip,
# iperf3, curl). The same files give the same bytes; nothing is done when nothing changed.
. "$(dirname "$0")/lib.sh"
for f in pause coredns; do [ -x "$BIN/$f" ] || die "$BIN/$f is missing; build it: hack/cluster/build.sh"; done
TOOLS="$(command -v busybox) $(command -v iperf3) $(command -v ip) $(command -v curl)"
mkdir -p "$IMAGES"
# shellcheck disable=SC2086
stamp=$({ cat "$0" "$HERE/mkimage.py"; stat -Lc '%n %s %Y' $TOOLS "$BIN/pause" "$BIN/coredns"; } | sha256sum | cut -c1-16)
if [ "$(cat "$IMAGES/.stamp" 2>/dev/null)" = "$stamp" ]; then exit; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
image() { "$HERE/mkimage.py" "$IMAGES/$1.tar" "$2" "$work/$1" -- "${@:3}"; }

# with ROOT FILE...: this machine's programs and every shared library they load, at their own places.
with() {
  local root=$1 f; shift
  for f in "$@"; do
    echo "$f"
    ldd "$f" 2>/dev/null | grep -o '/[^ ]*' || true
  done | sort -u | while read -r f; do
    mkdir -p "$root$(dirname "$f")"
    cp -L --remove-destination "$f" "$root$f"
  done
}

mkdir -p "$work/pause" "$work/coredns"
cp "$BIN/pause" "$work/pause/"
image pause localhost/pause:1 /pause
cp "$BIN/coredns" "$work/coredns/"
image coredns localhost/coredns:1 /coredns

root=$work/tools
mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,run,tmp,root,var,usr/bin,usr/sbin}
chmod 1777 "$root/tmp"
# shellcheck disable=SC2086
with "$root" $TOOLS
cp -L --remove-destination "$(command -v busybox)" "$root/bin/busybox"
for applet in $(busybox --list); do
  if [ ! -e "$root/bin/$applet" ] && [ ! -e "$root/usr/bin/$applet" ]; then ln -s busybox "$root/bin/$applet"; fi
done
echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
echo root:x:0: >"$root/etc/group"
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
# The C library loads these by name, not by link.
for f in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  f=$(ldconfig -p | awk -v name=$f '$1 == name && !found++ {print $NF}') # to its end: a pipe that is closed early is a failure
  if [ -n "$f" ]; then with "$root" "$f"; fi
done
image tools localhost/tools:1 /bin/sleep 1000000

echo "$stamp" >"$IMAGES/.stamp"
echo "evio: made the images pause, coredns and tools in $IMAGES"
