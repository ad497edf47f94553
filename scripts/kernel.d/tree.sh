# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The series as a git tree, and back: edit and export; to be sourced by scripts/kernel.

# git_as TREE ARGUMENT...: git that does not depend on the user's settings.
git_as() {
	local tree=$1
	shift
	git -C "$tree" -c core.autocrlf=false -c core.fileMode=true -c core.checkStat=minimal \
		-c gc.auto=0 -c am.threeWay=false -c am.keepcr=true -c core.hooksPath=/dev/null \
		-c commit.gpgSign=false "$@"
}

# identity: a committer, should the user have none.
identity() {
	git config user.email >/dev/null || {
		export GIT_COMMITTER_NAME=${GIT_COMMITTER_NAME:-tagscope} GIT_COMMITTER_EMAIL=${GIT_COMMITTER_EMAIL:-tagscope@localhost}
	}
}

# base_repo: sets REPO to a bare repository that holds the pristine source as one
# commit, and beside it an index which matches the files of $SRC.
base_repo() {
	REPO=$KDIR/git/$VERSION.git
	[[ -e $REPO/index ]] && return
	lock "$KDIR/git/.lock" "import of the source"
	if [[ ! -e $REPO/index ]]; then
		rm -rf "$REPO.new"
		need_space "$KDIR" 1024 "the source in git"
		timed kernel-import "importing $PACKAGE $VERSION into git" import_base ||
			die "could not import the source into git"
		mv "$REPO.new" "$REPO"
	fi
	unlock
}

import_base() {
	local tree commit
	git init -q --bare "$REPO.new" &&
		export GIT_DIR=$REPO.new &&
		git config core.looseCompression 0 && git config core.checkStat minimal &&
		git config core.autocrlf false &&
		GIT_WORK_TREE=$SRC git_as "$SRC" add -A -f . &&
		tree=$(git write-tree) &&
		commit=$(printf '%s %s\n' "$PACKAGE" "$VERSION" |
			GIT_AUTHOR_NAME=tagscope GIT_AUTHOR_EMAIL=tagscope@localhost GIT_AUTHOR_DATE='1700000000 +0000' \
			GIT_COMMITTER_NAME=tagscope GIT_COMMITTER_EMAIL=tagscope@localhost GIT_COMMITTER_DATE='1700000000 +0000' \
			git commit-tree "$tree") &&
		git update-ref refs/heads/base "$commit" &&
		git -c core.compression=1 -c pack.window=0 -c pack.threads="${JOBS:-0}" repack -adq
	local rc=$?
	unset GIT_DIR
	return "$rc"
}

# new_tree DIR: a git tree in DIR with the base commit checked out, tag "base".
new_tree() {
	local dir=$1
	# The user will write here: copies, no links.
	cp -a --reflink=auto "$SRC/." "$dir/"
	git init -q -b series "$dir"
	printf '%s\n' "$REPO/objects" >"$dir/.git/objects/info/alternates"
	git -C "$dir" config core.checkStat minimal
	git -C "$dir" config gc.auto 0
	printf '%s\n' /out/ /out-debug/ /out-kasan/ /out-vanilla/ /.ts-lock >>"$dir/.git/info/exclude"
	cp "$REPO/index" "$dir/.git/index"
	git -C "$dir" update-ref refs/heads/series "$(git -C "$REPO" rev-parse base)"
	git -C "$dir" tag base
}

cmd_edit() {
	local dir=${1:-$EDIT_DIR} f shown
	[[ $# -le 1 ]] || die_usage "edit takes one folder, not $#"
	[[ ! -e $dir || (-d $dir && -z $(ls -A "$dir")) ]] ||
		die_usage "'$dir' is there already: export and remove it, or name another folder"
	shown=$dir
	tools
	source_version
	series
	base_repo
	mkdir -p "$KDIR/tree"
	need_space "$(dirname "$(realpath -m "$dir")")" 3072 "a kernel tree to work in"
	mkdir -p "$dir" || die_here "cannot make $dir"
	dir=$(realpath "$dir")
	say "making $shown: $PACKAGE $VERSION and ${#PATCHES[@]} patches"
	new_tree "$dir"
	if [[ ${#PATCHES[@]} -gt 0 ]]; then
		identity
		git_as "$dir" am -q "${PATCHES[@]}" >&2 ||
			die "git am stopped in $dir: fix it there, 'git am --continue', then 'scripts/kernel export $shown'"
	fi
	# Start from what is built already. A file is as old as the objects made from
	# it think it is, if its content is the same.
	if exec {LOCK_FD}>"$KDIR/tree/.lock.patched" && flock -n "$LOCK_FD" &&
		[[ -e $KDIR/tree/patched/out/vmlinux.o ]] &&
		sync_tree "$KDIR/tree/patched" "${PATCHES[@]}"; then
		while IFS= read -r f; do
			[[ -e $dir/$f ]] && cmp -s "$dir/$f" "$KDIR/tree/patched/$f" &&
				touch -r "$KDIR/tree/patched/$f" "$dir/$f"
		done < <(touched "${PATCHES[@]}")
		cp -a --reflink=auto "$KDIR/tree/patched/out" "$dir/out"
		rm -f "$dir/out/source"
	fi
	unlock
	git_as "$dir" update-index -q --refresh || true
	cat >&2 <<END
$shown: branch "series", $(git -C "$dir" rev-list --count base..HEAD) commits on the tag "base".
Now:
  change:  edit files in $shown, commit (git commit --fixup=REV, git rebase -i --autosquash base)
  build:   scripts/kernel build --tree $shown
  boot:    scripts/vm --kernel "\$(scripts/kernel build --tree $shown)" -- COMMAND
  finish:  scripts/kernel export $shown, then scripts/kernel check
END
}

cmd_export() {
	local base='' dir='' tmp n f
	while [[ $# -gt 0 ]]; do
		case $1 in
		--base) base=${2:?--base needs a revision}; shift ;;
		--base=*) base=${1#*=} ;;
		-*) die_usage "export: no option '$1'" ;;
		*) [[ -z $dir ]] || die_usage "export takes one folder: '$dir' or '$1'?"
			dir=$1 ;;
		esac
		shift
	done
	dir=${dir:-$EDIT_DIR}
	need_cmd git
	[[ -e $dir/.git ]] || die_usage "'$dir' is no git tree; 'scripts/kernel edit' makes one"
	[[ ! -d $(git -C "$dir" rev-parse --absolute-git-dir)/rebase-apply &&
		! -d $(git -C "$dir" rev-parse --absolute-git-dir)/rebase-merge ]] ||
		die "$dir is in the middle of a rebase or am: finish it first"
	[[ -z $(git -C "$dir" status --porcelain --untracked-files=no) ]] ||
		die "$dir has changes that are not committed: commit or stash them first"
	if [[ -z $base ]]; then
		if git -C "$dir" rev-parse -q --verify refs/tags/base >/dev/null; then
			base=base
		else
			base=$(git -C "$dir" rev-list --max-parents=0 HEAD)
			[[ $base != *$'\n'* ]] || die_usage "$dir has several first commits: say --base REV"
		fi
	fi
	git -C "$dir" merge-base --is-ancestor "$base" HEAD 2>/dev/null ||
		die_usage "HEAD of $dir does not stand on '$base'"
	[[ -z $(git -C "$dir" rev-list --merges "$base"..HEAD) ]] ||
		die "$dir has merge commits since $base: a series has none"
	n=$(git -C "$dir" rev-list --count "$base"..HEAD)
	((n > 0)) || die "$dir has no commit on top of $base: nothing to export"
	tmp=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	git_as "$dir" -c diff.noprefix=false -c diff.mnemonicPrefix=false -c diff.algorithm=myers \
		-c diff.renames=true -c diff.context=3 -c core.abbrev=12 -c core.quotePath=true \
		-c format.subjectPrefix=PATCH -c format.useAutoBase=false -c format.thread=false \
		-c format.notes=false -c format.from=false \
		-c diff.interHunkContext=0 -c format.encodeEmailHeaders=true \
		format-patch -q --zero-commit --no-signature --numbered --cover-letter --cover-from-description=none \
		--stat=72 -M --no-ext-diff --no-textconv --no-attach -O/dev/null -o "$tmp" "$base"..HEAD
	write_cover "$SERIES/$COVER" "$tmp/$COVER" "$n"
	mkdir -p "$SERIES"
	for f in "$SERIES"/[0-9][0-9][0-9][0-9]-*.patch; do
		[[ ! -e $f || -e $tmp/${f##*/} ]] || { rm -f "$f"; say "removed ${f##*/}"; }
	done
	for f in "$tmp"/*.patch; do
		cmp -s "$f" "$SERIES/${f##*/}" && continue
		say "$([[ -e $SERIES/${f##*/} ]] && echo changed || echo new) ${f##*/}"
		cp "$f" "$SERIES/${f##*/}"
	done
	say "$n patches in $SERIES"
	! grep -qsE '\*\*\* (SUBJECT|BLURB) HERE \*\*\*' "$SERIES/$COVER" ||
		say "write the subject and the text of $SERIES/$COVER"
}

# write_cover OLD NEW COUNT: NEW is git's cover letter; give it the headers and the
# text of OLD, if there is one. The text ends where git's list of patches begins.
write_cover() {
	local old=$1 new=$2 count=$3 text tail
	tail=$(awk '!on && /^[^ \t].* \([0-9]+\):$/ { on = 1 } on' "$new")
	if [[ -e $old ]]; then
		text=$(awk '!end && /^[^ \t].* \([0-9]+\):$/ { end = 1 } !end' "$old")
	else
		# git stamps it with the present moment: a date that never changes again.
		text=$(awk '!end && /^[^ \t].* \([0-9]+\):$/ { end = 1 } !end' "$new")
	fi
	text=$(sed -E "1,/^\$/s,^(Subject: \[PATCH[^]]* )?[0-9]+/[0-9]+\],\1$(printf "%0${#count}d" 0)/$count]," <<<"$text")
	printf '%s\n\n%s\n\n' "$text" "$tail" >"$new"
}
