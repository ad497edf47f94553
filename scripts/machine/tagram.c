// SPDX-License-Identifier: GPL-2.0-only
/*
 * tagram: put the allocation tags of an emulated arm64 machine into its own RAM.
 *
 * QEMU's "virt" machine keeps tags in a RAM block of its own, of RAM size / 32
 * bytes, which the guest cannot see. Real hardware keeps them in a part of DRAM.
 * This library is preloaded into QEMU. It sees RAM being mapped from a file (a
 * memfd or another shared memory backend), and later QEMU mapping anonymous
 * memory of RAM size / 32 bytes for the tags: there it maps a range of the RAM
 * file instead, shared, so that both are the same bytes.
 *
 * Environment:
 *   TAGRAM_RAM_SIZE  bytes of guest RAM
 *   TAGRAM_OFFSET    byte in RAM at which the tags begin
 *   TAGRAM_NTH       which of the mappings of that size it is, from 1 (default 1):
 *                    with 2 GiB of RAM the two flash banks are as large
 *   TAGRAM_DEBUG     if set, tell every mapping of that size
 *
 * When QEMU ends without having made the mapping, this is said on stderr. That the
 * tags really are in RAM is for the guest to check: only it can execute STG.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t ram_size;
static off_t tag_offset;
static unsigned int nth = 1;
static unsigned int seen;
static int debug;
static int ram_fd = -1;
static off_t ram_fd_offset;
static int done;

__attribute__((format(printf, 1, 2)))
static void tell(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "tagram: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* A number of the environment; ends QEMU if it is missing or not a number. */
static unsigned long long number(const char *name)
{
	const char *s = getenv(name);
	unsigned long long n;
	char *end;

	if (!s || !*s) {
		tell("%s is not set", name);
		_exit(1);
	}
	errno = 0;
	n = strtoull(s, &end, 0);
	if (errno || *end) {
		tell("%s=%s is not a number", name, s);
		_exit(1);
	}
	return n;
}

__attribute__((constructor))
static void tagram_init(void)
{
	ram_size = number("TAGRAM_RAM_SIZE");
	tag_offset = (off_t)number("TAGRAM_OFFSET");
	if (getenv("TAGRAM_NTH"))
		nth = (unsigned int)number("TAGRAM_NTH");
	debug = !!getenv("TAGRAM_DEBUG");
	if (!ram_size || ram_size % 32 ||
	    (unsigned long long)tag_offset + ram_size / 32 > ram_size) {
		tell("the tags do not fit: %zu bytes of RAM, tags from %lld", ram_size,
		     (long long)tag_offset);
		_exit(1);
	}
}

__attribute__((destructor))
static void tagram_exit(void)
{
	if (ram_size && !done)
		tell("QEMU mapped no %zu bytes for tags: the tags were not in guest RAM",
		     ram_size / 32);
}

static void *raw_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	/* The system call, not dlsym(): the loader itself may be calling. */
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);
}

static void *tagram_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (ram_size && fd >= 0 && len == ram_size && (flags & MAP_SHARED) && ram_fd < 0) {
		ram_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		ram_fd_offset = off;
		if (debug)
			tell("RAM is file %d, offset %lld", fd, (long long)off);
	}
	if (ram_size && len == ram_size / 32 && (flags & MAP_ANONYMOUS) &&
	    (flags & MAP_FIXED) && prot != PROT_NONE) {
		seen++;
		if (debug)
			tell("mapping %u of %zu bytes at %p", seen, len, addr);
		if (ram_fd >= 0 && seen == nth) {
			flags = (flags & ~(MAP_ANONYMOUS | MAP_PRIVATE)) | MAP_SHARED;
			done = 1;
			return raw_mmap(addr, len, prot, flags, ram_fd,
					ram_fd_offset + tag_offset);
		}
	}
	return raw_mmap(addr, len, prot, flags, fd, off);
}

__attribute__((visibility("default")))
void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return tagram_mmap(addr, len, prot, flags, fd, off);
}

__attribute__((visibility("default")))
void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return tagram_mmap(addr, len, prot, flags, fd, off);
}
