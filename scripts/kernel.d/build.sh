# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2153 # variables of the other files
#
# Kernels, built from a tree and kept under a key: prepare, build and image; to be
# sourced by scripts/kernel.

# About how many files a build from nothing compiles, until one has been counted.
OBJECTS_GUESS=1255

# progress WHAT TOTAL: reads make's output and tells on stderr (or $PROGRESS_FD) how
# many files are compiled; prints the count on stdout.
progress() {
	local what=$1 total=$2 fd=${PROGRESS_FD:-2} start=$SECONDS n=0 line el tell next=2 every=15 told=0
	local clear='' end='\n'
	[[ -t $fd ]] && every=1 clear='\r\033[K' end=''
	while IFS= read -r line; do
		[[ $line =~ ^\ \ (CC|AS|LDS|HOSTCC|CPP|HYPCC)[\ \[] ]] && n=$((n + 1))
		el=$((SECONDS - start))
		((el >= next)) || continue
		next=$((el + every)) told=1
		((n <= total || total == 0)) || total=$n
		tell="$n${total:+ of about $total} files compiled, $(duration "$el")"
		((n > 50 && n < total)) && tell+=", about $(duration $((el * (total - n) / n))) still"
		# shellcheck disable=SC2059
		printf "$clear%s: %s: %s$end" "$TS_NAME" "$what" "$tell" >&"$fd"
	done
	if ((told)); then
		# shellcheck disable=SC2059
		printf "$clear%s: %s: %d files compiled, %s\n" "$TS_NAME" "$what" "$n" \
			"$(duration $((SECONDS - start)))" >&"$fd"
	fi
	printf '%d\n' "$n"
}

# compile TREE OUT NAME WHAT: the kernel, with progress. The log is OUT/.ts-log.
compile() {
	local tree=$1 out=$2 name=$3 what=$4 total='' count fresh=0 rc=0
	local known=$KDIR/objects.$name log=$out/.ts-log
	mkdir -p "$out"
	if [[ ! -e $out/vmlinux.o ]]; then
		fresh=1
		total=$OBJECTS_GUESS
		[[ -r $known ]] && total=$(<"$known")
	fi
	configure "$tree" "$out" "$name" || return 1
	count=$(kmake "$tree" "$out" -j"${JOBS:-$(nproc)}" Image 2>&1 | tee "$log" | progress "$what" "$total") || rc=$?
	if ((rc)); then
		say "$what: failed; the first errors of $log:"
		(grep -E -m 12 '(error|fatal|undefined reference|multiple definition|No rule to make|No space left|\*\*\*)' \
			"$log" || tail -n 12 "$log") | sed 's/^/  /' >&2
		grep -q 'No space left' "$log" && die_here "no room left in $KDIR: free some, or set TAGSCOPE_CACHE"
		return 1
	fi
	((fresh == 0)) || printf '%s\n' "$count" >"$known"
}

# compiler: the words that tell one compiler from another.
compiler() {
	"${CROSS}gcc" --version | head -n 1
	"${CROSS}ld" --version | head -n 1
}

# image_key NAME: the key of the kernel NAME; needs tools, source_version, series.
image_key() {
	local frags
	mapfile -t frags < <(fragments "$1")
	{
		printf '%s\n' "recipe $RECIPE" "$VERSION" "$1"
		compiler
		cat "${frags[@]}"
		[[ $1 == vanilla ]] || diffs "${PATCHES[@]}"
	} | sha256sum | cut -c1-16
}

check_name() {
	case $1 in
	patched | vanilla | debug | kasan) ;;
	*) die_usage "no kernel is called '$1': patched, vanilla, debug or kasan" ;;
	esac
}

check_config() {
	[[ -r $1 ]] || die_usage "cannot read the configuration fragment '$1'"
	EXTRA_CONFIG+=("$(realpath "$1")")
}

check_patch() {
	[[ -f $1 && -r $1 ]] || die_usage "cannot read the patch '$1'"
	EXTRA_PATCHES+=("$(realpath "$1")")
}

# make_image NAME DEST: build it and put it into DEST.
make_image() {
	local name=$1 dest=$2 tree=$KDIR/tree/$1 patches=("${PATCHES[@]}") what="the $1 kernel"
	[[ $name == vanilla ]] && patches=()
	if [[ ${#EXTRA_PATCHES[@]} -gt 0 ]]; then
		# In a tree of its own: the next build of the series finds its objects.
		tree+=-plus
		what+=" with ${EXTRA_PATCHES[*]##*/}"
	fi
	lock "$KDIR/tree/.lock.${tree##*/}" "build of $what"
	if [[ ! -e $dest ]]; then
		# Most objects are the same as without them.
		[[ ${#EXTRA_PATCHES[@]} -eq 0 || -e $tree ]] || seed "$tree" "$KDIR/tree/$name"
		sync_tree "$tree" "${patches[@]}" || exit 1
		need_space "$KDIR" 1024 "building $what"
		# In a folder of the tree all paths are relative, the same for every tree,
		# which lets the compiler cache find what another tree compiled.
		BUILD_HOST=${dest##*-} compile "$tree" "$tree/out" "$name" "building $what" || exit 1
		store "$tree/out" "$dest"
	fi
	unlock
}

store() { # OUT DEST
	local tmp=$KDIR/image/.new.$$
	rm -rf "$tmp"
	mkdir -p "$tmp"
	cp "$1/arch/arm64/boot/Image" "$1/vmlinux" "$1/System.map" "$tmp/"
	cp "$1/.config" "$tmp/config"
	rm -rf "$2"
	mv "$tmp" "$2"
	prune
}

# prune: keep the newest kernels, and all that are younger than three days.
prune() {
	local d
	find "$KDIR/image" -mindepth 1 -maxdepth 1 -type d -mtime +2 -printf '%T@ %p\n' |
		sort -rn | tail -n +12 | cut -d' ' -f2- |
		while IFS= read -r d; do rm -rf "$d"; done
}

# image_dir NAME: sets DIR to the folder of the kernel NAME, whether there or not.
image_dir() {
	[[ $1 != vanilla || ${#EXTRA_PATCHES[@]} -eq 0 ]] ||
		die_usage "--patch is for kernels with the series, not for vanilla"
	DIR=$KDIR/image/$1-$(image_key "$1")
}

cmd_prepare() {
	[[ $# -eq 0 ]] || die_usage "prepare takes no argument: '$1'"
	tools
	source_version
	series
	[[ ${#PATCHES[@]} -eq 0 ]] || {
		lock "$KDIR/tree/.lock.patched" "build of the patched kernel"
		sync_tree "$KDIR/tree/patched" "${PATCHES[@]}" || exit 1
		unlock
	}
	say "$PACKAGE $VERSION is in $SRC, ${#PATCHES[@]} patches apply"
}

cmd_build() {
	local names=() n tree=''
	while [[ $# -gt 0 ]]; do
		case $1 in
		--config) check_config "${2:?--config needs a file}"; shift ;;
		--config=*) check_config "${1#*=}" ;;
		--patch) check_patch "${2:?--patch needs a file}"; shift ;;
		--patch=*) check_patch "${1#*=}" ;;
		--tree) tree=${2:?--tree needs a folder}; shift ;;
		--tree=*) tree=${1#*=} ;;
		-*) die_usage "build: no option '$1'" ;;
		*) check_name "$1"; names+=("$1") ;;
		esac
		shift
	done
	[[ ${#names[@]} -gt 0 ]] || names=(patched)
	if [[ -n $tree ]]; then
		[[ ${#EXTRA_PATCHES[@]} -eq 0 ]] || die_usage "build --tree builds what is there: commit '${EXTRA_PATCHES[0]}' to it"
		[[ ${#names[@]} -eq 1 ]] || die_usage "build --tree builds one kernel, not ${#names[@]}"
		build_tree "$tree" "${names[0]}"
		return
	fi
	tools
	source_version
	series
	for n in "${names[@]}"; do
		image_dir "$n"
		[[ -e $DIR ]] || make_image "$n" "$DIR"
		say "$n: $DIR/Image"
	done
}

build_tree() {
	local tree=$1 name=$2 out
	[[ -f $tree/Kconfig && -d $tree/arch/arm64 ]] || die_usage "no kernel tree: '$tree'; 'scripts/kernel edit' makes one"
	tree=$(realpath "$tree")
	tools
	case $tree in *[[:space:]:]*) die_here "the kernel cannot be built in a folder with spaces or colons: $tree" ;; esac
	out=$tree/out
	[[ $name == patched ]] || out=$tree/out-$name
	need_space "$tree" 1024 "building the tree"
	lock "$tree/.ts-lock" "build of this tree"
	compile "$tree" "$out" "$name" "building $tree" || exit 1
	unlock
	printf '%s\n' "$out/arch/arm64/boot/Image"
}

cmd_image() {
	local build=1 name=''
	while [[ $# -gt 0 ]]; do
		case $1 in
		--no-build) build=0 ;;
		--config) check_config "${2:?--config needs a file}"; shift ;;
		--config=*) check_config "${1#*=}" ;;
		--patch) check_patch "${2:?--patch needs a file}"; shift ;;
		--patch=*) check_patch "${1#*=}" ;;
		-*) die_usage "image: no option '$1'" ;;
		*) [[ -z $name ]] || die_usage "image: one name, not '$name' and '$1'"
			check_name "$1"; name=$1 ;;
		esac
		shift
	done
	[[ -n $name ]] || die_usage "image: which one? patched, vanilla, debug or kasan"
	if ((${#EXTRA_CONFIG[@]} + ${#EXTRA_PATCHES[@]} == 0)) && recall_image "$name"; then
		printf '%s\n' "$ANSWER"
		return
	fi
	tools
	if ((build == 0)) && [[ -z $(cached_version) ]]; then
		die_here "the $name kernel is not built: scripts/kernel build $name"
	fi
	source_version
	series
	image_dir "$name"
	if [[ ! -e $DIR ]]; then
		((build)) || die_here "the $name kernel is not built: scripts/kernel build $name"
		make_image "$name" "$DIR"
	fi
	((${#EXTRA_CONFIG[@]} + ${#EXTRA_PATCHES[@]})) || remember "$DIR/Image"
	printf '%s\n' "$DIR/Image"
}

# recall_image NAME: what its key is made of looks as it did when ANSWER was its path.
recall_image() {
	local compilers
	compilers=$(type -P aarch64-linux-gnu-gcc aarch64-linux-gnu-ld gcc ld) || true
	# shellcheck disable=SC2086 # several paths, of programs
	recall "image-$1" "" "$TS_TOP"/scripts/{kernel,kernel.d,lib.sh} "$SERIES" "$KDIR"/src/*/Makefile $compilers
}
