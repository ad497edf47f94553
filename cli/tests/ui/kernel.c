// SPDX-License-Identifier: GPL-2.0-only
/*
 * To be preloaded: makes the files "lookup" and "tags" of a fixture folder answer
 * requests, as the kernel's do and an ordinary file cannot. The answer to "pfn N" in
 * DIR/lookup is DIR/answers/lookup.0xN, else DIR/answers/lookup.default after a line
 * with the page's number; to "pid P ADDRESS": lookup.P.0xADDRESS. None: ENXIO or EFAULT.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct answer {
	int fd;
	char text[4096];
	size_t len;
} answer = { .fd = -1 };

/* The path behind a descriptor, if it is one of those files. */
static char *asked(int fd, char *path, size_t size)
{
	char link[64], *name;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, size - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	name = strrchr(path, '/');
	return name && (!strcmp(name, "/lookup") || !strcmp(name, "/tags")) ? name : NULL;
}

static size_t slurp(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return 0;
	n = fread(buf, 1, size, f);
	fclose(f);
	return n;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	static ssize_t (*real)(int fd, const void *buf, size_t len);
	char path[600], file[900], request[100], *name;
	unsigned long long a, b;
	size_t at = 0;

	if (!real)
		real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	name = asked(fd, path, sizeof(path));
	if (!name || len >= sizeof(request))
		return real(fd, buf, len);
	memcpy(request, buf, len);
	request[len] = '\0';
	*name++ = '\0';
	answer.fd = fd;
	if (sscanf(request, "pid %lli %lli", (long long *)&a, (long long *)&b) == 2) {
		snprintf(file, sizeof(file), "%s/answers/%s.%llu.0x%llx", path, name, a, b);
		answer.len = slurp(file, answer.text, sizeof(answer.text));
		if (!answer.len)
			errno = EFAULT;
	} else if (sscanf(request, "pfn %lli", (long long *)&a) == 1) {
		snprintf(file, sizeof(file), "%s/answers/%s.0x%llx", path, name, a);
		answer.len = slurp(file, answer.text, sizeof(answer.text));
		if (!answer.len) {
			snprintf(file, sizeof(file), "%s/answers/%s.default", path, name);
			at = (size_t)snprintf(answer.text, sizeof(answer.text), "pfn 0x%llx\n", a);
			answer.len = slurp(file, answer.text + at, sizeof(answer.text) - at);
			if (answer.len)
				answer.len += at;
			else
				errno = ENXIO;
		}
	} else {
		answer.len = 0;
		errno = EINVAL;
	}
	return answer.len ? (ssize_t)len : -1;
}

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
	static ssize_t (*real)(int fd, void *buf, size_t len, off_t at);
	char path[600];

	if (!real)
		real = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
	if (fd != answer.fd || !asked(fd, path, sizeof(path)))
		return real(fd, buf, len, at);
	if ((size_t)at >= answer.len)
		return 0;
	if (len > answer.len - (size_t)at)
		len = answer.len - (size_t)at;
	memcpy(buf, answer.text + at, len);
	return (ssize_t)len;
}
