#!/bin/bash
# keep.sh PART CMD...: runs CMD inside a node, again whenever it ends, as systemd would. /run/parts/PART.off holds it off; its
# process id stands in /run/parts/PART.pid (see "part").
part=$1; shift
while :; do
  while [ -e "/run/parts/$part.off" ]; do sleep 0.1; done
  "$@" &
  echo $! >"/run/parts/$part.pid"
  code=0; wait $! || code=$?
  echo "keep: $part ended with $code"
  sleep 0.5
done
