# A containerd image store with all images in it (sourced): made once, then copied to every node by hard links, which costs
# neither the time of an import per node nor the space.

# The cluster's own images, and those of Evio when they are built.
image_files() { for f in "$IMAGES"/*.tar "$TOP"/.cache/images/*.tar; do if [ -e "$f" ]; then realpath "$f"; fi; done; }

# Prints the folder of the store, which it makes when there is none for these images.
image_store() {
  local files key store work pid image
  files=$(image_files)
  [ -n "$files" ] || die "there are no images in $IMAGES; make them: hack/cluster/images.sh"
  # shellcheck disable=SC2086
  key=$({ containerd --version; stat -c '%n %s %Y' $files; } | sha256sum | cut -c1-16)
  store=$CACHE/store/$key
  if [ ! -e "$store/complete" ]; then
    rm -rf "$CACHE/store"
    mkdir -p "$store"
    work=$(mktemp -d "/tmp/${PREFIX}store-XXXXXX")
    printf 'version = 2\nroot = "%s"\nstate = "%s/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "%s/sock"\n' \
      "$store" "$work" "$work" >"$work/config.toml"
    # It mounts while it unpacks: in a namespace of its own. It ends with us.
    setpriv --pdeathsig KILL unshare --mount containerd --config "$work/config.toml" >"$work/log" 2>&1 </dev/null &
    pid=$!
    wait_for 20 "containerd, to import images" "$work/log" ctr -a "$work/sock" version
    for image in $files; do
      ctr -a "$work/sock" -n k8s.io images import "$image" >>"$work/log" 2>&1 || die "containerd cannot import $image (log: $work/log)"
    done
    kill "$pid" && wait "$pid" || true
    rm -rf "$work"
    touch "$store/complete"
  fi
  echo "$store"
}

image_store_copy() { # STORE FOLDER
  local d
  for d in io.containerd.content.v1.content io.containerd.snapshotter.v1.overlayfs; do
    cp -al "$1/$d" "$2/" 2>/dev/null || { rm -rf "${2:?}/$d"; cp -a "$1/$d" "$2/"; } # another file system has no hard links to it
  done
  # What is written in place must not be shared.
  mkdir -p "$2/io.containerd.metadata.v1.bolt"
  for d in io.containerd.metadata.v1.bolt/meta.db io.containerd.snapshotter.v1.overlayfs/metadata.db; do cp --remove-destination "$1/$d" "$2/$d"; done
}
