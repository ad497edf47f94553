// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU that counts how often each instruction of the guest is executed
 * between two addresses of the program that is measured, for scripts/bench --profile.
 *
 *	-plugin file=profile.so,begin=ADDRESS,end=ADDRESS,out=FILE
 *
 * Counting begins when the instruction at "begin" is executed, and ends at "end"; what
 * the kernel does in between, in interrupts too, is counted. FILE gets a line for each
 * instruction: its address and its count, in hex and decimal. One processor only.
 *
 * The header of this interface is not packaged; it is stable, and these are the parts
 * of it that are used, of its version 2.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;

#define QEMU_PLUGIN_CB_NO_REGS 0

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t idx);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t id,
						      struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int vcpu, void *data),
					    int flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
				    void (*cb)(qemu_plugin_id_t id, void *data), void *data);

#define EXPORT __attribute__((visibility("default")))

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_version = 2;

struct counter {
	uint64_t addr, count;	/* addr 0: not in use */
};

/* The kernel has some hundred thousand instructions that are ever translated. */
#define COUNTERS (1U << 22)

static struct counter *counters;
static unsigned int used;
static uint64_t begin, end;
static const char *out;
static bool on;

static struct counter *counter(uint64_t addr)
{
	uint64_t h = addr / 4 * 0x9e3779b97f4a7c15ULL >> 42;

	while (counters[h].addr && counters[h].addr != addr)
		h = (h + 1) % COUNTERS;
	if (!counters[h].addr) {
		if (++used > COUNTERS / 4 * 3) {
			fprintf(stderr, "profile: too many instructions\n");
			exit(1);
		}
		counters[h].addr = addr;
	}
	return &counters[h];
}

static void executed(unsigned int vcpu, void *data)
{
	struct counter *c = data;

	(void)vcpu;
	if (c->addr == begin)
		on = true;
	else if (c->addr == end)
		on = false;
	else if (on)
		c->count++;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS,
						       counter(qemu_plugin_insn_vaddr(insn)));
	}
}

static void finish(qemu_plugin_id_t id, void *data)
{
	FILE *f = fopen(out, "we");

	(void)id;
	(void)data;
	for (unsigned int i = 0; f && i < COUNTERS; i++)
		if (counters[i].count)
			fprintf(f, "%016" PRIx64 " %" PRIu64 "\n", counters[i].addr,
				counters[i].count);
	if (!f || fclose(f))
		fprintf(stderr, "profile: %s: %s\n", out, strerror(errno));
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
			       char **argv);

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
			       char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "begin=", 6))
			begin = strtoull(argv[i] + 6, NULL, 16);
		else if (!strncmp(argv[i], "end=", 4))
			end = strtoull(argv[i] + 4, NULL, 16);
		else if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	}
	counters = calloc(COUNTERS, sizeof(*counters));
	if (!begin || !end || !out || !counters) {
		fprintf(stderr, "profile: begin=, end= and out= are needed\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
