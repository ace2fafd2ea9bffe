# Debian packages, installed without starting what they bring (sourced; needs die).

# install_missing "COMMAND:PACKAGE ..." "UNIT ...": installs the packages whose command is not there. The units are those that the
# packages would have started.
install_missing() {
  local pair unit log missing=() units=() policy=/usr/sbin/policy-rc.d
  for pair in $1; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these are missing and there is no apt-get to install them: ${missing[*]}"
  echo "evio: installing ${missing[*]}"
  # invoke-rc.d and deb-systemd-invoke ask this file before they start a service: 101 means "may not". Nothing else of these
  # packages starts one: ejabberd's makes an account, and epmd with it, only when debconf was given a password.
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  for unit in $2; do
    [ -e "/lib/systemd/system/$unit" ] || units+=("$unit")
  done
  log=$(mktemp)
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null ||
    { tail -20 "$log" >&2; die "apt-get could not install ${missing[*]} (log: $log)"; }
  rm -f "$log"
  # Nor at the next boot.
  for unit in "${units[@]}"; do
    if [ -e "/lib/systemd/system/$unit" ]; then systemctl disable "$unit" >/dev/null 2>&1 || true; fi
  done
}
