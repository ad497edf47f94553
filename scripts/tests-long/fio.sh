# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# In the machine: fio.sh SECONDS. fio writes files and verifies them, again and again, while
# memory is short, so that copies of the files are made and read, and while tagged memory
# takes the pages with copies. KTAP on stdout.

P=/opt/fio
export LD_LIBRARY_PATH=$P/lib
seconds=$1
n=0 failed=0 verified=0 errors=0

result() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n $2"; else echo "not ok $n $2"; failed=1; fi
}

vmstat() { awk -v k="cleancache_$1" '$1 == k { print $2 }' /proc/vmstat; }

disk=$(grep -l '^tagscope-' /sys/block/*/serial | cut -d/ -f4)
mkdir -p /mnt/disk /mnt/full
remount() {
	umount /mnt/disk 2>/dev/null
	mount "/dev/$disk" /mnt/disk || { echo "Bail out! cannot mount $disk"; exit 1; }
}

# jobs ROUND MIB RW ORDER: what is written, or read, to a file of its own each. What a byte
# has to be follows from the round, the file, and where it is: content of another round,
# file or place is wrong. No length of a pattern, 8 bytes of it for the offset, divides a
# page. Blocks of several sizes have to be read as they were written, the others in
# any order: always the same would be the worst for a cache that is too small.
jobs() {
	name=$(printf %06d "$1")
	cat <<-JOBS
		[global]
		directory=/mnt/disk
		filename_format=\$jobname
		size=$2m
		thread=1
		randrepeat=0
		invalidate=0
		verify=pattern
		verify_fatal=1
		[buffered]
		ioengine=psync
		rw=$3
		randseed=$4
		bs=4k
		verify_pattern="${name}buffered-"%o
		[mapped]
		ioengine=mmap
		rw=$3
		randseed=$4
		bs=4k
		verify_pattern="${name}mapped---"%o
		[direct]
		ioengine=libaio
		iodepth=8
		direct=1
		rw=$3
		randseed=$4
		bs=8k
		verify_pattern="${name}direct---"%o
		[sizes]
		ioengine=psync
		rw=randwrite
		randseed=$1
		bssplit=4k/50:16k/30:64k/20
		verify_pattern="${name}sizes----"%o
	JOBS
}

# fio OPTION...: the KiB that it read are in $read.
fio() {
	status=0
	"$P/fio" --minimal "$@" >/tmp/out 2>/tmp/err || status=$?
	read=$(awk -F';' '{ n += $6; e += ($5 != 0) } END { print n + 0; exit e != 0 }' /tmp/out) || status=1
}

write() { # ROUND
	jobs "$1" $mib randwrite "$1" >/tmp/jobs
	fio --do_verify=0 /tmp/jobs
	[ "$status" -ne 0 ] || return 0
	errors=$((errors + 1))
	echo "# round $1: cannot write: status $status"
	sed 's/^/# /' /tmp/err
	return 1
}

# The file that O_DIRECT wrote is read through the page cache, too, and with "direct" all are
# read by O_DIRECT.
order=0
read_all() { # ROUND [direct]
	order=$((order + 1))
	jobs "$1" $mib randread $order | sed 's/^direct=1//' >/tmp/jobs
	[ -z "${2:-}" ] || sed -i 's/^ioengine=.*/ioengine=psync/; s/^thread=1/&\ndirect=1/' /tmp/jobs
	fio --verify_only=1 /tmp/jobs
}

# verify ROUND WHEN [direct]: all that the round has written has to be right.
verify() {
	read_all "$1" "${3:-}"
	verified=$((verified + read))
	[ "$status" -ne 0 ] || [ "$read" -ne $((mib * 4 * 1024)) ] || return 0
	errors=$((errors + 1))
	echo "# round $1, $2: status $status, $read KiB read"
	grep -v '^fio: pid' /tmp/err | head -n 20 | sed 's/^/# /'
	return 1
}

echo "KTAP version 1"
remount

# That it can fail, with little data: another byte, and what another round has written.
mib=2
write 1 && verify 1 "at once"
result $? "what was just written is right"
cp /mnt/disk/buffered /tmp/whole
at=$((mib * 1024 * 1024 * 2 / 3))
dd if=/tmp/whole bs=1 skip=$at count=1 2>/dev/null | tr '\000-\377' '\001-\377\000' |
	dd of=/mnt/disk/buffered bs=1 seek=$at conv=notrunc 2>/dev/null
[ "$(cmp -l /tmp/whole /mnt/disk/buffered | wc -l)" -eq 1 ] || echo "Bail out! no byte was changed"
read_all 1
wrong=$(awk -F';' '$5 == 84 { printf "%s ", $3 }' /tmp/out)
[ "$wrong" = "buffered " ]
result $? "one byte that was changed is noticed, in its file"
grep -v '^fio: pid' /tmp/err | head -n 3 | sed 's/^/# /'
cat /tmp/whole >/mnt/disk/buffered
read_all 2
[ "$(awk -F';' '$5 == 84' /tmp/out | wc -l)" -eq 4 ]
result $? "content of another round is noticed, in each file"
verified=0

# Files that do not quite fit into memory and copies together.
mib=18
mount -t ramfs none /mnt/full
echo 3 >/proc/sys/vm/drop_caches
available=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
dd if=/dev/zero of=/mnt/full/file bs=1M count=$((available - 48)) 2>/dev/null
store=$(vmstat store) hit=$(vmstat hit) recall=$(vmstat recall) invalid=$(vmstat invalidate)
"$P/tags" 8 >/tmp/tags 2>&1 &
tags=$!
end=$(($(date +%s) + seconds)) round=10
while [ "$(date +%s)" -lt $end ] && [ $errors -eq 0 ]; do
	round=$((round + 1))
	# At once: copies of what the round before has written must be gone.
	write "$round" || break
	verify "$round" "after writing" || break
	remount
	verify "$round" "mounted anew" || break
	verify "$round" "mounted anew, again" || break
done
# If that was wrong: is it on the disk, or was it in memory?
verify "$round" "with O_DIRECT" direct
kill -TERM $tags
wait $tags
tags_status=$?
hit=$(($(vmstat hit) - hit)) recall=$(($(vmstat recall) - recall))
echo "# measure rounds $((round - 10))"
echo "# measure verified $((verified * 1024)) bytes"
echo "# measure verify_errors $errors"
echo "# measure copies_made $(($(vmstat store) - store)) pages"
echo "# measure copies_hit $hit pages"
echo "# measure copies_recalled $recall pages"
echo "# measure copies_dropped $(($(vmstat invalidate) - invalid)) pages"
echo "# measure tagged $(cut -d' ' -f1 /tmp/tags) pages"
[ $errors -eq 0 ] && [ "$round" -gt 11 ]
result $? "all that fio verified is what it wrote, in more than one round"
[ "$hit" -gt 1000 ]
result $? "copies were read meanwhile"
[ "$recall" -gt 100 ]
result $? "tagged memory took pages with copies meanwhile"
result $tags_status "tagged memory kept its data and tags"
umount /mnt/disk
result $? "the file system can be unmounted"
echo "1..$n"
exit $failed
