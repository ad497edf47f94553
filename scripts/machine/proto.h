/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the supervisor on the host and init in the guest say to one another over
 * the virtio serial port PROTO_PORT: frames of a header and len bytes. Both sides
 * are little endian, and built from the same source.
 */
#ifndef PROTO_H
#define PROTO_H

#include <stdint.h>

#define PROTO_PORT	"tagscope.ctl"
#define PROTO_DATA_MAX	16384		/* longest stdin, stdout or stderr frame */
#define PROTO_RUN_MAX	(1024 * 1024)	/* longest of all: PROTO_RUN */

struct proto_header {
	uint32_t len;			/* bytes that follow the header */
	uint32_t type;			/* enum proto_type */
};

enum proto_type {
	/* guest to host */
	PROTO_HELLO = 'H',		/* text: "KIND words", KIND being where the tags are */
	PROTO_STDOUT = 'O',
	PROTO_STDERR = 'X',
	PROTO_CREDIT = 'C',		/* uint32_t: so many more bytes of stdin may be sent */
	PROTO_DONE = 'D',		/* int32_t: status of the command; the last frame */
	/* host to guest */
	PROTO_RUN = 'R',		/* struct proto_run, then argc + envc strings */
	PROTO_STDIN = 'I',		/* no bytes: end of file */
	PROTO_WINSIZE = 'W',		/* struct proto_winsize */
};

struct proto_winsize {
	uint16_t rows, cols;
};

struct proto_run {
	uint32_t tty;			/* 1: give the command a terminal, 0: pipes */
	struct proto_winsize size;
	uint32_t argc, envc;
};

#endif /* PROTO_H */
