// SPDX-License-Identifier: GPL-2.0-only
/* tagscope state */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"
#include "commands/command.h"
#include "commands/map_lines.h"
#include "kernel/state_json.h"

#define MAP_MAX_ROWS 32

static const char help[] =
	"Usage: tagscope state [options]\n\n"
	"Prints the state of tag storage, or of one page. Needs root.\n\n"
	"  --blocks N[+M]   blocks N to N+M-1, one a line, instead of the map\n"
	"  --pfn PFN        the page of this number, and its tags\n"
	"  --pid PID        with --addr: the page that this process has there\n"
	"  --addr ADDRESS   a user address, 0x...\n"
	"  --json           as one JSON object\n"
	"  --help           this text\n\n"
	"In the map a letter is a block, or as many as the line above it says, of which it\n"
	"shows the first of: i being emptied, p pinned, r reserved (holds tags), P permanent,\n"
	"c cached, d data, u unusable, f free.\n\n"
	"Examples:\n"
	"  tagscope state\n"
	"  tagscope state --pid 123 --addr 0xffff8a3b5000\n"
	"  tagscope state --json | python3 -m json.tool\n";

static int print_all(struct state *st)
{
	struct state_region *regions;
	struct state_summary s;
	char size[2][32];
	size_t n;
	int err = state_read_summary(st, &s);

	if (!err)
		err = state_read_regions(st, &regions, &n);
	if (err)
		return err;
	printf("%-20s %s%s%s\n", "policy", s.policy, strcmp(s.reason, "-") ? ", because: " : "",
	       strcmp(s.reason, "-") ? s.reason : "");
	for (size_t i = 0; i < state_counters_of(&s); i++)
		printf("%-20s %-12s %s\n", state_counter_name(&s, i),
		       state_counter_value(&s, i, size[0], sizeof(size[0])),
		       state_counter_text(&s, i));
	for (size_t i = 0; i < n && !err; i++) {
		struct state_region *r = &regions[i];
		uint64_t per = map_per_cell(r->blocks, MAP_MAX_ROWS);

		printf("\nregion %u: tags at 0x%" PRIx64 " (%s) for the memory at 0x%" PRIx64
		       " (%s)\n"
		       "  %" PRIu64 " blocks of %" PRIu64 " bytes from number %" PRIu64
		       "; a letter is %" PRIu64 " block%s\n",
		       r->index, r->tag_base, format_size(r->tag_size, size[0], sizeof(size[0])),
		       r->mem_base, format_size(r->mem_size, size[1], sizeof(size[1])), r->blocks,
		       r->block_size, r->first_block, per, per == 1 ? "" : "s");
		err = map_print(st, r->first_block, r->blocks, per, false);
	}
	free(regions);
	return err;
}

/* Runs of blocks in the same state: [first, count, "r"], which is short and exact. */
struct json_map {
	cJSON *runs;
	uint64_t first, block;
	char letter;
};

static void json_flush(struct json_map *m)
{
	cJSON *run;

	if (!m->letter)
		return;
	run = cJSON_CreateArray();
	cJSON_AddItemToArray(run, cJSON_CreateNumber((double)m->first));
	cJSON_AddItemToArray(run, cJSON_CreateNumber((double)(m->block - m->first)));
	cJSON_AddItemToArray(run, cJSON_CreateString((char[]){ m->letter, 0 }));
	cJSON_AddItemToArray(m->runs, run);
}

static void json_cell(void *ctx, char letter)
{
	struct json_map *m = ctx;

	if (letter != m->letter) {
		json_flush(m);
		m->letter = letter;
		m->first = m->block;
	}
	m->block++;
}

static int json_all(struct state *st, cJSON *o)
{
	struct state_region *regions;
	struct state_summary s;
	cJSON *list;
	size_t n;
	int err = state_read_summary(st, &s);

	if (!err)
		err = state_read_regions(st, &regions, &n);
	if (err)
		return err;
	json_add_u64(o, "version", s.version);
	state_to_json(&s, o);
	list = cJSON_AddArrayToObject(o, "region");
	for (size_t i = 0; i < n && !err; i++) {
		struct state_region *r = &regions[i];
		struct json_map map = { .block = r->first_block };
		cJSON *region = cJSON_CreateObject();

		cJSON_AddItemToArray(list, region);
		json_add_u64(region, "tag_base", r->tag_base);
		json_add_u64(region, "tag_size", r->tag_size);
		json_add_u64(region, "mem_base", r->mem_base);
		json_add_u64(region, "mem_size", r->mem_size);
		json_add_u64(region, "block_size", r->block_size);
		json_add_u64(region, "first_block", r->first_block);
		json_add_u64(region, "blocks", r->blocks);
		map.runs = cJSON_AddArrayToObject(region, "map");
		err = map_cells(st, r->first_block, r->blocks, 1, json_cell, &map);
		json_flush(&map);
	}
	free(regions);
	return err;
}

static int print_blocks(struct state *st, uint64_t first, uint64_t n)
{
	struct state_block b;
	size_t got;

	printf("%10s  %-10s %8s %8s %18s\n", "block", "state", "tagged", "free", "changed at");
	for (uint64_t i = first; i < first + n; i++) {
		const char *text;
		int err = state_read_blocks(st, i, 1, &b, &got);

		if (err)
			return err;
		if (!got)
			break;
		text = state_letter_text(b.letter);
		printf("%10" PRIu64 "  %-10.*s %8u %8u %18" PRIu64 "\n", i,
		       (int)strcspn(text, ":"), text, b.tagged, b.free, b.generation);
	}
	return 0;
}

static void hex(char *out, const uint8_t *bytes, size_t n, bool digits)
{
	for (size_t i = 0; i < n; i++)
		out += sprintf(out, digits ? "%x" : "%02x", bytes[i]);
}

static void page_lines(const struct state_page *p, const struct state_tags *t, bool with_addr)
{
	char line[2 * STATE_TAGS_PER_PAGE + 1];

	printf("page 0x%" PRIx64 ": %s%s, order %u, %" PRId64 " references, mapped %" PRId64 " times%s%s%s%s%s\n",
	       p->pfn, p->kind, p->tagged ? ", tagged" : "", p->order, p->refcount, p->mapcount,
	       p->lru ? ", on the LRU" : "", p->locked ? ", locked" : "",
	       p->writeback ? ", under write-back" : "", p->pinned ? ", pinned" : "",
	       p->dma_pinned ? ", pinned for DMA" : "");
	if (with_addr)
		printf("  entry 0x%" PRIx64 "%s, mapping %s PROT_MTE\n", p->pte,
		       p->foa ? ", inaccessible for want of tag storage" : "",
		       p->vma_tagged ? "with" : "without");
	if (p->block < 0)
		puts("  no tag storage covers it");
	else
		printf("  its tags: block %" PRId64 " (%s; %u pages), page 0x%" PRIx64 " from byte %u; %s\n",
		       p->block, p->block_state == '-' ? "?" : state_letter_text(p->block_state),
		       p->block_tagged, p->tag_pfn, p->tag_offset,
		       p->has_storage ? "reserved for it" : "not reserved for it");
	if (p->in_tag_storage)
		printf("  it is itself part of tag storage: block %" PRId64 " (%s)\n", p->own_block,
		       p->own_state == '-' ? "?" : state_letter_text(p->own_state));
	if (t->valid) {
		hex(line, t->tags, STATE_TAGS_PER_PAGE, true);
		puts("  tags, one digit for 16 bytes:");
		for (int i = 0; i < STATE_TAGS_PER_PAGE; i += 64)
			printf("    0x%03x %.64s\n", i * 16, line + i);
	}
	if (t->has_raw) {
		hex(line, t->raw, STATE_RAW_PER_PAGE, false);
		puts("  the bytes in tag storage:");
		for (int i = 0; i < 2 * STATE_RAW_PER_PAGE; i += 64)
			printf("    0x%03x %.64s\n", p->tag_offset + (unsigned int)i / 2, line + i);
	}
}

static void page_json(cJSON *o, const struct state_page *p, const struct state_tags *t,
		      bool with_addr)
{
	char line[2 * STATE_TAGS_PER_PAGE + 1];

	json_add_u64(o, "pfn", p->pfn);
	cJSON_AddNumberToObject(o, "block", (double)p->block);
	cJSON_AddStringToObject(o, "block_state", (char[]){ p->block_state, 0 });
	json_add_u64(o, "block_tagged", p->block_tagged);
	cJSON_AddBoolToObject(o, "in_tag_storage", p->in_tag_storage);
	cJSON_AddNumberToObject(o, "own_block", (double)p->own_block);
	cJSON_AddStringToObject(o, "own_state", (char[]){ p->own_state, 0 });
	cJSON_AddBoolToObject(o, "has_storage", p->has_storage);
	cJSON_AddBoolToObject(o, "tagged", p->tagged);
	json_add_u64(o, "tag_pfn", p->tag_pfn);
	json_add_u64(o, "tag_offset", p->tag_offset);
	cJSON_AddNumberToObject(o, "refcount", (double)p->refcount);
	cJSON_AddNumberToObject(o, "mapcount", (double)p->mapcount);
	json_add_u64(o, "order", p->order);
	cJSON_AddStringToObject(o, "kind", p->kind);
	cJSON_AddBoolToObject(o, "pinned", p->pinned);
	cJSON_AddBoolToObject(o, "dma_pinned", p->dma_pinned);
	cJSON_AddBoolToObject(o, "lru", p->lru);
	cJSON_AddBoolToObject(o, "locked", p->locked);
	cJSON_AddBoolToObject(o, "writeback", p->writeback);
	if (with_addr) {
		json_add_u64(o, "pte", p->pte);
		cJSON_AddBoolToObject(o, "foa", p->foa);
		cJSON_AddBoolToObject(o, "vma_tagged", p->vma_tagged);
	}
	if (t->valid) {
		hex(line, t->tags, STATE_TAGS_PER_PAGE, true);
		cJSON_AddStringToObject(o, "tags", line);
	}
	if (t->has_raw) {
		hex(line, t->raw, STATE_RAW_PER_PAGE, false);
		cJSON_AddStringToObject(o, "raw", line);
	}
}

static int state_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "blocks", required_argument, NULL, 'b' },
		{ "pfn", required_argument, NULL, 'f' },
		{ "pid", required_argument, NULL, 'p' },
		{ "addr", required_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t first = 0, count = 1, pfn = 0, pid = 0, addr = 0;
	bool blocks = false, by_pfn = false, by_pid = false, by_addr = false, json = false;
	struct state_page page;
	struct state_tags tags;
	struct state *st;
	cJSON *o = NULL;
	char *plus, *text;
	int opt, err, status = EXIT_OK;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'b':
			plus = strchr(optarg, '+');
			if (plus)
				*plus++ = '\0';
			if (!parse_u64(optarg, false, &first) ||
			    (plus && !parse_u64(plus, false, &count)) || count > UINT64_MAX - first)
				return usage_error(cmd, "--blocks wants N or N+M");
			blocks = true;
			break;
		case 'f':
			if (!parse_u64(optarg, false, &pfn))
				return usage_error(cmd, "--pfn wants a number, not '%s'", optarg);
			by_pfn = true;
			break;
		case 'p':
			if (!parse_u64(optarg, false, &pid) || !pid || pid > INT32_MAX)
				return usage_error(cmd, "--pid wants a process id, not '%s'",
						   optarg);
			by_pid = true;
			break;
		case 'a':
			if (!parse_u64(optarg, false, &addr))
				return usage_error(cmd, "--addr wants an address, not '%s'",
						   optarg);
			by_addr = true;
			break;
		case 'j':
			json = true;
			break;
		default:
			return bad_option(cmd, opt, argv);
		}
	}
	if (optind < argc)
		return usage_error(cmd, "unknown argument '%s'", argv[optind]);
	if (by_pid != by_addr)
		return usage_error(cmd, "--pid and --addr go together");
	if (blocks + by_pfn + by_pid > 1 || (blocks && json))
		return usage_error(cmd, "choose one of --blocks, --pfn, --pid with --addr; --blocks has no --json");
	err = state_open(&st);
	if (!err && json) {
		o = cJSON_CreateObject();
		err = o ? 0 : -ENOMEM;
	}
	if (err)
		goto out;
	if (blocks) {
		err = print_blocks(st, first, count);
	} else if (by_pfn || by_pid) {
		err = by_pfn ? state_lookup_pfn(st, pfn, &page) :
			       state_lookup_addr(st, (pid_t)pid, addr, &page);
		if (!err)
			err = state_tags_pfn(st, page.pfn, &tags);
		if (!err && json)
			page_json(o, &page, &tags, by_pid);
		else if (!err)
			page_lines(&page, &tags, by_pid);
	} else {
		err = json ? json_all(st, o) : print_all(st);
	}
	if (!err && json) {
		text = cJSON_Print(o);
		if (text)
			puts(text);
		else
			err = -ENOMEM;
		free(text);
	}
out:
	if (err)
		status = problem(cmd, EXIT_NOT_HERE, "%s",
				 err == -ENOMEM ? "out of memory" : state_error(st));
	cJSON_Delete(o);
	state_close(st);
	return flushed(cmd, status);
}

const struct command cmd_state = {
	.name = "state",
	.summary = "print the state of tag storage, or of a page",
	.help = help,
	.run = state_run,
};
