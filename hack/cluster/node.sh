# A node (sourced): its disk, its namespaces, its daemons. Its folder $RUN/NODE holds fs/ and disk/ (its file system), *.log, pid.

node_lives() { [ -s "$RUN/$1/pid" ] && grep -qa -- "$RUN/$1" "/proc/$(cat "$RUN/$1/pid")/cmdline" 2>/dev/null; }

# The disk of a new node: configurations, and an image store that has all images already.
node_disk() { # NODE STORE
  local n=$1 d=$RUN/$1 store=$2 f
  mkdir -p "$d/disk/var/lib/containerd"
  image_store_copy "$store" "$d/disk/var/lib/containerd"
  { echo "127.0.0.1 localhost"; echo "::1 localhost"; echo "$(node_address "$n") $n"; } >"$d/hosts"
  cat >"$d/containerd.toml" <<CONF
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true   # for machines without CAP_SYS_RESOURCE
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
CONF
  # It listens on every address: the one it is to be reached by comes later, from Evio.
  cat >"$d/kubelet.yaml" <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: "::"
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/pki/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP/$n
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [$DNS_ADDRESS]
resolvConf: /etc/resolv.conf
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
serializeImagePulls: false
CONF
  if [ -n "$NODE_TAINTS" ]; then
    echo "registerWithTaints:" >>"$d/kubelet.yaml"
    for f in $NODE_TAINTS; do
      [[ $f =~ ^([^=:]+)(=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$ ]] || die "NODE_TAINTS: '$f' is not KEY=VALUE:EFFECT"
      echo "- {key: \"${BASH_REMATCH[1]}\", value: \"${BASH_REMATCH[3]}\", effect: ${BASH_REMATCH[4]}}" >>"$d/kubelet.yaml"
    done
  fi
  # kube-proxy may not set the machine's conntrack limits from inside a namespace.
  cat >"$d/kube-proxy.yaml" <<CONF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $RUN/pki/kube-proxy.conf}
hostnameOverride: $n
clusterCIDR: $POD_CIDRS
mode: $PROXY_MODE
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
CONF
  if [ "$CNI" = bridge ]; then
    cat >"$d/10-bridge.conflist" <<CONF
{"cniVersion": "1.0.0", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local",
     "ranges": [[{"subnet": "10.244.$(node_number "$n").0/24"}], [{"subnet": "fd00:10:244:$(node_number "$n")::/64"}]],
     "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONF
  fi
}

# Its namespaces. When unshare dies the node's pid 1 dies, and with that the kernel ends every process of the node, containers
# included.
node_boot() {
  local n=$1 d=$RUN/$1 unshare i
  rm -f "$d/ready" "$d/pid"
  setsid nsenter --net="/run/netns/$PREFIX$n" unshare --mount --uts --ipc --pid --fork --kill-child \
    tini -- "$HERE/node-init.sh" "$n" "$d" >>"$d/init.log" 2>&1 </dev/null &
  unshare=$!
  disown
  echo $unshare >"$d/unshare.pid"
  for ((i = 0; i < 200; i++)); do
    if [ -e "$d/ready" ]; then break; fi
    sleep 0.05
  done
  [ -e "$d/ready" ] || die "node $n does not start: $(tail -n 1 "$d/init.log")"
  tr -d ' ' <"/proc/$unshare/task/$unshare/children" >"$d/pid"
}

# node_run NODE PART CMD...: a daemon of the node; its output goes to PART.log.
node_run() {
  local n=$1 part=$2; shift 2
  setsid nsenter -t "$(cat "$RUN/$n/pid")" -m -u -n -p -i -W/ -- "$HERE/keep.sh" "$part" "$@" >>"$RUN/$n/$part.log" 2>&1 </dev/null &
  disown
}

# Its daemons.
node_start() {
  local n=$1 d=$RUN/$1 flags
  if [ "$n" = "$CP" ]; then control_plane_start; fi
  node_run "$n" containerd containerd --config "$d/containerd.toml"
  if [ "$CNI" = bridge ]; then
    in_node "$n" cp "$d/10-bridge.conflist" /etc/cni/net.d/
    flags=("--node-ip=$(node_address "$n")")
  else
    # Such a kubelet registers without an address and with the taint node.cloudprovider.kubernetes.io/uninitialized.
    flags=(--cloud-provider=external)
  fi
  wait_for 30 "containerd on $n" "$d/containerd.log" in_node "$n" ctr version
  node_run "$n" kubelet "$BIN/kubelet" --config="$d/kubelet.yaml" --kubeconfig="$RUN/pki/node-$n.conf" --hostname-override="$n" "${flags[@]}"
  if [ "$PROXY_MODE" != none ]; then
    # It waits a while for the node's address, and ends, to be started again, when the address comes later or changes.
    node_run "$n" kube-proxy "$BIN/kube-proxy" --config="$d/kube-proxy.yaml"
  fi
}

# Without power: see "power". Also of a node that is only half there.
node_halt() {
  local d=$RUN/$1 file i
  for file in "$d/pid" "$d/unshare.pid"; do
    if [ -s "$file" ] && grep -qa -- "$d" "/proc/$(cat "$file")/cmdline" 2>/dev/null; then kill -KILL "$(cat "$file")" 2>/dev/null || true; fi
  done
  for ((i = 0; i < 100; i++)); do
    if ! node_lives "$1"; then break; fi
    sleep 0.05
  done
  rm -f "$d/pid" "$d/unshare.pid"
}

control_plane_start() {
  local p=$RUN/pki pieces=(--allocate-node-cidrs=false)
  if [ "$NODE_CIDRS" = on ]; then pieces=(--allocate-node-cidrs --cluster-cidr="$POD_CIDRS" --node-cidr-mask-size-ipv4=24 --node-cidr-mask-size-ipv6=64); fi
  mkdir -p -m 700 "$ETCD"
  node_run "$CP" etcd etcd --data-dir "$ETCD" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
  # Where it is told to be may change while it runs: the address is in a file, and counts from its next start.
  # shellcheck disable=SC2016
  node_run "$CP" kube-apiserver bash -c 'exec "$0" --advertise-address="$(<"$1")" "${@:2}"' "$BIN/kube-apiserver" "$RUN/api-address" \
    --etcd-servers=http://127.0.0.1:2379 --secure-port=$API_PORT --service-cluster-ip-range=$SERVICE_CIDRS \
    --tls-cert-file="$p/apiserver.crt" --tls-private-key-file="$p/apiserver.key" --client-ca-file="$p/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$p/service-account.pub" --service-account-signing-key-file="$p/service-account.key" \
    --kubelet-client-certificate="$p/kubelet-client.crt" --kubelet-client-key="$p/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$p/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$p/front-proxy.crt" --proxy-client-key-file="$p/front-proxy.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true
  node_run "$CP" kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig="$p/kube-controller-manager.conf" \
    --use-service-account-credentials --service-account-private-key-file="$p/service-account.key" --root-ca-file="$p/ca.crt" \
    --cluster-signing-cert-file="$p/ca.crt" --cluster-signing-key-file="$p/ca.key" \
    "${pieces[@]}" --leader-elect=false --bind-address=127.0.0.1
  node_run "$CP" kube-scheduler "$BIN/kube-scheduler" --kubeconfig="$p/kube-scheduler.conf" --leader-elect=false --bind-address=127.0.0.1
}
