#!/bin/sh
# Installs the Debian packages named in the given lists, once: those present are skipped, so a second call costs
# a few milliseconds and touches no network. Exit 0 all present, 1 some missing and not installable here.
set -eu
missing=
for list in "$@"; do
  for package in $(sed 's/#.*//' "$list"); do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${state#ii}" != "$state" ] || missing="$missing $package"
  done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "setup: these Debian packages are missing and installing them needs root:$missing" >&2
  echo "setup: run as root: apt-get install$missing" >&2
  exit 1
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # one word a package
apt-get install -y -qq --no-install-recommends $missing >/dev/null
