#!/bin/bash
# up.sh: brings the cluster up (make cluster). Settings come from the environment: see lib.sh and docs/cluster.md.
. "$(dirname "$0")/lib.sh"
. "$HERE/network.sh"
. "$HERE/machine.sh"
. "$HERE/pki.sh"
. "$HERE/store.sh"
. "$HERE/node.sh"

describe() {
  local n kind
  echo "evio: a cluster is up: $(node_names | wc -l) nodes, CNI $CNI, kube-proxy $PROXY_MODE, state and logs in $RUN"
  for n in $(node_names); do
    kind=$(node_kind "$n")
    if [ "$kind" = public ]; then echo "  $n  $(node_address "$n"), public"; else echo "  $n  $(node_address "$n") behind $(node_outside "$n"), $kind NAT"; fi
  done
  echo "  kubectl: hack/cluster/k get nodes    helm: hack/cluster/h list    in a node: hack/cluster/nx $CP ip address"
  if [ "$CNI" = none ]; then echo "  Nodes are NotReady, without addresses, until Evio is installed."; fi
  echo "  make cluster-down removes it."
}
[ $# = 0 ] || die "usage: [PREFIX=...] [NAT=random] [CNI=bridge] ... up.sh; settings are in docs/cluster.md"
if is_up; then describe; exit; fi
[ ! -e "$RUN" ] || die "half a cluster is up, or another make cluster is at work ($RUN); remove it with: make cluster-down"
[ "$(id -u)" = 0 ] || die "run this as root (it makes namespaces and mounts); try: sudo make cluster"
for f in kubelet kubectl helm; do [ -x "$BIN/$f" ] || die "$BIN/$f is missing; build it: hack/cluster/build.sh"; done
files=$(image_files)
[ -n "$files" ] || die "there are no images in $IMAGES; make them: hack/cluster/images.sh"

t0=$SECONDS
mkdir -m 700 "$RUN" || die "another make cluster is at work"
trap 'if ! is_up; then echo "evio: the cluster did not come up; logs are in $RUN, make cluster-down removes what there is" >&2; fi' EXIT
for s in NODES CNI PROXY_MODE NODE_CIDRS NODE_TAINTS; do printf '%s=%q\n' $s "${!s}"; done >"$RUN/settings"
for n in $(node_names); do mkdir -p "$RUN/$n"; done
echo "$API_ADDRESS" >"$RUN/api-address"
step() { echo "evio: $1, $((SECONDS - t0)) s"; }

machine_prepare
pki_make &
pki=$!
net_namespace inet
for n in $(node_names); do
  if [ "$(node_kind "$n")" != public ]; then net_nat "$n"; fi
  net_node "$n"
done
store=$(image_store) || exit 1
wait $pki || exit 1
for n in $(node_names); do node_disk "$n" "$store"; node_boot "$n"; done
step "network, certificates and disks are there"

for n in $(node_names); do node_start "$n"; done
wait_for 90 "the API server" "$RUN/$CP/kube-apiserver.log" kubectl get --raw /readyz
step "the API server answers"
for n in $(node_names); do wait_for 60 "node $n" "$RUN/$n/kubelet.log" kubectl get node "$n"; done
# What kubeadm does: a kubelet may not give itself this label.
kubectl label node "$CP" node-role.kubernetes.io/control-plane= >/dev/null
kubectl apply -f "$HERE/coredns.yaml" >/dev/null
if [ "$CNI" = bridge ]; then
  wait_for 90 "all nodes Ready" "$RUN/$CP/kubelet.log" kubectl wait --for=condition=Ready nodes --all --timeout=1s
fi
touch "$RUN/up"
step "all nodes are registered"
describe
