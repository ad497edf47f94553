// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/recall-storm.c: tags take copies of files that are changed at random meanwhile.
 *
 * Each file is changed by one process, which knows each byte it should have (its mirror)
 * and looks at it, cached and with O_DIRECT. Others have the files reclaimed, so that copies
 * are made and read back, and want the pages that hold copies: programs with tagged memory,
 * and, on a kernel that tags its own memory, interrupts.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/trace.h"
#include "scenario/area.h"
#include "scenario/disk.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define MAX_FILES 8
#define MAX_TAGGERS 4
#define PATIENCE_MS 120000
/* Of what a single operation changes, in bytes. */
#define MAX_CHANGE ((size_t)64 << 10)
/* O_DIRECT wants offsets and lengths to be multiples of this. */
#define SECTOR ((size_t)512)

/* In memory that all processes share. */
struct storm {
	bool stop;
	size_t max;		/* bytes that a file has at most */
	unsigned int files;
	bool reflink;		/* the file system has it */
	struct mirror {
		char *want;	/* max bytes; zeroes after the end of the file */
		size_t size;
		uint64_t ops, checked, wrong;
		uint64_t seed, written;	/* of the patterns that are written */
	} mirror[MAX_FILES];
	uint64_t reclaims, tagged, tagged_wrong, pings, maps;
};

struct job {
	struct storm *s;
	unsigned int nr;
};

static void path_of(unsigned int nr, char path[64])
{
	snprintf(path, 64, DISK_DIR "/storm-%u", nr);
}

static bool stopped(const struct storm *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

/* ---- Who changes a file ------------------------------------------------------------ */

#define HISTORY 12

struct changer {
	struct run *r;
	struct storm *s;
	struct mirror *m;
	char path[64];
	int fd, direct;
	char *buf;			/* storm.max bytes, for O_DIRECT, too */
	const char *op;
	uint64_t done;			/* operations that changed something, or tried to */
	char history[HISTORY][80];	/* of what was done last */
};

/* A range of at most max bytes, of multiples of unit, that ends at limit or before. */
struct range {
	size_t at, len;
};

static struct range range(struct changer *c, size_t limit, size_t unit, size_t max)
{
	static const size_t usual[] = { 16, 512, 4096, 16384, MAX_CHANGE };
	size_t most = usual[rnd_below(c->r, sizeof(usual) / sizeof(usual[0]))];
	struct range g = { 0, 0 };

	if (most > max)
		most = max;
	if (most < unit)
		most = unit;
	if (limit < unit)
		return g;
	g.at = rnd_below(c->r, limit / unit) * unit;
	g.len = (rnd_below(c->r, most / unit) + 1) * unit;
	if (g.len > limit - g.at)
		g.len = (limit - g.at) / unit * unit;
	return g;
}

static void remember(struct changer *c, struct range g, size_t other)
{
	snprintf(c->history[c->done++ % HISTORY], sizeof(c->history[0]),
		 "%s at %zu, %zu bytes, %zu; size was %zu", c->op, g.at, g.len, other, c->m->size);
}

static void fresh(struct changer *c, size_t len)
{
	size_t ps = page_size();

	for (size_t i = 0; i < len; i += ps)
		pattern_fill(c->buf + i, ps, c->m->seed, ++c->m->written);
}

static void grown(struct changer *c, size_t end)
{
	if (c->m->size < end)
		c->m->size = end;
}

static void changed(struct changer *c, struct range g)
{
	memcpy(c->m->want + g.at, c->buf, g.len);
	grown(c, g.at + g.len);
}

static void zeroed(struct changer *c, struct range g)
{
	memset(c->m->want + g.at, 0, g.len);
}

static void write_at(struct changer *c, int fd, struct range g)
{
	ssize_t n = pwrite(fd, c->buf, g.len, (off_t)g.at);

	if (n != (ssize_t)g.len)
		bail_errno(c->r, "%s of %zu bytes at %zu of %s gave %zd", c->op, g.len, g.at,
			   c->path, n);
}

static void op_write(struct changer *c)
{
	struct range g = range(c, c->s->max, 1, MAX_CHANGE);

	remember(c, g, 0);
	fresh(c, g.len);
	write_at(c, c->fd, g);
	changed(c, g);
}

static void op_write_direct(struct changer *c)
{
	struct range g = range(c, c->s->max, SECTOR, MAX_CHANGE);

	remember(c, g, 0);
	fresh(c, g.len);
	write_at(c, c->direct, g);
	changed(c, g);
}

/* The pages of a range, mapped; *at is where it begins. The caller unmaps. */
static char *map_range(struct changer *c, struct range g, int prot, char **at, size_t *len)
{
	size_t first = g.at & ~(page_size() - 1);
	char *p;

	*len = (g.at + g.len - first + page_size() - 1) & ~(page_size() - 1);
	p = mmap(NULL, *len, prot, MAP_SHARED, c->fd, (off_t)first);
	if (p == MAP_FAILED)
		bail_errno(c->r, "mmap of %s", c->path);
	*at = p + (g.at - first);
	return p;
}

static void op_write_mapped(struct changer *c)
{
	struct range g = range(c, c->m->size, 1, MAX_CHANGE);
	char *p, *at;
	size_t len;

	if (!g.len)
		return;
	remember(c, g, 0);
	fresh(c, g.len);
	p = map_range(c, g, PROT_READ | PROT_WRITE, &at, &len);
	memcpy(at, c->buf, g.len);
	munmap(p, len);
	changed(c, g);
}

static void op_truncate(struct changer *c)
{
	size_t size = rnd_below(c->r, c->s->max + 1);

	remember(c, (struct range){ 0, 0 }, size);
	if (ftruncate(c->fd, (off_t)size))
		bail_errno(c->r, "ftruncate of %s", c->path);
	if (size < c->m->size)
		zeroed(c, (struct range){ size, c->m->size - size });
	c->m->size = size;
}

static void allocate(struct changer *c, int mode, struct range g)
{
	remember(c, g, (size_t)mode);
	if (fallocate(c->fd, mode, (off_t)g.at, (off_t)g.len))
		bail_errno(c->r, "fallocate(%d) at %zu, %zu bytes, of %s with %zu", mode, g.at,
			   g.len, c->path, c->m->size);
}

static void op_allocate(struct changer *c)
{
	struct range g = range(c, c->s->max, 1, MAX_CHANGE);

	allocate(c, 0, g);
	grown(c, g.at + g.len);
}

static void op_punch(struct changer *c)
{
	struct range g = range(c, c->s->max, 1, MAX_CHANGE);

	allocate(c, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, g);
	zeroed(c, g);
}

static void op_zero(struct changer *c)
{
	struct range g = range(c, c->s->max, 1, MAX_CHANGE);

	allocate(c, FALLOC_FL_ZERO_RANGE, g);
	zeroed(c, g);
	grown(c, g.at + g.len);
}

static void op_collapse(struct changer *c)
{
	struct range g = range(c, c->m->size, page_size(), MAX_CHANGE);
	char *want = c->m->want;

	/* It may not reach the end of the file. */
	if (!g.len || g.at + g.len >= c->m->size)
		return;
	allocate(c, FALLOC_FL_COLLAPSE_RANGE, g);
	memmove(want + g.at, want + g.at + g.len, c->m->size - g.at - g.len);
	c->m->size -= g.len;
	zeroed(c, (struct range){ c->m->size, g.len });
}

static void op_insert(struct changer *c)
{
	struct range g = range(c, c->m->size, page_size(), MAX_CHANGE);
	char *want = c->m->want;

	if (!g.len || c->m->size + g.len > c->s->max)
		return;
	allocate(c, FALLOC_FL_INSERT_RANGE, g);
	memmove(want + g.at + g.len, want + g.at, c->m->size - g.at);
	c->m->size += g.len;
	zeroed(c, g);
}

/* A part of the file is shared with another part of it. */
static void op_reflink(struct changer *c)
{
	struct range g = range(c, c->m->size, page_size(), MAX_CHANGE);
	struct file_clone_range arg;
	size_t to;

	if (!g.len || !c->s->reflink)
		return;
	to = rnd_below(c->r, (c->s->max - g.len) / page_size() + 1) * page_size();
	if (to < g.at + g.len && g.at < to + g.len)
		return;
	remember(c, g, to);
	arg = (struct file_clone_range){
		.src_fd = c->fd, .src_offset = g.at, .src_length = g.len, .dest_offset = to,
	};
	if (ioctl(c->fd, FICLONERANGE, &arg))
		bail_errno(c->r, "FICLONERANGE of %s", c->path);
	memcpy(c->m->want + to, c->m->want + g.at, g.len);
	grown(c, to + g.len);
}

static void op_sync(struct changer *c)
{
	remember(c, (struct range){ 0, 0 }, 0);
	if (fsync(c->fd))
		bail_errno(c->r, "fsync of %s", c->path);
}

static void op_dontneed(struct changer *c)
{
	remember(c, (struct range){ 0, 0 }, 0);
	bail_if_error(c->r, -posix_fadvise(c->fd, 0, 0, POSIX_FADV_DONTNEED),
		      "POSIX_FADV_DONTNEED");
}

static void open_file(struct changer *c, int flags)
{
	c->fd = open(c->path, O_RDWR | O_CLOEXEC | flags, 0600);
	c->direct = open(c->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (c->fd < 0 || c->direct < 0)
		bail_errno(c->r, "%s", c->path);
}

static void close_file(struct changer *c)
{
	close(c->fd);
	close(c->direct);
}

/* Another file takes its name. */
static void op_rename(struct changer *c)
{
	size_t size = rnd_below(c->r, c->s->max / SECTOR) * SECTOR;
	struct range all = { 0, size };
	char name[64];

	remember(c, all, 0);
	memcpy(name, c->path, sizeof(name));
	snprintf(c->path + strlen(c->path), sizeof(c->path) - strlen(c->path), ".new");
	close_file(c);
	open_file(c, O_CREAT | O_TRUNC);
	fresh(c, size);
	write_at(c, rnd_below(c->r, 2) ? c->fd : c->direct, all);
	if (rename(c->path, name))
		bail_errno(c->r, "rename to %s", name);
	memcpy(c->path, name, sizeof(name));
	zeroed(c, (struct range){ 0, c->m->size });
	c->m->size = 0;
	changed(c, all);
}

static void note_history(const struct changer *c)
{
	for (uint64_t i = c->done > HISTORY ? c->done - HISTORY : 0; i < c->done; i++)
		note(c->r, "before: %s", c->history[i % HISTORY]);
}

static uint64_t word_at(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* 24 bytes at @p: which file were they written to since it was opened, and when? */
static void note_origin(struct changer *c, const char *p)
{
	for (unsigned int nr = 0; nr < c->s->files; nr++) {
		const struct mirror *m = &c->s->mirror[nr];

		/* A write may begin anywhere. */
		for (size_t shift = 0; shift < 8; shift++) {
			uint64_t id = pattern_find(p + shift, m->seed, m->written);

			if (!id)
				continue;
			note(c->r, "that is of page %" PRIu64 " of %" PRIu64
			     " written to file %u", id, m->written, nr);
			return;
		}
	}
	note(c->r, "that was not written to any of these files since they were opened");
}

/* Is it the page cache, or memory of this program, or the disk? */
static void note_again(struct changer *c, size_t at)
{
	static const struct {
		bool direct;
		const char *how;
	} reads[] = { { false, "cached" }, { true, "with O_DIRECT" }, { false, "cached" } };
	size_t ps = page_size(), first = at / ps * ps, n = c->m->size - first;
	char *p = mmap(NULL, ps, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);

	if (p == MAP_FAILED)
		bail_errno(c->r, "a locked page");
	if (n > ps)
		n = ps;
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		if (pread(reads[i].direct ? c->direct : c->fd, p, ps, (off_t)first) < (ssize_t)n)
			bail_errno(c->r, "read of %s", c->path);
		note(c->r, "the page read again, %s, into locked memory: %s", reads[i].how,
		     memcmp(p, c->m->want + first, n) ? "wrong" : "right");
	}
	munmap(p, ps);
}

/* What was got of a range, against what it should be. */
static void compare(struct changer *c, struct range g, const char *got, const char *how)
{
	const char *want = c->m->want + g.at;
	size_t first = 0, last, n = 0;

	count(&c->m->checked, g.len);
	if (!memcmp(got, want, g.len))
		return;
	while (got[first] == want[first])
		first++;
	last = first;
	for (size_t i = first; i < g.len; i++) {
		if (got[i] != want[i]) {
			last = i;
			n++;
		}
	}
	note(c->r, "%s, %s: %zu bytes from %zu to %zu are wrong", c->path, how, n, g.at + first,
	     g.at + last);
	note(c->r, "the first is 0x%02x, and should be 0x%02x; operation %" PRIu64,
	     (unsigned char)got[first], (unsigned char)want[first], c->m->ops);
	/* A pattern is words of 8 bytes; tags are bytes of two each. */
	for (size_t i = first; i < last && i < first + 64; i += 16)
		note(c->r, "at %zu: %016" PRIx64 " %016" PRIx64, g.at + i, word_at(got + i),
		     word_at(got + i + 8));
	if (c->m->wrong++)
		return;
	if (last - first > 32)
		note_origin(c, got + first);
	/* What was mapped may lie after the end. */
	if (g.at + first < c->m->size)
		note_again(c, g.at + first);
	note_history(c);
}

static void read_at(struct changer *c, int fd, struct range g)
{
	ssize_t n = pread(fd, c->buf, g.len, (off_t)g.at);

	/* O_DIRECT reads whole sectors, and a file may end within one. */
	if (n < 0 || (size_t)n < (g.at + g.len > c->m->size ? c->m->size - g.at : g.len))
		bail_errno(c->r, "read of %zu bytes at %zu of %s, which has %zu, gave %zd", g.len,
			   g.at, c->path, c->m->size, n);
}

static void check(struct changer *c, struct range g)
{
	if (!g.len)
		return;
	read_at(c, c->fd, g);
	compare(c, g, c->buf, "read");
}

/* g.at is that of a sector. */
static void check_direct(struct changer *c, struct range g)
{
	size_t end = g.at + g.len;

	if (!g.len)
		return;
	g.len = (g.len + SECTOR - 1) / SECTOR * SECTOR;
	read_at(c, c->direct, g);
	g.len = end - g.at;
	compare(c, g, c->buf, "read with O_DIRECT");
}

static void op_check(struct changer *c)
{
	check(c, range(c, c->m->size, 1, MAX_CHANGE));
}

static void op_check_direct(struct changer *c)
{
	check_direct(c, range(c, c->m->size, SECTOR, MAX_CHANGE));
}

/* To the end of its last page, where there are zeroes after the end of the file. */
static void op_check_mapped(struct changer *c)
{
	struct range g = range(c, c->m->size, 1, MAX_CHANGE);
	size_t len;
	char *p, *at;

	if (!g.len)
		return;
	p = map_range(c, g, PROT_READ, &at, &len);
	g.len = len - (size_t)(at - p);
	compare(c, g, at, "mapped");
	munmap(p, len);
}

static void check_all(struct changer *c)
{
	struct range all = { 0, c->m->size };
	struct stat st;

	if (fstat(c->fd, &st))
		bail_errno(c->r, "fstat");
	if ((size_t)st.st_size != c->m->size) {
		note(c->r, "%s has %zu bytes, and should have %zu", c->path, (size_t)st.st_size,
		     c->m->size);
		c->m->wrong++;
		return;
	}
	check(c, all);
	check_direct(c, all);
	check(c, all);
}

/* All of it is reclaimed, if it can be, so that copies are made; and read. */
static void op_reclaim(struct changer *c)
{
	struct range all = { 0, c->m->size };
	size_t len;
	char *p, *at;

	if (!all.len)
		return;
	remember(c, all, 0);
	if (fsync(c->fd))
		bail_errno(c->r, "fsync of %s", c->path);
	p = map_range(c, all, PROT_READ, &at, &len);
	if (madvise(p, len, MADV_POPULATE_READ) || madvise(p, len, MADV_PAGEOUT))
		bail_errno(c->r, "reclaim of %s", c->path);
	munmap(p, len);
	if (rnd_below(c->r, 2))
		check_all(c);
}

static const struct op {
	const char *name;
	void (*run)(struct changer *c);
	unsigned int weight;
} ops[] = {
	{ "write", op_write, 4 },
	{ "direct write", op_write_direct, 4 },
	{ "mapped write", op_write_mapped, 4 },
	{ "truncate", op_truncate, 1 },
	{ "allocate", op_allocate, 1 },
	{ "punch", op_punch, 2 },
	{ "zero", op_zero, 1 },
	{ "collapse", op_collapse, 1 },
	{ "insert", op_insert, 2 },
	{ "reflink", op_reflink, 2 },
	{ "rename", op_rename, 1 },
	{ "sync", op_sync, 1 },
	{ "dontneed", op_dontneed, 1 },
	{ "reclaim", op_reclaim, 3 },
	{ "check", op_check, 6 },
	{ "direct check", op_check_direct, 3 },
	{ "mapped check", op_check_mapped, 3 },
};

static const struct op *choose_op(struct changer *c)
{
	unsigned int sum = 0, pick;
	size_t i;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		sum += ops[i].weight;
	pick = (unsigned int)rnd_below(c->r, sum);
	for (i = 0; pick >= ops[i].weight; i++)
		pick -= ops[i].weight;
	return &ops[i];
}

static struct changer changer_new(struct run *r, struct storm *s, unsigned int nr)
{
	struct changer c = { .r = r, .s = s, .m = &s->mirror[nr], .op = "open" };
	void *buf;

	c.m->seed = rnd(r);
	c.m->written = 0;
	if (posix_memalign(&buf, page_size(), s->max + page_size()))
		bail(r, "out of memory");
	c.buf = buf;
	path_of(nr, c.path);
	open_file(&c, 0);
	return c;
}

static void changer_free(struct changer *c)
{
	close_file(c);
	free(c->buf);
}

static void changer_run(struct run *r, void *arg)
{
	const struct job *job = arg;
	struct changer c = changer_new(r, job->s, job->nr);

	while (!stopped(job->s) && !c.m->wrong) {
		const struct op *op = choose_op(&c);

		c.op = op->name;
		op->run(&c);
		c.m->ops++;
	}
	if (!c.m->wrong)
		check_all(&c);
	changer_free(&c);
}

/* ---- Who has files reclaimed --------------------------------------------------------- */

/* A part of some file is read and reclaimed, whatever is done to it now. */
static void reclaimer_run(struct run *r, void *arg)
{
	struct storm *s = ((const struct job *)arg)->s;
	size_t len = s->max / 8;

	while (!stopped(s)) {
		off_t at = (off_t)(rnd_below(r, 8) * len);
		char path[64];
		char *p;
		int fd;

		path_of((unsigned int)rnd_below(r, s->files), path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			bail_errno(r, "%s", path);
		p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, at);
		if (p == MAP_FAILED)
			bail_errno(r, "mmap of %s", path);
		/* It fails where the file ends. */
		if (madvise(p, len, MADV_POPULATE_READ) && errno != EFAULT)
			bail_errno(r, "MADV_POPULATE_READ of %s", path);
		if (madvise(p, len, MADV_PAGEOUT))
			bail_errno(r, "MADV_PAGEOUT");
		munmap(p, len);
		close(fd);
		count(&s->reclaims, 1);
	}
}

/* ---- Who wants the pages ------------------------------------------------------------- */

#define TAG_PAGES 4096
/* Of a block; they need so few of such that there may be none with copies. */
#define MANY_PAGES 16

static void tagger_run(struct run *r, void *arg)
{
	struct storm *s = ((const struct job *)arg)->s;

	while (!stopped(s)) {
		struct area a = area_map(r, 1 + rnd_below(r, TAG_PAGES), true);

		area_write(r, &a);
		if (area_check_data(&a).count || area_check_tags(&a).count) {
			note(r, "tagged memory is not what was written");
			count(&s->tagged_wrong, 1);
		}
		count(&s->tagged, a.n);
		area_unmap(r, &a);
	}
}

/* Of the answers to pings, in bytes, and how much of them is waiting to be read. */
#define PING_SIZE 3000
#define PING_WAITING (16 << 20)
#define PINGS 2000

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *p = data;
	uint32_t sum = 0;

	for (; len > 1; len -= 2)
		sum += *p++;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Whoever answers a ping does so in a soft interrupt, and gets memory there. */
static void ping(struct run *r, struct storm *s)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), size = PING_WAITING;
	_Alignas(8) char packet[PING_SIZE] = "";
	struct icmphdr *icmp = (struct icmphdr *)packet;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		bail_errno(r, "a raw socket");
	icmp->type = ICMP_ECHO;
	icmp->checksum = checksum(packet, sizeof(packet));
	for (unsigned int i = 0; i < PINGS && !stopped(s); i++) {
		if (sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) < 0 &&
		    errno != ENOBUFS && errno != ENOMEM)
			bail_errno(r, "ping");
		count(&s->pings, 1);
	}
	/* What waits goes with it. */
	close(fd);
}

#define ELEMENTS 4096
#define ELEMENT_SIZE 1000

/*
 * Elements of a map of BPF, if they are not allocated with it, come from a reserve that a hard
 * interrupt fills up.
 */
static void fill_map(struct run *r, struct storm *s)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_HASH };
	static char value[ELEMENT_SIZE];
	int fd;

	attr.key_size = sizeof(uint32_t);
	attr.value_size = sizeof(value);
	attr.max_entries = ELEMENTS;
	attr.map_flags = BPF_F_NO_PREALLOC;
	fd = (int)syscall(__NR_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd < 0)
		bail_errno(r, "BPF_MAP_CREATE");
	for (uint32_t key = 0; key < ELEMENTS && !stopped(s); key++) {
		union bpf_attr set = { .map_fd = (uint32_t)fd };

		set.key = (uint64_t)(uintptr_t)&key;
		set.value = (uint64_t)(uintptr_t)value;
		set.flags = BPF_ANY;
		/* ENOMEM: the reserve is empty, for a moment. */
		if (syscall(__NR_bpf, BPF_MAP_UPDATE_ELEM, &set, sizeof(set)) && errno != ENOMEM)
			bail_errno(r, "BPF_MAP_UPDATE_ELEM");
	}
	close(fd);
	count(&s->maps, 1);
}

static void interrupter_run(struct run *r, void *arg)
{
	struct storm *s = ((const struct job *)arg)->s;

	while (!stopped(s)) {
		ping(r, s);
		fill_map(r, s);
		sleep_ms(20);
	}
}

/* ---- All of it ------------------------------------------------------------------------ */

static const struct role changer_role = {
	.name = "changer",
	.summary = "changes a file at random, and knows what it should hold",
	.user = ROLE_ROOT,
};

static const struct role reclaimer_role = {
	.name = "reclaimer",
	.summary = "has parts of the files read and reclaimed",
	.user = ROLE_ROOT,
};

static const struct role tagger_role = {
	.name = "tagger",
	.summary = "tags memory, which takes the pages that copies are in",
	.user = ROLE_ROOT,
};

static const struct role interrupter_role = {
	.name = "interrupter",
	.summary = "has the kernel allocate memory of its own in interrupts",
	.user = ROLE_ROOT,
};

/* In what the kernel was when it took a page that held a copy. */
struct contexts {
	uint64_t task, soft, hard;
};

static void count_recalls(struct trace *t, struct contexts *n)
{
	while (trace_next(t)) {
		switch (trace_context(t)) {
		case TRACE_TASK:
			n->task++;
			break;
		case TRACE_SOFTIRQ:
			n->soft++;
			break;
		case TRACE_HARDIRQ:
			n->hard++;
			break;
		}
	}
}

#define MAX_ROLES (MAX_FILES + MAX_TAGGERS + 2)

struct roles {
	struct child *child[MAX_ROLES];
	struct job job[MAX_ROLES];
	unsigned int n;
};

static void start(struct run *r, struct roles *a, struct storm *s, const struct role *role,
		  void (*fn)(struct run *r, void *arg), unsigned int nr)
{
	a->job[a->n] = (struct job){ s, nr };
	a->child[a->n] = role_spawn(r, role, fn, &a->job[a->n]);
	a->n++;
}

/* Some time with all of them at work; then they end, and close all files. */
static void one_round(struct run *r, struct storm *s, uint64_t ms, bool interrupts,
		      struct trace *t, struct contexts *recalls)
{
	uint64_t until = now_ns() + ms * 1000000;
	struct roles a = { .n = 0 };

	s->stop = false;
	for (unsigned int i = 0; i < s->files; i++)
		start(r, &a, s, &changer_role, changer_run, i);
	for (unsigned int i = 0; i < param_u64(r, "taggers"); i++)
		start(r, &a, s, &tagger_role, tagger_run, i);
	start(r, &a, s, &reclaimer_role, reclaimer_run, 0);
	if (interrupts)
		start(r, &a, s, &interrupter_role, interrupter_run, 0);
	while (now_ns() < until) {
		count_recalls(t, recalls);
		sleep_ms(20);
	}
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < a.n; i++) {
		while (role_wait(r, a.child[i], 20).timed_out && now_ns() < until +
		       PATIENCE_MS * 1000000ULL)
			count_recalls(t, recalls);
		expect_role_done(r, a.child[i], 0);
	}
	count_recalls(t, recalls);
}

static void check_files(struct run *r, struct storm *s)
{
	for (unsigned int i = 0; i < s->files; i++) {
		struct changer c = changer_new(r, s, i);

		c.op = "mounted again";
		if (!c.m->wrong)
			check_all(&c);
		changer_free(&c);
	}
}

static uint64_t wrong_files(const struct storm *s)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < s->files; i++)
		n += s->mirror[i].wrong;
	return n;
}

static struct storm *storm_new(struct run *r)
{
	struct storm *s = shared_alloc(r, sizeof(*s));

	s->max = param_u64(r, "pages") * page_size();
	s->files = (unsigned int)param_u64(r, "files");
	s->reflink = !strcmp(disk_fs(r), "xfs");
	for (unsigned int i = 0; i < s->files; i++) {
		char path[64];
		int fd;

		path_of(i, path);
		/* A run that was ended may have left one. */
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			bail_errno(r, "%s", path);
		close(fd);
		s->mirror[i].want = shared_alloc(r, s->max + page_size());
	}
	return s;
}

static void tell(struct run *r, const struct storm *s, const struct contexts *n)
{
	uint64_t done = 0, checked = 0;

	for (unsigned int i = 0; i < s->files; i++) {
		done += s->mirror[i].ops;
		checked += s->mirror[i].checked;
	}
	measure(r, "operations", "1", (double)done);
	measure(r, "checked", "B", (double)checked);
	measure(r, "reclaims", "1", (double)s->reclaims);
	measure(r, "tagged", "pages", (double)s->tagged);
	measure(r, "pings", "1", (double)s->pings);
	measure(r, "maps", "1", (double)s->maps);
	measure(r, "recalled_in_tasks", "pages", (double)n->task);
	measure(r, "recalled_in_soft_interrupts", "pages", (double)n->soft);
	measure(r, "recalled_in_hard_interrupts", "pages", (double)n->hard);
}

static void recall_storm(struct run *r)
{
	unsigned int rounds = (unsigned int)param_u64(r, "rounds");
	uint64_t ms = param_u64(r, "seconds") * 1000 / rounds;
	bool interrupts = kernel_reservations(r) != 0;
	struct contexts recalls = { 0, 0, 0 };
	uint64_t stores, hits, failed;
	struct trace *t;
	struct storm *s;
	char why[256];

	if (trace_open(&t, TRACE_RECALLS, why, sizeof(why)))
		skip(r, "%s", why);
	/* A page that was taken for tags may be filled as soon as it is free. */
	disk_refill_at_once(r);
	disk_mount(r, NULL);
	s = storm_new(r);
	stores = vmstat_now(r, "cleancache_store");
	hits = vmstat_now(r, "cleancache_hit");
	failed = summary_now(r).reserve_busy;
	for (unsigned int i = 0; i < rounds; i++) {
		step(r,
		     "%u processes change a file each, at random, and look at it; another has parts of the files reclaimed, and others tag memory%s.",
		     s->files, interrupts ? ", as do interrupts" : "");
		one_round(r, s, ms, interrupts, t, &recalls);
		expect_eq_u64(r, wrong_files(s), 0, "round %u: all files are what was written",
			      i + 1);
		expect_eq_u64(r, s->tagged_wrong, 0, "round %u: so is all tagged memory", i + 1);

		step(r, "The file system is unmounted and mounted again.");
		disk_umount(r);
		disk_mount(r, NULL);
		check_files(r, s);
		expect_eq_u64(r, wrong_files(s), 0,
			      "round %u: mounted again, all files are what was written", i + 1);
	}
	trace_close(t);
	tell(r, s, &recalls);
	stores = vmstat_now(r, "cleancache_store") - stores;
	hits = vmstat_now(r, "cleancache_hit") - hits;
	measure(r, "stored", "pages", (double)stores);
	measure(r, "hits", "pages", (double)hits);
	expect_range(r, stores, 100, UINT64_MAX, "copies were made");
	expect_range(r, hits, 100, UINT64_MAX, "copies were read");
	/* The kernel puts copies where tags are least likely. */
	if (summary_now(r).block_pages > MANY_PAGES && !recalls.task)
		skip_result(r, "blocks are large: so few hold tags that copies lie elsewhere",
			    "copies were taken for tags of programs");
	else
		expect_range(r, recalls.task, 10, UINT64_MAX,
			     "copies were taken for tags of programs");
	expect_eq_u64(r, summary_now(r).reserve_busy - failed, 0, "no reservation failed");
	if (!interrupts) {
		skip_result(r, "the kernel does not tag its own memory: no hardware tag-based KASAN",
			    "copies were taken in interrupts");
		return;
	}
	expect_range(r, recalls.soft, 1, UINT64_MAX, "copies were taken in soft interrupts");
	if (!recalls.hard && param_u64(r, "seconds") < 120)
		skip_result(r, "none was, in so short a time",
			    "copies were taken in hard interrupts");
	else
		expect_range(r, recalls.hard, 1, UINT64_MAX,
			     "copies were taken in hard interrupts");
}

static const struct scenario recall_storm_scenario = {
	.name = "recall-storm",
	.kind = SCENARIO_WORKLOAD,
	.summary = "files change at random while copies of them are made, read, and taken for tags",
	.explanation = "With policy cleancache tag storage holds copies of page cache, and a copy must never be read that is not what is on the disk. Several processes change a file each in every way there is (write, O_DIRECT, mmap, truncate, holes, ranges collapsed and inserted, clones, another file renamed over it) and know each byte that it should hold. Meanwhile the files are reclaimed, which makes copies, and programs tag memory, which takes the pages of copies away. On a kernel with hardware tag-based KASAN that happens in interrupts, too. From time to time the file system is unmounted.",
	.groups = "cleancache stress",
	.params = PARAMS(P_UINT("seconds", "20", 1, 86400, "how long, in all"),
			 P_UINT("rounds", "2", 1, 10000, "how often it is mounted anew"),
			 P_UINT("files", "3", 1, MAX_FILES, "how many"),
			 P_UINT("pages", "768", 32, 65536, "size of each, at most"),
			 P_UINT("taggers", "2", 1, MAX_TAGGERS, "processes that tag memory")),
	.needs = NEED_POLICY_CLEANCACHE | NEED_DISK,
	.time_limit_s = 600,
	.save_restore = SETTINGS({ REFILL_DELAY }),
	.roles = ROLES(&changer_role, &reclaimer_role, &tagger_role, &interrupter_role),
	.run = recall_storm,
};
SCENARIO(recall_storm_scenario);
