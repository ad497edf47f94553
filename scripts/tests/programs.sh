# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Runs in the machine: ordinary programs, whose C library tags all that they
# allocate, while memory is short. KTAP on stdout.

P=/opt/programs
export LD_LIBRARY_PATH=$P/lib LC_ALL=C
tagged=glibc.mem.tagging=3
n=0 failed=0

result() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n $2"; else echo "not ok $n $2"; failed=1; fi
}

counter() { # NAME: of the summary
	sed -n "s/^$1 //p" /sys/kernel/debug/mte_tag_storage/summary
}

vmstat() { sed -n "s/^$1 //p" /proc/vmstat; }

# The jobs write to stdout what has to be the same, tagged or not. All begin with the same
# numbers, of a generator that needs nothing but integers.
# shellcheck disable=SC2016
numbers='sub rnd { $x = ($x * 1103515245 + 12345) % 2147483648; $x >> 8 } $x = $ARGV[0];'

# A hash that grows, loses every third entry, and grows again; strings of all lengths.
job_hash() {
	# shellcheck disable=SC2016
	"$P/perl" -e "$numbers"'
		for $round (1 .. 3) {
			for (1 .. 4000) {
				$k = rnd(); $h{$k} = [ $k, "v" . "y" x ($k % 160), { $round => $k } ];
			}
			for (sort keys %h) { delete $h{$_} if $_ % 3 == $round - 1 }
			for (values %h) { $_->[1] .= "z" x 40 if $_->[0] % 5 == $round }
		}
		for (sort keys %h) {
			$v = $h{$_}; print "$_ $v->[0] ", length $v->[1], " ", join(",", %{$v->[2]}), "\n";
		}' "$1" | sha256sum
}

# Lines that are sorted in memory.
job_sort() {
	# shellcheck disable=SC2016
	"$P/perl" -e "$numbers"'for (1 .. 40000) { print rnd(), " ", "a" x (rnd() % 40), "\n" }' "$1" |
		"$P/sort" -S 16M -T /nowhere | sha256sum
}

# Compressed and uncompressed again: two programs with large buffers.
job_xz() {
	# shellcheck disable=SC2016
	"$P/perl" -e "$numbers"'for (1 .. 8000) { print rnd() % 1000, "text" x (rnd() % 9), "\n" }' "$1" |
		"$P/xz" -1 -T1 | "$P/xz" -d | sha256sum
}

# A database in memory: two indices, updates, deletions, aggregates.
job_sql() {
	"$P/sqlite3" -batch :memory: "
		create table t (id integer primary key, k integer, v text);
		with recursive c (i, x) as (select 1, $1 union all
			select i + 1, (x * 1103515245 + 12345) % 2147483648 from c where i < 6000)
			insert into t select i, x, printf('%0*d', 20 + x % 90, x) from c;
		create index tk on t (k); create index tv on t (v);
		update t set v = v || 'u' where k % 7 = 1; delete from t where k % 5 = 2;
		select count(*), sum(k), sum(length(v)) from t;
		select k, v from t order by v limit 200;
		pragma integrity_check;" | sha256sum
}

jobs='hash sort xz sql'
seeds='1 2'
set -o pipefail

echo "KTAP version 1"
began=$(date +%s)
# Without tags, one after the other: what has to come out.
for s in $seeds; do
	for j in $jobs; do
		"job_$j" "$s" >"/tmp/want.$j.$s" || echo "Bail out! $j does not run here"
	done
done
# shellcheck disable=SC2086 # words
set -- $jobs
result "$(sort -u /tmp/want.* | wc -l | awk -v k=$(($# * 2)) '{ print $1 != k }')" \
	"without tags the programs run, each with an output of its own"
before_pages=$(counter page_release)

# The library does tag: it notices a use after free, and says so with a signal.
"$P/stale" >/dev/null 2>&1
result $? "a use after free goes unnoticed without tags"
GLIBC_TUNABLES=$tagged "$P/stale" >/dev/null 2>&1
[ $? -eq 139 ]
result $? "it is a tag check fault with glibc.mem.tagging=3"
# shellcheck disable=SC2016
GLIBC_TUNABLES=$tagged "$P/perl" -e 'open F, "/proc/self/smaps"; exit !grep /^VmFlags:.* mt/, <F>'
result $? "the library allocates from tagged memory"
echo "# measure untagged $(($(date +%s) - began)) s"

# Tagged, all at once.
# What is free for anything: most of the rest of free memory takes no kernel data.
free_kib() { awk '/^MemFree/ { f = $2 } /^CmaFree/ { c = $2 } END { print f - c }' /proc/meminfo; }
settle() { sync; echo 1 >/proc/sys/vm/drop_caches; sleep 1; }
began=$(date +%s)
# Memory that cannot be swapped out is in the way: what is left is less than they want.
mkdir -p /tmp/full
mount -t ramfs none /tmp/full || echo "Bail out! no ramfs"
settle
dd if=/dev/zero of=/tmp/full/file bs=1M count=$(($(free_kib) / 1024 - 48)) 2>/dev/null
start=$(counter reserved_pages) out=$(vmstat pswpout) in=$(vmstat pswpin)
pids=
for s in $seeds; do
	for j in $jobs; do
		GLIBC_TUNABLES=$tagged
		export GLIBC_TUNABLES
		"job_$j" "$s" >"/tmp/got.$j.$s" 2>"/tmp/err.$j.$s" &
		pids="$pids $!"
		unset GLIBC_TUNABLES
	done
done
# Beside them, how many pages have tags, until told to stop. How much they want at a time
# depends on how they meet: once they all work, more memory is taken away, until enough of
# theirs was swapped out. Reclaim needs time after each bit, and something to work with:
# else one of the jobs is killed for memory.
(
	most=0 taken=0
	while [ ! -e /tmp/stop ]; do
		r=$(counter reserved_pages)
		[ "$r" -le "$most" ] || most=$r
		if [ "$most" -gt $((start + 4000)) ] && [ "$taken" -lt 16 ] &&
			[ $(($(vmstat pswpout) - out)) -lt 2000 ] && [ "$(free_kib)" -ge 12288 ]; then
			dd if=/dev/zero of="/tmp/full/more.$taken" bs=1M count=2 2>/dev/null
			taken=$((taken + 1))
			sleep 1
		else
			sleep 0.2
		fi
	done
	echo "$most" >/tmp/most
	echo "# measure taken_away $((taken * 2)) MiB"
) &
watcher=$!
# shellcheck disable=SC2086 # words
set -- $pids
for s in $seeds; do
	for j in $jobs; do
		wait "$1"
		status=$?
		shift
		[ "$status" -eq 0 ]
		result $? "$j with seed $s ends well, tagged, with memory short"
		[ "$status" -eq 0 ] || sed 's/^/# /' "/tmp/err.$j.$s"
		cmp -s "/tmp/want.$j.$s" "/tmp/got.$j.$s"
		result $? "$j with seed $s has the same output as without tags"
	done
done
: >/tmp/stop
wait "$watcher"
most=$(cat /tmp/most)
echo "# measure tagged $(($(date +%s) - began)) s"
echo "# measure most_tagged_pages $((most - start)) pages"
echo "# measure tagged_pages_in_all $(($(counter page_release) - before_pages)) pages"
echo "# measure swapped_out $(($(vmstat pswpout) - out)) pages"
echo "# measure swapped_in $(($(vmstat pswpin) - in)) pages"
echo "# measure blocks_emptied $(counter reserve_migrated) blocks"
[ $((most - start)) -gt 2000 ]
result $? "they had more than 2000 tagged pages at a time"
[ $(($(vmstat pswpout) - out)) -gt 500 ]
result $? "more than 500 pages were swapped out meanwhile"
# How many depends on what reclaim chose.
[ $(($(vmstat pswpin) - in)) -gt 0 ]
result $? "and some came back"
umount /tmp/full
# What was being written when its owner ended stays in the swap cache until then.
swapoff -a
for _ in 1 2 3 4 5; do
	settle
	[ "$(counter reserved_pages)" -le "$start" ] && break
done
[ "$(counter reserved_pages)" -le "$start" ]
result $? "at the end no page more has tag storage than before"
[ "$(counter foa_sigbus)" -eq 0 ]
result $? "no access ended in SIGBUS"
rm -f /tmp/want.* /tmp/got.* /tmp/err.* /tmp/stop /tmp/most
echo "1..$n"
exit "$failed"
