// SPDX-License-Identifier: GPL-2.0-only
/*
 * init of the guest: mounts what a program expects, finds out where the allocation
 * tags are kept, runs the one command the host sends over a virtio serial port,
 * carries its input and output there and back, and powers off.
 *
 * What the host wants set up is on the kernel command line:
 *   tagscope.tags=BASE,SIZE,RAMBASE,RAMSIZE  where the host put the tags (hex)
 *   tagscope.share=TAG                       9p to mount at /mnt/share
 *   tagscope.swap=zram:BYTES | DEVICE        swap to set up
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef HWCAP2_MTE
#define HWCAP2_MTE 0x40000
#endif
#define PAGE 4096UL
#define GRANULE 16UL
#define STDIN_WINDOW (64 * 1024)
#define OUT_LIMIT (64 * 1024)

static int log_fd = -1;
static char cmdline[4096];

/* One line to the kernel log, which the host keeps. */
__attribute__((format(printf, 1, 2)))
static void note(const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int n;

	n = snprintf(buf, sizeof(buf), "<6>init: ");
	va_start(ap, fmt);
	vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);
	va_end(ap);
	if (log_fd >= 0 && write(log_fd, buf, strlen(buf)) < 0)
		return;		/* there is nobody left to tell */
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* For what init cannot do without. */
__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *fmt, ...)
{
	char buf[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	note("fatal: %s", buf);
	power_off();
}

static void mount_at(const char *type, const char *dir, unsigned long flags, const char *data)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		note("mkdir %s: %s", dir, strerror(errno));
	if (mount(type, dir, type, flags, data) && errno != EBUSY)
		note("mount %s at %s: %s", type, dir, strerror(errno));
}

/* Value of NAME= on the kernel command line, in a buffer of its own, or NULL. */
static char *param(const char *name)
{
	size_t len = strlen(name);
	const char *p = cmdline;

	while ((p = strstr(p, name))) {
		if ((p == cmdline || p[-1] == ' ') && p[len] == '=') {
			size_t n = strcspn(p + len + 1, "\n ");

			return strndup(p + len + 1, n);
		}
		p += len;
	}
	return NULL;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static void read_cmdline(void)
{
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, cmdline, sizeof(cmdline) - 1);
	cmdline[n > 0 ? n : 0] = 0;
	close(fd);
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		note("loopback: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* The first page of a swap area, as mkswap writes it (include/linux/swap.h). */
static int make_swap(const char *dev, unsigned long long bytes)
{
	union {
		char page[PAGE];
		struct {
			char boot[1024];
			uint32_t version, last_page, nr_badpages;
		} info;
	} hdr;
	int fd, ret = -1;

	memset(&hdr, 0, sizeof(hdr));
	hdr.info.version = 1;
	hdr.info.last_page = (uint32_t)(bytes / PAGE - 1);
	memcpy(hdr.page + PAGE - 10, "SWAPSPACE2", 10);
	fd = open(dev, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (pwrite(fd, &hdr, PAGE, 0) == (ssize_t)PAGE && !fsync(fd))
		ret = 0;
	close(fd);
	return ret ? ret : swapon(dev, 0);
}

static void swap_up(const char *what)
{
	unsigned long long bytes = 0;
	char dev[64] = "/dev/zram0";
	int err = 0;

	if (!strncmp(what, "zram:", 5)) {
		bytes = strtoull(what + 5, NULL, 10);
		if (write_file("/sys/block/zram0/disksize", what + 5))
			err = errno;
	} else {
		int fd;

		snprintf(dev, sizeof(dev), "/dev/%s", what);
		fd = open(dev, O_RDONLY | O_CLOEXEC);
		bytes = fd < 0 ? 0 : (unsigned long long)lseek(fd, 0, SEEK_END);
		if (fd >= 0)
			close(fd);
	}
	if (!err && make_swap(dev, bytes))
		err = errno;
	if (err)
		die("swap on %s: %s", dev, strerror(err));
}

static void set_up(void)
{
	struct rlimit core = { 0, RLIM_INFINITY };
	char *v;

	umask(022);
	mount_at("devtmpfs", "/dev", MS_NOSUID, NULL);
	log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	read_cmdline();
	/* What programs write to the log must not be held back. */
	write_file("/proc/sys/kernel/printk_devkmsg", "on\n");
	mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666");
	mount_at("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_at("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_at("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
	mount_at("debugfs", "/sys/kernel/debug", 0, NULL);
	mount_at("tracefs", "/sys/kernel/tracing", 0, NULL);
	mount_at("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (symlink("/proc/self/fd", "/dev/fd") || symlink("/proc/self/fd/0", "/dev/stdin") ||
	    symlink("/proc/self/fd/1", "/dev/stdout") || symlink("/proc/self/fd/2", "/dev/stderr"))
		note("links in /dev: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &core))
		note("core limit: %s", strerror(errno));
	/* As udev has it. */
	if (chmod("/dev/fuse", 0666) && errno != ENOENT)
		note("/dev/fuse: %s", strerror(errno));
	if (chown("/home/user", 1000, 1000))
		note("/home/user: %s", strerror(errno));
	if (sethostname("tagscope", 8))
		note("hostname: %s", strerror(errno));
	loopback_up();
	v = param("tagscope.share");
	if (v && mount(v, "/mnt/share", "9p", 0,
		       "trans=virtio,version=9p2000.L,msize=524288,cache=mmap,access=client"))
		die("9p share: %s", strerror(errno));
	free(v);
	v = param("tagscope.swap");
	if (v)
		swap_up(v);
	free(v);
}

/*
 * Where the tags are. The page is given tags with STG, read back with LDG, and
 * then the bytes at the place where the host says it put tag storage are read
 * through /dev/mem. Twice, with tags that differ in each granule and each time.
 */
static void stg(void *p, unsigned int tag)
{
	uint64_t tagged = (uint64_t)p | (uint64_t)tag << 56;

	asm volatile("stg %0, [%0]" :: "r"(tagged) : "memory");
}

static unsigned int ldg(void *p)
{
	uint64_t v = (uint64_t)p;

	asm volatile("ldg %0, [%1]" : "+r"(v) : "r"(p) : "memory");
	return v >> 56 & 15;
}

static uint64_t pfn_of(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t e = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &e, sizeof(e), (off_t)((uintptr_t)p / PAGE * 8)) != sizeof(e))
		e = 0;
	close(fd);
	return e >> 63 ? e & ((1ULL << 55) - 1) : 0;
}

static unsigned int pattern(unsigned int i, unsigned int round)
{
	/* 5 is odd: 16 granules in a row have 16 different tags. */
	return (i * 5 + i / 16 + round * 9 + 1) & 15;
}

static void find_tags(char *out, size_t size)
{
	unsigned long long base, len, ram, ram_len, phys = 0, at = 0;
	unsigned char bytes[PAGE / GRANULE / 2];
	unsigned int i, round, ok = 0;
	char *v = param("tagscope.tags");
	char *page;
	int mem;

	if (!v || sscanf(v, "%llx,%llx,%llx,%llx", &base, &len, &ram, &ram_len) != 4) {
		snprintf(out, size, "unknown the host did not say where tag storage is");
		free(v);
		return;
	}
	free(v);
	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE)) {
		snprintf(out, size, "none this kernel or processor has no MTE");
		return;
	}
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_MTE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mem = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	if (page == MAP_FAILED || mem < 0) {
		snprintf(out, size, "unknown cannot look: %s", strerror(errno));
		return;
	}
	page[0] = 1;
	for (round = 0; round < 2; round++) {
		for (i = 0; i < PAGE / GRANULE; i++)
			stg(page + i * GRANULE, pattern(i, round));
		for (i = 0; i < PAGE / GRANULE; i++) {
			if (ldg(page + i * GRANULE) != pattern(i, round)) {
				snprintf(out, size,
					 "broken granule %u of a page was given tag %u and has %u%s",
					 i, pattern(i, round), ldg(page + i * GRANULE),
					 " (a QEMU before 10.0?)");
				return;
			}
		}
		phys = pfn_of(page) * PAGE;
		if (phys < ram || phys >= ram + ram_len) {
			snprintf(out, size,
				 "unknown page at 0x%llx is outside the RAM the host told of",
				 phys);
			return;
		}
		at = base + (phys - ram) / 32;
		if (pread(mem, bytes, sizeof(bytes), (off_t)at) != sizeof(bytes)) {
			snprintf(out, size, "unknown cannot read 0x%llx through /dev/mem: %s", at,
				 strerror(errno));
			return;
		}
		for (i = 0; i < sizeof(bytes); i++)
			if (bytes[i] == (pattern(2 * i, round) | pattern(2 * i + 1, round) << 4))
				ok++;
	}
	if (ok == 2 * sizeof(bytes))
		snprintf(out, size, "dram tags of RAM 0x%llx-0x%llx are in RAM at 0x%llx-0x%llx",
			 ram, ram + ram_len - 1, base, base + len - 1);
	else
		snprintf(out, size, "hidden tags of the page at 0x%llx are not in RAM at 0x%llx",
			 phys, at);
	close(mem);
	munmap(page, PAGE);
}

/* Bytes that wait to be written to a file descriptor. */
struct queue {
	char *data;
	size_t start, len, size;
};

static void queue_add(struct queue *q, const void *data, size_t len)
{
	if (q->start + q->len + len > q->size) {
		memmove(q->data, q->data + q->start, q->len);
		q->start = 0;
	}
	if (q->len + len > q->size) {
		q->size = (q->len + len) * 2;
		q->data = realloc(q->data, q->size);
		if (!q->data)
			die("out of memory");
	}
	memcpy(q->data + q->start + q->len, data, len);
	q->len += len;
}

/* Write what can be written. Returns bytes written, or -1. */
static ssize_t queue_write(struct queue *q, int fd)
{
	ssize_t n;

	if (!q->len)
		return 0;
	n = write(fd, q->data + q->start, q->len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	q->start += (size_t)n;
	q->len -= (size_t)n;
	if (!q->len)
		q->start = 0;
	return n;
}

static struct {
	int port;			/* virtio serial port, both ways */
	struct queue to_host;
	char *from_host;		/* PROTO_RUN_MAX plus a header */
	size_t from_len;
	pid_t child;
	int status;
	bool exited;
	int in, out, err;		/* our ends; with a terminal all the same */
	bool tty;
	struct queue to_child;
	bool in_eof;			/* close in when to_child is empty */
} s = { .port = -1, .in = -1, .out = -1, .err = -1 };

static void send_frame(enum proto_type type, const void *data, size_t len)
{
	struct proto_header h = { .len = (uint32_t)len, .type = type };

	queue_add(&s.to_host, &h, sizeof(h));
	if (len)
		queue_add(&s.to_host, data, len);
}

static int open_port(void)
{
	const char *dir = "/sys/class/virtio-ports";
	char path[300], name[64];
	struct dirent *e;
	DIR *d;
	int fd, tries;
	ssize_t n;

	/* The port appears a moment after its bus: the device is asked for its name. */
	for (tries = 0; tries < 2000; tries++) {
		d = opendir(dir);
		while (d && (e = readdir(d))) {
			snprintf(path, sizeof(path), "%s/%s/name", dir, e->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			n = read(fd, name, sizeof(name) - 1);
			close(fd);
			if (n <= 0)
				continue;
			name[n] = 0;
			name[strcspn(name, "\n")] = 0;
			if (strcmp(name, PROTO_PORT))
				continue;
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			closedir(d);
			return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
		if (d)
			closedir(d);
		usleep(1000);
	}
	errno = ENODEV;
	return -1;
}

static void set_size(const struct proto_winsize *ws)
{
	struct winsize w = { .ws_row = ws->rows, .ws_col = ws->cols };

	if (s.tty && s.in >= 0 && ws->rows && ioctl(s.in, TIOCSWINSZ, &w))
		note("TIOCSWINSZ: %s", strerror(errno));
}

/* A program would find no description of a terminal the guest does not know. */
static char *known_term(char *env)
{
	static const char * const dirs[] = {
		"/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo",
	};
	const char *term = env + 5;
	char path[200];
	size_t i;

	if (strncmp(env, "TERM=", 5))
		return env;
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%c/%s", dirs[i], term[0], term);
		if (*term && !strchr(term, '/') && !access(path, R_OK))
			return env;
	}
	term = strstr(term, "256") ? "TERM=xterm-256color" : "TERM=vt100";
	return (char *)term;
}

static void __attribute__((noreturn)) child(char **argv, char **envp, const int fds[3])
{
	sigset_t none;
	int i;

	setsid();
	for (i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(126);
	if (s.tty && ioctl(0, TIOCSCTTY, 0))
		_exit(126);
	for (i = 3; i < 64; i++)
		close(i);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (chdir("/root"))
		_exit(126);
	environ = envp;
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Ends of pipes or of a terminal: theirs[] for the child, ours in s. */
static void make_channels(int theirs[3])
{
	int p[2], i;
	char name[64];

	if (s.tty) {
		int m = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

		if (m < 0 || grantpt(m) || unlockpt(m) || ptsname_r(m, name, sizeof(name)))
			die("pseudo terminal: %s", strerror(errno));
		theirs[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (theirs[0] < 0)
			die("%s: %s", name, strerror(errno));
		theirs[1] = theirs[0];
		theirs[2] = theirs[0];
		s.in = m;
		s.out = m;
		return;
	}
	for (i = 0; i < 3; i++) {
		if (pipe2(p, O_CLOEXEC))
			die("pipe: %s", strerror(errno));
		theirs[i] = p[i ? 1 : 0];
		if (i == 0)
			s.in = p[1];
		else if (i == 1)
			s.out = p[0];
		else
			s.err = p[0];
		if (fcntl(p[i ? 0 : 1], F_SETFL, O_NONBLOCK))
			die("fcntl: %s", strerror(errno));
	}
}

static void run(const char *data, size_t len)
{
	struct proto_run r;
	const char *p = data + sizeof(r), *end = data + len;
	uint32_t credit = STDIN_WINDOW, i, at;
	int theirs[3];
	char **v;

	if (s.child || len < sizeof(r))
		die("a command to run that is none");
	memcpy(&r, data, sizeof(r));
	if (!r.argc || r.argc > len || r.envc > len)
		die("a command to run of %u words", r.argc);
	v = calloc((size_t)r.argc + r.envc + 2, sizeof(*v));
	if (!v)
		die("out of memory");
	for (i = 0; i < r.argc + r.envc; i++) {
		size_t n = strnlen(p, (size_t)(end - p));

		if (p + n >= end)
			die("a command to run that is cut off");
		/* Two arrays in one, each with its NULL. */
		at = i < r.argc ? i : i + 1;
		v[at] = strdup(p);
		if (!v[at])
			die("out of memory");
		p += n + 1;
	}
	for (i = r.argc + 1; v[i]; i++)
		v[i] = known_term(v[i]);
	s.tty = r.tty;
	make_channels(theirs);
	set_size(&r.size);
	s.child = fork();
	if (s.child < 0)
		die("fork: %s", strerror(errno));
	if (!s.child)
		child(v, v + r.argc + 1, theirs);
	close(theirs[0]);
	if (!s.tty) {
		close(theirs[1]);
		close(theirs[2]);
	}
	send_frame(PROTO_CREDIT, &credit, sizeof(credit));
}

static void frame(uint32_t type, const char *data, size_t len)
{
	struct proto_winsize ws;

	switch (type) {
	case PROTO_RUN:
		run(data, len);
		break;
	case PROTO_STDIN:
		if (!len)
			s.in_eof = true;
		else if (s.in >= 0)
			queue_add(&s.to_child, data, len);
		break;
	case PROTO_WINSIZE:
		if (len == sizeof(ws)) {
			memcpy(&ws, data, sizeof(ws));
			set_size(&ws);
		}
		break;
	default:
		die("frame of unknown type %u", type);
	}
}

static void from_host(void)
{
	struct proto_header h;
	size_t at = 0;
	ssize_t n;

	n = read(s.port, s.from_host + s.from_len, PROTO_RUN_MAX + sizeof(h) - s.from_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("console lost: %s", n ? strerror(errno) : "the host closed it");
	s.from_len += (size_t)n;
	while (s.from_len - at >= sizeof(h)) {
		memcpy(&h, s.from_host + at, sizeof(h));
		if (h.len > PROTO_RUN_MAX)
			die("frame of %u bytes", h.len);
		if (s.from_len - at - sizeof(h) < h.len)
			break;
		frame(h.type, s.from_host + at + sizeof(h), h.len);
		at += sizeof(h) + h.len;
	}
	memmove(s.from_host, s.from_host + at, s.from_len - at);
	s.from_len -= at;
}

static void close_in(void)
{
	if (s.in >= 0 && s.in != s.out)
		close(s.in);
	s.in = -1;
}

static void to_child(void)
{
	ssize_t n = queue_write(&s.to_child, s.in);
	uint32_t credit;

	if (n < 0) {
		/* Nobody reads it any more: take it and throw it away. */
		n = (ssize_t)s.to_child.len;
		s.to_child.len = 0;
		close_in();
	}
	if (n > 0) {
		credit = (uint32_t)n;
		send_frame(PROTO_CREDIT, &credit, sizeof(credit));
	}
	if (s.in_eof && !s.to_child.len && !s.tty)
		close_in();
}

/* Output of the command. Returns whether there may be more now. */
static bool from_child(int *fd, enum proto_type type)
{
	char buf[PROTO_DATA_MAX];
	ssize_t n;

	if (*fd < 0)
		return false;
	n = read(*fd, buf, sizeof(buf));
	if (n > 0) {
		send_frame(type, buf, (size_t)n);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* A terminal gives EIO when nobody has it open. */
	if (*fd == s.in)
		s.in = -1;
	close(*fd);
	*fd = -1;
	return false;
}

static void reap(void)
{
	pid_t pid;
	int st;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == s.child) {
			s.exited = true;
			s.status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
		}
	}
}

/* Nothing of the command's may run on: what ends late is part of its run. */
static void kill_rest(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };
	int i;

	kill(-1, SIGKILL);
	for (i = 0; i < 3000; i++) {
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		nanosleep(&ts, NULL);
	}
	note("some processes could not be killed");
}

static void serve(int sigs)
{
	struct signalfd_siginfo si;
	int32_t status;
	bool done = false;

	for (;;) {
		bool room = s.to_host.len < OUT_LIMIT;
		struct pollfd p[] = {
			{ s.port, POLLIN | (s.to_host.len ? POLLOUT : 0), 0 },
			{ sigs, POLLIN, 0 },
			{ room ? s.out : -1, POLLIN, 0 },
			{ room ? s.err : -1, POLLIN, 0 },
			{ s.to_child.len || (s.in_eof && !s.tty) ? s.in : -1, POLLOUT, 0 },
		};

		/* Once it has ended, what it left in the pipes is taken without waiting. */
		if (poll(p, sizeof(p) / sizeof(p[0]), s.exited && !done && room ? 0 : -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll: %s", strerror(errno));
		}
		if (p[0].revents & (POLLHUP | POLLERR))
			die("console lost");
		if (p[0].revents & POLLIN)
			from_host();
		if (p[0].revents & POLLOUT && queue_write(&s.to_host, s.port) < 0)
			die("console lost: %s", strerror(errno));
		if (p[2].revents)
			from_child(&s.out, PROTO_STDOUT);
		if (p[3].revents)
			from_child(&s.err, PROTO_STDERR);
		if (p[4].revents)
			to_child();
		if (p[1].revents && read(sigs, &si, sizeof(si)) == sizeof(si))
			reap();
		if (s.exited && !done && room) {
			bool more = from_child(&s.out, PROTO_STDOUT);

			more |= from_child(&s.err, PROTO_STDERR);
			if (!more) {
				status = s.status;
				send_frame(PROTO_DONE, &status, sizeof(status));
				done = true;
			}
		}
		if (done && !s.to_host.len)
			return;
	}
}

int main(void)
{
	char where[256];
	sigset_t set;
	int sigs;

	if (getpid() != 1) {
		fprintf(stderr, "init: only for process 1 of the guest\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	set_up();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigs = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s.port = open_port();
	s.from_host = malloc(PROTO_RUN_MAX + sizeof(struct proto_header));
	if (sigs < 0 || s.port < 0 || !s.from_host)
		die("no channel to the host: %s", strerror(errno));
	find_tags(where, sizeof(where));
	note("tag storage: %s", where);
	send_frame(PROTO_HELLO, where, strlen(where));
	serve(sigs);
	kill_rest();
	if (umount2("/mnt/share", MNT_DETACH) && errno != EINVAL)
		note("umount of the share: %s", strerror(errno));
	power_off();
}
