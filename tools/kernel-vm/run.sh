#!/bin/sh
# Runs compiled test files on Debian 12's kernel in QEMU; the exit status is theirs. What is missing is installed first.
# Called by `make test-kernel` from the project's root. Usage: run.sh FILE.test.js...
set -eu
LIMIT_SECONDS=3000
tools/setup/packages.sh tools/setup/packages-vm.txt
tools/kernel-vm/kernel.sh
exec node dist/tools/kernel-vm/main.js "$LIMIT_SECONDS" node dist/tools/kernel-vm/guest.js "$@"
