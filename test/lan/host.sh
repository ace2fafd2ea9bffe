#!/bin/bash
# host.sh VERB ...: hosts with namespaces and a disk of their own, as the nodes of hack/cluster are, in networks that somebody else makes
# (test/demo/internet.ts): what the test of neighbours (main.ts) turns off and on. PREFIX and HOSTS (NAME:public:ADDRESS words) come from
# the environment.
#
#   up                   their disks, with pause and tools as images; the machine's cgroups
#   boot NODE            starts it, in the network namespace that is there
#   start NODE PART CMD  a daemon, again whenever it ends
#   in NODE CMD          a command in the node
#   halt NODE            without power: every process ends at once, what is not on its disk is gone
#   down                 removes all of it
NODES=$HOSTS
. "$(dirname "$0")/../../hack/cluster/lib.sh"
. "$HERE/machine.sh"
. "$HERE/store.sh"
. "$HERE/node.sh"
# A store of its own: it has less in it, and the cluster's is made anew when another set of images is asked for.
CACHE=$TOP/.cache/lan
image_files() { for f in pause tools; do realpath "$IMAGES/$f.tar"; done; }

# A kubelet that asks nobody: it runs what is in its folder.
kubelet_alone() { # NODE
  local d=$RUN/$1
  sed -i -e 's/^address:.*/address: 127.0.0.1/' -e 's/^authentication:.*/authentication: {anonymous: {enabled: false}, webhook: {enabled: false}}/' \
    -e 's/^authorization:.*/authorization: {mode: AlwaysAllow}/' "$d/kubelet.yaml"
  echo "staticPodPath: /etc/kubernetes/manifests" >>"$d/kubelet.yaml"
}

# A reboot would do that: the cgroups of containers that are gone.
old_cgroups() { # NODE
  local i
  for ((i = 0; i < 20; i++)); do
    find "$CGROUP_FS"/*/"$CGROUP/$1" "$CGROUP_FS/$CGROUP/$1" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
    [ -n "$(find "$CGROUP_FS"/*/"$CGROUP/$1" "$CGROUP_FS/$CGROUP/$1" -mindepth 1 -type d 2>/dev/null)" ] || break
    sleep 0.1
  done
}

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
  up)
    mkdir -m 700 "$RUN" || die "$RUN is there already; another test is at work, or was; remove it with: $0 down"
    for n in $(node_names); do mkdir -p "$RUN/$n"; done
    machine_prepare
    store=$(image_store) || exit 1
    for n in $(node_names); do node_disk "$n" "$store"; kubelet_alone "$n"; done
    ;;
  boot) node_boot "$1" ;;
  start) node_run "$@" ;;
  in) in_node "$@" ;;
  halt) node_halt "$1"; old_cgroups "$1" ;;
  down)
    [ -e "$RUN" ] || exit 0
    for n in $(node_names); do node_halt "$n"; done
    machine_restore
    rm -rf --one-file-system "$RUN"
    ;;
  *) die "usage: host.sh up | boot NODE | start NODE PART CMD... | in NODE CMD... | halt NODE | down" ;;
esac
