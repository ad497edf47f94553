// SPDX-License-Identifier: GPL-2.0-only
/* Why an access has failed: see explain.h. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attack/explain.h"
#include "scenario/page.h"

struct text {
	char s[1500];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, sizeof(t->s) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < sizeof(t->s) - t->len ? (size_t)n : sizeof(t->s) - t->len - 1;
}

/* The next process; 0: there is none. */
static pid_t next_process(DIR *proc)
{
	struct dirent *d = readdir(proc);

	while (d && !isdigit((unsigned char)d->d_name[0]))
		d = readdir(proc);
	return d ? (pid_t)strtol(d->d_name, NULL, 10) : 0;
}

/* ---- Who maps it -------------------------------------------------------------------- */

/* Whether this page frame is in a mapping, and where. */
static bool find_pfn(int pagemap, uint64_t start, uint64_t end, uint64_t pfn, uint64_t *at)
{
	uint64_t words[512], ps = page_size();

	for (uint64_t page = start / ps; page < end / ps;) {
		size_t n = end / ps - page < 512 ? end / ps - page : 512;
		ssize_t got = pread(pagemap, words, n * 8, (off_t)(page * 8));

		if (got < 8)
			return false;
		for (size_t i = 0; i < (size_t)got / 8; i++, page++) {
			/* Present, and the page frame: Documentation/admin-guide/mm/pagemap.rst */
			if (words[i] >> 63 && (words[i] & ((UINT64_C(1) << 55) - 1)) == pfn) {
				*at = page * ps;
				return true;
			}
		}
	}
	return false;
}

static void add_mapping(struct text *t, pid_t pid, uint64_t pfn)
{
	char path[64], line[512];
	uint64_t start, end, at;
	int pagemap, name;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && pagemap >= 0 && fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %n", &start, &end,
			   &name) < 2 || !find_pfn(pagemap, start, end, pfn, &at))
			continue;
		add(t, ", mapped by process %d at 0x%" PRIx64 " (%s)", pid, at,
		    line[name] ? line + name : "anonymous");
	}
	if (maps)
		fclose(maps);
	if (pagemap >= 0)
		close(pagemap);
}

static void add_page(struct text *t, const struct state_page *p)
{
	DIR *proc = opendir("/proc");
	pid_t pid;

	add(t, "pfn 0x%" PRIx64 " (%s, references %" PRId64 ", mappings %" PRId64 "%s%s%s%s%s",
	    p->pfn, p->kind, p->refcount, p->mapcount, p->dma_pinned ? ", pinned for DMA" : "",
	    p->pinned ? ", held" : "", p->locked ? ", locked" : "",
	    p->writeback ? ", under write-back" : "", p->lru ? "" : ", on no LRU list");
	while (proc && (pid = next_process(proc)) > 0)
		add_mapping(t, pid, p->pfn);
	if (proc)
		closedir(proc);
	add(t, ")");
}

/* ---- Who may hold it ------------------------------------------------------------------ */

static const struct {
	const char *link, *name;
	unsigned int usual;	/* so many has each role, for the scenario */
} kinds[] = {
	{ "pipe:", "pipe ends", 4 },
	{ "socket:", "sockets", 1 },
	{ "anon_inode:[io_uring]", "io_uring rings", 0 },
	{ "anon_inode:[userfaultfd]", "userfaultfds", 0 },
	{ "/memfd:", "memfds", 0 },
	{ "/tmp/", "files of its own file system", 0 },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* How many of its open files are of each kind. */
static void count_files(pid_t pid, unsigned int *count)
{
	char path[64], link[256];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof(link) - 1);

		if (n <= 0)
			continue;
		link[n] = '\0';
		for (size_t k = 0; k < NR_KINDS; k++)
			count[k] += !strncmp(link, kinds[k].link, strlen(kinds[k].link));
	}
	if (dir)
		closedir(dir);
}

/* How many threads it has besides the first, and where the last of them sleeps. */
static unsigned int threads(pid_t pid, char *where, size_t size)
{
	char path[128];
	unsigned int n = 0;
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	*where = '\0';
	while (dir && (d = readdir(dir))) {
		FILE *f;

		if (d->d_name[0] == '.' || strtol(d->d_name, NULL, 10) == pid)
			continue;
		n++;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/wchan", pid, d->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (!fgets(where, (int)size, f))
			*where = '\0';
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* Processes other than that one and this which have something that can hold pages. */
static void add_suspects(struct text *t, pid_t except)
{
	DIR *proc = opendir("/proc");
	bool any = false;
	pid_t pid;

	while (proc && (pid = next_process(proc)) > 0) {
		unsigned int count[NR_KINDS] = { 0 }, nr = 0, others;
		char where[64];

		if (pid == except || pid == getpid() || pid == getppid() || pid == 1)
			continue;
		count_files(pid, count);
		for (size_t k = 0; k < NR_KINDS; k++) {
			if (count[k] <= kinds[k].usual)
				continue;
			if (!nr++)
				add(t, "%s %d has open: ", any ? "; process" : " Process", pid);
			else
				add(t, ", ");
			add(t, "%s %u", kinds[k].name, count[k]);
		}
		others = threads(pid, where, sizeof(where));
		if (others)
			add(t, "%s %d has %u more threads, the last one in %s",
			    nr || any ? "; process" : " Process", pid, others,
			    *where && *where != '0' ? where : "user mode");
		any |= nr || others;
	}
	if (proc)
		closedir(proc);
	add(t, any ? "." : " No process has open what could hold it.");
}

void explain_failure(struct run *r, const char *who, pid_t pid, const void *addr)
{
	struct text t = { .len = 0 };
	struct state_page page, in;

	if (!page_present(r, pid, addr, &page)) {
		note(r, "why: %s: no page is at %p (any more)", who, addr);
		return;
	}
	add(&t, "why: %s: the page at %p of process %d is ", who, addr, pid);
	add_page(&t, &page);
	if (page.has_storage) {
		add(&t, ". It has tag storage, now: that of a copy which was to be made was held.");
	} else if (page.in_tag_storage) {
		add(&t, ". It is itself a page of tag storage, and could not be moved out of it.");
	} else if (page.block >= 0) {
		in = pfn_now(r, page.tag_pfn);
		add(&t, ". Its tags belong in block %" PRId64 " (%s), in which there is ",
		    page.block, state_letter_text(page.block_state));
		add_page(&t, &in);
		add(&t, ".");
		add_suspects(&t, pid);
	}
	note(r, "%s", t.s);
}
