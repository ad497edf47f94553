# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # top is the test's
#
# Building what tests of cli/ need; to be sourced.

# make_cli TARGET...: parts run two at a time, and scripts/guest builds there too: one
# after the other, with its lock. What make says goes beside the results.
make_cli() {
	mkdir -p "$top/build" && flock "$top/build/.lock" make -C "$top/cli" -s O="$top/build" "$@" >&2
}
