# syntax=docker/dockerfile:1
# The images for people with Docker, one target each; docker-bake.hcl beside this file names them all:
#
#   docker buildx bake --file hack/images/docker-bake.hcl
#
# What is in an image stands in images.ts too, which `make images` builds from; images.test.ts compares the two.

# Frames: compiled on this machine for the other one.
FROM --platform=$BUILDPLATFORM rust:1-bookworm AS rust
ARG TARGETARCH
RUN case "$TARGETARCH" in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) echo "no images for $TARGETARCH" >&2; exit 1 ;; esac && \
    if [ "$(uname -m)" != "$machine" ]; then \
      apt-get update && apt-get install -y --no-install-recommends "crossbuild-essential-$TARGETARCH" && rm -rf /var/lib/apt/lists/*; \
    fi && \
    rustup target add "$machine-unknown-linux-gnu" "$machine-unknown-linux-musl" && \
    echo "$machine" >/machine
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY agent/tincan agent/tincan
COPY cni-plugin cni-plugin
COPY test/hostile test/hostile
COPY test/impair test/impair
COPY test/load test/load
COPY test/scale test/scale
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target,id=evio-$TARGETARCH \
    machine=$(cat /machine) && upper=$(echo "$machine" | tr a-z A-Z) && \
    if [ "$(uname -m)" != "$machine" ]; then \
      export "CARGO_TARGET_${upper}_UNKNOWN_LINUX_GNU_LINKER=$machine-linux-gnu-gcc" "CC_${machine}_unknown_linux_gnu=$machine-linux-gnu-gcc"; \
    fi && \
    export "CARGO_TARGET_${upper}_UNKNOWN_LINUX_MUSL_LINKER=rust-lld" && \
    cargo build --release --locked --target "$machine-unknown-linux-gnu" --package tincan && \
    cargo build --release --locked --target "$machine-unknown-linux-musl" --package evio-cni && \
    mkdir -p /out && cp "target/$machine-unknown-linux-gnu/release/tincan" "target/$machine-unknown-linux-musl/release/evio-cni" /out/

# Decisions: npm takes the native WebRTC library for the platform it runs on.
FROM node:26-bookworm-slim AS bundle
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/* && \
    strip --strip-all -o /usr/local/bin/node.stripped /usr/local/bin/node
WORKDIR /src
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm install --no-save --no-progress
COPY agent/src agent/src
COPY charts charts
COPY cli cli
COPY crds crds
COPY hack hack
COPY operator operator
RUN node hack/bundle.ts

FROM debian:bookworm-slim AS base
# The same numbers in every version: what a server wrote on a node has to stay its own.
RUN groupadd --gid 901 prosody && useradd --uid 901 --gid 901 --home-dir /var/lib/prosody --no-create-home --shell /usr/sbin/nologin prosody && \
    groupadd --gid 902 turnserver && useradd --uid 902 --gid 902 --home-dir / --no-create-home --shell /usr/sbin/nologin turnserver && \
    groupadd --gid 65532 evio && useradd --uid 65532 --gid 65532 --home-dir / --no-create-home --shell /usr/sbin/nologin evio && \
    apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
LABEL org.opencontainers.image.licenses="MIT"

FROM base AS node
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 libstdc++6 && rm -rf /var/lib/apt/lists/*
COPY --from=bundle /usr/local/bin/node.stripped /usr/local/bin/node

FROM node AS agent
RUN apt-get update && apt-get install -y --no-install-recommends iproute2 nftables && rm -rf /var/lib/apt/lists/*
COPY --from=bundle /src/dist/*.mjs /src/dist/THIRD-PARTY.txt /src/dist/node_datachannel.node /opt/evio/
COPY --from=bundle /src/dist/evio /opt/evio/evio
COPY --from=rust /out/evio-cni /opt/evio/evio-cni
RUN ln -s /opt/evio/evio /usr/local/bin/evio
USER 0:0
ENTRYPOINT ["/opt/evio/evio"]
CMD ["agent", "run", "--kubernetes"]

FROM base AS dataplane
RUN apt-get update && apt-get install -y --no-install-recommends iproute2 nftables && rm -rf /var/lib/apt/lists/*
COPY --from=rust /out/tincan /usr/local/bin/tincan
USER 0:0
ENTRYPOINT ["/usr/local/bin/tincan"]
CMD ["--run-dir", "/run/evio/default", "--keep-bridge"]

FROM node AS host
RUN apt-get update && apt-get install -y --no-install-recommends iproute2 nftables && rm -rf /var/lib/apt/lists/*
COPY --from=bundle /src/dist/*.mjs /src/dist/THIRD-PARTY.txt /src/dist/node_datachannel.node /opt/evio/
COPY --from=bundle /src/dist/evio /opt/evio/evio
COPY --from=rust /out/tincan /opt/evio/tincan
RUN ln -s /opt/evio/evio /usr/local/bin/evio
USER 0:0
STOPSIGNAL SIGINT
ENTRYPOINT ["/opt/evio/evio"]
CMD ["agent", "run", "--config", "/etc/evio/node.json"]

FROM node AS operator
COPY --from=bundle /src/dist/*.mjs /src/dist/THIRD-PARTY.txt /opt/evio/
COPY --from=bundle /src/dist/evio-operator /opt/evio/evio-operator
USER 65532:65532
ENTRYPOINT ["/opt/evio/evio-operator"]

FROM node AS server
# Their own users are there already: the packages take them.
RUN apt-get update && apt-get install -y --no-install-recommends coturn openssl prosody && rm -rf /var/lib/apt/lists/*
COPY --from=bundle /src/dist/*.mjs /src/dist/THIRD-PARTY.txt /opt/evio/
COPY --from=bundle /src/dist/evio /opt/evio/evio
RUN ln -s /opt/evio/evio /usr/local/bin/evio
USER 0:0
ENTRYPOINT ["/opt/evio/evio"]
CMD ["server", "run"]
