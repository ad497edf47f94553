#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The arm64 tagscope under user emulation, which has MTE but no kernel of ours.
set -uo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
t=(qemu-aarch64-static -cpu max -L "$TS_SYSROOT" "$TS_ARM64")
unset TAGSCOPE_DEBUGFS

run 0 "${t[@]}" list && says "mmap"
ok "list" $?
run 0 "${t[@]}" describe mmap && says "pages" "dense|sparse"
ok "describe" $?
run 3 "${t[@]}" doctor && says "ok    machine" "ok    MTE" "fail  kernel"
ok "doctor: MTE is here, the kernel is not" $?
run 3 qemu-aarch64-static -cpu cortex-a57 -L "$TS_SYSROOT" "$TS_ARM64" doctor && says "fail  MTE"
ok "doctor: a processor without MTE" $?
run 4 "${t[@]}" run mmap && says "ok 1 - mmap # SKIP"
ok "mmap is skipped, which is no pass" $?
finish
