# Root file systems of images that are made of this machine's files (sourced).

# with ROOT FILE...: this machine's programs and every shared library they load, at their own places.
with() {
  local root=$1 f; shift
  for f in "$@"; do
    echo "$f"
    ldd "$f" 2>/dev/null | grep -o '/[^ ]*' || true
  done | sort -u | while read -r f; do
    mkdir -p "$root$(dirname "$f")"
    cp -L --remove-destination "$f" "$root$f"
  done
}

# busybox_at ROOT: busybox, and a link of each of its programs that is not there already.
busybox_at() {
  local root=$1 applet
  mkdir -p "$root/bin" "$root/usr/bin"
  cp -L --remove-destination "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do
    if [ ! -e "$root/bin/$applet" ] && [ ! -e "$root/usr/bin/$applet" ]; then ln -s busybox "$root/bin/$applet"; fi
  done
}
