# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Driving the UI in a terminal of tmux and looking at its screen; to be sourced.
# TS_TEST is tagscope with the scenarios for tests. dir is removed at the end.
dir=$(mktemp -d)
fx=$dir/fx
starts=0
tm=(tmux -S "$dir/tmux0" -f /dev/null)
trap '"${tm[@]}" kill-server 2>/dev/null; rm -rf "$dir"' EXIT
n=0 failed=0
# The machine may be busy: this is how long a test waits for what it wants to see.
PATIENCE=${TAGSCOPE_PATIENCE:-20}

screen() { "${tm[@]}" capture-pane -p 2>/dev/null; }

# ok WHAT STATUS: one result; on failure with what was on the screen.
ok() {
	n=$((n + 1))
	if (($2 == 0)); then
		echo "ok $n - $1"
	else
		screen | sed 's/^/# |/'
		echo "not ok $n - $1"
		failed=1
	fi
}

# start COLUMNSxROWS [NAME=VALUE]... -- ARGUMENT...: tagscope in a new terminal.
start() {
	local size=$1 env=()
	shift
	while [[ $1 != -- ]]; do
		env+=("$1")
		shift
	done
	shift
	stop
	# The server before may still be on its way out.
	starts=$((starts + 1))
	tm=(tmux -S "$dir/tmux$starts" -f /dev/null)
	printf '%s\n' '#!/bin/sh' 'trap : INT' 'echo before the UI' 'env "$@"' 'echo "status=$?"' \
		'stty -a | tr -d "\n;" | sed "s/^/stty: /"' 'exec sleep 1000' >"$dir/go"
	chmod +x "$dir/go"
	"${tm[@]}" new-session -d -x "${size%x*}" -y "${size#*x}" -- "$dir/go" \
		TERM=screen-256color LC_ALL=C.UTF-8 TAGSCOPE_DEBUGFS="$fx" \
		ASAN_OPTIONS=detect_leaks=0 "${env[@]}" "$TS_TEST" "$@"
	"${tm[@]}" set-option -g status off
	"${tm[@]}" resize-window -x "${size%x*}" -y "${size#*x}"
}
stop() { "${tm[@]}" kill-server 2>/dev/null; }
keys() { "${tm[@]}" send-keys "$@"; }
size() { "${tm[@]}" resize-window -x "${1%x*}" -y "${1#*x}"; }

# soon COMMAND...: it succeeds, soon.
soon() {
	local until=$((SECONDS + PATIENCE))
	until "$@"; do
		((SECONDS < until)) || return 1
		sleep 0.1
	done
}
# see TEXT...: all are on the screen at once, soon.
see() {
	local until=$((SECONDS + PATIENCE)) t s missing
	while :; do
		# As it is, and with lines joined that the terminal broke.
		s=$(screen; "${tm[@]}" capture-pane -p -J 2>/dev/null) missing=
		for t; do [[ $s == *"$t"* ]] || missing=$t; done
		[[ -n $missing ]] || return 0
		((SECONDS < until)) || break
		sleep 0.1
	done
	echo "# not on the screen: $missing"
	return 1
}
# line N TEXT: it is in that line of the screen, soon.
line() {
	local until=$((SECONDS + PATIENCE))
	until [[ $(screen | sed -n "$1p") == *"$2"* ]]; do
		((SECONDS < until)) || { echo "# not in line $1: $2"; return 1; }
		sleep 0.1
	done
}
# gone TEXT: it is not on the screen any more, soon.
gone() {
	local until=$((SECONDS + PATIENCE))
	while [[ $(screen) == *"$1"* ]]; do
		((SECONDS < until)) || { echo "# still on the screen: $1"; return 1; }
		sleep 0.1
	done
}
# ui_pid: the process of the UI (go, its child env became it).
ui_pid() {
	local shell
	shell=$("${tm[@]}" display-message -p '#{pane_pid}')
	tr -d ' ' <"/proc/$shell/task/$shell/children"
}
# sane STATUS [TEXT]: it has ended so, the screen is as before, and the terminal works.
sane() {
	see "status=$1" "${2-before the UI}" " icanon" " echo " || return 1
	[[ $(screen) != *tagscope\ \ policy* ]] || { echo "# the UI is still drawn"; return 1; }
	[[ $("${tm[@]}" display-message -p '#{cursor_flag}') == 1 ]] || { echo "# no cursor"; return 1; }
}
colors() { "${tm[@]}" capture-pane -p -e; }
# painted REGEX: an escape sequence, and what follows.
painted() { colors | grep -q $'\033\\['"$1"; }
has_color() { painted '[0-9;]*3[0-7]'; }
only_ascii() { ! screen | LC_ALL=C grep -q '[^ -~]'; }

finish() {
	echo "1..$n"
	exit "$failed"
}
