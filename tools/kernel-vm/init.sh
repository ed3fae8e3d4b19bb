#!/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The guest's first process. Loads the modules, takes the host's file system (shared read-only) with a layer of memory
# above it as root, runs the command in the project's folder there and says how it ended. Its end is the machine's.
bb=/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs dev /dev
out=/dev/ttyS1
$bb stty -F $out raw

while read -r module; do
  $bb insmod "/modules/$module" || echo "kernel-vm: module $module does not load" >$out
done </modules/order

$bb mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /lower || exit
$bb mount -t tmpfs memory /upper
$bb mkdir /upper/files /upper/work
$bb mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /system || exit
for folder in proc sys dev; do $bb mount --rbind /$folder /system/$folder; done
$bb mkdir -p /system/dev/shm /system/dev/pts
for folder in run dev/shm; do $bb mount -t tmpfs memory /system/$folder; done
$bb mount -t devpts devpts /system/dev/pts
$bb mount -t bpf bpf /system/sys/fs/bpf

# Through a pipe: a program that finds a terminal at its end treats it otherwise, and hangs it up when it ends.
{
  set -f
  IFS='
'
  # shellcheck disable=SC2046  # a line of /command is a word
  $bb chroot /system /bin/sh -c 'cd "$1" && shift && exec "$@"' sh $($bb cat /command) </dev/null
  echo "kernel-vm: status $?"
} 2>&1 | $bb cat >$out
$bb poweroff -f
