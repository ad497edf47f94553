# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # variables of the other files
#
# What building takes, and the packaged kernel source; to be sourced by scripts/kernel.

# tools: what building takes, or one clear line. Sets CROSS and CC.
tools() {
	local t missing=() package
	CROSS=aarch64-linux-gnu-
	[[ $(uname -m) == aarch64 ]] && CROSS=
	for t in "${CROSS}gcc" "${CROSS}ld" gcc make flex bison bc perl git xz flock; do
		command -v "$t" >/dev/null && continue
		case $t in
		*-gcc) package=gcc-aarch64-linux-gnu ;;
		*-ld) package=binutils-aarch64-linux-gnu ;;
		xz) package=xz-utils ;;
		flock) package=util-linux ;;
		*) package=$t ;;
		esac
		missing+=("$t (package $package)")
	done
	if [[ ${#missing[@]} -gt 0 ]]; then
		printf -v t '%s, ' "${missing[@]}"
		die_here "missing: ${t%, }; 'scripts/install-deps' installs what is needed"
	fi
	CC=${CROSS}gcc
	if command -v ccache >/dev/null; then
		export CCACHE_DIR=$TS_CACHE/ccache CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-6G}
		# By another name it would make every command another one, and all that was
		# compiled without it be compiled again.
		if [[ -x /usr/lib/ccache/$CC ]]; then
			PATH=/usr/lib/ccache:$PATH
		else
			CC="ccache $CC"
		fi
	fi
	case $KDIR in
	*[[:space:]:]*) die_here "the kernel cannot be built in a folder with spaces or colons: $KDIR;" \
		"set TAGSCOPE_CACHE to another" ;;
	esac
}

# lock FILE WHAT: hold FILE until this process ends or unlock is called.
lock() {
	mkdir -p "$(dirname "$1")"
	exec {LOCK_FD}>"$1" || die_here "cannot write $1"
	if ! flock -n "$LOCK_FD"; then
		say "waiting for another $2"
		flock "$LOCK_FD"
	fi
}

unlock() { exec {LOCK_FD}>&-; }

# cached_version: the newest source in the cache, the pinned one first; or nothing.
cached_version() {
	local d versions=()
	for d in "$KDIR"/src/*/Makefile; do
		[[ -e $d ]] || continue
		d=${d%/Makefile}
		d=${d##*/}
		[[ $d == "$PINNED"[-+~]* ]] && { printf '%s\n' "$d"; return; }
		versions+=("$d")
	done
	[[ ${#versions[@]} -eq 0 ]] || printf '%s\n' "${versions[@]}" | sort -V | tail -n 1
}

# offered_version APT-OPTION...: what apt would give: the pinned one, else its candidate.
offered_version() {
	local all
	all=$(apt-cache "$@" madison "$PACKAGE" 2>/dev/null | awk -F' *[|] *' '{ print $2 }')
	[[ -n $all ]] || return 1
	grep -m 1 "^${PINNED//./\\.}[-+~]" <<<"$all" || sort -rV <<<"$all" | head -n 1
}

fetch_source() {
	local opts=() version tmp private
	command -v apt-get >/dev/null ||
		die_here "no apt-get here to fetch $PACKAGE with: unpack the linux $PINNED source to" \
			"$KDIR/src/$PINNED-0 by hand"
	need_space "$KDIR" 6144 "the kernel source and three build trees"
	tmp=$KDIR/src/.new
	rm -rf "$tmp"
	mkdir -p "$tmp/deb"
	# The lists the machine has are often enough, and often absent.
	if ! version=$(offered_version) || [[ $version != "$PINNED"[-+~]* ]]; then
		private=$(apt_private "$(cache_dir apt)") || exit
		mapfile -t opts <<<"$private"
		if ! version=$(offered_version "${opts[@]}"); then
			apt_refresh apt-get "${opts[@]}" || exit
			version=$(offered_version "${opts[@]}") ||
				die_here "no package $PACKAGE in this machine's apt sources: add those of Debian 12 or 13"
		fi
	fi
	if ! timed kernel-download "fetching $PACKAGE $version" download_source; then
		# The lists may be older than the archive.
		private=$(apt_private "$(cache_dir apt)") || exit
		mapfile -t opts <<<"$private"
		apt_refresh apt-get "${opts[@]}" || exit
		version=$(offered_version "${opts[@]}") ||
			die_here "no package $PACKAGE in this machine's apt sources: add those of Debian 12 or 13"
		timed kernel-download "fetching $PACKAGE $version" download_source ||
			die_here "could not fetch $PACKAGE: is the package archive reachable?"
	fi
	timed kernel-unpack "unpacking $PACKAGE" unpack_source ||
		die_here "could not unpack $PACKAGE"
	mv "$tmp/$PACKAGE" "$KDIR/src/$version"
	rm -rf "$tmp"
	VERSION=$version
}

# Both are called from fetch_source, whose variables they use.
# shellcheck disable=SC2154
download_source() {
	(cd "$tmp/deb" && apt-get "${opts[@]}" -o APT::Sandbox::User=root -q download "$PACKAGE=$version")
}

# shellcheck disable=SC2154
unpack_source() {
	dpkg-deb --fsys-tarfile "$tmp"/deb/*.deb | tar -xO "./usr/src/$PACKAGE.tar.xz" |
		xz -dc -T0 | tar -xC "$tmp" && rm -rf "$tmp/deb" &&
		# The packager's rule to ignore all: git would not see a new file of the series.
		sed -i -e '\,^/\*$,d' -e '\,^!/debian/$,d' "$tmp/$PACKAGE/.gitignore"
}

# source_version: sets VERSION and SRC; fetches the source unless it is there.
source_version() {
	VERSION=$(cached_version)
	if [[ $VERSION != "$PINNED"[-+~]* ]]; then
		mkdir -p "$KDIR/src" 2>/dev/null || die_here "cannot write in $TS_CACHE"
		lock "$KDIR/src/.lock" "prepare"
		VERSION=$(cached_version)
		[[ -n $VERSION ]] || fetch_source
		unlock
		[[ $VERSION == "$PINNED"[-+~]* ]] ||
			say "warning: the series is written for $PINNED; this machine has $VERSION"
	fi
	SRC=$KDIR/src/$VERSION
}
