#!/bin/bash
# down.sh: removes the cluster of this PREFIX (make cluster-down), also one that is only half there. KEEP_LOGS=DIR keeps its logs.
. "$(dirname "$0")/lib.sh"
. "$HERE/network.sh"
. "$HERE/machine.sh"
. "$HERE/node.sh"
[ "$(id -u)" = 0 ] || die "run this as root; try: sudo make cluster-down"

found=
if [ -e "$RUN" ]; then found=yes; fi
for n in $(namespaces); do if [ -e "/run/netns/$PREFIX$n" ]; then found=yes; fi; done
[ -n "$found" ] || { echo "evio: no cluster is up (PREFIX $PREFIX)"; exit; }

rm -f "$RUN/up"
for n in $(node_names); do node_halt "$n"; done
for n in $(namespaces); do net_remove "$n"; done
machine_restore
if [ -n "${KEEP_LOGS:-}" ]; then
  for n in $(node_names); do mkdir -p "$KEEP_LOGS/$n"; cp "$RUN/$n"/*.log "$KEEP_LOGS/$n/" || true; done
fi
rm -rf --one-file-system "$ETCD" "$RUN"
echo "evio: the cluster is down"
