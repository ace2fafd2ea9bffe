#!/bin/bash
# Becomes the first process of a machine with systemd: in namespaces of its own (mount, pid, cgroup, ipc, uts; the network
# namespace is the caller's) it sees this machine's files, but has its own /run, its own journal, and no units but these.
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/systemd
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /etc/systemd/system
# The hierarchy that systemd keeps its services in: of version 1 under a name, or of version 2.
cgroups=$(stat -f -c %T /sys/fs/cgroup)
umount -R /sys/fs/cgroup 2>/dev/null || true
if [ "$cgroups" = cgroup2fs ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs tmpfs /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
cd /etc/systemd/system
cp /lib/systemd/system/systemd-journald.{service,socket} .
for target in sysinit basic network-online multi-user shutdown machine; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$target" >"$target.target"
done
printf 'Wants=systemd-journald.service\nAllowIsolate=yes\n' >>machine.target
cd /
export container=evio-test SYSTEMD_UNIT_PATH=/etc/systemd/system
exec /lib/systemd/systemd --system --unit=machine.target --log-target=journal --show-status=0
