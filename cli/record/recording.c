// SPDX-License-Identifier: GPL-2.0-only
/* Reading a recording: see recording.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "event/reader.h"
#include "kernel/state_json.h"
#include "record/recording.h"
#include "record/unpack.h"

/* Lines of the map are longer than events: each block may be a change. */
#define MAX_LINE (8u << 20)

struct reading {
	struct recording *rec;
	struct playhead head;		/* to check what changes it */
	struct events *events;		/* NULL: there was none yet */
	uint64_t at;
	size_t room;
	bool ended;
	int err;			/* of a callback */
};

static struct rec_entry *add(struct reading *r, enum rec_type type)
{
	struct recording *rec = r->rec;
	struct rec_entry *e;

	if (rec->nr == r->room) {
		size_t room = r->room ? 2 * r->room : 256;

		e = realloc(rec->entry, room * sizeof(*e));
		if (!e)
			return NULL;
		rec->entry = e;
		r->room = room;
	}
	e = &rec->entry[rec->nr++];
	*e = (struct rec_entry){ .at = r->at, .type = type };
	rec->end = r->at;
	return e;
}

/* An event_fn: keep it. */
static void keep_event(void *ctx, const struct event *ev)
{
	struct reading *r = ctx;
	char *text = event_print(ev), why[100];
	struct event *copy = NULL;
	struct rec_entry *e;

	if (text && !event_parse(text, strlen(text), &copy, why, sizeof(why))) {
		e = add(r, REC_EVENT);
		if (e)
			e->event = copy;
		else
			event_free(copy);
	}
	if (!text || !copy)
		r->err = -ENOMEM;
	r->rec->has_events = true;
	free(text);
}

static int bad(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s", what);
	return -EPROTO;
}

/* ---- The kinds of lines --------------------------------------------------------------- */

static void word(const cJSON *o, const char *key, char *buf, size_t size)
{
	const char *text = json_string(o, key);

	snprintf(buf, size, "%s", text ? text : "");
	text_clean(buf);
}

static int take_header(struct reading *r, const cJSON *o, char *why, size_t size)
{
	const cJSON *command = cJSON_GetObjectItemCaseSensitive(o, "command"), *arg;
	struct recording *rec = r->rec;
	uint64_t version;
	size_t len = 0;

	if (!json_get_u64(cJSON_GetObjectItemCaseSensitive(o, "version"), &version))
		return bad(why, size, "the recording has no version");
	if (!version || version > RECORDING_VERSION) {
		snprintf(why, size,
			 "version %llu of recordings; this tagscope knows version %d",
			 (unsigned long long)version, RECORDING_VERSION);
		return -EPROTO;
	}
	word(o, "tagscope", rec->tagscope, sizeof(rec->tagscope));
	word(o, "kernel", rec->kernel, sizeof(rec->kernel));
	word(o, "machine", rec->machine, sizeof(rec->machine));
	word(o, "started", rec->started, sizeof(rec->started));
	cJSON_ArrayForEach(arg, command) {
		if (cJSON_IsString(arg) && len < sizeof(rec->command))
			len += (size_t)snprintf(rec->command + len, sizeof(rec->command) - len,
						"%s%s", len ? " " : "", arg->valuestring);
	}
	text_clean(rec->command);
	return 0;
}

static int take_end(struct reading *r, const cJSON *o, char *why, size_t size)
{
	uint64_t status;

	if (!json_get_u64(cJSON_GetObjectItemCaseSensitive(o, "status"), &status) || status > 255)
		return bad(why, size, "'status' is missing, or no exit status");
	r->rec->complete = true;
	r->rec->status = (int)status;
	r->rec->end = r->at;
	return 0;
}

static const struct {
	const char *name;
	enum rec_type type;
	const char *key;	/* what it must have */
} kinds[] = {
	{ "summary", REC_SUMMARY, "state" },  { "counters", REC_COUNTERS, "values" },
	{ "regions", REC_REGIONS, "regions" }, { "blocks", REC_BLOCKS, "changes" },
	{ "owners", REC_OWNERS, "changes" },
	{ "latency", REC_LATENCY, "reserve" }, { "trace", REC_TRACE, NULL },
	{ "trouble", REC_TROUBLE, "text" },
};

/* o is this function's, whatever comes of it. */
static int take_kind(struct reading *r, size_t kind, cJSON *o, char *why, size_t size)
{
	const char *key = kinds[kind].key;
	struct rec_entry *e;
	bool is_map;
	cJSON *text;
	int err;

	if (key && !cJSON_HasObjectItem(o, key)) {
		snprintf(why, size, "%s without '%s'", kinds[kind].name, key);
		cJSON_Delete(o);
		return -EPROTO;
	}
	e = add(r, kinds[kind].type);
	if (!e) {
		cJSON_Delete(o);
		return -ENOMEM;
	}
	e->json = o;
	is_map = e->type == REC_BLOCKS || e->type == REC_OWNERS;
	text = cJSON_GetObjectItemCaseSensitive(o, is_map ? "changes" : "text");
	json_get_u64(cJSON_GetObjectItemCaseSensitive(o, is_map ? "first" : "more"), &e->first);
	if (cJSON_IsString(text)) {
		if (!is_map)
			text_clean(text->valuestring);
		e->text = text->valuestring;
	}
	/* The only check that there is: whether it can be done. */
	err = playhead_take(&r->head, why, size);
	if (err) {
		cJSON_Delete(o);
		r->rec->nr--;
		return err;
	}
	r->rec->has_state |= e->type <= REC_LATENCY;
	return 0;
}

static bool is_event_of_run(const char *name)
{
	static const char *const names[] = { "plan", "start", "step", "result", "measure", "note",
					     "output", "end" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static int take_event(struct reading *r, const char *line, size_t len, char *why, size_t size)
{
	int err;

	if (!r->events)
		r->events = events_begin(keep_event, r);
	if (!r->events)
		return -ENOMEM;
	err = events_take(r->events, line, len, why, size);
	/* An event changes nothing of the state. */
	r->head.next = r->rec->nr;
	return err ? err : r->err;
}

static int take_line(struct reading *r, const char *line, size_t len, bool first, char *why,
		     size_t size)
{
	cJSON *o = json_parse(line, len);
	const char *name = json_string(o, "event");
	uint64_t at = 0;
	int err = 0;

	if (!cJSON_IsObject(o) || !name) {
		err = bad(why, size, first ? "this is no recording" : "not one whole event");
	} else if (first != !strcmp(name, "recording")) {
		err = bad(why, size, first ? "this is no recording" : "a second beginning");
	} else if (first) {
		err = take_header(r, o, why, size);
	} else if (!json_get_u64(cJSON_GetObjectItemCaseSensitive(o, "at"), &at)) {
		err = bad(why, size, "'at' is missing, or no number");
	} else if (at < r->at) {
		err = bad(why, size, "time goes back");
	} else if (r->ended) {
		err = bad(why, size, "there is more after its end");
	} else {
		r->at = at;
		if (!strcmp(name, "recorded")) {
			r->ended = true;
			err = take_end(r, o, why, size);
		} else if (is_event_of_run(name)) {
			err = take_event(r, line, len, why, size);
		} else {
			for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
				if (!strcmp(kinds[i].name, name))
					return take_kind(r, i, o, why, size);
			/* What a later tagscope says besides, without making it another version. */
		}
	}
	cJSON_Delete(o);
	return err;
}

static int take_all(struct reading *r, const char *text, size_t len, char *why, size_t size)
{
	char what[240] = "out of memory";
	unsigned int number = 0;
	const char *end;
	int err = 0;

	for (const char *line = text; line < text + len && !err; line = end + 1) {
		number++;
		end = memchr(line, '\n', (size_t)(text + len - line));
		if (!end) {
			snprintf(what, sizeof(what), "cut short");
			err = -EPROTO;
			break;
		}
		if (end - line > (ssize_t)MAX_LINE) {
			snprintf(what, sizeof(what), "longer than any line of a recording");
			err = -EPROTO;
			break;
		}
		err = take_line(r, line, (size_t)(end - line), number == 1, what, sizeof(what));
	}
	if (err)
		snprintf(why, size, "line %u: %s", number, what);
	if (!err && !number)
		err = bad(why, size, "there is nothing in it");
	if (!err && !r->ended)
		err = bad(why, size, "it has no end: it was not closed");
	return err;
}

int recording_parse(const void *data, size_t len, uint64_t max_bytes, uint64_t max_blocks,
		    struct recording **out, char *why, size_t size)
{
	struct reading r = { .rec = calloc(1, sizeof(*r.rec)) };
	char what[240], *text = NULL;
	size_t text_len;
	int err, unpacked, events;

	*out = NULL;
	if (!r.rec)
		return -ENOMEM;
	playhead_init(&r.head, r.rec);
	if (max_blocks)
		r.head.max_blocks = max_blocks;
	unpacked = rec_unpack(data, len, max_bytes ? max_bytes : RECORDING_MAX_BYTES, &text,
			      &text_len, what, sizeof(what));
	err = text ? take_all(&r, text, text_len, why, size) : -ENOMEM;
	/* The cause rather than what came of it. */
	if (unpacked) {
		err = unpacked;
		snprintf(why, size, "%s", what);
	}
	if (r.events) {
		events = events_end(r.events, what, sizeof(what));
		if (!err && events) {
			err = events;
			snprintf(why, size, "%s", what);
		}
	}
	free(text);
	playhead_free(&r.head);
	/* Not even its beginning is good. */
	if (err && !r.rec->nr) {
		recording_free(r.rec);
		return err;
	}
	*out = r.rec;
	return err;
}

int recording_read(const char *path, struct recording **rec, char *why, size_t size)
{
	char *data = NULL;
	struct stat sb = { 0 };
	size_t len = 0;
	int fd, err = 0;

	*rec = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &sb)) {
		err = -errno;
	} else if (!S_ISREG(sb.st_mode)) {
		err = S_ISDIR(sb.st_mode) ? -EISDIR : -ENOTSUP;
	} else if ((uint64_t)sb.st_size > RECORDING_MAX_BYTES) {
		err = -EFBIG;
	} else {
		data = malloc((size_t)sb.st_size + 1);
		err = data ? 0 : -ENOMEM;
	}
	while (!err && len < (size_t)sb.st_size) {
		ssize_t n = read(fd, data + len, (size_t)sb.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	if (err)
		snprintf(why, size, "%s", strerror(-err));
	else
		err = recording_parse(data, len, 0, 0, rec, why, size);
	free(data);
	return err;
}

void recording_free(struct recording *rec)
{
	if (!rec)
		return;
	for (size_t i = 0; i < rec->nr; i++) {
		if (rec->entry[i].type == REC_EVENT)
			event_free(rec->entry[i].event);
		cJSON_Delete(rec->entry[i].json);
	}
	free(rec->entry);
	free(rec);
}

size_t recording_after(const struct recording *rec, uint64_t at)
{
	size_t low = 0, high = rec->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (rec->entry[mid].at <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

size_t recording_reading_after(const struct recording *rec, size_t n)
{
	uint64_t at = n < rec->nr ? rec->entry[n].at : 0;

	while (n < rec->nr && rec->entry[n].type != REC_EVENT && rec->entry[n].at == at)
		n++;
	return n;
}
