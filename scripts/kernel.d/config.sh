# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Kernel configurations, made of fragments; to be sourced by scripts/kernel.

# fragments NAME: the configuration fragments of that kernel, in order.
fragments() {
	case $1 in
	vanilla | off) printf '%s\n' "$CONFIG_DIR/base.config" ;;
	patched | on) printf '%s\n' "$CONFIG_DIR"/{base,patched}.config ;;
	debug) printf '%s\n' "$CONFIG_DIR"/{base,patched,debug}.config ;;
	kasan) printf '%s\n' "$CONFIG_DIR"/{base,patched,kasan}.config ;;
	esac
	[[ ${#EXTRA_CONFIG[@]} -eq 0 ]] || printf '%s\n' "${EXTRA_CONFIG[@]}"
}

kmake() { # TREE OUT ARGUMENT...
	local tree=$1 out=$2
	shift 2
	# The same bytes for the same key, on any machine and day.
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u O -u KBUILD_OUTPUT \
		LC_ALL=C KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' \
		KBUILD_BUILD_USER=tagscope KBUILD_BUILD_HOST="${BUILD_HOST:-tree}" KBUILD_BUILD_VERSION=1 \
		make -C "$tree" O="$out" ARCH=arm64 CROSS_COMPILE="$CROSS" CC="$CC" "$@" </dev/null
}

# configure TREE OUT NAME: merge the fragments into OUT/.config, and fail with the
# list unless everything asked for is there.
configure() {
	local tree=$1 out=$2 name=$3 new=$2/.ts-config log=$2/.ts-config.log all
	local line symbol want have lost=() unknown=() f frags
	frags=$(fragments "$name")
	mkdir -p "$new"
	rm -f "$new/.config"
	# A later fragment overrides an earlier one.
	all=$(while IFS= read -r f; do cat "$f"; echo; done <<<"$frags" | awk '
		/^CONFIG_[A-Za-z0-9_]+=/ { s = $0; sub(/=.*/, "", s) }
		/^# CONFIG_[A-Za-z0-9_]+ is not set/ { s = $2 }
		s != "" { if (!(s in l)) o[++n] = s; l[s] = $0; s = "" }
		END { for (i = 1; i <= n; i++) print l[o[i]] }')
	printf '%s\n' "$all" >"$new/merged"
	kmake "$tree" "$out" KCONFIG_CONFIG="$new/.config" KCONFIG_ALLCONFIG="$new/merged" allnoconfig >"$log" 2>&1 || {
		say "configuring failed; the end of $log:"
		tail -n 10 "$log" >&2
		return 1
	}
	while IFS= read -r line; do
		case $line in
		'#'*) symbol=${line#\# CONFIG_}; symbol=${symbol%% *}; want=n ;;
		*) symbol=${line#CONFIG_}; want=${symbol#*=}; symbol=${symbol%%=*} ;;
		esac
		have=$(sed -n "s/^CONFIG_$symbol=//p" "$new/.config")
		[[ ${have:-n} == "$want" ]] && continue
		# The series brings its options with one patch or another.
		if [[ $symbol == *MTE_TAG_STORAGE* || $symbol == *CLEANCACHE* ]] && ! defined "$tree" "$symbol"; then
			unknown+=("$symbol")
		else
			lost+=("CONFIG_$symbol=$want (is ${have:-n})")
		fi
	done <<<"$all"
	if [[ ${#lost[@]} -gt 0 ]]; then
		say "the $name configuration does not hold what its fragments ask for:"
		printf '  %s\n' "${lost[@]}" >&2
		return 1
	fi
	[[ ${#unknown[@]} -eq 0 || -n ${QUIET_CONFIG:-} ]] ||
		say "note: this source has no ${unknown[*]}: left out"
	cmp -s "$new/.config" "$out/.config" || cp "$new/.config" "$out/.config"
}

defined() { # TREE SYMBOL
	grep -rqsE --include='Kconfig*' "^[[:space:]]*(menu)?config $2\$" \
		"$1/arch/arm64" "$1/mm" "$1/lib" "$1/init"
}
