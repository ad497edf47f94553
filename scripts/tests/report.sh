# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # dir and failed are the test's, too
#
# What tests share; to be sourced. dir is the test's folder: what the last command wrote
# is in $dir/out and $dir/err, and is shown with what failed.
n=0 failed=0

report() { # STATUS NAME
	local f
	n=$((n + 1))
	if (($1 == 0)); then
		echo "ok $n $2"
		return
	fi
	for f in "$dir/out" "$dir/err"; do
		# Whatever it is, it must not look like a result.
		[[ ! -f $f ]] || tail -c 4000 "$f" | tr -cd '\n[:print:]' | tail -n 12 | sed 's/^/# /'
	done
	echo "not ok $n $2"
	failed=1
}
