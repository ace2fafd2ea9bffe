//go:build tools

// Programs that build.sh builds from other modules, so that go.mod keeps them.
package main

import (
	_ "github.com/containernetworking/cni/cnitool"
)
