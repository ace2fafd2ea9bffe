# Evio: every verb installs what it needs by itself. Run as root on Debian 12; see README.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help setup build check unit sim test test-full test-faults test-diagnosis test-exact test-map test-scale test-cluster test-flannel test-readme docs conformance demo edge-video images release fuzz bench cluster cluster-build cluster-down clean

help: ## Show the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## Install what Debian, npm and cargo have to give (done by the others by themselves)
	@hack/setup.sh

build: setup ## Build tincan and the shipped bundle
	@hack/build.sh

check: setup ## Format, lint, types, clippy, generated files
	@node hack/test.ts check

unit: build ## Unit, property and simulator tests of both languages
	@node hack/test.ts unit

sim: build ## The overlay at scale, simulated, as a table (results/sim.json, ring pictures; NODES=16,128,1000 SEED=7 SEEDS=1; docs/sim.md)
	@node test/sim/scale/main.ts $(if $(NODES),--nodes $(NODES)) $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS))

test: images cluster-build ## Everything a change must pass: check, unit, fuzzing, integration, short demos, faults, transfers and cluster
	@node hack/test.ts all

test-full: images cluster-build ## What takes longer too: the whole demo, every fault, all transfers, fuzzing for hours (EVIO_FUZZ_SECONDS, EVIO_FUZZ_INPUTS)
	@node hack/test.ts full

test-faults: build ## Break one thing after the other and measure what each costs (results/faults.json)
	@node test/faults/main.ts

test-diagnosis: build ## Inject one fault after the other; evio status or netcheck names its cause (results/diagnosis.json; docs/diagnosis.md; ONLY='DNS away')
	@node test/diagnosis/main.ts $(if $(ONLY),--only '$(ONLY)')

test-exact: build ## What goes through arrives exactly: 10 GB, headers, offloads, path MTUs (results/exact.json; docs/exact.md)
	@node test/exact/main.ts

test-map: build cluster-build ## The live map of 1,000 nodes in Chromium, which it installs (results/map.json, pictures; docs/map.md)
	@hack/map/setup.sh && node test/map/main.ts

test-scale: build ## 32 real nodes, 16 behind NATs, full mesh off: how soon, how quiet, what they survive (results/scale.json; docs/scale.md)
	@node test/scale32/main.ts

demo: build ## Seven nodes behind NATs join one Ethernet, measured (KEEP=1 leaves it up)
	@node test/demo/main.ts

edge-video: build ## Video from the edge, analysed in the cloud, without Kubernetes: containers, NATs, multicast DNS (docs/edge-video.md)
	@hack/examples.sh && mocha --no-config test/edge-video/edge-video.test.ts

images: build ## Make the container images, without Docker: .cache/images/evio.tar, for ctr -n k8s.io images import
	@node hack/images/build.ts $(IMAGES)

release: build ## Debian packages, images, chart, bill of materials, checksums, in release/ (docs/release.md; ARCH=amd64 for one machine)
	@hack/release/setup.sh && node hack/release/build.ts $(if $(ARCH),--arch $(ARCH)) $(if $(REGISTRY),--registry $(REGISTRY))

bench: build ## Evio beside other tunnels, interleaved: test/bench/RESULTS.md (ONLY=tcp,rtt, ROUNDS=5; docs/bench.md)
	@hack/bench/build.sh && ONLY=$(ONLY) PEERS=$(PEERS) ROUNDS=$(ROUNDS) SECONDS_EACH=$(SECONDS_EACH) node test/bench/main.ts

fuzz: setup ## Fuzz every parser of tincan that sees bytes from outside, SECONDS_EACH (60) or INPUTS each (results/fuzz.json)
	@node hack/fuzz.ts $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH))

test-cluster: images cluster-build ## Evio on that cluster, twice: NATs that can be punched, NATs that cannot (results/cluster.json, cluster-random.json)
	@node hack/test.ts cluster

test-flannel: images cluster-build ## Stock Flannel over Evio on that cluster, vxlan and host-gw; neighbours without any server (results/flannel.json, lan.json; docs/flannel.md)
	@node hack/test.ts flannel

test-readme: build ## README.md, typed as it stands, on clean machines behind NATs (EVIO_README_BUILD=yes: in a clone, built anew); its cluster: make test-cluster
	@mocha --no-config test/readme/readme.test.ts

docs: setup ## The pages of docs/ as a plain site: results/docs/index.html
	@node hack/docs/main.ts

conformance: images cluster-build ## Kubernetes' own tests of networking on that cluster (results/conformance.json; FOCUS=regex or --all)
	@hack/cluster/build.sh conformance && hack/cluster/images.sh conformance && node test/cluster/conformance.ts $(if $(FOCUS),'$(FOCUS)')

cluster-build: setup ## Build Kubernetes for the cluster and for the tests' API server (some minutes, the first time)
	@hack/cluster/build.sh && hack/cluster/images.sh

cluster: cluster-build ## A Kubernetes cluster of namespaces, two nodes public, two behind NATs (docs/cluster.md; NAT=random)
	@hack/cluster/up.sh

cluster-down: ## Remove that cluster
	@hack/cluster/down.sh

clean: ## Remove what was built
	rm -rf dist target results release node_modules .cache examples/*/*.mjs
