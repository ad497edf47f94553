// SPDX-License-Identifier: GPL-2.0-only
/* The machine around a run: settings, pressure, the kernel's log. What is not there is left. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fuzz/fuzz.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"
#define KSM "/sys/kernel/mm/ksm/"

static const struct {
	const char *path, *value;
} settings[] = {
	{ THP "enabled", "madvise" },
	{ THP "shmem_enabled", "advise" },
	{ THP "hugepages-64kB/enabled", "madvise" },
	{ THP "hugepages-64kB/shmem_enabled", "advise" },
	{ THP "khugepaged/scan_sleep_millisecs", "20" },
	{ THP "khugepaged/alloc_sleep_millisecs", "20" },
	{ KSM "sleep_millisecs", "20" },
	{ KSM "use_zero_pages", "1" },
	{ KSM "run", "1" },
};

#define NR_SETTINGS (sizeof(settings) / sizeof(settings[0]))

struct machine {
	char *before[NR_SETTINGS];
	pid_t presser;
	int log, disk;		/* disk: the number of the zram device; -1: none */
};

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* The value; of a list of choices, "always [madvise] never", it is the one in brackets. */
static char *get(const char *path)
{
	char text[256], *begin, *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return NULL;
	text[n] = 0;
	begin = strchr(text, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (end)
		*end = 0;
	return strdup(end ? begin + 1 : text);
}

struct machine *machine_prepare(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->disk = -1;
	for (size_t i = 0; i < NR_SETTINGS; i++) {
		m->before[i] = get(settings[i].path);
		put(settings[i].path, settings[i].value);
	}
	m->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (m->log >= 0)
		lseek(m->log, 0, SEEK_END);
	return m;
}

/* Where there is udev it looks at each new device, and has it open meanwhile. */
static void remove_disk(int id)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", id);
	for (int i = 0; i < 20 && !put("/sys/class/zram-control/hot_remove", text); i++)
		sleep_ms(50);
}

#define DIRECT_DISK (37L << 20)		/* that of disk() in runtime.c */

static void remove_direct_disk(void)
{
	for (int id = 0; id < 8; id++) {
		char path[64], *bytes;

		snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", id);
		bytes = get(path);
		if (bytes && atol(bytes) == DIRECT_DISK)
			remove_disk(id);
		free(bytes);
	}
}

void machine_restore(struct machine *m)
{
	if (!m)
		return;
	if (m->presser > 0) {
		kill(m->presser, SIGKILL);
		waitpid(m->presser, NULL, 0);
	}
	if (m->disk >= 0)
		remove_disk(m->disk);
	remove_direct_disk();
	for (size_t i = NR_SETTINGS; i--;) {
		if (m->before[i])
			put(settings[i].path, m->before[i]);
		free(m->before[i]);
	}
	if (m->log >= 0)
		close(m->log);
	free(m);
}

/* As in the machine's own supervisor: what a checker in the kernel, or the kernel itself, says. */
static bool complains(const char *line)
{
	static const char *const signs[] = {
		"WARNING: ", "BUG: ", "kernel BUG at", "Oops", "Bad page state", "UBSAN: ",
		"INFO: task ", "Unable to handle kernel",
	};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strstr(line, signs[i]))
			return true;
	return false;
}

bool machine_complained(struct machine *m, char *what, size_t size)
{
	char record[1024], *text;
	bool found = false;
	ssize_t n;

	/* Each read is a record; EPIPE: some were lost. */
	while (m->log >= 0 && ((n = read(m->log, record, sizeof(record) - 1)) > 0 ||
			       (n < 0 && errno == EPIPE))) {
		if (n < 0)
			continue;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text || found || !complains(text))
			continue;
		found = true;
		text[1 + strcspn(text + 1, "\n")] = 0;
		snprintf(what, size, "%s", text + 1);
	}
	/* So that it says the same again in the next run. */
	if (found)
		put("/sys/kernel/debug/clear_warn_once", "1");
	return found;
}

void machine_log(const char *fmt, ...)
{
	FILE *f = fopen("/dev/kmsg", "we");
	va_list ap;

	if (!f)
		return;
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

/* A line of /proc/meminfo, in kB. */
static unsigned long meminfo_kb(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kb = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kb = strtoul(line + strlen(name) + 1, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

/*
 * The page cache of a block device that stores nothing, read over and over: it goes to where
 * memory is free, tag storage too, and can be dropped.
 */
static int big_disk(struct machine *m)
{
	char path[64], *id = get("/sys/class/zram-control/hot_add");

	if (!id)
		return -1;
	m->disk = atoi(id);
	free(id);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", m->disk);
	if (!put(path, "8G"))
		return -1;
	snprintf(path, sizeof(path), "/dev/zram%d", m->disk);
	return open(path, O_RDONLY | O_CLOEXEC);
}

#define HOLD_PIPES 64
#define HOLD_PAGES 16
#define PAGE_BYTES 4096L

/* Pages of a file in memory that nobody can move: a pipe has them. */
static void hold_pages(void)
{
	int file = memfd_create("held", MFD_CLOEXEC), pipes[2];
	static char page[PAGE_BYTES];
	loff_t at = 0;

	memset(page, 1, sizeof(page));
	for (int i = 0; i < HOLD_PIPES; i++) {
		if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK))
			return;
		for (int j = 0; j < HOLD_PAGES; j++)
			if (pwrite(file, page, PAGE_BYTES, at + j * PAGE_BYTES) != PAGE_BYTES)
				return;
		while (splice(file, &at, pipes[1], NULL, PAGE_BYTES, SPLICE_F_NONBLOCK) > 0)
			;
	}
}

#define READ_AT_ONCE (128 << 10)	/* what is read ahead by default */
#define DISK_SIZE (8LL << 30)
#define FREE_KB (32UL << 10)

static void press(int disk, int tell)
{
	off_t all = (off_t)meminfo_kb("MemTotal") << 10, at = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		/* Without a copy. What was dropped is not read again before all else is. */
		readahead(disk, at % DISK_SIZE, READ_AT_ONCE);
		at += READ_AT_ONCE;
		if (at < all)
			continue;
		/* Memory was full once: what is allocated now is tag storage, too. */
		if (at < all + READ_AT_ONCE) {
			hold_pages();
			if (write(tell, "1", 1) != 1)
				_exit(1);
		}
		if (meminfo_kb("MemFree") < FREE_KB)
			sleep_ms(20);
	}
}

bool machine_press(struct machine *m, char *why, size_t size)
{
	int disk = big_disk(m), tell[2];
	char byte;
	bool ok;

	if (disk < 0 || pipe2(tell, O_CLOEXEC)) {
		snprintf(why, size, "pressure needs a zram device (/sys/class/zram-control): %s",
			 strerror(errno));
		return false;
	}
	fflush(NULL);
	m->presser = fork();
	if (!m->presser)
		press(disk, tell[1]);
	close(disk);
	close(tell[1]);
	ok = m->presser > 0 && read(tell[0], &byte, 1) == 1;
	close(tell[0]);
	if (!ok)
		snprintf(why, size, "memory could not be filled");
	return ok;
}
