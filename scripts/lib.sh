# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the scripts share; to be sourced. Nothing here writes to stdout except
# the functions whose answer it is: messages go to stderr.
#
# Exit statuses of all scripts: 0 done, 1 something failed, 2 wrong usage,
# 3 it could not run here.

# shellcheck disable=SC2034 # for those who source this
TS_TOP=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
TS_NAME=${TS_NAME:-${0##*/}}
# Without HOME the home folder that the system knows: what is run from here must lie
# where nobody else can have put it.
TS_CACHE=${TAGSCOPE_CACHE:-${XDG_CACHE_HOME:-${HOME:-~}/.cache}/tagscope}
# The checkout must stay clean, and a relative folder would depend on who asks.
case $TS_CACHE in
/*) ;;
*) TS_CACHE=$PWD/$TS_CACHE ;;
esac
export TAGSCOPE_CACHE=$TS_CACHE

# mkfs.ext4, which anybody may run, is where an ordinary user's PATH does not lead.
PATH=$PATH:/usr/sbin:/sbin

# say MESSAGE...: one line for the user.
say() { printf '%s: %s\n' "$TS_NAME" "$*" >&2; }

# die MESSAGE...: end with status 1; die_usage 2; die_here 3 (cannot run here), or
# what TS_STATUS_HERE says.
die() { say "$*"; exit 1; }
die_usage() { say "$* (try --help)"; exit 2; }
die_here() { say "$*"; exit "${TS_STATUS_HERE:-3}"; }

# cache_dir NAME: the folder NAME of the cache, made if missing.
cache_dir() {
	mkdir -p "$TS_CACHE/$1" ||
		die_here "cannot make $TS_CACHE/$1: set TAGSCOPE_CACHE to a folder that can be written"
	printf '%s\n' "$TS_CACHE/$1"
}

# need_space DIR MIB WHAT: end clearly, before the work, if DIR has less left.
need_space() {
	local dir=$1 need=$2 what=$3 have
	while [[ ! -d $dir ]]; do dir=$(dirname "$dir"); done
	have=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
	[[ $have -ge $need ]] ||
		die_here "no room for $what: needs $need MiB in $dir, which has $have MiB left;" \
			"free some, or set TAGSCOPE_CACHE to a folder on another disk"
}

# need_cmd COMMAND...: end clearly if one is missing.
need_cmd() {
	local c missing=()
	for c; do
		command -v "$c" >/dev/null || missing+=("$c")
	done
	[[ ${#missing[@]} -eq 0 ]] ||
		die_here "missing: ${missing[*]}; 'scripts/install-deps' installs what is needed"
}

# key_of WORD-OR-FILE...: a content key of 32 hex digits. An argument @FILE counts
# by the file's content, @DIR by the names, modes and contents of all in it; any
# other by its words. The compiler's or a tool's version is given as words.
key_of() {
	local a
	for a; do
		case $a in
		@*)
			a=${a#@}
			if [[ -d $a ]]; then
				(cd "$a" && find . -type f -printf '%P %m\n' | LC_ALL=C sort &&
					find . -type l -printf '%P -> %l\n' | LC_ALL=C sort &&
					find . -type f -print0 | LC_ALL=C sort -z |
					xargs -0 -r sha256sum)
			elif [[ -e $a ]]; then
				sha256sum <"$a"
			else
				echo "no such file: $a" >&2
				return 1
			fi || return 1
			;;
		*) printf 'word %s\n' "$a" ;;
		esac
	done | sha256sum | cut -c1-32
}

# tool_id COMMAND...: words that change when one of these programs does. Asking each
# for its version would cost more than the rest of a warm start.
tool_id() {
	local c p
	for c; do
		p=$(type -P "$c") || die_here "missing: $c; 'scripts/install-deps' installs what is needed"
		stat -L -c '%n %s %Y' "$p"
	done
}

# recall NAME WORDS PATH...: the answer that remember kept as NAME, in ANSWER, if it was
# given for the same WORDS when all that is at PATH and below was as it is now. Names,
# inodes, sizes and times tell, with one program started; contents are not read.
# Status 1 if there is none.
recall() {
	local kept=''
	MEMO=$TS_TOP/build/memo/$1
	# What changes twice within a tick of the file system's clock looks unchanged.
	MEMO_BEFORE=$((EPOCHSECONDS - 1))
	MEMO_STATE="$TS_CACHE $2"$'\n'$(LC_ALL=C find -H "${@:3}" -printf '%p %l %i %m %s %T@ %C@\n' 2>&1) || true
	if [[ -r $MEMO ]]; then
		kept=$(<"$MEMO")
	fi
	ANSWER=${kept%%$'\n'*}
	[[ $kept == "$ANSWER"$'\n'"$MEMO_STATE" && -e $ANSWER ]]
}

# remember ANSWER: keep it, a path, for the next recall like the last one: of what that
# looked at, nothing may have been used before.
remember() {
	if awk -v t="$MEMO_BEFORE" 'NR > 1 && ($NF + 0 >= t || $(NF - 1) + 0 >= t) { exit 1 }' <<<"$MEMO_STATE"; then
		# A checkout that cannot be written in has to do without.
		{
			mkdir -p "${MEMO%/*}" && printf '%s\n' "$1" "$MEMO_STATE" >"$MEMO.$$" &&
				mv "$MEMO.$$" "$MEMO"
		} 2>/dev/null || true
	fi
}

# duration SECONDS: in words.
duration() {
	local s=$1
	if ((s >= 120)); then
		printf '%d min %d s' $((s / 60)) $((s % 60))
	else
		printf '%d s' "$s"
	fi
}

# timed NAME WORDS COMMAND...: run COMMAND, saying what it is and, from the last
# time it succeeded, how long it takes. Its stdout and stderr go to a log file in
# the cache; every 10 s a line tells how far it is. On failure: the end of the log.
# As with cached, write it bare if COMMAND is a function of several steps.
timed() {
	local name=$1 what=$2 dir log last='' start=$SECONDS pid rc=0 next=10 el
	shift 2
	dir=$(cache_dir log)
	log=$dir/$name.$$.log
	[[ -r $dir/$name.seconds ]] && last=$(<"$dir/$name.seconds")
	say "$what${last:+ (about $(duration "$last"))}"
	"$@" >"$log" 2>&1 &
	pid=$!
	# Not "wait": the user wants to hear something meanwhile.
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.1
		el=$((SECONDS - start))
		if ((el >= next)); then
			next=$((next + 10))
			if [[ -n $last ]] && ((last > el)); then
				say "$what: $(duration "$el"), about $(duration $((last - el))) still"
			else
				say "$what: $(duration "$el")"
			fi
		fi
	done
	wait "$pid" || rc=$?
	if ((rc)); then
		say "$what: failed (status $rc); the end of $log:"
		tail -n 15 "$log" >&2
		return "$rc"
	fi
	el=$((SECONDS - start))
	printf '%s\n' "$el" >"$dir/$name.seconds.$$" && mv "$dir/$name.seconds.$$" "$dir/$name.seconds"
	mv "$log" "$dir/$name.log"
}

# cached KIND KEY BUILD [ARGUMENT...]: the path $TS_CACHE/KIND/KEY, on stdout. If
# it is not there, BUILD is called as "BUILD PATH ARGUMENT..." to make PATH (a file
# or a folder), which is moved into place when complete: nobody sees half of it,
# and two that want the same wait for one another and build once. Write it bare,
# "x=$(cached ...)" and nothing after it: behind "||" or in a condition bash would
# not let an error end the builder.
cached() {
	local kind=$1 key=$2 build=$3 dir out tmp lock rc
	shift 3
	out=$TS_CACHE/$kind/$key
	if [[ ! -e $out ]]; then
		dir=$(cache_dir "$kind") || exit
		exec {lock}>"$dir/.lock.$key" || die_here "cannot write in $dir"
		if ! flock -n "$lock"; then
			say "waiting for another build of $kind"
			flock "$lock"
		fi
		if [[ ! -e $out ]]; then
			# Left by a build that was killed: we hold the lock, so nobody's.
			rm -rf "$dir/.new.$key"
			tmp=$dir/.new.$key
			# In a subshell that is not part of a condition, so that an error
			# anywhere in the builder ends it.
			set +e
			(set -e; "$build" "$tmp" "$@") >&2
			rc=$?
			set -e
			if ((rc)); then
				rm -rf "$tmp"
				say "could not make $kind"
				exit "${TS_STATUS_HERE:-1}"
			fi
			mv "$tmp" "$out"
		fi
		rm -f "$dir/.lock.$key"
		exec {lock}>&-
	fi
	printf '%s\n' "$out"
}

# cache_prune KIND KEEP: remove all but the KEEP newest entries of KIND, and none
# younger than a day: somebody may be using it.
cache_prune() {
	local kind=$1 keep=$2 f
	find "$TS_CACHE/$kind" -mindepth 1 -maxdepth 1 -not -name '.*' -mtime +0 -printf '%T@ %p\n' |
		sort -rn | tail -n +$((keep + 1)) | cut -d' ' -f2- |
		while IFS= read -r f; do rm -rf "$f"; done
}

# debian_codename: bookworm, trixie, ... or empty.
debian_codename() {
	(
		ID='' VERSION_CODENAME=''
		# shellcheck disable=SC1091
		[[ -r /etc/os-release ]] && . /etc/os-release
		[[ $ID == debian ]] && printf '%s\n' "$VERSION_CODENAME"
	) || true
}

# debian_sources CODENAME: this machine's own apt sources for the suites of that
# release, in one-line form. Sources of other vendors are left out.
debian_sources() {
	local etc=${TS_APT_ETC:-/etc/apt} f
	for f in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
		[[ -r $f ]] || continue
		sed 's/#.*//' "$f" | awk -v c="$1" '
			$1 == "deb" {
				i = 2
				while ($i ~ /^\[/ || (i > 2 && $(i - 1) !~ /\]$/ && opt)) {
					opt = ($i !~ /\]$/)
					i++
				}
				if ($(i + 1) == c || index($(i + 1), c "-") == 1)
					print
			}'
	done
	for f in "$etc"/sources.list.d/*.sources; do
		[[ -r $f ]] || continue
		awk -v c="$1" '
			function flush(   n, m, t, i, j, u, s, o) {
				if (types ~ /(^| )deb( |$)/ && enabled != "no") {
					n = split(uris, u, " ")
					m = split(suites, s, " ")
					o = signed == "" ? "" : "[signed-by=" signed "] "
					for (i = 1; i <= n; i++)
						for (j = 1; j <= m; j++)
							if (s[j] == c || index(s[j], c "-") == 1)
								print "deb " o u[i] " " s[j] " " comps
				}
				types = uris = suites = comps = signed = enabled = key = ""
			}
			/^#/ { next }
			/^[ \t]*$/ { flush(); next }
			/^[^ \t:]+:/ {
				key = tolower($0); sub(/:.*/, "", key)
				sub(/^[^:]+:[ \t]*/, "")
			}
			{
				v = $0; sub(/^[ \t]+/, "", v)
				if (key == "types") types = types " " v
				else if (key == "uris") uris = uris " " v
				else if (key == "suites") suites = suites " " v
				else if (key == "components") comps = comps " " v
				else if (key == "signed-by" && v ~ /^\//) signed = v
				else if (key == "enabled") enabled = tolower(v)
			}
			END { flush() }' "$f"
	done
}

# put_file FILE COMMAND...: replace FILE by what is on stdin, at once; COMMAND, such as
# sudo, is what may write there.
put_file() {
	local f=$1
	shift
	# shellcheck disable=SC2016 # expanded there
	"$@" sh -c 'cat >"$1.$$" && mv "$1.$$" "$1"' sh "$f"
}

# apt_private DIR [COMMAND...]: make an apt configuration of our own in DIR, with this
# machine's Debian sources and the backports beside them, and print its apt options one
# a line. The machine's own apt configuration is not touched, and of its settings those
# that are not sources (a proxy, for one) still count.
# COMMAND, such as sudo, is what may write in DIR: where root's apt is to trust the
# sources and the lists of packages, nobody else may.
apt_private() {
	local code dir=$1 src main backports as=("${@:2}")
	code=$(debian_codename)
	[[ -n $code ]] || die_here "this is not Debian: install the packages of 'scripts/install-deps --list' by hand"
	((${#as[@]})) || as=(env)
	"${as[@]}" mkdir -p "$dir/parts" "$dir/lists/partial" || die_here "cannot write in $dir"
	src=$(debian_sources "$code" | tr -s ' \t' ' ' | awk '!seen[$0]++')
	main=$(awk -v c="$code" '{ for (i = 2; i <= NF; i++) if ($i == c) { print; exit } }' <<<"$src")
	[[ -n $main ]] ||
		die_here "no source for Debian $code in /etc/apt: add its main archive there first"
	backports=$(awk -v c="$code" '{ for (i = 2; i <= NF; i++) if ($i == c) $i = c "-backports"; print }' <<<"$main")
	{
		printf '%s\n' "$src"
		# Debian 12's own QEMU computes wrong tag addresses.
		[[ $code == bookworm ]] && printf '%s\n' "$backports"
	} | awk '!seen[$0]++' | put_file "$dir/parts/debian.list" "${as[@]}"
	# Of the backports QEMU alone is wanted: everything else stays as it is.
	printf 'Package: src:qemu\nPin: release n=%s-backports\nPin-Priority: 600\n' "$code" |
		put_file "$dir/preferences" "${as[@]}"
	printf '%s\n' \
		-o Dir::Etc::sourcelist=/dev/null \
		-o "Dir::Etc::sourceparts=$dir/parts" \
		-o "Dir::Etc::preferences=$dir/preferences" \
		-o "Dir::State::lists=$dir/lists" \
		-o Dir::Cache::pkgcache= \
		-o Dir::Cache::srcpkgcache= \
		-o APT::Sandbox::User=root
}

# apt_refresh COMMAND...: read the lists of packages anew; COMMAND is apt-get with its
# options, and sudo before it where root is to do so.
apt_refresh() {
	local out
	say "reading the archive's lists of packages"
	if ! out=$(LC_ALL=C "$@" -q update 2>&1) || grep -q '^[EW]: Failed to fetch' <<<"$out"; then
		grep -E '^(E|W|Err)' <<<"$out" | head -n 5 >&2 || true
		die_here "cannot read the Debian archive: the first run needs the network" \
			"(a proxy is set with http_proxy or in /etc/apt)"
	fi
}

# take_programs DIR ROOT PROGRAM...: copy these programs of the sysroot ROOT to DIR, and to
# DIR/lib the libraries that they need; in the guest they run with LD_LIBRARY_PATH. The C
# library is the guest's own: another version of one part of it would not work.
take_programs() {
	local dir=$1 root=$2 f l from queue=()
	mkdir -p "$dir/lib" || return
	for f in "${@:3}"; do
		cp -L "$root/usr/bin/$f" "$dir/" || return
		queue+=("$dir/$f")
	done
	while ((${#queue[@]})); do
		f=${queue[0]} queue=("${queue[@]:1}")
		while IFS= read -r l; do
			case $l in
			ld-linux-* | libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libresolv.so.*) continue ;;
			esac
			[[ ! -e $dir/lib/$l ]] || continue
			from=$(find "$root/usr/lib" -name "$l" -print -quit)
			[[ -n $from ]] || { say "${f##*/} needs $l, which no package in $root has"; return 1; }
			cp -L "$from" "$dir/lib/$l" || return
			queue+=("$dir/lib/$l")
		done < <(aarch64-linux-gnu-readelf -d "$f" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p')
	done
}
