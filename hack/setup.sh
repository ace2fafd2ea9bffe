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
needs="prosody:prosody ejabberdctl:ejabberd turnserver:coturn iperf3:iperf3 nft:nftables tcpdump:tcpdump ip:iproute2 ping:iputils-ping
  openssl:openssl ovs-ofctl:openvswitch-common ovs-vswitchd:openvswitch-switch
  conntrack:conntrack ethtool:ethtool pgrep:procps arping:arping faketime:faketime
  /lib/systemd/systemd:systemd tc:iproute2 iptables:iptables /usr/lib/cni/portmap:containernetworking-plugins"
missing=()
for pair in $needs; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || die "these are missing and there is no apt-get to install them: ${missing[*]}"
  echo "evio: installing ${missing[*]}"
  # invoke-rc.d and deb-systemd-invoke ask this file before they start a service: 101 means "may not". Nothing else of these
  # packages starts one: ejabberd's makes an account, and epmd with it, only when debconf was given a password.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  units=()
  for unit in prosody.service ejabberd.service epmd.service epmd.socket coturn.service openvswitch-switch.service; do
    [ -e "/lib/systemd/system/$unit" ] || units+=("$unit")
  done
  log=$(mktemp)
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null ||
    { tail -20 "$log" >&2; die "apt-get could not install ${missing[*]} (log: $log)"; }
  rm -f "$log"
  # Nor at the next boot.
  for unit in "${units[@]}"; do
    if [ -e "/lib/systemd/system/$unit" ]; then systemctl disable "$unit" >/dev/null 2>&1 || true; fi
  done
fi

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
