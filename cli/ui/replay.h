/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A recording in the UI: its runs as sources of sessions (session.h), the state at the
 * time where it is, and moving about in it. One clock is for all of it; it stands while a
 * step waits, when it is paused, and after the end of a run.
 */
#ifndef TAGSCOPE_UI_REPLAY_H
#define TAGSCOPE_UI_REPLAY_H

#include "record/recording.h"
#include "ui/log.h"
#include "ui/session.h"

struct replay;

/* The recording must outlive it. NULL: out of memory. */
struct replay *replay_new(const struct recording *rec, double speed);
void replay_free(struct replay *r);

/* Its runs, in order; they and the array are the replay's. With none it just goes on. */
struct session_source **replay_runs(struct replay *r, size_t *n);
/* The state where it is, to be closed before the replay is freed. NULL: out of memory. */
struct state *replay_state(struct replay *r);
/* Tracepoints go there, and its times are those of the recording. */
void replay_log(struct replay *r, struct log *log);

void replay_where(const struct replay *r, uint64_t *at_ns, uint64_t *end_ns, double *speed,
		  bool *paused);
/*
 * A counter over the recording, in n columns of the same time, and which of them is shown. Of a
 * gauge its last value in each, of others by how much they rose. Returns n.
 */
int replay_history(const struct replay *r, const char *counter, bool gauge, uint64_t *v, int n,
		   int *here);
void replay_pause(struct replay *r, bool paused);
/* Twice or half as fast; what it is now. */
double replay_set_speed(struct replay *r, bool faster);

/*
 * Places, as numbers of entries: what is before them has happened. -1: there is none. The
 * time is in ns since the beginning of the recording; a step and a result are those of run,
 * or with no runs seconds.
 */
int64_t replay_time(const struct replay *r, uint64_t at_ns);
int64_t replay_step(const struct replay *r, size_t run, unsigned int number);
int64_t replay_result(const struct replay *r, size_t run, unsigned int number);
/* When this step of the run is over: the next begins, or the run ends. 0: before the first. */
int64_t replay_after_step(const struct replay *r, size_t run, unsigned int number);
/* The step before (by < 0) or after where it is; the ends of the run are steps here. */
int64_t replay_next_step(const struct replay *r, size_t run, int by);
/* The run that a place is in, or the next one; n: number of runs. */
size_t replay_run_of(const struct replay *r, int64_t place);

/*
 * Go there. Of a run the events until there come when its session starts the next time,
 * which has to be the next call.
 */
void replay_go_to(struct replay *r, int64_t place);

#endif
