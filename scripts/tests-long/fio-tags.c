// SPDX-License-Identifier: GPL-2.0-only
/*
 * In the machine: takes and gives back tagged memory, MIB at a time, until SIGTERM. Each
 * granule of it has a tag and each page a number, which are compared before they go.
 * Prints how many pages it took, and how many were wrong.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#define PAGE ((size_t)4096)
#define GRANULE ((size_t)16)

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static char *tagged(char *p, size_t page)
{
	return (char *)((uintptr_t)p | (uintptr_t)(page % 15 + 1) << 56);
}

static char *tag_of(char *p)
{
	__asm__("ldg %0, [%0]" : "+r"(p));
	return p;
}

static void fill(char *mem, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		char *p = tagged(mem + i * PAGE, i);

		for (size_t at = 0; at < PAGE; at += GRANULE)
			__asm__ volatile("stg %0, [%0]" :: "r"(p + at) : "memory");
		*(size_t *)(mem + i * PAGE) = i;
	}
}

static size_t wrong(char *mem, size_t pages)
{
	size_t n = 0;

	for (size_t i = 0; i < pages; i++) {
		char *p = mem + i * PAGE;
		int bad = *(size_t *)p != i;

		for (size_t at = 0; at < PAGE; at += GRANULE)
			bad |= tag_of(p + at) != tagged(p + at, i);
		n += bad;
	}
	return n;
}

int main(int argc, char **argv)
{
	size_t pages = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) * 256;
	size_t took = 0, bad = 0;

	signal(SIGTERM, stop);
	while (!stopped) {
		char *mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE | PROT_MTE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (mem == MAP_FAILED) {
			perror("mmap with PROT_MTE");
			return 1;
		}
		fill(mem, pages);
		/* Copies are to be made beside it, and taken by the next. */
		usleep(100000);
		bad += wrong(mem, pages);
		took += pages;
		munmap(mem, pages * PAGE);
		usleep(100000);
	}
	printf("%zu %zu\n", took, bad);
	return bad != 0;
}
