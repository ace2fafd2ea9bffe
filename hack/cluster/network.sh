# The internet of network namespaces (sourced). No link leads to the machine's own namespace, so nothing here reaches or is
# reached from outside.
#
#   inet (router) --- public node            203.0.113.0/24 in /30s
#                \--- nat-NODE --- NODE      192.168.x.0/24

ns() { local n=$1; shift; ip netns exec "$PREFIX$n" "$@"; }
net_namespace() {
  ip netns add "$PREFIX$1"
  ns "$1" ip link set lo up
  # Every Kubernetes node forwards; so do the router and the NATs.
  ns "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
}
net_cable() { # NS1 LINK1 ADDRESS1 NS2 LINK2 ADDRESS2
  ip link add "$2" netns "$PREFIX$1" type veth peer name "$5" netns "$PREFIX$4"
  ns "$1" ip address add "$3" dev "$2"; ns "$1" ip link set "$2" up
  ns "$4" ip address add "$6" dev "$5"; ns "$4" ip link set "$5" up
}
router_of() { echo "${1%.*}.$((${1##*.} - 1))"; } # the router's side of a /30

# A NAT that drops what nobody asked for, as home routers do. Dropping in INPUT matters as much as in FORWARD: an accepted
# stray packet would leave a conntrack entry on the very port a node behind is about to use, and its own packet would be remapped.
net_nat() { # NODE
  local nat=nat-$1 outside mapping=
  outside=$(node_outside "$1")
  if [ "$(node_kind "$1")" = random ]; then mapping=' fully-random'; fi
  net_namespace "$nat"
  net_cable inet "to-$1" "$(router_of "$outside")/30" "$nat" wan "$outside/30"
  ns "$nat" ip route add default via "$(router_of "$outside")"
  ns "$nat" nft -f - <<NFT
table ip evio_nat {
  chain postrouting { type nat hook postrouting priority srcnat; oifname "wan" masquerade$mapping; }
  chain forward { type filter hook forward priority filter; policy accept; iifname "wan" ct state established,related accept; iifname "wan" drop; }
  chain input { type filter hook input priority filter; policy accept; iifname "wan" ct state established,related accept; iifname "wan" drop; }
}
NFT
}

# The node's own namespace and the cable to its router; again after every start of the node.
net_node() { # NODE
  local address gateway; address=$(node_address "$1")
  net_namespace "$1"
  # kubeadm takes no host without it; where the kernel has no br_netfilter, nothing looks into bridges.
  modprobe -q br_netfilter 2>/dev/null || true
  if [ -d /proc/sys/net/bridge ]; then ns "$1" sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1; fi
  if [ "$(node_kind "$1")" = public ]; then
    gateway=$(router_of "$address")
    ns inet ip link delete "to-$1" 2>/dev/null || true
    net_cable inet "to-$1" "$gateway/30" "$1" eth0 "$address/30"
  else
    gateway=${address%.*}.1
    ns "nat-$1" ip link delete lan 2>/dev/null || true
    net_cable "nat-$1" lan "$gateway/24" "$1" eth0 "$address/24"
  fi
  ns "$1" ip route add default via "$gateway"
  # Without an overlay, pods of public nodes can at least be reached by route.
  if [ "$CNI" = bridge ] && [ "$(node_kind "$1")" = public ]; then
    ns inet ip route replace "10.244.$(node_number "$1").0/24" via "$address"
  fi
}

# Ends what runs in a namespace, then removes it. Ends quietly when there is none.
net_remove() { # NAMESPACE
  local signal pids
  [ -e "/run/netns/$PREFIX$1" ] || return 0
  for signal in TERM KILL KILL KILL; do
    pids=$(ip netns pids "$PREFIX$1")
    [ -n "$pids" ] || break
    # shellcheck disable=SC2086
    kill -$signal $pids 2>/dev/null || true
    sleep 0.2
  done
  ip netns delete "$PREFIX$1"
}
