# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable of progress()
#
# Every patch by itself: check; to be sourced by scripts/kernel.

# result NAME COMMAND...: one KTAP line; the command's output is its diagnosis.
result() {
	local name=$1 out rc=0
	shift
	T_N=$((T_N + 1))
	out=$("$@" 2>&1) || rc=$?
	if ((rc)); then
		[[ -z $out ]] || printf '# %s\n' "${out//$'\n'/$'\n'# }"
		printf 'not ok %d %s\n' "$T_N" "$name"
		T_FAILED=$((T_FAILED + 1))
	else
		printf 'ok %d %s\n' "$T_N" "$name"
	fi
	return 0
}

# once KIND KEY COMMAND...: run COMMAND unless it has succeeded with this key.
once() {
	local mark=$KDIR/check/$1-$2
	shift 2
	[[ -e $mark ]] && { touch "$mark"; return 0; }
	"$@" || return
	mkdir -p "$KDIR/check"
	: >"$mark"
}

check_style() { # PATCH
	local out
	# New files need no MAINTAINERS entry of their own: those of the folder do. And commits
	# that are named cannot be looked up: the source is a tree without a history.
	out=$(cd "$KDIR/tree/patched" && perl scripts/checkpatch.pl --root=. --strict --no-summary --terse \
		--show-types --ignore FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID "$1" 2>&1) || :
	# "PATCH:LINE: LEVEL:TYPE: TEXT": which file of the source is it, and is that known?
	out=$(awk -v patch="$1" '
		FILENAME == ARGV[1] { if (!/^#/) known[$1 " " $2] = 1; next }
		FILENAME == ARGV[2] { if (/^\+\+\+ b\//) file = substr($2, 3); source[FNR] = file; next }
		{
			rest = index($0, patch ":") == 1 ? substr($0, length(patch) + 2) : ""
			split(rest, f, ":")
			if (!((source[f[1] + 0] " " f[3]) in known))
				print
		}' "$KNOWN_STYLE" "$1" - <<<"$out")
	[[ -z $out ]] || { printf '%s\n' "$out"; return 1; }
}

check_build() { # NAME WHAT PATCH...: NAME is on or off, with EXTRA_CONFIG
	local name=$1 what=$2 tree=$KDIR/tree/check-$1 w
	shift 2
	sync_tree "$tree" "$@" || return 1
	QUIET_CONFIG=1 compile "$tree" "$tree/out" "$name" "$what" || return 1
	w=$(grep -E 'warning:|WARNING:' "$tree/out/.ts-log") || return 0
	printf 'warnings:\n%s\n' "$w"
	# Or the next run, which compiles less, would not see them.
	rm -rf "$tree/out"
	return 1
}

# shellcheck disable=SC2016 # expanded in the guest
# What every kernel with MTE can do, and then what those with an interface for it can.
CHECK_IN_GUEST='tagscope doctor >/tmp/doctor; rc=$?
[ $rc = 0 ] || [ $rc = 3 ] || { cat /tmp/doctor; exit 1; }
tagscope fuzz --seed 1 --ops 250 || exit
[ ! -d /sys/kernel/debug/mte_tag_storage ] || tagscope suite --format ktap mmap mprotect cow swap'

check_boot() { # NAME WHAT PATCH...: builds, and then boots and does a little
	local out=$KDIR/tree/check-$1/out
	check_build "$@" || return
	# What it prints while it boots is of interest only if it fails.
	"$TS_TOP/scripts/vm" --quiet --no-stdin --kernel "$out/arch/arm64/boot/Image" --swap 128M \
		-- sh -c "$CHECK_IN_GUEST"
}

# check_am: all patches, with git am, each its own commit.
check_am() {
	local dir=$KDIR/tree/am out
	rm -rf "$dir"
	mkdir -p "$dir"
	git init -q -b series "$dir"
	printf '%s\n' "$REPO/objects" >"$dir/.git/objects/info/alternates"
	git -C "$dir" update-ref refs/heads/series "$(git -C "$REPO" rev-parse base)"
	# The files the patches touch are enough.
	git -C "$dir" config core.sparseCheckout true
	touched "${PATCHES[@]}" | sed 's,^,/,' >"$dir/.git/info/sparse-checkout"
	git -C "$dir" reset -q --hard
	identity
	if ! out=$(git_as "$dir" am -q "${PATCHES[@]}" 2>&1); then
		printf '%s\n' "$out"
		rm -rf "$dir"
		return 1
	fi
	rm -rf "$dir"
}

cmd_check() {
	local i p name variant key only=() wanted prefix does=build variants=("") what
	for p; do
		case $p in
		--boot) does=boot ;;
		--variants) mapfile -t -O 1 variants < <(cd "$CONFIG_DIR/variants" && printf '%s\n' *.config) ;;
		-*) die_usage "check: no option '$p'" ;;
		*) only+=("${p##*/}") ;;
		esac
	done
	tools
	source_version
	series
	T_N=0 T_FAILED=0
	[[ ${#PATCHES[@]} -gt 0 ]] || {
		printf 'KTAP version 1\n1..0 # SKIP no patches in kernel-patch/\n'
		exit 4
	}
	for p in "${only[@]}"; do
		wanted=0
		for i in "${PATCHES[@]}"; do is_patch "$p" "$i" && wanted=1; done
		((wanted)) || die_usage "no patch '$p' in $SERIES"
	done
	base_repo
	printf 'KTAP version 1\n'
	lock "$KDIR/tree/.lock.check" "check"
	key=$( { printf '%s\n' "$VERSION"; cat "${PATCHES[@]}"; } | sha256sum | cut -c1-32)
	result "git am takes all ${#PATCHES[@]} patches" once am "$key" check_am
	if ((T_FAILED)); then
		printf '1..%d\n' "$T_N"
		exit 1
	fi
	lock_patched_tree
	for p in "${PATCHES[@]}"; do
		selected "$p" || continue
		# What it says depends on the other patches too: they document, and add files.
		key=$( { printf '%s\n' "$VERSION"; diffs "${PATCHES[@]}"; cat "$p" "$KNOWN_STYLE"; } | sha256sum | cut -c1-32)
		result "${p##*/}: checkpatch --strict" once style "$key" check_style "$p"
	done
	unlock
	for ((i = 0; i < ${#PATCHES[@]}; i++)); do
		p=${PATCHES[i]}
		selected "$p" || continue
		prefix=("${PATCHES[@]:0:i+1}")
		for name in on off; do
			for variant in "${variants[@]}"; do
				EXTRA_CONFIG=(${variant:+"$CONFIG_DIR/variants/$variant"})
				what="the option $name${variant:+, ${variant%.config}}"
				mapfile -t frags < <(fragments "$name")
				key=$( { printf '%s\n' "recipe $RECIPE" "$VERSION" "$name"; compiler
					cat "${frags[@]}"; diffs "${prefix[@]}"
					[[ $does == build ]] || printf '%s\n' "$CHECK_IN_GUEST"; } | sha256sum | cut -c1-32)
				exec {PROGRESS_FD}>&2
				result "${p##*/}: ${does}s with $what" \
					once "$does" "$key" "check_$does" "$name" "${p##*/} ($what)" "${prefix[@]}"
			done
		done
	done
	printf '1..%d\n' "$T_N"
	((T_FAILED == 0)) || exit 1
}

lock_patched_tree() {
	lock "$KDIR/tree/.lock.patched" "build of the patched kernel"
	sync_tree "$KDIR/tree/patched" "${PATCHES[@]}" || exit 1
}

is_patch() { # WORD PATCH: WORD is its number or its file name
	[[ ${2##*/} == "$1" ]] || { [[ $1 =~ ^[0-9]+$ ]] && ((10#$1 == 10#$(basename "$2" | cut -c1-4))); }
}

selected() { # PATCH; uses only of cmd_check
	local w
	[[ ${#only[@]} -gt 0 ]] || return 0
	for w in "${only[@]}"; do is_patch "$w" "$1" && return 0; done
	return 1
}
