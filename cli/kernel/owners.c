// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose data lies in tag storage: see owners.h. The page tables of a scenario's processes
 * (/proc/PID/pagemap) say which pages are theirs, /proc/kpageflags what the others are. No lock
 * is held meanwhile: what is moved while this reads may be missed, or be told of both places.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/owners.h"

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_PFN ((1ULL << 55) - 1)
#define WORDS 4096
#define MAX_REGIONS 64

/* From linux/fs.h of 6.7 and later. */
#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_PRESENT (1 << 3)
struct page_region {
	uint64_t start, end, categories;
};

struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#endif

#define FLAG(name) (1ULL << KPF_##name)
/*
 * A page that a process had: its last mapping is gone, and it is not on its way (to swap, or
 * elsewhere). It would be free if nothing held it: a pipe, a socket, io_uring.
 */
#define FLAGS_MAPPED (FLAG(MMAP) | FLAG(SWAPCACHE) | FLAG(LOCKED))
/* What a page of a file has, and of shared memory, and memory of the kernel has not. */
#define FLAGS_CACHE (FLAG(LRU) | FLAG(UPTODATE) | FLAG(DIRTY) | FLAG(SWAPBACKED))

struct reading {
	struct state *st;
	const char *proc;
	struct stat program;		/* this one: a scenario's processes run it, too */
	uint64_t page_size;
	struct state_region *region;
	size_t nr_regions;
	/* Of each page of tag storage whose process it is, or 0; the regions one by one. */
	char *page;
	uint64_t first_page[MAX_REGIONS];
	bool *needed;			/* of each block */
	uint64_t blocks;
};

/* ---- Places ------------------------------------------------------------------------- */

/* The letter of this page frame; NULL: it is no tag storage. */
static char *tag_page(const struct reading *g, uint64_t pfn)
{
	for (size_t i = 0; i < g->nr_regions; i++) {
		uint64_t off = pfn * g->page_size - g->region[i].tag_base;

		if (off < g->region[i].tag_size)
			return &g->page[g->first_page[i] + off / g->page_size];
	}
	return NULL;
}

static void need(const struct reading *g, uint64_t pfn)
{
	int64_t block = state_block_of(g->region, g->nr_regions, pfn * g->page_size);

	if (block >= 0 && (uint64_t)block < g->blocks)
		g->needed[block] = true;
}

/*
 * What forked processes share they have from the scenario: it is nobody's fault. So of a page
 * that several map the first of these is the owner.
 */
static void own(const struct reading *g, uint64_t pfn, char who)
{
	static const char first[] = { OWNER_SCENARIO, OWNER_VICTIM, OWNER_ATTACKER, '\0' };
	char *page = tag_page(g, pfn);

	if (page && (!*page || strchr(first, who) < strchr(first, *page)))
		*page = who;
}

/* ---- Processes ------------------------------------------------------------------------ */

static int open_proc(const struct reading *g, const char *pid, const char *name)
{
	char path[640];

	snprintf(path, sizeof(path), "%s/%s/%s", g->proc, pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Whose memory this process has, by its name; '\0': it is none of a scenario. */
static char owner_of(const struct reading *g, const char *pid)
{
	char path[640], comm[32] = "";
	struct stat sb;
	ssize_t n;
	int fd = open_proc(g, pid, "comm");

	if (fd < 0)
		return '\0';
	n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	if (n <= 0 || strncmp(comm, OWNER_COMM, strlen(OWNER_COMM)))
		return '\0';
	comm[strcspn(comm, "\n")] = '\0';
	/* Anybody may have that name, but not run this program. */
	snprintf(path, sizeof(path), "%s/%s/exe", g->proc, pid);
	if (stat(path, &sb) || sb.st_dev != g->program.st_dev || sb.st_ino != g->program.st_ino)
		return '\0';
	if (!strcmp(comm, OWNER_COMM "attacker"))
		return OWNER_ATTACKER;
	return !strcmp(comm, OWNER_COMM "victim") ? OWNER_VICTIM : OWNER_SCENARIO;
}

/* Whether the mapping that has this page is PROT_MTE. */
static bool is_tagged(const struct reading *g, const char *pid, uint64_t addr)
{
	struct state_page page;

	return !state_lookup_addr(g->st, (pid_t)strtol(pid, NULL, 10), addr, &page) &&
	       page.vma_tagged;
}

/*
 * Only memory without a file, and files in memory, can be PROT_MTE. Of the latter those that
 * programs share by name count where they are for that: asking about each mapping of each
 * library would cost more than all the rest.
 */
static bool can_be_tagged(const char *path)
{
	static const char *const in_memory[] = { "/memfd:", "/dev/zero", "/SYSV", "/dev/shm/" };

	for (size_t i = 0; i < sizeof(in_memory) / sizeof(in_memory[0]); i++)
		if (!strncmp(path, in_memory[i], strlen(in_memory[i])))
			return true;
	/* Not the kernel's own either: [vdso], [vvar]. */
	return *path != '/' && strncmp(path, "[v", 2) != 0;
}

/*
 * The present pages from start on: up to max ranges, and in *walked where the next are to be
 * looked for. A kernel that cannot tell (before 6.7) leaves it at one range with all of it.
 */
static size_t present(int pagemap, uint64_t start, uint64_t end, struct page_region *r,
		      size_t max, uint64_t *walked)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)r,
		.vec_len = max,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	int n = ioctl(pagemap, PAGEMAP_SCAN, &arg);

	if (n < 0 || (!n && arg.walk_end < end)) {
		*r = (struct page_region){ .start = start, .end = end };
		*walked = end;
		return 1;
	}
	*walked = arg.walk_end;
	return (size_t)n;
}

/*
 * -EPERM: page frames are told to root only. What goes meanwhile is no error. *tagged is
 * whether the mapping is PROT_MTE; -1: not known yet.
 */
static int read_pages(const struct reading *g, const char *pid, int pagemap, char who,
		      uint64_t start, uint64_t end, int *tagged)
{
	static uint64_t word[WORDS];

	for (uint64_t at = start / g->page_size, last = end / g->page_size; at < last;) {
		size_t n = last - at < WORDS ? (size_t)(last - at) : WORDS;
		ssize_t got = pread(pagemap, word, n * 8, (off_t)(at * 8));

		if (got < 8)
			return 0;
		n = (size_t)got / 8;
		for (size_t i = 0; i < n; i++) {
			uint64_t pfn = word[i] & PAGEMAP_PFN;

			if (!(word[i] & PAGEMAP_PRESENT))
				continue;
			if (!pfn)
				return -EPERM;
			own(g, pfn, who);
			if (*tagged < 0)
				*tagged = is_tagged(g, pid, (at + i) * g->page_size);
			if (*tagged)
				need(g, pfn);
		}
		at += n;
	}
	return 0;
}

static int read_mapping(const struct reading *g, const char *pid, int pagemap, char who,
			uint64_t start, uint64_t end, const char *path)
{
	int tagged = who == OWNER_ATTACKER || !can_be_tagged(path) ? 0 : -1, err = 0;
	struct page_region r[64];

	while (start < end && !err) {
		size_t n = present(pagemap, start, end, r, sizeof(r) / sizeof(r[0]), &start);

		for (size_t i = 0; i < n && !err; i++)
			err = read_pages(g, pid, pagemap, who, r[i].start, r[i].end, &tagged);
	}
	return err;
}

static int read_process(const struct reading *g, const char *pid, char who)
{
	int maps = open_proc(g, pid, "maps"), pagemap = open_proc(g, pid, "pagemap"), err = 0;
	FILE *f = maps < 0 ? NULL : fdopen(maps, "r");
	uint64_t start, end;
	char *line = NULL, perms[5];
	int path;	/* where it begins in the line */
	size_t room = 0;

	/* It may have gone. */
	while (f && pagemap >= 0 && !err && getline(&line, &room, f) > 0) {
		path = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %n", &start, &end, perms,
			   &path) == 3 && path && strncmp(perms, "---", 3))
			err = read_mapping(g, pid, pagemap, who, start, end, line + path);
	}
	free(line);
	if (f)
		fclose(f);
	else if (maps >= 0)
		close(maps);
	if (pagemap >= 0)
		close(pagemap);
	return err;
}

static int read_processes(const struct reading *g)
{
	DIR *dir = opendir(g->proc);
	const struct dirent *d;
	int err = 0;
	char who;

	if (!dir)
		return state_fail(g->st, -errno, "%s: %s", g->proc, strerror(errno));
	while (!err && (d = readdir(dir))) {
		if (!isdigit((unsigned char)*d->d_name))
			continue;
		who = owner_of(g, d->d_name);
		if (who)
			err = read_process(g, d->d_name, who);
	}
	closedir(dir);
	return err ? state_fail(g->st, err, "%s/PID/pagemap tells page frames to root only",
				g->proc) : 0;
}

/* ---- What is nobody's of these ----------------------------------------------------------- */

/* Of a block of several pages: who could be to blame first. It is free if all of it is. */
static const char order[] = OWNER_LETTERS "f";

static char kind_by_flags(uint64_t flags)
{
	if (flags & FLAG(BUDDY))
		return BLOCK_FREE;
	if (!flags || flags & FLAG(NOPAGE))
		return OWNER_NOBODY;
	if (flags & FLAG(SLAB) || !(flags & FLAGS_CACHE))
		return OWNER_OTHERS;
	if (!(flags & FLAG(ANON)))
		return OWNER_CACHE;
	return flags & FLAGS_MAPPED ? OWNER_OTHERS : OWNER_HELD;
}

/* Of blocks of so many pages each, which begin at this page frame. */
static int read_flags(struct state *st, const char *path, int fd, uint64_t pfn,
		      uint64_t per_block, uint64_t blocks, char *kind)
{
	static uint64_t word[WORDS];

	memset(kind, BLOCK_FREE, blocks);
	for (uint64_t at = 0, pages = blocks * per_block; at < pages;) {
		size_t n = pages - at < WORDS ? (size_t)(pages - at) : WORDS;
		ssize_t got = pread(fd, word, n * 8, (off_t)((pfn + at) * 8));

		if (got < 8)
			return state_fail(st, got < 0 ? -errno : -ENODATA, "%s: %s", path,
					  got < 0 ? strerror(errno) : "ends too early");
		n = (size_t)got / 8;
		for (size_t i = 0; i < n; i++) {
			char *k = &kind[per_block == 1 ? at + i : (at + i) / per_block];
			char c = kind_by_flags(word[i]);

			if (c != *k && strchr(order, c) < strchr(order, *k))
				*k = c;
		}
		at += n;
	}
	return 0;
}

int kinds_read(struct state *st, const char *proc, const struct state_region *regions,
	       size_t nr_regions, uint64_t first, size_t n, char *kind)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE), last = first + n;
	char path[640];
	int fd, err = 0;

	memset(kind, OWNER_NOBODY, n);
	snprintf(path, sizeof(path), "%s/kpageflags", proc);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return state_fail(st, -errno, "%s: %s", path, strerror(errno));
	for (size_t r = 0; r < nr_regions && !err; r++) {
		uint64_t begin = regions[r].first_block, end = begin + regions[r].blocks;
		uint64_t from = begin > first ? begin : first, to = end < last ? end : last;
		uint64_t per_block = regions[r].block_size / page_size;

		if (regions[r].block_size % page_size)
			err = state_fail(st, -EPROTO, "regions that tagscope does not expect");
		else if (from < to)
			err = read_flags(st, path, fd, regions[r].tag_base / page_size +
					 (from - begin) * per_block, per_block, to - from,
					 kind + (from - first));
	}
	close(fd);
	return err;
}

/* ---- All of it ------------------------------------------------------------------------ */

/* owner has the kinds of blocks. */
static void fold(const struct reading *g, char *owner)
{
	for (size_t r = 0; r < g->nr_regions; r++) {
		uint64_t per_block = g->region[r].block_size / g->page_size;
		const char *page = g->page + g->first_page[r];

		for (uint64_t i = 0; i < g->region[r].blocks * per_block; i++) {
			uint64_t block = g->region[r].first_block + i / per_block;

			if (page[i] && block < g->blocks &&
			    strchr(order, page[i]) < strchr(order, owner[block]))
				owner[block] = page[i];
		}
	}
	for (uint64_t b = 0; b < g->blocks; b++) {
		if (owner[b] == BLOCK_FREE)
			owner[b] = OWNER_NOBODY;
		if (g->needed[b])
			owner[b] = (char)toupper((unsigned char)owner[b]);
	}
}

int owners_read(struct state *st, const char *proc, const char *kind, char *owner,
		uint64_t blocks)
{
	struct reading g = { .st = st, .proc = proc, .blocks = blocks };
	uint64_t pages = 0;
	int err;

	g.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	if (stat("/proc/self/exe", &g.program))
		return state_fail(st, -errno, "/proc/self/exe: %s", strerror(errno));
	err = state_read_regions(st, &g.region, &g.nr_regions);
	if (err)
		return err;
	for (size_t i = 0; i < g.nr_regions && !err; i++) {
		if (i == MAX_REGIONS || g.region[i].block_size % g.page_size)
			err = state_fail(st, -EPROTO, "regions that tagscope does not expect");
		else
			g.first_page[i] = pages;
		pages += g.region[i].tag_size / g.page_size;
	}
	if (err)
		goto out;
	g.page = calloc(pages + 1, 1);
	g.needed = calloc(blocks + 1, sizeof(*g.needed));
	if (!g.page || !g.needed) {
		err = state_fail(st, -ENOMEM, "out of memory");
		goto out;
	}
	err = read_processes(&g);
	if (kind)
		memcpy(owner, kind, blocks);
	else if (!err)
		err = kinds_read(st, proc, g.region, g.nr_regions, 0, blocks, owner);
	if (!err)
		fold(&g, owner);
out:
	free(g.region);
	free(g.page);
	free(g.needed);
	return err;
}
