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
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/owners.h"

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_PFN ((1ULL << 55) - 1)
#define WORDS 4096
#define MAX_REGIONS 64

#define FLAG(name) (1ULL << KPF_##name)
#define FLAGS_FREE (FLAG(BUDDY) | FLAG(NOPAGE))
/* What a page of a file has, and of shared memory, and memory of the kernel has not. */
#define FLAGS_CACHE (FLAG(LRU) | FLAG(UPTODATE) | FLAG(DIRTY) | FLAG(SWAPBACKED))

struct reading {
	struct state *st;
	const char *proc;
	struct stat program;		/* this one: a scenario's processes run it, too */
	uint64_t page_size;
	struct state_region *region;
	size_t nr_regions;
	/* A letter of each page of tag storage, the regions one after the other. */
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
	static const char order[] = { OWNER_SCENARIO, OWNER_VICTIM, OWNER_ATTACKER, '\0' };
	char *page = tag_page(g, pfn);
	const char *was = page ? strchr(order, *page) : NULL;

	if (page && (!was || strchr(order, who) < was))
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

/* -EPERM: page frames are told to root only. What goes meanwhile is no error. */
static int read_mapping(const struct reading *g, const char *pid, int pagemap, char who,
			uint64_t start, uint64_t end)
{
	static uint64_t word[WORDS];
	int tagged = who == OWNER_ATTACKER ? 0 : -1;	/* -1: not known yet */

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
			if (tagged < 0)
				tagged = is_tagged(g, pid, (at + i) * g->page_size);
			if (tagged)
				need(g, pfn);
		}
		at += n;
	}
	return 0;
}

static int read_process(const struct reading *g, const char *pid, char who)
{
	int maps = open_proc(g, pid, "maps"), pagemap = open_proc(g, pid, "pagemap"), err = 0;
	FILE *f = maps < 0 ? NULL : fdopen(maps, "r");
	uint64_t start, end;
	char *line = NULL, perms[5];
	size_t room = 0;

	/* It may have gone. */
	while (f && pagemap >= 0 && !err && getline(&line, &room, f) > 0)
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, perms) == 3 &&
		    strncmp(perms, "---", 3))
			err = read_mapping(g, pid, pagemap, who, start, end);
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

static char owner_by_flags(uint64_t flags)
{
	if (!flags || flags & FLAGS_FREE)
		return OWNER_NOBODY;
	return flags & FLAGS_CACHE && !(flags & (FLAG(ANON) | FLAG(SLAB))) ? OWNER_CACHE :
									      OWNER_OTHERS;
}

static int read_flags(const struct reading *g)
{
	static uint64_t word[WORDS];
	char path[640];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/kpageflags", g->proc);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return state_fail(g->st, -errno, "%s: %s", path, strerror(errno));
	for (size_t r = 0; r < g->nr_regions && !err; r++) {
		uint64_t pfn = g->region[r].tag_base / g->page_size;
		uint64_t left = g->region[r].tag_size / g->page_size;
		char *page = g->page + g->first_page[r];

		while (left && !err) {
			size_t n = left < WORDS ? (size_t)left : WORDS;
			ssize_t got = pread(fd, word, n * 8, (off_t)(pfn * 8));

			if (got < 8) {
				err = state_fail(g->st, got < 0 ? -errno : -ENODATA, "%s: %s", path,
						 got < 0 ? strerror(errno) : "ends too early");
				break;
			}
			n = (size_t)got / 8;
			for (size_t i = 0; i < n; i++, page++)
				if (*page == OWNER_NOBODY)
					*page = owner_by_flags(word[i]);
			pfn += n;
			left -= n;
		}
	}
	close(fd);
	return err;
}

/* ---- All of it ------------------------------------------------------------------------ */

/* Of a block of several pages: who could be to blame first. */
static void fold(const struct reading *g, char *owner)
{
	static const char order[] = OWNER_LETTERS;

	memset(owner, OWNER_NOBODY, g->blocks);
	for (size_t r = 0; r < g->nr_regions; r++) {
		uint64_t per_block = g->region[r].block_size / g->page_size;
		const char *page = g->page + g->first_page[r];

		for (uint64_t i = 0; i < g->region[r].blocks * per_block; i++) {
			uint64_t block = g->region[r].first_block + i / per_block;

			if (block < g->blocks &&
			    strchr(order, page[i]) < strchr(order, owner[block]))
				owner[block] = page[i];
		}
	}
	for (uint64_t b = 0; b < g->blocks; b++)
		if (g->needed[b])
			owner[b] = (char)toupper((unsigned char)owner[b]);
}

int owners_read(struct state *st, const char *proc, char *owner, uint64_t blocks)
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
	g.page = malloc(pages + 1);
	g.needed = calloc(blocks + 1, sizeof(*g.needed));
	if (!g.page || !g.needed) {
		err = state_fail(st, -ENOMEM, "out of memory");
		goto out;
	}
	memset(g.page, OWNER_NOBODY, pages);
	err = read_processes(&g);
	if (!err)
		err = read_flags(&g);
	if (!err)
		fold(&g, owner);
out:
	free(g.region);
	free(g.page);
	free(g.needed);
	return err;
}
