#!/bin/bash
# Installs what the verbs of the Makefile need: Debian packages (their servers are kept from starting), npm packages.
# Quiet and quick when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "evio: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "run this as root (it makes network namespaces, taps and bridges); try: sudo make ${MAKECMDGOALS:-$*}"
for tool in npm cargo gcc; do command -v "$tool" >/dev/null || die "$tool is missing; install Node.js 18 or later with npm, Rust 1.85 or later, and gcc"; done
rust=$(cargo --version | awk '{print $2}')
[ "$(printf '%s\n1.85\n' "$rust" | sort -V | head -1)" = 1.85 ] || die "Rust 1.85 or later is needed, cargo is $rust"

# command, and the Debian package it comes in
needs="prosody:prosody ejabberdctl:ejabberd turnserver:coturn iperf3:iperf3 nft:nftables tcpdump:tcpdump ip:iproute2 ping:iputils-ping fping:fping
  openssl:openssl ovs-ofctl:openvswitch-common ovs-vswitchd:openvswitch-switch
  conntrack:conntrack ethtool:ethtool pgrep:procps arping:arping faketime:faketime
  promtool:prometheus /lib/systemd/systemd:systemd tc:iproute2 iptables:iptables dpkg-shlibdeps:dpkg-dev /usr/lib/cni/portmap:containernetworking-plugins"
. hack/apt.sh
install_missing "$needs" "prometheus.service prosody.service ejabberd.service epmd.service epmd.socket coturn.service openvswitch-switch.service"

# Not "npm ci": it refuses a lock file that leaves out the platforms of optional packages that a registry does not carry.
stamp=node_modules/.evio-stamp
want=$(cat package.json package-lock.json | sha256sum)
if [ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$want" ]; then
  echo "evio: installing npm packages"
  log=$(mktemp)
  npm install --no-save --no-progress >"$log" 2>&1 </dev/null || { tail -20 "$log" >&2; die "npm install failed (log: $log)"; }
  rm -f "$log"
  echo "$want" >"$stamp"
fi
node_modules/.bin/node --version >/dev/null || die "the pinned Node.js in node_modules does not run"
