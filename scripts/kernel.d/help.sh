# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What scripts/kernel says about itself; to be sourced by it.

usage() {
	cat <<END
usage: scripts/kernel COMMAND [ARGUMENT...]

  prepare                    fetch and unpack the kernel source
  build [--config FILE] [--patch FILE] [NAME...]
                             build the kernels NAME: patched (default), vanilla, debug, kasan
  image [--no-build] [--config FILE] [--patch FILE] NAME
                             print the path of the kernel NAME, built if need be
  edit [DIR]                 make DIR a git tree with one commit for each patch
  build --tree DIR [NAME]    build the tree DIR as it is now, with the configuration
                             of NAME, and print the path of the kernel
  export [--base REV] [DIR]  write the commits of DIR since REV to kernel-patch/
  check [--boot] [--variants] [PATCH...]
                             every patch, or those named: applies, checkpatch, builds
                             (and boots) with the option on and off; long, kept
  version | source           print the version of the source; its folder
  clean                      remove the build trees, keep the kernels built
  COMMAND --help             more about it, with examples

DIR is build/linux unless given. Kernels and trees live in the cache, which is
\$TAGSCOPE_CACHE or ~/.cache/tagscope; \$TAGSCOPE_JOBS limits parallel compilers.
END
}

command_help() {
	case $1 in
	prepare) cat <<END
usage: scripts/kernel prepare

Fetch the package $PACKAGE ($PINNED if there is one, else what apt offers) and
unpack it into the cache. The package is not installed. Nothing is fetched when
it is there already; no other command fetches anything else.

  scripts/kernel prepare
END
		;;
	build) cat <<END
usage: scripts/kernel build [--config FILE] [--patch FILE] [NAME...]
       scripts/kernel build [--config FILE] --tree DIR [NAME]

Build kernels NAME: "patched" (the series, default), "vanilla" (without it, same
base configuration), "debug" (the series with lockdep, KASAN and the like) and "kasan"
(the series, and a kernel that tags its own memory: hardware tag-based KASAN). What
is built from the same patches, configuration, compiler and source is not built again.
--config adds a configuration fragment of yours, --patch a patch on top of the series;
both may be repeated.

With --tree, build the git tree DIR as it is now, with what is not committed; only
what changed is compiled. The path of the kernel is printed.

  scripts/kernel build patched vanilla
  scripts/kernel build --config my.config patched
  scripts/kernel build --patch my.patch
  scripts/vm --kernel "\$(scripts/kernel build --tree build/linux)" -- tagscope state
END
		;;
	image) cat <<END
usage: scripts/kernel image [--no-build] [--config FILE] [--patch FILE] NAME

Print the path of the kernel NAME (patched, vanilla, debug, kasan). It is built first if
need be; with --no-build that is status 3 instead. vmlinux, System.map and config
are beside it. --patch adds a patch of yours on top of the series.

  scripts/kernel image --no-build patched
END
		;;
	edit) cat <<END
usage: scripts/kernel edit [DIR]

Make DIR (build/linux) a git tree: the packaged source as its first commit, tagged
"base", and on top of it one commit for each patch, on branch "series". DIR must not
be there yet.

  scripts/kernel edit
  cd build/linux; \$EDITOR mm/page_alloc.c
  scripts/kernel build --tree build/linux
  git commit --fixup=REV && git rebase -i --autosquash base
  scripts/kernel export
END
		;;
	export) cat <<END
usage: scripts/kernel export [--base REV] [DIR]

Write the commits REV..HEAD of DIR as patches to kernel-patch/. REV is the tag
"base" if there is one, else the first commit. In $COVER the text
is yours: edit it there. Export renews only its patch count, and the list of
patches and the diffstat at its end. Same commits give the same bytes.

  scripts/kernel export
  scripts/kernel export --base v6.12.117 ~/linux
END
		;;
	check) cat <<END
usage: scripts/kernel check [--boot] [--variants] [PATCH...]

For every patch of the series (or those whose number or file name is given), with
those before it: git am takes it, checkpatch --strict has nothing to say but what
kernel-patch/checkpatch-known excuses, and the tree builds without a warning with the
option on and with it off. KTAP on stdout.
A result is kept as long as the content it is about is the same, so only what
changed, and what comes after it, takes time: up to some minutes a patch.

  --boot      boot each kernel, too, and run tagscope doctor, the fuzzer and, where there
              is an interface for them, some scenarios in it
  --variants  each also without swap, huge pages, KVM, NUMA, and with pages of 16 and
              64 KiB: kernel-patch/config/variants; hours, if not for single patches

  scripts/kernel check
  scripts/kernel check --boot 3 17
  scripts/kernel check --boot --variants 38
END
		;;
	version | source) cat <<END
usage: scripts/kernel version
       scripts/kernel source

Print the version of the kernel source package, or the folder in which it stands
unpacked (fetched first if need be). Nothing may be written there.
END
		;;
	clean) cat <<END
usage: scripts/kernel clean

Remove the build trees from the cache; they are made anew when needed. Source,
finished kernels and the compiler cache stay.
END
		;;
	*) usage ;;
	esac
}
