#!/bin/sh
# Brings Debian 12's newest kernel, and a shell for its first process, into build/kernel-vm: vmlinuz, modules/, busybox.
# Unpacked there, not installed. Once: `make clean` makes room for a newer one. Exit 1 with one line when it cannot.
set -eu
folder=build/kernel-vm
[ ! -e "$folder/version" ] || exit 0
fail() { echo "test-kernel: $1" >&2; exit 1; }

[ "$(dpkg --print-architecture)" = amd64 ] || fail 'its kernel is for amd64 only'
# The package linux-image-amd64 has nothing in it but the newest one's name.
image=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
[ -n "$image" ] || fail 'apt knows no package linux-image-amd64 (apt-get update?)'
echo "test-kernel: fetching $image"
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
apt-get -qq download "$image" busybox-static 2>log || { cat log >&2; fail "apt-get could not download $image"; }
# Of 400 MB of modules, the folders that the list in modules.ts can need.
dpkg-deb --fsys-tarfile "$image"_*.deb | tar -x --wildcards './boot/vmlinuz-*' \
  './lib/modules/*/kernel/net' './lib/modules/*/kernel/fs' './lib/modules/*/kernel/lib' \
  './lib/modules/*/kernel/crypto' './lib/modules/*/kernel/drivers/virtio' './lib/modules/*/kernel/drivers/net/veth.ko'
dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -x ./bin/busybox
mv boot/vmlinuz-* vmlinuz
mv lib/modules/* modules
mv bin/busybox busybox
rm -rf -- *.deb log boot lib bin
echo "$image" >version
