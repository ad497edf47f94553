// SPDX-License-Identifier: GPL-2.0-only
/* What keys mean: see keys.h. */
#include <curses.h>

#include "ui/view.h"

#define CTRL(c) ((c) & 0x1f)
#define IN(v) (1u << VIEW_##v)
#define LISTS                                                                \
	(IN(COUNTERS) | IN(LATENCY) | IN(LOG) | IN(RUN) | IN(LESSON) | IN(BLOCK) | \
	 IN(HELP))

const struct binding bindings[] = {
	{ ACT_STEP, 0, "begin the scenario; let the step go on that waits", "Space", { ' ' } },
	{ ACT_STEP_MODE, 0, "wait at each step, or run through", "s", { 's' } },
	{ ACT_START, 0, "run the scenario once more, when it has ended", "R", { 'R' } },
	{ ACT_NEXT_RUN, 0, "the next of several runs", "]", { ']' } },
	{ ACT_PREV_RUN, 0, "the one before", "[", { '[' } },
	{ ACT_MAP, 0, "the map of tag storage", "1", { '1' } },
	{ ACT_COUNTERS, 0, "counters and their recent history", "2", { '2' } },
	{ ACT_LATENCY, 0, "how long reservations and replays of faults took", "3",
	  { '3' } },
	{ ACT_LOG, 0, "the log of events", "4", { '4' } },
	{ ACT_RUN, 0, "the scenario: what it is, its results and measures", "5", { '5' } },
	{ ACT_LESSON, 0, "the lesson: what it says, its question", "6", { '6' } },
	{ ACT_NEXT_VIEW, 0, "the next of these", "Tab", { '\t' } },
	{ ACT_BACK, 0, "back", "Esc, Backspace", { 27, KEY_BACKSPACE, 127, CTRL('h') } },
	{ ACT_PAUSE, 0, "stop reading the state, or the replay, and go on", "p", { 'p' } },
	{ ACT_FASTER, 0, "read the state more often; a replay: slower", "<", { '<' } },
	{ ACT_SLOWER, 0, "read the state less often; a replay: faster", ">", { '>' } },
	{ ACT_STEP_BACK, 0, "in a replay: the step before, or a second back", "(", { '(' } },
	{ ACT_STEP_ON, 0, "in a replay: the next step, or a second on", ")", { ')' } },
	{ ACT_GO_TO, 0, "go to a block, pfn N, pid P ADDR; step N, result N, time S", "g",
	  { 'g' } },
	{ ACT_THEME, 0, "other colours: dark, light, colour-blind, none", "T", { 'T' } },
	{ ACT_BIG, 0, "a large map, to be seen from afar, or a small one", "B", { 'B' } },
	{ ACT_HELP, 0, "this help", "?, F1", { '?', KEY_F(1) } },
	{ ACT_REDRAW, 0, "draw the screen anew", "Ctrl-L", { CTRL('l') } },
	{ ACT_QUIT, 0, "leave (twice, if a scenario runs: that ends it)", "q", { 'q' } },

	{ ACT_UP, IN(MAP), "move the cursor", "Up, k", { KEY_UP, 'k' } },
	{ ACT_DOWN, IN(MAP), "move the cursor", "Down, j", { KEY_DOWN, 'j' } },
	{ ACT_LEFT, IN(MAP), "move the cursor", "Left, h", { KEY_LEFT, 'h' } },
	{ ACT_RIGHT, IN(MAP), "move the cursor", "Right, l", { KEY_RIGHT, 'l' } },
	{ ACT_PAGE_UP, IN(MAP), "a window towards the first block", "PgUp, b", { KEY_PPAGE, 'b' } },
	{ ACT_PAGE_DOWN, IN(MAP), "a window towards the last block", "PgDn, d",
	  { KEY_NPAGE, 'd' } },
	{ ACT_HOME, IN(MAP), "to the first block", "Home, ^", { KEY_HOME, '^' } },
	{ ACT_END, IN(MAP), "to the last block", "End, $", { KEY_END, '$' } },
	{ ACT_ZOOM_IN, IN(MAP), "fewer blocks in a cell", "+, =", { '+', '=' } },
	{ ACT_ZOOM_OUT, IN(MAP), "more blocks in a cell", "-", { '-' } },
	{ ACT_FIT, IN(MAP), "the whole map in the window", "f, 0", { 'f', '0' } },
	{ ACT_OPEN, IN(MAP), "explain the block: its pages, who uses them, the tags", "Enter",
	  { '\r', '\n', KEY_ENTER } },
	{ ACT_NEXT, IN(MAP) | IN(BLOCK), "the next block that is neither free nor data", "n",
	  { 'n' } },
	{ ACT_PREV, IN(MAP) | IN(BLOCK), "the one before", "N", { 'N' } },
	{ ACT_CHANGED, IN(MAP) | IN(BLOCK), "the next block that changed since a step began", "c",
	  { 'c' } },
	{ ACT_MARK, IN(MAP), "forget what changed (a step does it too)", "m", { 'm' } },
	{ ACT_LETTERS, IN(MAP), "letters, or shades", "a", { 'a' } },
	{ ACT_OWNERS, IN(MAP), "whose data it is and whose tags belong there, or states", "o",
	  { 'o' } },

	{ ACT_UP, LISTS, "a line up", "Up, k", { KEY_UP, 'k' } },
	{ ACT_DOWN, LISTS, "a line down", "Down, j", { KEY_DOWN, 'j' } },
	{ ACT_PAGE_UP, LISTS, "a page up", "PgUp, b", { KEY_PPAGE, 'b' } },
	{ ACT_PAGE_DOWN, LISTS, "a page down", "PgDn, d", { KEY_NPAGE, 'd' } },
	{ ACT_HOME, LISTS, "to the first line", "Home, ^", { KEY_HOME, '^' } },
	{ ACT_END, LISTS, "to the last line; the log follows what happens then", "End, $",
	  { KEY_END, '$' } },
	{ ACT_LEFT, IN(BLOCK), "the block before", "Left, h", { KEY_LEFT, 'h' } },
	{ ACT_RIGHT, IN(BLOCK), "the next block", "Right, l", { KEY_RIGHT, 'l' } },
	{ ACT_TRACE, IN(LOG), "the kernel's tracepoints in the log, or not", "t", { 't' } },
	{ ACT_RESET, IN(LATENCY), "set the kernel's histograms to zero", "Z", { 'Z' } },
};
const size_t nr_bindings = sizeof(bindings) / sizeof(bindings[0]);

enum action key_action(int key, unsigned int view)
{
	for (size_t i = 0; i < nr_bindings; i++) {
		const struct binding *b = &bindings[i];

		if (b->views && !(b->views & 1u << view))
			continue;
		for (size_t k = 0; k < 4 && b->key[k]; k++)
			if (b->key[k] == key)
				return b->action;
	}
	return ACT_NONE;
}
