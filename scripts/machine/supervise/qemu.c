// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU, the process.
 *
 * To its arguments are added a serial port for the kernel log and a virtio serial port
 * for the command, over a pipe and a socket pair, so that no file and no port is shared
 * with another run. QEMU dies with us, however we end.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

#define LOG_PIPE	(256 * 1024)

static pid_t pid;
static int wait_status;
static bool gone;
static int err_fd = -1;
static char err_text[8192];
static size_t err_len;

void qemu_start(int *our_ctl, int *our_log)
{
	int ctl[2], log[2], err[2], i, n = 0;
	char chr[2][64], preload[4200];
	pid_t parent = getpid();
	char **argv;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl) ||
	    pipe2(log, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die(ST_START, "cannot make channels: %s", strerror(errno));
	/*
	 * QEMU writes the log byte by byte. A pipe gathers that; each byte in a socket
	 * would take the room of a packet, and QEMU would soon have to wait for us. If
	 * the kernel grants no larger pipe, the usual size will do.
	 */
	(void)fcntl(log[1], F_SETPIPE_SZ, LOG_PIPE);
	snprintf(chr[0], sizeof(chr[0]), "file,id=log,path=/proc/self/fd/%d", log[1]);
	snprintf(chr[1], sizeof(chr[1]), "socket,id=ctl,fd=%d", ctl[1]);
	argv = must_realloc(NULL, sizeof(*argv) * (size_t)(o.qemuc + 16));
	for (i = 0; i < o.qemuc; i++)
		argv[n++] = o.qemu[i];
	argv[n++] = (char *)"-chardev";
	argv[n++] = chr[0];
	argv[n++] = (char *)"-serial";
	argv[n++] = (char *)"chardev:log";
	argv[n++] = (char *)"-chardev";
	argv[n++] = chr[1];
	argv[n++] = (char *)"-device";
	argv[n++] = (char *)"virtio-serial-device,max_ports=2";
	argv[n++] = (char *)"-device";
	argv[n++] = (char *)"virtserialport,chardev=ctl,name=" PROTO_PORT;
	argv[n] = NULL;

	pid = fork();
	if (pid < 0)
		die(ST_START, "fork: %s", strerror(errno));
	if (!pid) {
		sigset_t none;
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/* Ctrl-C and a closing terminal are our business. */
		setsid();
		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(err[1], 2) < 0 ||
		    fcntl(ctl[1], F_SETFD, 0) || fcntl(log[1], F_SETFD, 0))
			_exit(1);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		if (o.preload) {
			snprintf(preload, sizeof(preload), "%s", o.preload);
			setenv("LD_PRELOAD", preload, 1);
		}
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	free(argv);
	close(ctl[1]);
	close(log[1]);
	close(err[1]);
	*our_ctl = ctl[0];
	*our_log = log[0];
	err_fd = err[0];
	if (fcntl(ctl[0], F_SETFL, O_NONBLOCK) || fcntl(log[0], F_SETFL, O_NONBLOCK) ||
	    fcntl(err[0], F_SETFL, O_NONBLOCK))
		die(ST_START, "fcntl: %s", strerror(errno));
}

void qemu_kill(void)
{
	if (pid > 0 && !gone) {
		kill(pid, SIGKILL);
		if (waitpid(pid, &wait_status, 0) == pid)
			gone = true;
	}
}

void qemu_reap(void)
{
	if (waitpid(pid, &wait_status, WNOHANG) == pid)
		gone = true;
}

bool qemu_gone(void)
{
	return gone;
}

int qemu_status(void)
{
	return wait_status;
}

/* Of thread @tid: @waited is how long it has waited so far. How much of it is new. */
static double newly_waited(int tid, double waited)
{
	static struct { int tid; double waited; } seen[64];
	size_t i = 0;
	double more;

	while (i < sizeof(seen) / sizeof(seen[0]) && seen[i].tid && seen[i].tid != tid)
		i++;
	if (i == sizeof(seen) / sizeof(seen[0]))
		return 0;
	more = waited - (seen[i].tid ? seen[i].waited : 0);
	seen[i].tid = tid;
	seen[i].waited = waited;
	return more;
}

double qemu_waited(void)
{
	static double total;
	double most = 0;
	char path[300];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		double ran, waited;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		/* Nanoseconds on a processor, and nanoseconds waiting for one. */
		if (fscanf(f, "%lf %lf", &ran, &waited) == 2) {
			waited = newly_waited(atoi(e->d_name), waited / 1e9);
			if (waited > most)
				most = waited;
		}
		fclose(f);
	}
	if (d)
		closedir(d);
	total += most;
	return total;
}

int qemu_err_fd(void)
{
	return err_fd;
}

void qemu_read_err(void)
{
	char buf[4096];
	ssize_t n = read(err_fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(err_fd);
		err_fd = -1;
		return;
	}
	if ((size_t)n > sizeof(err_text) - 1 - err_len)
		n = (ssize_t)(sizeof(err_text) - 1 - err_len);
	memcpy(err_text + err_len, buf, (size_t)n);
	err_len += (size_t)n;
}

void qemu_show_err(void)
{
	if (!err_len)
		return;
	say("QEMU said:");
	fwrite(err_text, 1, err_len, stderr);
	if (err_text[err_len - 1] != '\n')
		fputc('\n', stderr);
}
