#!/bin/bash
# What a node runs as it starts, under its pid 1 and inside its own net, mount, uts, pid and ipc namespaces: it gives the node
# a view of the file system of its own, then sleeps.   Usage: node-init.sh NAME FOLDER
set -eu
name=$1 dir=$2
hostname "$name"
mount --make-rprivate /
# ip keeps namespaces as mounts: a copy of them here would keep them alive after their "ip netns delete".
while mountpoint -q /run/netns; do umount -l -R /run/netns; done
mount -t proc proc /proc
mkdir -p "$dir/cgroup"
mount --rbind /sys/fs/cgroup "$dir/cgroup"
mount -t sysfs sysfs /sys # shows this namespace's /sys/class/net
mount --rbind "$dir/cgroup" /sys/fs/cgroup
umount -l "$dir/cgroup"

# What the node writes lands in its own folder: fs/etc/cni/net.d is the node's /etc/cni/net.d, and so on.
for p in /etc /opt /usr/local /var; do
  mkdir -p "$dir/fs$p" "$dir/work$p"
  mount -t overlay -o "lowerdir=$p,upperdir=$dir/fs$p,workdir=$dir/work$p" overlay "$p"
done
# These hold overlays or mounts of others, so they cannot stand on an overlay themselves.
for p in /var/lib/containerd /var/lib/kubelet; do
  mkdir -p "$dir/disk$p" "$p"
  mount --bind "$dir/disk$p" "$p"
done
if [ ! -e "$dir/installed" ]; then
  rm -rf /etc/cni /opt/cni /var/lib/cni /var/lib/evio /etc/evio /var/log/pods /var/log/containers # the machine's own, if any
  mkdir -p /etc/cni/net.d /opt/cni/bin
  cp /usr/lib/cni/* /opt/cni/bin/
  cp "$dir/hosts" /etc/hosts
  rm -f /etc/resolv.conf && : >/etc/resolv.conf
  tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
  touch "$dir/installed"
fi
# Each start of the node is a boot of its own.
cat /proc/sys/kernel/random/uuid >"$dir/boot_id"
mount --bind "$dir/boot_id" /proc/sys/kernel/random/boot_id
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/parts
mount --make-rshared /
touch "$dir/ready"
exec sleep infinity
