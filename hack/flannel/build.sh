#!/bin/bash
# Stock Flannel out of its Go modules, and the images that its own manifest names, without Docker: .cache/flannel/*.tar and
# .cache/flannel/kube-flannel.yml. Quick when nothing changed; the first time some minutes. Needs root (Debian packages), Go and a C
# compiler.
. "$(dirname "$0")/../cluster/lib.sh"
. "$TOP/hack/apt.sh"
. "$HERE/rootfs.sh"
[ $# = 0 ] || die "usage: build.sh"
[ "$(id -u)" = 0 ] || die "run this as root (it installs Debian packages); try: sudo hack/flannel/build.sh"
command -v go >/dev/null || die "go is missing; install Go 1.26 or later"

VERSION=v0.28.10
MODULE=github.com/flannel-io/flannel
SUM=h1:jt+uW6XVV01MBb3YFahG7Ue9UE3W6zlNlJMf3JtdcXI=
OUT=$TOP/.cache/flannel
# As Flannel's Makefile has it.
ldflags="-s -w -X $MODULE/pkg/version.Version=$VERSION -extldflags -static"
# For the test: its many probes, its throughput.
install_missing "busybox:busybox-static iptables:iptables ip:iproute2 nft:nftables cc:gcc python3:python3 fping:fping iperf3:iperf3" ""
programs="/usr/sbin/xtables-nft-multi $(command -v ip) $(command -v nft)"
# shellcheck disable=SC2086
stamp=$({ go version; cat "$0" "$HERE/rootfs.sh" "$HERE/mkimage.py" "$TOP"/hack/flannel/cni-plugin/*; stat -Lc '%n %s %Y' $programs; } |
  sha256sum | cut -c1-16)
if [ "$(cat "$OUT/.built" 2>/dev/null)" = "$stamp" ]; then exit; fi

t0=$SECONDS
echo "evio: building Flannel $VERSION from its Go modules; the first time that takes some minutes"
mkdir -p "$OUT"
work=$(mktemp -d "$OUT/work.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
log=$OUT/build.log
quiet() { "$@" >"$log" 2>&1 </dev/null || { tail -20 "$log" >&2; die "$1 $2 failed (log: $log)"; }; }

quiet go mod download -json "$MODULE@$VERSION"
source=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' "$log")
grep -qF "\"Sum\": \"$SUM\"" "$log" || die "$MODULE@$VERSION is not what it was: its sum is not $SUM (log: $log)"
cp -r "$source" "$work/source"
chmod -R u+w "$work/source"
cd "$work/source"
# Less one backend, for the Tencent cloud: the Go module proxy does not give out what it needs.
rm -r pkg/backend/tencentvpc
sed -i '/backend\/tencentvpc"/d' main.go
sed -i '/tencentcloud/d' go.mod
flags=(-trimpath -buildvcs=false -gcflags=all=-dwarf=false)
mkdir "$work/bin"
CGO_ENABLED=1 quiet go build -tags netgo,osusergo "${flags[@]}" -ldflags="$ldflags" -o "$work/bin/" . ./cmd/install_conf
cd "$TOP/hack/flannel/cni-plugin"
CGO_ENABLED=0 quiet go build "${flags[@]}" -ldflags="-s -w" -o "$work/bin/cni-plugin" github.com/containernetworking/plugins/plugins/meta/flannel

# As the Dockerfiles of the project make them, with this machine's iptables; under the names that its manifest has.
manifest=$work/source/Documentation/kube-flannel.yml
named() {
  local name; name=$(grep -oE "[^ ]*/$1:[^ ]+" "$manifest" | sort -u)
  [ "$(wc -w <<<"$name")" = 1 ] || die "Flannel's manifest has no single image $1: '$name'"
  echo "$name"
}
root=$work/flannel
mkdir -p "$root"/{opt/bin,etc,run,tmp,usr/sbin}
install "$work/bin/flannel" "$root/opt/bin/flanneld"
install "$work/bin/install_conf" "$root/opt/bin/install-conf"
# shellcheck disable=SC2086
with "$root" $programs
for f in iptables ip6tables; do for p in '' -save -restore; do ln -s xtables-nft-multi "$root/usr/sbin/$f$p"; done; done
# Loaded by name.
modules=$(ls -d /usr/lib/*/xtables)
mkdir -p "$root$modules"
cp "$modules"/*.so "$root$modules/"
busybox_at "$root"
name=$(named flannel)
"$HERE/mkimage.py" "$work/flannel.tar" "$name" "$root" -- /opt/bin/flanneld
root=$work/plugin
mkdir -p "$root"
install "$work/bin/cni-plugin" "$root/flannel"
busybox_at "$root"
name=$(named flannel-cni-plugin)
"$HERE/mkimage.py" "$work/flannel-cni-plugin.tar" "$name" "$root" -- /flannel
mv -f "$work"/*.tar "$manifest" "$OUT/"
echo "$stamp" >"$OUT/.built"
echo "evio: built Flannel $VERSION in $((SECONDS - t0)) s"
