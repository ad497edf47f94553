/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * supervise: start QEMU, run one command in its guest through init.c, carry input,
 * output and status, and tell how it ended. scripts/vm calls it and documents it.
 *
 * options.c what it is told; qemu.c the process; log.c the kernel log; command.c the
 * conversation with the guest's init; terminal.c the user's terminal; queue.c bytes
 * that wait to be written; say.c messages; main.c brings these together.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../proto.h"

/* Statuses of our own; scripts/vm --help lists them. */
enum {
	ST_USAGE = 2,
	ST_PANIC = 120,
	ST_OOPS = 121,
	ST_TAGS = 122,
	ST_TIMEOUT = 124,
	ST_LOST = 125,
	ST_START = 126,
};

/* ---- options.c ------------------------------------------------------------------ */

enum tty_mode { TTY_AUTO, TTY_YES, TTY_NO };

struct options {
	enum tty_mode tty;
	bool interactive, quiet, verbose, no_stdin;
	bool oops_ok;			/* --no-strict: an oops does not count */
	double timeout, boot_timeout;	/* seconds, 0: none */
	bool fair;			/* timeout, as boot_timeout, is of time without waits */
	const char *log;
	const char *expect;		/* where tags must be, or NULL */
	const char *preload;
	const char *policy;		/* what the kernel must know, or NULL */
	char **env;
	uint32_t envc;
	char **qemu, **cmd;
	int qemuc, cmdc;
};

extern struct options o;

/* Fills o from the command line, or ends with a message. */
void options(int argc, char **argv);

/* ---- say.c ---------------------------------------------------------------------- */

/* Seconds of a clock that does not jump. */
double now(void);

/* A line on stderr. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* End, QEMU with us, with a line on stderr. */
void die(int status, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* realloc(), or the end. */
void *must_realloc(void *p, size_t n);

/* ---- queue.c -------------------------------------------------------------------- */

/* Bytes that wait to be written to a file descriptor. */
struct queue {
	int fd;
	char *data;
	size_t start, len, size;
};

void queue_add(struct queue *q, const void *data, size_t len);

/* Write what can be written. 0, or the errno for which nothing more can be. */
int queue_write(struct queue *q);

/* ---- terminal.c ----------------------------------------------------------------- */

/* All keys to the command; unless --interactive, Ctrl-C is still a signal to us. */
void terminal_raw(void);

/* As it was before. */
void terminal_restore(void);

bool terminal_is_raw(void);
struct proto_winsize terminal_size(void);

/* In the background the terminal is not ours: reading from it would stop us. */
bool terminal_foreground(void);

/* ---- qemu.c --------------------------------------------------------------------- */

/* Start QEMU; our ends of the command's socket and of the kernel log's pipe. */
void qemu_start(int *ctl, int *log);

void qemu_kill(void);

/* After SIGCHLD. */
void qemu_reap(void);

bool qemu_gone(void);

/* As of wait(). */
int qemu_status(void);

/*
 * Seconds that QEMU has been able to run, but waited for a processor that others
 * used: between one call and the next, of its threads that which waited longest. So
 * it has to be asked every now and then, as they wait for one another. 0 if the
 * kernel does not tell.
 */
double qemu_waited(void);

/* What QEMU writes to stderr: descriptor or -1, take it, show it. */
int qemu_err_fd(void);
void qemu_read_err(void);
void qemu_show_err(void);

/* ---- log.c ---------------------------------------------------------------------- */

/* A file to keep it in. */
void log_keep(const char *path);

/* Watch the log that comes from this descriptor. */
void log_open(int fd);

/* Its descriptor, -1 when it has ended. */
int log_fd(void);

/* Take what there is. Returns whether there may be more. */
bool log_read(void);

/* The file is complete, or it is said why not. */
void log_close(void);

/* Show the end of it. */
void log_tail(void);

bool log_empty(void);
bool log_panic(void);

/* The line with which the kernel complained first, or NULL. */
const char *log_oops(void);

/* Why the kernel does not have the policy it was given, or NULL. */
const char *log_no_policy(void);

/* ---- command.c ------------------------------------------------------------------ */

/* How far the command is. */
struct command {
	bool use_tty;
	bool hello;			/* init has told where the tags are */
	bool wrong_tags;		/* and that is not where they should be */
	bool running, done;
	int status;			/* when done */
	double done_at, done_waited;	/* then: now() and qemu_waited() */
	char where[512];		/* the tags; the first word says which kind */
};

extern struct command c;

/* Talk to init over this descriptor. */
void command_open(int fd);

/* For poll(): what is waited for now, or -1. */
int command_fd(short *events);
int command_out_fd(void);
int command_err_fd(void);
int command_stdin_fd(void);

/* All has been read from init, and written where it belongs. */
bool command_ended(void);

void command_read(void);
void command_write(void);

/* As of queue_write(), for the command's stdout and stderr. */
int command_write_out(void);
void command_write_err(void);

/* Pass input on. Returns true if the user wants the guest to end (Ctrl-]). */
bool command_read_stdin(void);

/* The size of the terminal has changed. */
void command_resize(void);

#endif
