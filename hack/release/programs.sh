#!/bin/bash
# programs.sh ARCHITECTURE...   Builds tincan and evio-cni for amd64, arm64, armhf into .cache/release/programs/ARCHITECTURE, with no path of
# this machine in them. arm64 and armhf are cross-built: by rustup's targets where it has them, else by Debian 12's rustc-web, unpacked
# into .cache/release/rust (ARCHITECTURE.md, "Cross-built programs").
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
cache=$root/.cache/release
# The newest that has the standard library for arm64 and armhf beside it, in the same version.
version='1.85.0+dfsg3-1~deb12u3'
series=1.85

die() { echo "evio: $*" >&2; exit 1; }

# The compiler of Debian, with an apt of its own: the machine's list of architectures stays as it is. The suites of updates have nothing
# of it, and are not asked.
debian_rust() {
  local to=$cache/rust-$version work=$cache/rust-$version.new mirror
  [ -e "$to/done" ] || {
    mirror=$(sed -nE 's/^(URIs:|deb( \[[^]]*\])?) *(http[^ ]*\/debian\/?)( .*)?$/\3/p' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -1 || true)
    [ -n "$mirror" ] || die "this machine's apt names no Debian mirror to get rustc-web from; with rustup: rustup target add (docs/release.md)"
    echo "evio: getting rustc-web $version with the standard libraries for arm64 and armhf" >&2
    rm -rf "$work"
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/debs"
    : >"$work/state/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$work/sources.list"
    cat >"$work/apt.conf" <<END
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; "armhf"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::State "$work/state";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
END
    (
      cd "$work/debs"
      export APT_CONFIG=$work/apt.conf
      apt-get -q update && apt-get -q download "rustc-web=$version" "libstd-rust-web-$series=$version" libllvm19 \
        "libstd-rust-web-dev:amd64=$version" "libstd-rust-web-dev:arm64=$version" "libstd-rust-web-dev:armhf=$version"
    ) >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; die "apt has no rustc-web $version for cross builds; with rustup: rustup target add (docs/release.md)"; }
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
    rm -rf "$work/debs" "$work/state" "$work/cache"
    touch "$work/root/done"
    rm -rf "$to"
    mv "$work/root" "$to"
    rm -rf "$work"
  }
  RUSTC=$to/usr/bin/rustc
  export RUSTC LD_LIBRARY_PATH="$to/usr/lib/x86_64-linux-gnu:$to/usr/lib"
}

build() {
  local log
  log=$(mktemp)
  cargo build --release --locked "$@" >"$log" 2>&1 || { tail -20 "$log" >&2; die "cargo build failed (log: $log)"; }
  rm -f "$log"
}

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ]; }

# one ARCHITECTURE: in a subshell, since each has its own compiler and settings.
one() {
  local architecture=$1 target upper cni flags to
  case $architecture in
    amd64) target=x86_64-unknown-linux-gnu gcc=x86_64-linux-gnu ;;
    arm64) target=aarch64-unknown-linux-gnu gcc=aarch64-linux-gnu ;;
    armhf) target=armv7-unknown-linux-gnueabihf gcc=arm-linux-gnueabihf ;;
    *) die "unknown architecture $architecture; one of: amd64, arm64, armhf" ;;
  esac
  upper=$(echo "$target" | tr a-z- A-Z_)
  if [ "$(dpkg --print-architecture)" != "$architecture" ]; then
    has_target "$target" || debian_rust
    export "CARGO_TARGET_${upper}_LINKER=$gcc-gcc" "CC_${target//-/_}=$gcc-gcc" "AR_${target//-/_}=$gcc-ar"
  fi
  # The same bytes wherever the checkout and cargo's crates lie.
  flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$root=/evio"
  export CARGO_TARGET_DIR=$cache/target CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_STRIP=symbols
  export "CFLAGS_${target//-/_}=-ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo -ffile-prefix-map=$root=/evio"
  RUSTFLAGS=$flags build -p tincan --target "$target"
  # Static, as hack/build.sh has it.
  cni=${target/-gnu/-musl}
  if has_target "$cni" && [ -z "${RUSTC:-}" ]; then
    RUSTFLAGS=$flags build -p evio-cni --target "$cni"
  else
    cni=$target
    RUSTFLAGS="$flags -C target-feature=+crt-static" CARGO_TARGET_DIR=$cache/target-static build -p evio-cni --target "$cni"
  fi
  to=$cache/programs/$architecture
  mkdir -p "$to"
  cp "$CARGO_TARGET_DIR/$target/release/tincan" "$to/tincan.new"
  if [ "$cni" = "$target" ]; then cp "$cache/target-static/$cni/release/evio-cni" "$to/evio-cni.new"; else cp "$CARGO_TARGET_DIR/$cni/release/evio-cni" "$to/evio-cni.new"; fi
  mv "$to/tincan.new" "$to/tincan"
  mv "$to/evio-cni.new" "$to/evio-cni"
}

for architecture in "$@"; do (one "$architecture"); done
