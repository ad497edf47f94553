# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What tests written in shell share; to be sourced. dir is a folder of the test's, removed
# at its end, in which out and err are what the last command wrote.
dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT
n=0 failed=0

# report STATUS NAME: one result; a failure with the end of what was written.
report() {
	local f
	n=$((n + 1))
	if (($1 == 0)); then
		echo "ok $n $2"
		return
	fi
	for f in "$dir/out" "$dir/err"; do
		[[ ! -e $f ]] || tail -c 4000 "$f" | tail -n 20 | sed 's/^/# /'
	done
	echo "not ok $n $2"
	failed=1
}

# The plan, and the exit status.
finish() {
	echo "1..$n"
	exit "$failed"
}
