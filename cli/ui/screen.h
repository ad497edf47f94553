/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The terminal: what the views draw with. Only screen.c and main.c know curses.
 * Coordinates are screen cells, 0 0 is the upper left. Text may be UTF-8 or anything
 * else: what cannot be shown is shown as '?'. Nothing is drawn beyond the width given.
 */
#ifndef TAGSCOPE_UI_SCREEN_H
#define TAGSCOPE_UI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rect {
	int y, x, h, w;
};

/* The states of a block come in the order of STATE_LETTERS. */
enum paint {
	PAINT_FREE,
	PAINT_DATA,
	PAINT_PINNED,
	PAINT_CACHED,
	PAINT_ISOLATING,
	PAINT_RESERVED,
	PAINT_PERMANENT,
	PAINT_UNUSABLE,
	PAINT_PLAIN,
	PAINT_DIM,
	PAINT_BOLD,
	PAINT_BAR,	/* the bars at the top and at the bottom */
	PAINT_TAB,	/* the chosen one in a bar */
	PAINT_GOOD,
	PAINT_BAD,
	PAINT_WARN,
	NR_PAINTS,
	/* Or-ed to a paint. */
	PAINT_CURSOR = 0x100,
	PAINT_CHANGED = 0x200,
	PAINT_STRONG = 0x400,
};

/* Colours: for dark and light backgrounds, for people who cannot tell red from green, none. */
enum theme { THEME_DARK, THEME_LIGHT, THEME_COLOUR_BLIND, THEME_NONE, NR_THEMES };
extern const char *const theme_names[NR_THEMES];

/*
 * Take over the terminal. 0, or -1 with the reason in why (size bytes) and the terminal
 * as it was. From then on it is given back however the program ends, and what is
 * written to stderr is kept until then.
 */
int screen_open(enum theme theme, char *why, size_t size);
/* From now on these colours, if the terminal has any. */
void screen_theme(enum theme theme);
/* Give it back; what was written to stderr comes out now. May be called again. */
void screen_close(void);

/* What was written to stderr since the last call: a line without its end, or NULL. */
const char *screen_stderr(void);

bool screen_has_color(void);
bool screen_is_utf8(void);
void screen_size(int *rows, int *cols);

void screen_clear(void);
/* Show what was drawn; with all: as if nothing were on the terminal yet. */
void screen_flush(bool all);
/* Where the terminal's cursor is shown; y < 0: nowhere. */
void screen_cursor(int y, int x);

/* Draw in at most w cells, and return how many were used. */
int screen_text(int y, int x, int w, int paint, const char *text);
int screen_printf(int y, int x, int w, int paint, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* A whole row in one paint, spaces. */
void screen_fill(int y, int x, int w, int paint);
/* A line with a title in it. */
void screen_rule(int y, int x, int w, const char *title);

/*
 * Text broken at spaces into the lines of r, without the first skip lines. Returns how
 * many lines the whole text has; with a height of 0 nothing is drawn.
 */
int screen_wrap(struct rect r, int skip, int paint, const char *text);

/* Shades for a share of 0 to 1: level 1 to 4, and bars of level 0 to 8. */
const char *screen_shade(int level);
const char *screen_spark(int level);

/*
 * n values as a line of bars, the largest of them (or at_least, if that is more) as the
 * highest bar; a value that is not 0 is never drawn as nothing.
 */
void screen_sparkline(int y, int x, int paint, const uint64_t *v, int n, uint64_t at_least);

#endif
