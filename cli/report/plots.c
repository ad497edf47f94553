// SPDX-License-Identifier: GPL-2.0-only
/* Plots in a report, by gnuplot: see report.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "report/report.h"

#define MAX_POINTS 500
#define HEAT_ROWS 64
#define HEAT_COLUMNS 200

extern char **environ;

/* ---- gnuplot ------------------------------------------------------------------------- */

/* A file without a name, to be read from its beginning. */
static FILE *scratch(void)
{
	return tmpfile();
}

/* Run it on script; its SVG in *svg, to be freed. 0 or -errno: -ENOENT, it is not installed. */
static int gnuplot(FILE *script, char **svg)
{
	char *const argv[] = { (char[]){ "gnuplot" }, NULL };
	posix_spawn_file_actions_t acts;
	FILE *out = scratch();
	int err, status;
	long len;
	pid_t pid;

	*svg = NULL;
	if (!out || fflush(script)) {
		if (out)
			fclose(out);
		return -EIO;
	}
	rewind(script);
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_adddup2(&acts, fileno(script), STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&acts, fileno(out), STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&acts, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = -posix_spawnp(&pid, "gnuplot", &acts, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	if (!err) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			err = -EIO;
	}
	if (!err) {
		fseek(out, 0, SEEK_END);
		len = ftell(out);
		rewind(out);
		*svg = len > 0 ? calloc(1, (size_t)len + 1) : NULL;
		if (!*svg || fread(*svg, 1, (size_t)len, out) != (size_t)len)
			err = -EIO;
	}
	fclose(out);
	return err;
}

/* An SVG as the source of a picture, so that nothing in it meets what is in the page. */
static void put_picture(FILE *f, const char *svg, const char *words)
{
	fputs("<img alt=\"", f);
	text_write_markup(f, words);
	fputs("\" src=\"data:image/svg+xml,", f);
	for (; *svg; svg++) {
		if (*svg == '%' || *svg == '#' || *svg == '"' || *svg == '&' || *svg == '<' ||
		    *svg == '>')
			fprintf(f, "%%%02X", (unsigned char)*svg);
		else
			fputc(*svg == '\n' || *svg == '\t' ? ' ' : *svg, f);
	}
	fputs("\">\n", f);
}

static FILE *begin(const char *title, unsigned int height)
{
	FILE *s = scratch();

	if (s)
		fprintf(s, "set terminal svg size 800,%u font 'sans-serif,12' background 'white'\n"
			"set title '%s'\nset grid lc rgb '#cccccc'\nset xlabel 'seconds'\n"
			"set key outside right top\nset border 3\nset tics nomirror\n",
			height, title);
	return s;
}

/* The plot, if there is one; false: there will be none of others either. */
static bool finish(FILE *f, FILE *script, const char *words)
{
	char *svg;
	int err = gnuplot(script, &svg);

	fclose(script);
	fputs("<figure>", f);
	if (err == -ENOENT)
		fputs("<p>There are no plots: gnuplot is not installed where this page was "
		      "made.</p>", f);
	else if (err)
		fputs("<p>gnuplot could not make this plot.</p>", f);
	else
		put_picture(f, svg, words);
	fputs("</figure>\n", f);
	free(svg);
	return err != -ENOENT;
}

/* ---- Counters ------------------------------------------------------------------------ */

struct series {
	const char *name;
	uint64_t first, last, max;
	size_t changes;
};

/* Those that change, with how they do. */
static size_t changing(const struct recording *rec, struct series *s)
{
	struct playhead p;
	size_t n = 0;

	for (size_t i = 0; i < nr_state_counters; i++)
		s[i] = (struct series){ .name = state_counters[i].name };
	playhead_init(&p, rec);
	for (size_t e = 0; e < rec->nr; e++) {
		playhead_go_to(&p, e + 1);
		if (rec->entry[e].type != REC_SUMMARY && rec->entry[e].type != REC_COUNTERS)
			continue;
		for (size_t i = 0; i < nr_state_counters; i++) {
			uint64_t v;

			if (!state_counter_get(&p.summary, i, &v))
				continue;
			if (!n)
				s[i].first = v;
			s[i].changes += n && v != s[i].last;
			s[i].last = v;
			s[i].max = v > s[i].max ? v : s[i].max;
		}
		n++;
	}
	playhead_free(&p);
	return n;
}

/* Times and values of the counters of a plot, once for each, as gnuplot has data in a script. */
static void put_data(FILE *script, const struct recording *rec, const char *const *names)
{
	size_t step = rec->nr / MAX_POINTS + 1;

	for (; *names; names++) {
		struct playhead p;
		size_t done = 0;
		uint64_t v = 0;
		ssize_t i;

		playhead_init(&p, rec);
		i = state_counter_find(&p.summary, *names);
		for (size_t e = 0; e < rec->nr && i >= 0; e++) {
			playhead_go_to(&p, e + 1);
			if (rec->entry[e].type != REC_SUMMARY && rec->entry[e].type != REC_COUNTERS)
				continue;
			if (done++ % step && e + 1 < rec->nr)
				continue;
			state_counter_get(&p.summary, (size_t)i, &v);
			fprintf(script, "%.3f %" PRIu64 "\n", (double)rec->entry[e].at / 1e9, v);
		}
		fprintf(script, "%.3f %" PRIu64 "\ne\n", (double)rec->end / 1e9, v);
		playhead_free(&p);
	}
}

/* false: no more plots. */
static bool plot_counters(FILE *f, const struct recording *rec, const struct series *s,
			  const char *title, const char *const *wanted)
{
	const char *names[16] = { NULL };
	size_t n = 0, len = 0;
	char words[1200];
	FILE *script;

	len += (size_t)snprintf(words, sizeof(words), "Over time: ");
	for (; *wanted; wanted++) {
		for (size_t i = 0; i < nr_state_counters; i++) {
			if (strcmp(s[i].name, *wanted) || !s[i].changes || n == 15)
				continue;
			names[n++] = s[i].name;
			if (len < sizeof(words))
				len += (size_t)snprintf(words + len, sizeof(words) - len,
							"%s from %" PRIu64 " to %" PRIu64
							", at most %" PRIu64 "; ", s[i].name,
							s[i].first, s[i].last, s[i].max);
		}
	}
	script = n ? begin(title, 260) : NULL;
	if (!script)
		return true;
	fputs("set yrange [0:*]\nplot", script);
	for (size_t i = 0; i < n; i++)
		fprintf(script, "%s '-' with steps lw 2 title '%s' noenhanced", i ? "," : "",
			names[i]);
	fputc('\n', script);
	put_data(script, rec, names);
	return finish(f, script, words);
}

/* ---- Blocks over time ------------------------------------------------------------------ */

/* How many of the cells of a row hold tags. */
static double share(const struct report_map *m, const struct report_frame *fr, size_t row)
{
	size_t from = m->cells * row / HEAT_ROWS, to = m->cells * (row + 1) / HEAT_ROWS, n = 0;

	for (size_t i = from; i < to; i++)
		n += fr->letters[i] == BLOCK_RESERVED || fr->letters[i] == BLOCK_PERMANENT ||
		     fr->letters[i] == BLOCK_ISOLATING;
	return to > from ? (double)n / (double)(to - from) : 0;
}

static bool plot_heat(FILE *f, const struct recording *rec, const struct report_map *m)
{
	FILE *script = m->nr_frames ? begin("Where tags are held, over time", 360) : NULL;

	if (!script)
		return true;
	fprintf(script, "set ylabel 'block'\nset cbrange [0:1]\nset cblabel 'share of blocks'\n"
		"set palette defined (0 '#f4f4f4', 0.02 '#c6dbef', 0.3 '#4292c6', 1 '#08306b')\n"
		"set autoscale fix\nunset key\n$shares << END\n");
	for (size_t row = 0; row < HEAT_ROWS; row++) {
		const struct report_frame *fr = m->frame;

		for (size_t c = 0; c < HEAT_COLUMNS; c++) {
			uint64_t at = rec->end / HEAT_COLUMNS * (c + 1);

			while (fr + 1 < m->frame + m->nr_frames && fr[1].at <= at)
				fr++;
			fprintf(script, "%.3g ", share(m, fr, row));
		}
		fputc('\n', script);
	}
	fprintf(script, "END\nplot $shares matrix using ($1*%.6f):($2*%.3f):3 with image\n",
		(double)rec->end / 1e9 / HEAT_COLUMNS,
		(double)(m->cells * m->per_cell) / HEAT_ROWS);
	return finish(f, script, "Heat map: time from left to right, blocks from bottom to top; "
		      "the darker, the more of the blocks there hold tags");
}

/* ---- Latencies ---------------------------------------------------------------------------- */

static bool plot_latency(FILE *f, const struct recording *rec)
{
	struct state_latency *lat = NULL;
	struct playhead p;
	struct state *st;
	FILE *script = NULL;
	size_t n = 0, any = 0;
	bool go_on = true;

	playhead_init(&p, rec);
	playhead_go_to(&p, rec->nr);
	st = playhead_state(&p, NULL, NULL);
	if (st && !state_read_latency(st, STATE_RESERVE_LATENCY, &lat, &n))
		for (size_t i = 0; i < n; i++)
			any += lat[i].count && lat[i].max_ns;
	if (any)
		script = begin("How long reservations took, since boot", 260);
	if (script) {
		fputs("set xlabel 'less than so many ns'\nset logscale x 2\nset ylabel 'how often'\n"
		      "plot", script);
		for (size_t i = 0, k = 0; i < n; i++)
			if (lat[i].count && lat[i].max_ns)
				fprintf(script, "%s '-' with linespoints lw 2 title '%s, %s' noenhanced",
					k++ ? "," : "", lat[i].cause, lat[i].outcome);
		fputc('\n', script);
		for (size_t i = 0; i < n; i++) {
			if (!lat[i].count || !lat[i].max_ns)
				continue;
			for (size_t b = 0; b < STATE_BUCKETS; b++)
				fprintf(script, "%" PRIu64 " %" PRIu64 "\n", (uint64_t)16 << b,
					lat[i].bucket[b]);
			fputs("e\n", script);
		}
		go_on = finish(f, script, "How long reservations took, by cause and outcome");
	}
	free(lat);
	state_close(st);
	playhead_free(&p);
	return go_on;
}

void report_plots(FILE *f, const struct recording *rec, const struct report_map *m)
{
	static const char *const blocks[] = { "blocks_reserved", "blocks_isolating",
					      "reserved_pages", NULL };
	static const char *const reserve[] = { "reserve_ok", "reserve_joined", "reserve_migrated",
					       "reserve_busy", "release", NULL };
	static const char *const faults[] = { "foa_fault", "foa_replaced", "foa_replayed",
					      "foa_sigbus", "copy_refused", NULL };
	static const char *const moves[] = { "moved_out", "pin_moved", "alloc_other_page",
					     "alloc_without", "swap_saved", "swap_zero", NULL };
	struct series *s = calloc(nr_state_counters, sizeof(*s));

	if (!s)
		return;
	if (changing(rec, s) && plot_counters(f, rec, s, "Blocks and pages with tags", blocks) &&
	    plot_heat(f, rec, m) && plot_counters(f, rec, s, "Reservations", reserve) &&
	    plot_counters(f, rec, s, "Faults on access", faults) &&
	    plot_counters(f, rec, s, "Pages that moved, or went elsewhere", moves))
		plot_latency(f, rec);
	free(s);
}
