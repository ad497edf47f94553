# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of the command line share; to be sourced. dir is a folder of theirs,
# removed at the end.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 failed=0

# ok WHAT STATUS: one result; on failure the last command's output is shown.
ok() {
	n=$((n + 1))
	if (($2 == 0)); then
		echo "ok $n - $1"
	else
		sed 's/^/# stdout: /' "$dir/out" 2>/dev/null | tail -n 20
		sed 's/^/# stderr: /' "$dir/err" 2>/dev/null | tail -n 20
		echo "not ok $n - $1"
		failed=1
	fi
}

# run STATUS COMMAND...: run it; true if its status is that one. Output: $dir/out, $dir/err.
run() {
	local want=$1 rc=0
	shift
	timeout -k 5 300 "$@" >"$dir/out" 2>"$dir/err" </dev/null || rc=$?
	((rc == want)) || { echo "# status $rc, wanted $want: $*"; return 1; }
}

# says, complains TEXT...: each is in what it wrote to stdout, to stderr.
says() { local t; for t; do grep -qF -- "$t" "$dir/out" || { echo "# missing: $t"; return 1; }; done; }
complains() { local t; for t; do grep -qF -- "$t" "$dir/err" || { echo "# missing: $t"; return 1; }; done; }

finish() {
	echo "1..$n"
	exit "$failed"
}
