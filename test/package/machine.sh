#!/bin/bash
# machine.sh LOWER WORK INIT...   Becomes the first process of a machine that has a root of its own: what is in LOWER, and above it what
# the machine writes, in WORK/upper. The namespaces are made by the caller (mount, pid, cgroup, ipc, uts; and a network).
# A second time with the same WORK it is the same machine, after a loss of power.
# LOWER is a small Debian, which boots as it is, or / itself, of which only systemd and the journal are started.
set -e
lower=$1 work=$2
shift 2
root=$work/root
mkdir -p "$work/upper" "$work/below" "$root"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/below" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mkdir -p run/lock run/systemd
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm dev/net
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<<"$device"
  mknod -m 666 "dev/$name" c "$major" "$minor"
done
[ -n "${WITHOUT_TUN:-}" ] || mknod -m 666 dev/net/tun c 10 200
# The hierarchy that systemd keeps its services in: of version 1 under a name, or of version 2.
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
# Other packages' programs may not be started on a machine for building; this one is for running.
rm -f usr/sbin/policy-rc.d
if [ "$lower" = / ] && [ ! -e "$work/booted" ]; then
  rm -rf etc/systemd/system lib/systemd/system-generators lib/systemd/system-environment-generators
  rm -rf etc/evio var/lib/evio
  find lib/systemd/system -name '*.wants' -prune -exec rm -rf {} +
  mkdir -p etc/systemd/system lib/systemd/system/sysinit.target.wants
  ln -s ../systemd-journald.service lib/systemd/system/sysinit.target.wants/
  : >etc/fstab
  # Manuals of a thousand packages are not indexed anew for ours.
  rm -f var/lib/man-db/auto-update
fi
touch "$work/booted"
mount -t tmpfs tmpfs tmp
mkdir -p mnt/packages
mount --bind "$work/packages" mnt/packages
# What a kubelet and its containers need beyond that: a name, the kernel's log, disks that are no layers.
if [ -n "${HOST:-}" ]; then
  echo "$HOST" >etc/hostname
  mknod -m 600 dev/kmsg c 1 11
  # Each start is a boot of its own.
  cat /proc/sys/kernel/random/uuid >"$work/boot_id"
  mount --bind "$work/boot_id" proc/sys/kernel/random/boot_id
  # Of version 1 a hierarchy has the controllers that it was made with; systemd would mount some of them together.
  for one in cpu cpuacct; do
    if grep -q "^[0-9]*:$one:" /proc/self/cgroup; then
      mkdir sys/fs/cgroup/$one
      mount -t cgroup -o $one cgroup sys/fs/cgroup/$one
    fi
  done
  read -ra folders <<<"${FOLDERS:-}"
  for ((i = 0; i < ${#folders[@]}; i += 2)); do
    mkdir -p ".${folders[i + 1]}"
    mount --rbind "${folders[i]}" ".${folders[i + 1]}"
  done
fi
pivot_root . .
umount -l .
cd /
[ -z "${HOST:-}" ] || mount --make-rshared /
export container=evio-test PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec "$@"
