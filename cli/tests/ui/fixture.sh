# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A folder like the kernel's, whose files a test changes while the UI runs; to be
# sourced. Files are replaced, never rewritten, so that a reader sees all or nothing.

# fx_summary FILE BLOCKS [KEY VALUE]...: all counters 0 but those named.
fx_summary() {
	local file=$1 blocks=$2
	shift 2
	declare -A v=([version]=1 [policy]=cma [reason]=- [regions]=1 [block_pages]=1
		[blocks]=$blocks [blocks_available]=$blocks)
	while (($#)); do
		v[$1]=$2
		shift 2
	done
	local k keys=(version policy reason generation regions block_pages blocks
		blocks_available blocks_isolating blocks_reserved blocks_permanent
		blocks_unusable blocks_reserved_max reserved_pages reserve_joined reserve_ok
		reserve_migrated reserve_busy release page_release claimed alloc_other_page alloc_searched
		alloc_without foa_set foa_fault foa_replaced foa_replayed foa_sigbus copy_refused
		moved_out pin_moved gather_moved gather_evicted gather_failed gather_held
		gather_blocks gather_runs gather_ns swap_saved swap_zero)
	for k in "${keys[@]}"; do
		echo "$k ${v[$k]:-0}"
	done >"$file.new"
	mv "$file.new" "$file"
}

# fx_block FILE N STATE TAGGED FREE GENERATION: one record, in place.
fx_block() {
	printf '%s %5d %5d %016x.\n' "$3" "$4" "$5" "$6" |
		dd of="$1" bs=32 seek="$2" conv=notrunc status=none
}

# fx_blocks FILE BLOCKS: all free.
fx_blocks() {
	awk -v n="$2" 'BEGIN { for (i = 0; i < n; i++) print "f     0     1 0000000000000000." }' >"$1"
}

FX_BUCKETS='b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21 b22 b23 b24 b25 b26 b27 b28 b29 b30 b31'

# fx_make DIR BLOCKS: a machine with one region and BLOCKS blocks of a page.
fx_make() {
	local d=$1 n=$2
	mkdir -p "$d/switches"
	fx_summary "$d/summary" "$n"
	fx_blocks "$d/blocks" "$n"
	{
		echo "# index tag_base tag_size mem_base mem_size block_size first_block blocks"
		printf '0 0x%x 0x%x 0x40000000 0x%x 4096 0 %d\n' $((0x40000000 + n * 31 * 4096)) \
			$((n * 4096)) $((n * 31 * 4096)) "$n"
	} >"$d/regions"
	echo "# cause outcome count total_ns max_ns $FX_BUCKETS" >"$d/reserve_latency"
	cp "$d/reserve_latency" "$d/replay_latency"
	: >"$d/replay_count"
	: >"$d/lookup"
	: >"$d/tags"
	echo 1 >"$d/switches/replace_data_page"
	echo 1 >"$d/switches/choose_other_page"
	echo 1 >"$d/switches/move_before_pin"
	echo 1 >"$d/switches/gather"
	echo 1000 >"$d/switches/fault_wait_ms"
}

# ---- Processes: what /proc would have, in DIR/proc ------------------------------------------

# fx_words FILE INDEX WORD...: words of 64 bits, in hex, from word INDEX on.
fx_words() {
	local file=$1 at=$2 word bytes
	shift 2
	touch "$file"
	for word; do
		word=$(printf '%016x' "0x$word")
		bytes=
		for ((i = 14; i >= 0; i -= 2)); do bytes+="\\x${word:i:2}"; done
		printf '%b' "$bytes" | dd of="$file" bs=8 seek="$at" conv=notrunc status=none
		at=$((at + 1))
	done
}

# fx_process DIR PID NAME PROGRAM PFN...: it has these page frames mapped, from 0x20000 on.
fx_process() {
	local p=$1/proc/$2
	mkdir -p "$p"
	echo "$3" >"$p/comm"
	ln -sf "$4" "$p/exe"
	printf '00010000-00012000 ---p 00000000 00:00 0\n00020000-00030000 rw-p 00000000 00:00 0 \n' >"$p/maps"
	shift 4
	local words=()
	for pfn; do words+=("$(printf '%x' $(((1 << 63) | pfn)))"); done
	rm -f "$p/pagemap"
	fx_words "$p/pagemap" 32 "${words[@]}"
}
