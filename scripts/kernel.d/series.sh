# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The patches of the series, and trees that have them; to be sourced by scripts/kernel.

# series: sets PATCHES to the patches in order, without the cover letter.
series() {
	local p
	PATCHES=()
	for p in "$SERIES"/[0-9][0-9][0-9][0-9]-*.patch; do
		[[ -e $p && ${p##*/} != "$COVER" ]] && PATCHES+=("$p")
	done
	PATCHES+=("${EXTRA_PATCHES[@]}")
}

# diffs PATCH...: only what changes the tree, so that a better message or a new
# blob id does not make a new kernel.
diffs() {
	[[ $# -eq 0 ]] || awk '
		FNR == 1 { on = 0 }
		/^diff --git / { on = 1 }
		/^-- $/ { on = 0 }
		on && !/^index / { print }' "$@"
}

touched() { # PATCH...: the files they name
	diffs "$@" | awk '
		/^(---|\+\+\+) / { sub(/^... /, ""); sub(/\t.*/, "") }
		/^(rename|copy) (from|to) / { sub(/^[a-z]+ [a-z]+ /, ""); print; next }
		/^diff --git / { split($0, a, " "); print substr(a[3], 3); print substr(a[4], 3); next }
		/^[ab]\// { if (length($0) > 2) print substr($0, 3) }' | LC_ALL=C sort -u
}

# put FROM TO: replace TO, which may be a hard link to the pristine source, by a
# new file with a new time: make must see the change, the pristine source must not.
put() {
	mkdir -p "$(dirname "$2")"
	cp --no-preserve=timestamps --preserve=mode "$1" "$2.ts-new"
	mv -f "$2.ts-new" "$2"
}

# seed TREE FROM: make TREE, which is not there, what FROM is, with all that has been
# compiled in it; unless nothing has. A build that is under way there is waited for.
seed() {
	local tree=$1 from=$2 fd
	exec {fd}>"$KDIR/tree/.lock.${from##*/}"
	flock "$fd"
	if [[ -e $from/out/vmlinux.o ]]; then
		need_space "$KDIR" 2048 "a kernel build tree"
		rm -rf "$tree.new"
		mkdir -p "$tree.new"
		# Sources are replaced, never written to; what a build makes is.
		find "$from" -mindepth 1 -maxdepth 1 ! -name out ! -name '.ts-*' -exec cp -al -t "$tree.new" {} +
		cp -a --reflink=auto "$from"/out "$from"/.ts-* "$tree.new/"
		mv "$tree.new" "$tree"
	fi
	exec {fd}>&-
}

# sync_tree TREE PATCH...: make TREE the pristine source with the patches, writing
# only files whose content changes: the next build compiles only what they touch.
sync_tree() {
	local tree=$1 scratch f p list rc=0
	shift
	if [[ ! -e $tree/Makefile ]]; then
		need_space "$KDIR" 2048 "a kernel build tree"
		rm -rf "$tree"
		mkdir -p "$(dirname "$tree")"
		# Links, not copies: three trees in the room of one.
		cp -al "$SRC" "$tree.new"
		printf '%s\n' "$VERSION" >"$tree.new/.ts-version"
		mv "$tree.new" "$tree"
	elif [[ $(<"$tree/.ts-version") != "$VERSION" ]]; then
		rm -rf "$tree"
		sync_tree "$tree" "$@"
		return
	fi
	scratch=$KDIR/tree/.scratch.$$
	rm -rf "$scratch"
	mkdir -p "$scratch"
	list=$( ( [[ -e $tree/.ts-touched ]] && cat "$tree/.ts-touched"; touched "$@" ) | LC_ALL=C sort -u)
	while IFS= read -r f; do
		[[ -n $f && -e $SRC/$f ]] || continue
		mkdir -p "$scratch/$(dirname "$f")"
		cp -p "$SRC/$f" "$scratch/$f"
	done <<<"$list"
	for p; do
		# A git repository around the cache would make git look there.
		if ! (cd "$scratch" && GIT_CEILING_DIRECTORIES=$(dirname "$scratch") \
			git apply --whitespace=nowarn "$p") 2>"$KDIR/tree/.apply.log"; then
			say "${p##*/} does not apply to $PACKAGE $VERSION with the patches before it:"
			sed 's/^/  /' "$KDIR/tree/.apply.log" >&2
			rc=1
			break
		fi
	done
	if ((rc == 0)); then
		printf '%s\n' "$list" >"$tree/.ts-touched"
		while IFS= read -r f; do
			[[ -n $f ]] || continue
			if [[ ! -e $scratch/$f ]]; then
				rm -f "$tree/$f"
			elif ! cmp -s "$scratch/$f" "$tree/$f"; then
				put "$scratch/$f" "$tree/$f"
			fi
		done <<<"$list"
		touched "$@" >"$tree/.ts-touched"
	fi
	rm -rf "$scratch"
	return "$rc"
}
