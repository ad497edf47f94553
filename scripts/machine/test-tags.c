// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the tests of the machine, in the guest: give the granules of some pages
 * tags, tell the pages' physical addresses, and on each line of standard input
 * tell the tags anew.
 *
 * Usage: test-tags PAGES SEED
 * Output: one line a page, "PHYSICAL-ADDRESS TAGS", TAGS being 256 hex digits, one
 * a granule; then a line "end".
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#define PAGE 4096UL
#define GRANULE 16UL

static void stg(char *p, unsigned int tag)
{
	uint64_t tagged = (uint64_t)p | (uint64_t)tag << 56;

	asm volatile("stg %0, [%0]" :: "r"(tagged) : "memory");
}

static unsigned int ldg(char *p)
{
	uint64_t v = (uint64_t)p;

	asm volatile("ldg %0, [%1]" : "+r"(v) : "r"(p) : "memory");
	return v >> 56 & 15;
}

static int show(char *mem, unsigned long pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned long i, g;
	uint64_t e;

	if (fd < 0) {
		perror("/proc/self/pagemap");
		return -1;
	}
	for (i = 0; i < pages; i++) {
		char *p = mem + i * PAGE;

		if (pread(fd, &e, sizeof(e), (off_t)((uintptr_t)p / PAGE * 8)) != sizeof(e)) {
			perror("pagemap");
			close(fd);
			return -1;
		}
		printf("0x%llx ", (unsigned long long)((e & ((1ULL << 55) - 1)) * PAGE));
		for (g = 0; g < PAGE / GRANULE; g++)
			printf("%x", ldg(p + g * GRANULE));
		putchar('\n');
	}
	close(fd);
	puts("end");
	return fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned long pages, i;
	unsigned int r;
	char line[16];
	char *mem;

	if (argc != 3) {
		fprintf(stderr, "usage: test-tags PAGES SEED\n");
		return 2;
	}
	pages = strtoul(argv[1], NULL, 0);
	r = (unsigned int)strtoul(argv[2], NULL, 0);
	mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE | PROT_MTE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED || mlock(mem, pages * PAGE)) {
		perror("memory");
		return 1;
	}
	for (i = 0; i < pages * PAGE / GRANULE; i++) {
		r = r * 1103515245 + 12345;
		stg(mem + i * GRANULE, r >> 16 & 15);
	}
	if (show(mem, pages))
		return 1;
	while (fgets(line, sizeof(line), stdin))
		if (show(mem, pages))
			return 1;
	return 0;
}
