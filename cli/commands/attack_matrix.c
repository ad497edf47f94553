// SPDX-License-Identifier: GPL-2.0-only
/* What attacks came to: see attack_matrix.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "commands/attack_matrix.h"
#include "ui/model.h"

static const struct mode *mode_at(int mode)
{
	return mode == MATRIX_BASELINE ? &attack_baseline : &attack_modes[mode];
}

static const char *who_at(int who)
{
	return who == MATRIX_BYSTANDER ? bystander_role.name : victim_kinds[who].name;
}

/* What comes behind this word and a '_'; NULL: text does not begin so. */
static const char *behind(const char *text, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(text, word, len) && text[len] == '_' ? text + len + 1 : NULL;
}

/* ---- From events ------------------------------------------------------------------ */

static void take_cell(struct matrix_cell *c, const char *what, double value)
{
	const char *cause = behind(what, "replayed");

	c->done = true;
	if (!strcmp(what, "p50"))
		c->p50 = value;
	else if (!strcmp(what, "p99"))
		c->p99 = value;
	else if (!strcmp(what, "max"))
		c->max = value;
	else if (!strcmp(what, "pages"))
		c->pages = (unsigned int)value;
	else if (!strcmp(what, "sigbus"))
		c->sigbus = (unsigned int)value;
	if (cause && c->nr_causes < MATRIX_CAUSES) {
		snprintf(c->replays[c->nr_causes].cause, sizeof(c->replays[0].cause), "%s", cause);
		c->replays[c->nr_causes++].count = (uint64_t)value;
	}
}

static void take_measure(struct matrix_row *row, const char *name, double value)
{
	for (int i = 0; i <= ATTACK_MODES; i++) {
		const char *what = behind(name, mode_at(i)->prefix);
		struct matrix_mode *m = &row->mode[i];

		if (!what)
			continue;
		if (!m->done)
			m->placed = m->recalled = -1;
		m->done = true;
		if (!strcmp(what, "placed_blocks"))
			m->placed = value;
		if (!strcmp(what, "held_blocks"))
			m->held = value;
		if (!strcmp(what, "recalled"))
			m->recalled = value;
		if (!strcmp(what, "recovered"))
			m->recovered = value != 0;
		for (int who = 0; who <= VICTIM_WAYS; who++) {
			const char *of = behind(what, who_at(who));

			if (of)
				take_cell(&m->cell[who], of, value);
		}
		return;
	}
}

void matrix_event(struct matrix_row *row, const struct event *ev)
{
	if (ev->type == EVENT_MEASURE)
		take_measure(row, ev->text, ev->value);
	if (ev->type != EVENT_END)
		return;
	row->verdict = ev->end->verdict;
	row->seconds = (double)ev->end->ns / 1e9;
	snprintf(row->reason, sizeof(row->reason), "%s", ev->end->reason);
}

/* ---- As text ------------------------------------------------------------------------ */

/* "1037>0", the blocks with the attacker's data, and held ones. */
static const char *blocks_text(const struct matrix_mode *m, char *buf, size_t size)
{
	if (m->placed < 0)
		snprintf(buf, size, "%.0f", m->held);
	else
		snprintf(buf, size, "%.0f>%.0f", m->placed, m->held);
	return buf;
}

static const char *replays_text(const struct matrix_cell *c, char *buf, size_t size)
{
	size_t len = 0;

	snprintf(buf, size, "-");
	for (unsigned int i = 0; i < c->nr_causes && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s %llu", i ? "," : "",
					c->replays[i].cause,
					(unsigned long long)c->replays[i].count);
	return buf;
}

/* One line of a table, the same in both formats. */
static void print_cell(bool markdown, const char *name, const char *blocks,
		       const struct matrix_mode *m, int who, bool attack)
{
	const struct matrix_cell *c = &m->cell[who];
	char p50[32], p99[32], max[32], replays[80];
	bool guest = who != MATRIX_BYSTANDER && victim_kinds[who].guest;
	const char *outcome = !c->sigbus ? "ok" : guest ? "EFAULT" : "SIGBUS";
	const char *back = !attack ? "" : m->recovered ? "yes" : "NO";

	format_ns((uint64_t)c->p50, p50, sizeof(p50));
	format_ns((uint64_t)c->p99, p99, sizeof(p99));
	format_ns((uint64_t)c->max, max, sizeof(max));
	replays_text(c, replays, sizeof(replays));
	printf(markdown ? "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n" :
			  "%-16s %-9s %9s %7s %7s %7s %-8s %-6s %s\n",
	       name, who_at(who), blocks, p50, p99, max, replays, outcome, back);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of all rows, the median of a figure; at is its offset in a cell. */
static double median_of(const struct matrix_row *row, size_t n, int who, size_t at)
{
	double *values = calloc(n + 1, sizeof(*values)), median = 0;
	size_t nr = 0;

	for (size_t i = 0; values && i < n; i++) {
		const struct matrix_cell *c = &row[i].mode[MATRIX_BASELINE].cell[who];

		if (c->done)
			memcpy(&values[nr++], (const char *)c + at, sizeof(*values));
	}
	if (nr) {
		qsort(values, nr, sizeof(*values), by_value);
		median = values[nr / 2];
	}
	free(values);
	return median;
}

/* Nobody attacks: the medians of all runs. */
static void print_baseline(bool markdown, const struct matrix_row *row, size_t n)
{
	struct matrix_mode m = { .done = true };

	for (int who = 0; who <= VICTIM_WAYS; who++) {
		struct matrix_cell *c = &m.cell[who];

		for (size_t i = 0; i < n; i++)
			c->done |= row[i].mode[MATRIX_BASELINE].cell[who].done;
		c->p50 = median_of(row, n, who, offsetof(struct matrix_cell, p50));
		c->p99 = median_of(row, n, who, offsetof(struct matrix_cell, p99));
		c->max = median_of(row, n, who, offsetof(struct matrix_cell, max));
		if (c->done)
			print_cell(markdown, "-", "", &m, who, false);
	}
}

static bool any_done(const struct matrix_row *row, size_t n, int mode)
{
	for (size_t i = 0; i < n; i++)
		if (row[i].mode[mode].done)
			return true;
	return false;
}

static void print_modes(bool markdown, const struct matrix_row *row, size_t n)
{
	for (int order = -1; order < ATTACK_MODES; order++) {
		int mode = order < 0 ? MATRIX_BASELINE : order;

		if (!any_done(row, n, mode))
			continue;
		if (markdown)
			printf("\n%s (`%s`):\n\n"
			       "| technique | victim | blocks | p50 | p99 | max | replays | outcome | recovers |\n"
			       "|---|---|---|---|---|---|---|---|---|\n",
			       mode_at(mode)->text, mode_at(mode)->prefix);
		else
			printf("\n%s:\n%-16s %-9s %9s %7s %7s %7s %-8s %-6s %s\n",
			       mode_at(mode)->text, "technique", "victim", "blocks", "p50", "p99",
			       "max", "replays", "result", "rec");
		if (mode == MATRIX_BASELINE)
			print_baseline(markdown, row, n);
		for (size_t i = 0; i < n && mode != MATRIX_BASELINE; i++) {
			const struct matrix_mode *m = &row[i].mode[mode];
			const char *name = row[i].name;
			char blocks[64] = "";

			blocks_text(m, blocks, sizeof(blocks));
			for (int who = 0; m->done && who <= VICTIM_WAYS; who++) {
				if (!m->cell[who].done)
					continue;
				print_cell(markdown, name, blocks, m, who, true);
				name = "";
				blocks[0] = '\0';
			}
		}
	}
}

/* What a technique comes to in a mode, "" if it was not tried. */
static const char *effect_text(const struct matrix_mode *m, char *buf, size_t size)
{
	unsigned int fail = 0, all = 0;

	if (!m->done)
		return "";
	for (int way = 0; way < VICTIM_WAYS; way++) {
		/* Who shares its page with the attacker is another matter. */
		if (way == VICTIM_SHARED || !m->cell[way].done)
			continue;
		all++;
		fail += !!m->cell[way].sigbus;
	}
	if (fail)
		snprintf(buf, size, "%u of %u fail", fail, all);
	else
		snprintf(buf, size, "%s%s", m->held ? "held" : "-",
			 m->cell[VICTIM_SHARED].sigbus ? ", shared" : "");
	return buf;
}

static void print_mitigations(bool markdown, const struct matrix_row *row, size_t n)
{
	puts(markdown ? "" :
			"\nWhat each technique comes to, by mitigations: tag storage is not held (-); held, and\n"
			"nobody fails but who shares a page with the attacker; or so many victims fail.");
	printf(markdown ? "| technique |" : "%-16s", markdown ? "" : "technique");
	for (int mode = 0; mode < ATTACK_MODES; mode++)
		printf(markdown ? " `%s` |" : " %-12s", attack_modes[mode].name);
	puts(markdown ? "\n|---|---|---|---|---|---|" : "");
	for (size_t i = 0; i < n; i++) {
		printf(markdown ? "| `%s` |" : "%-16s", row[i].name);
		for (int mode = 0; mode < ATTACK_MODES; mode++) {
			char text[64] = "";

			printf(markdown ? " %s |" : " %-12s",
			       effect_text(&row[i].mode[mode], text, sizeof(text)));
		}
		putchar('\n');
	}
}

void matrix_table(const struct matrix_row *row, size_t n)
{
	print_modes(false, row, n);
	print_mitigations(false, row, n);
}

void matrix_markdown(const struct matrix_row *row, size_t n)
{
	print_mitigations(true, row, n);
	print_modes(true, row, n);
}

/* ---- As JSON -------------------------------------------------------------------------- */

static void json_cell(cJSON *all, const struct matrix_cell *c, int who)
{
	cJSON *o = cJSON_CreateObject(), *replays;

	cJSON_AddStringToObject(o, "name", who_at(who));
	cJSON_AddNumberToObject(o, "p50_ns", c->p50);
	cJSON_AddNumberToObject(o, "p99_ns", c->p99);
	cJSON_AddNumberToObject(o, "max_ns", c->max);
	if (who != MATRIX_BYSTANDER) {
		cJSON_AddNumberToObject(o, "pages", c->pages);
		cJSON_AddNumberToObject(o, "sigbus", c->sigbus);
		replays = cJSON_AddObjectToObject(o, "replayed");
		for (unsigned int i = 0; i < c->nr_causes; i++)
			json_add_u64(replays, c->replays[i].cause, c->replays[i].count);
	}
	cJSON_AddItemToArray(all, o);
}

static void json_mode(cJSON *all, const struct matrix_mode *m, int mode)
{
	cJSON *o = cJSON_CreateObject(), *cells;

	cJSON_AddStringToObject(o, "mitigations", mode_at(mode)->prefix);
	if (mode != MATRIX_BASELINE) {
		if (m->placed >= 0)
			cJSON_AddNumberToObject(o, "placed_blocks", m->placed);
		cJSON_AddNumberToObject(o, "held_blocks", m->held);
		cJSON_AddBoolToObject(o, "recovered", m->recovered);
	}
	if (m->recalled >= 0)
		cJSON_AddNumberToObject(o, "recalled_pages", m->recalled);
	cells = cJSON_AddArrayToObject(o, "victims");
	for (int who = 0; who <= VICTIM_WAYS; who++)
		if (m->cell[who].done)
			json_cell(cells, &m->cell[who], who);
	cJSON_AddItemToArray(all, o);
}

bool matrix_json(const struct matrix_row *row, size_t n)
{
	cJSON *top = cJSON_CreateObject(), *all, *modes;
	char *text;

	cJSON_AddNumberToObject(top, "version", 1);
	all = cJSON_AddArrayToObject(top, "techniques");
	for (size_t i = 0; i < n; i++) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "name", row[i].name);
		cJSON_AddStringToObject(o, "verdict", verdict_name(row[i].verdict));
		cJSON_AddStringToObject(o, "reason", row[i].reason);
		cJSON_AddNumberToObject(o, "seconds", row[i].seconds);
		modes = cJSON_AddArrayToObject(o, "modes");
		for (int mode = 0; mode <= ATTACK_MODES; mode++)
			if (row[i].mode[mode].done)
				json_mode(modes, &row[i].mode[mode], mode);
		cJSON_AddItemToArray(all, o);
	}
	text = cJSON_Print(top);
	cJSON_Delete(top);
	if (!text)
		return false;
	puts(text);
	free(text);
	return true;
}
