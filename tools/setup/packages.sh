#!/bin/sh
# Installs the Debian packages named in the given lists, once: those present are skipped, so a second call costs
# a few milliseconds and touches no network. Exit 0 all present, 1 some missing and not installable here (one line).
set -eu
missing=
for list in "$@"; do
  for package in $(sed 's/#.*//' "$list"); do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${state#ii}" != "$state" ] || missing="$missing $package"
  done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "setup: not installed (that needs root on Debian):$missing" >&2
  exit 1
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work on a fresh machine: wait for it. A package index that cannot be refreshed may still do.
apt='apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
$apt update >"$log" 2>&1 || true
# shellcheck disable=SC2086  # one word a package
if ! $apt install -y --no-install-recommends $missing >>"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get could not install$missing" >&2
  exit 1
fi
