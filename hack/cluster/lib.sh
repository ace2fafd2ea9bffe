# Settings and helpers of the cluster's scripts (sourced by them, bash).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
CACHE=$TOP/.cache/cluster
BIN=$CACHE/bin
IMAGES=$CACHE/images
CONFORMANCE=$CACHE/conformance   # the images of Kubernetes' own tests: not for every cluster

die() { echo "evio: $*" >&2; exit 1; }

# Every namespace, cgroup and folder of the cluster begins so; two clones with two prefixes run beside each other.
PREFIX=${PREFIX:-evk-}
[[ $PREFIX =~ ^[a-z][a-z0-9-]{0,18}-$ ]] ||
  die "PREFIX '$PREFIX' cannot be used: 2 to 20 of a-z, 0-9 and \"-\", a letter first and \"-\" last"
RUN=/tmp/${PREFIX}cluster        # state, logs, certificates, the nodes' disks
ETCD=/dev/shm/${PREFIX}etcd      # etcd's data: in memory, because a disk would be waited for at every write
CGROUP=${PREFIX%-}               # the nodes' cgroups are /CGROUP/NODE in every hierarchy

# Settings of a cluster that is up stand in its folder; of one that is to come up, in the environment.
# shellcheck disable=SC1091
if [ -e "$RUN/settings" ]; then
  [ -O "$RUN/settings" ] || die "$RUN is not ours; remove it"
  . "$RUN/settings"
fi
# One node a word: NAME:public:ADDRESS, or NAME:punchable:ADDRESS:NAT, NAME:random:ADDRESS:NAT with the NAT's public address.
# Public addresses stand each in its own /30, whose first host is the internet's router. The first node is the control plane.
NAT=${NAT:-punchable}
case $NAT in punchable | random) ;; *) die "NAT is punchable or random, not '$NAT'" ;; esac
NODES=${NODES:-"cp:public:203.0.113.6 cloud1:public:203.0.113.10 edge1:$NAT:192.168.1.10:203.0.113.14 edge2:$NAT:192.168.2.10:203.0.113.18"}
# none: no CNI configuration and no node addresses, both are Evio's to bring. bridge: the plain bridge plugin, to try the cluster itself.
CNI=${CNI:-none}
case $CNI in none | bridge) ;; *) die "CNI is none or bridge, not '$CNI'" ;; esac
PROXY_MODE=${PROXY_MODE:-nftables}
case $PROXY_MODE in nftables | iptables | none) ;; *) die "PROXY_MODE is nftables, iptables or none, not '$PROXY_MODE'" ;; esac
# on: kube-controller-manager allots each node its piece of POD_CIDRS, for network plugins that want it so.
NODE_CIDRS=${NODE_CIDRS:-off}
case $NODE_CIDRS in on | off) ;; *) die "NODE_CIDRS is on or off, not '$NODE_CIDRS'" ;; esac
# More addresses of the API server, for its certificate.
API_ADDRESSES=${API_ADDRESSES:-}
# Taints the kubelets register with, as KEY=VALUE:EFFECT words.
NODE_TAINTS=${NODE_TAINTS:-}

POD_CIDRS=10.244.0.0/16,fd00:10:244::/56
SERVICE_CIDRS=10.96.0.0/16,fd00:10:96::/112
SERVICE_FIRST="10.96.0.1 fd00:10:96::1"   # the addresses of the Service "kubernetes"
DNS_ADDRESS=10.96.0.10                    # as in coredns.yaml
API_PORT=6443

node_names() { local n; for n in $NODES; do echo "${n%%:*}"; done; }
node_field() { local n; for n in $NODES; do if [ "${n%%:*}" = "$1" ]; then echo "$n" | cut -d: -f"$2"; fi; done; }
node_kind() { node_field "$1" 2; }
node_address() { node_field "$1" 3; }
node_outside() { node_field "$1" 4; }     # the public address of its NAT; nothing for a public node
node_number() { local i=0 n; for n in $(node_names); do i=$((i + 1)); if [ "$n" = "$1" ]; then echo $i; fi; done; }
CP=${NODES%%:*}
API_ADDRESS=$(node_address "$CP")

# All network namespaces of the cluster, without the prefix.
namespaces() { local n; echo inet; for n in $(node_names); do echo "$n"; if [ "$(node_kind "$n")" != public ]; then echo "nat-$n"; fi; done; }

kubernetes_version() { awk '$1 == "k8s.io/kubernetes" {print $2; exit}' "$HERE/hyper/go.mod"; }

is_up() { [ -e "$RUN/up" ]; }
need_up() { is_up || die "no cluster is up (PREFIX $PREFIX); bring one up with: make cluster"; }

# in_node NODE CMD...: runs a command inside a node, in all its namespaces. It is told to end when its caller ends.
in_node() {
  local n=$1; shift
  [ -s "$RUN/$n/pid" ] || die "there is no node $n; nodes: $(node_names | tr '\n' ' ')"
  nsenter -t "$(cat "$RUN/$n/pid")" -m -u -n -p -i -W"$PWD" -- setpriv --pdeathsig TERM -- "$@"
}
kubectl() { in_node "$CP" "$BIN/kubectl" --kubeconfig "$RUN/pki/admin.conf" "$@"; }

# wait_for SECONDS WHAT LOG CMD...: asks until CMD works; shows the end of LOG when it never does.
wait_for() {
  local seconds=$1 what=$2 log=$3 t0=$SECONDS; shift 3
  until "$@" >/dev/null 2>&1; do
    if [ $((SECONDS - t0)) -ge "$seconds" ]; then
      if [ -e "$log" ]; then tail -n 5 "$log" >&2; fi
      die "$what: not within $seconds s (log: $log)"
    fi
    sleep 0.2
  done
}
