//go:build tools

// What is built of this module: Flannel's CNI plugin, as it was in the CNI project's module before it got one of its own, which the Go
// module proxy does not give out. With the CNI project's newer library it speaks the version that Flannel's manifest asks for.
package tools

import (
	_ "github.com/containernetworking/cni/pkg/skel"
	_ "github.com/containernetworking/plugins/plugins/meta/flannel"
)
