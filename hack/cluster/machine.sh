# What of the whole machine the cluster needs or changes (sourced), and how it is put back.

# The kubelets set the first ones; each kubelet and containerd watches files.
SYSCTLS="kernel.panic kernel.panic_on_oops vm.overcommit_memory vm.panic_on_oom kernel.keys.root_maxkeys kernel.keys.root_maxbytes fs.inotify.max_user_instances"

# Folders of other clusters (other prefixes) on this machine.
other_clusters() { local f; for f in /tmp/*-cluster/sysctl.saved; do if [ -O "$f" ] && [ "$f" != "$RUN/sysctl.saved" ]; then dirname "$f"; fi; done; }

machine_prepare() {
  # One cluster at a time, by a lock on a folder that is always there.
  (
    flock 9
    read -r other < <(other_clusters) || true
    # The values from before the first of several clusters are the ones to go back to.
    if [ -n "$other" ]; then
      cp "$other/sysctl.saved" "$RUN/sysctl.saved"
    else
      for s in $SYSCTLS; do if [ -e "/proc/sys/${s//.//}" ]; then echo "$s=$(sysctl -n "$s")"; fi; done >"$RUN/sysctl.saved"
    fi
  ) 9</tmp
  if [ "$(sysctl -n fs.inotify.max_user_instances)" -lt 1024 ]; then sysctl -qw fs.inotify.max_user_instances=1024; fi
  cgroups_make
}
machine_restore() {
  cgroups_remove
  (
    flock 9
    if [ -e "$RUN/sysctl.saved" ] && [ -z "$(other_clusters)" ]; then sysctl -qp "$RUN/sysctl.saved" || true; fi
    rm -f "$RUN/sysctl.saved"
  ) 9</tmp
}

CGROUP_FS=/sys/fs/cgroup
cgroups_make() {
  local c f n
  if [ -e $CGROUP_FS/cgroup.controllers ]; then # version 2
    for n in $(node_names); do mkdir -p "$CGROUP_FS/$CGROUP/$n"; done
    for f in "$CGROUP_FS" "$CGROUP_FS/$CGROUP"; do
      for c in $(cat "$f/cgroup.controllers"); do echo "+$c" >"$f/cgroup.subtree_control" 2>/dev/null || true; done
    done
    return
  fi
  for c in cpu cpuacct cpuset memory devices freezer blkio pids; do
    if [ ! -d "$CGROUP_FS/$c" ] || ! mountpoint -q "$(realpath "$CGROUP_FS/$c")"; then
      mkdir -p "$CGROUP_FS/$c"
      mount -t cgroup -o $c cgroup "$CGROUP_FS/$c"
      echo "$CGROUP_FS/$c" >>"$RUN/cgroups.mounted"
    fi
  done
  for n in $(node_names); do
    for c in "$CGROUP_FS"/*/; do if [ "$c" != "$CGROUP_FS/unified/" ] && mountpoint -q "$(realpath "$c")"; then mkdir -p "$c$CGROUP/$n"; fi; done
    for f in cpus mems; do # in version 1 a new cpuset has neither
      for c in "$CGROUP" "$CGROUP/$n"; do cat "$CGROUP_FS/cpuset/cpuset.$f" >"$CGROUP_FS/cpuset/$c/cpuset.$f"; done
    done
  done
}
# Containers' cgroups stay when their node dies; leaf first. The kernel needs a moment until they count as empty.
cgroups_remove() {
  local c i left
  for ((i = 0; i < 50; i++)); do
    left=
    for c in "$CGROUP_FS/$CGROUP" "$CGROUP_FS"/*/"$CGROUP"; do
      if [ -d "$c" ]; then find "$c" -depth -type d -exec rmdir {} + 2>/dev/null || left=yes; fi
    done
    if [ -z "$left" ]; then break; fi
    sleep 0.1
  done
  [ -z "$left" ] || echo "evio: some cgroups below $CGROUP_FS/*/$CGROUP are still in use" >&2
  if [ -e "$RUN/cgroups.mounted" ] && [ -z "$(other_clusters)" ]; then
    while read -r c; do umount "$c" && rmdir "$c" || true; done <"$RUN/cgroups.mounted"
  fi
}
