#!/bin/bash
# A cluster for Evio with kind, for people with Docker (and kind 0.24 or later, kubectl): a control plane and a worker that can be
# reached, two workers that cannot, because they drop whatever they did not ask for. hack/cluster does the same without Docker, with
# real NATs; it is the one that the tests use.
#
#   hack/kind/up.sh [IMAGES.tar]     NAME=evio KIND_IMAGE=kindest/node:v1.34.3 hack/kind/up.sh
#   kind delete cluster --name evio
set -euo pipefail
cd "$(dirname "$0")/../.."
die() { echo "evio: $*" >&2; exit 1; }
NAME=${NAME:-evio}
images=${1:-.cache/images/evio.tar}

for tool in docker kind kubectl; do command -v $tool >/dev/null || die "$tool is missing; install it, or use make cluster, which needs no Docker"; done
docker info >/dev/null 2>&1 || die "Docker does not answer; start it, or use make cluster, which needs none"
[ -e "$images" ] || die "$images is missing; build the images: node hack/images/build.ts"
if kind get clusters 2>/dev/null | grep -qx "$NAME"; then die "there is a kind cluster $NAME already; remove it: kind delete cluster --name $NAME"; fi

kind create cluster --name "$NAME" --config hack/kind/kind.yaml ${KIND_IMAGE:+--image "$KIND_IMAGE"}
kubectl="kubectl --context kind-$NAME"
for node in $(kind get nodes --name "$NAME"); do
  docker exec "$node" test -c /dev/net/tun || die "$node has no /dev/net/tun; load the module on the machine that runs Docker: modprobe tun"
done
# The edges: nothing gets in but answers.
for node in $($kubectl get nodes -l evio.io/test-site -o name); do
  node=${node#node/}
  for tables in iptables ip6tables; do
    for chain in INPUT FORWARD; do
      docker exec "$node" $tables -I $chain -i eth0 -m conntrack --ctstate NEW -j DROP
    done
  done
done
# Router advertisements and neighbours are no connections.
for node in $($kubectl get nodes -l evio.io/test-site -o name); do
  docker exec "${node#node/}" ip6tables -I INPUT -i eth0 -p icmpv6 -j ACCEPT
done
kind load image-archive --name "$NAME" "$images"

$kubectl get nodes -o wide
cat <<TEXT
evio: the cluster $NAME is up; its nodes are NotReady, without addresses, until Evio is installed:
  helm --kube-context kind-$NAME install evio charts/evio --namespace evio-system --create-namespace
  $kubectl apply -f manifests/samples/evionetwork.yaml
TEXT
