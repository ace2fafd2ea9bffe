#!/bin/bash
# gomod.sh v1.34.4: writes a fresh go.mod for that version of Kubernetes.
#
# k8s.io/kubernetes replaces its staging modules by folders that are not in its module zip. Each is also published, as
# k8s.io/NAME v0.34.4, so they are replaced by those. No "go mod tidy" here: it wants what the tests of all of them need.
# CoreDNS lives in the same module so that what both need is compiled once; it raises some versions above Kubernetes' own.
set -euo pipefail
cd "$(dirname "$0")"
v=${1:?usage: gomod.sh v1.34.4}
s=v0.${v#v1.}
mod=$(cd /tmp && go mod download -json "k8s.io/kubernetes@$v" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
{
  printf 'module evio.io/hack/cluster/hyper\n\n%s\n\n%s\n' "$(grep '^go ' "$mod")" "$(grep '^godebug' "$mod")"
  printf '\nrequire (\n\tgithub.com/containernetworking/cni v1.3.0\n\tgithub.com/coredns/coredns v1.13.1\n\tk8s.io/kubernetes %s\n)\n\nreplace (\n' "$v"
  grep -oE 'k8s\.io/[a-z0-9-]+ => \./staging' "$mod" | sed -E "s#^(\S+) .*#\t\1 => \1 $s#"
  printf ')\n'
} >go.mod
rm -f go.sum
# Fills in what they require.
go list -mod=mod -test -deps . ./coredns ./pause ./e2e github.com/containernetworking/cni/cnitool k8s.io/kubernetes/test/images/agnhost >/dev/null
