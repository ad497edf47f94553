# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# For parts that are boots of the machine, each a subtest; to be sourced. Variables
# it sets: top, n (results so far), failed.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
n=0 failed=0
# For testing a kernel of one's own: its path.
export PATCHED=${TAGSCOPE_TEST_KERNEL:-patched}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# boot NAME [VM-OPTION...] -- COMMAND...: one boot. What COMMAND prints is KTAP, and
# becomes the subtest NAME; the machine's status is its result.
boot() {
	local name=$1 rc=0
	shift
	n=$((n + 1))
	echo "    # Subtest: $name"
	"$top/scripts/vm" --quiet --no-stdin --no-tty --fair-timeout 2400 "$@" </dev/null 2>"$tmp/err" |
		sed 's/^/    /' || rc=$?
	# Status 4 is that all was skipped, which the results within tell.
	if ((rc == 0 || rc == 4)); then
		echo "ok $n $name"
	else
		sed 's/^/# /' "$tmp/err"
		echo "# status $rc"
		echo "not ok $n $name"
		failed=1
	fi
}

# scenarios FOLDER: the names of the scenarios there.
scenarios() {
	local f
	for f in "$top/$1"/*.c; do basename "$f" .c; done
}

# adversaries: the names of all, of which one file may have several.
adversaries() {
	sed -n 's/^\t  \.name = "\([a-z0-9-]*\)",$/\1/p' "$top"/adversarial/*.c | sort
}

# finish: the plan; ends the part.
finish() {
	echo "1..$n"
	exit "$failed"
}
