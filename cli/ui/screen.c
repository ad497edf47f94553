// SPDX-License-Identifier: GPL-2.0-only
/* The terminal, by ncurses: see screen.h. */
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include <curses.h>
#include <term.h>

#include "base/file.h"
#include "ui/screen.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct {
	SCREEN *curses;
	bool open, has_colors, color, utf8, clear;
	attr_t attr[NR_PAINTS];
	pid_t pid;
	struct termios modes;	/* as they were */
	char reset[256];	/* what makes the terminal usable again */
	size_t reset_len;
	int saved_stderr, kept_stderr;	/* -1: none */
	off_t shown;		/* of kept_stderr, by screen_stderr() */
	char line[512];
} scr = { .saved_stderr = -1, .kept_stderr = -1 };

/* ---- Giving the terminal back ---------------------------------------------- */

/* Without the padding that a terminal description may ask for: $<5>. */
static void add_reset(const char *cap)
{
	const char *s = tigetstr(cap);

	if (!s || s == (const char *)-1)
		return;
	while (*s && scr.reset_len < sizeof(scr.reset)) {
		if (s[0] == '$' && s[1] == '<' && strchr(s, '>')) {
			s = strchr(s, '>') + 1;
			continue;
		}
		scr.reset[scr.reset_len++] = *s++;
	}
}

/* Only what a signal handler may call. */
static void give_back_stderr(void)
{
	char buf[512];
	off_t at = 0;
	ssize_t n;

	if (scr.saved_stderr < 0)
		return;
	dup2(scr.saved_stderr, STDERR_FILENO);
	while ((n = pread(scr.kept_stderr, buf, sizeof(buf), at)) > 0) {
		write_all(STDERR_FILENO, buf, (size_t)n);
		at += n;
	}
	close(scr.saved_stderr);
	close(scr.kept_stderr);
	scr.saved_stderr = -1;
	scr.kept_stderr = -1;
}

/*
 * The program crashed: curses may be what did, so it is not asked. A scenario's
 * process that inherited this has no terminal to give back.
 */
static void on_crash(int sig)
{
	if (scr.open && getpid() == scr.pid) {
		write_all(STDOUT_FILENO, scr.reset, scr.reset_len);
		tcsetattr(STDIN_FILENO, TCSANOW, &scr.modes);
		give_back_stderr();
		scr.open = false;
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_crashes(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP };
	static char stack[32768];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER };

	if (sigaltstack(&ss, NULL))
		sa.sa_flags &= ~SA_ONSTACK;
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		sigaction(fatal[i], &sa, NULL);
}

void screen_close(void)
{
	if (!scr.open || getpid() != scr.pid)
		return;
	scr.open = false;
	/* Without a screen to go back to, what was drawn would stay. */
	if (scr.clear) {
		erase();
		refresh();
	}
	endwin();
	delscreen(scr.curses);
	give_back_stderr();
}

/* ---- Taking it over ---------------------------------------------------------- */

/* A message on the terminal would be garbage between what is drawn. */
static void keep_stderr(void)
{
	scr.kept_stderr = memfd_create("stderr", MFD_CLOEXEC);
	if (scr.kept_stderr < 0)
		return;
	scr.saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (scr.saved_stderr < 0 || fcntl(scr.kept_stderr, F_SETFL, O_APPEND) ||
	    dup2(scr.kept_stderr, STDERR_FILENO) < 0) {
		if (scr.saved_stderr >= 0)
			close(scr.saved_stderr);
		close(scr.kept_stderr);
		scr.saved_stderr = -1;
		scr.kept_stderr = -1;
	}
	scr.shown = 0;
}

const char *screen_stderr(void)
{
	ssize_t n;
	char *end;

	if (scr.kept_stderr < 0)
		return NULL;
	n = pread(scr.kept_stderr, scr.line, sizeof(scr.line) - 1, scr.shown);
	if (n <= 0)
		return NULL;
	end = memchr(scr.line, '\n', (size_t)n);
	if (!end && (size_t)n < sizeof(scr.line) - 1)
		return NULL;
	scr.shown += end ? end - scr.line + 1 : n;
	scr.line[end ? end - scr.line : n] = '\0';
	return scr.line;
}

const char *const theme_names[NR_THEMES] = { "dark", "light", "colour-blind", "none" };

/* A colour of a terminal with 256, and of one with 8. -1: the terminal's own. */
struct hue {
	short many, few;
};

#define OWN { -1, -1 }
#define HUE(many, few) { many, COLOR_##few }
#define BOTH(few) { COLOR_##few, COLOR_##few }

void screen_theme(enum theme theme)
{
	/* Those of THEME_COLOUR_BLIND are the palette of Okabe and Ito. */
	static const struct {
		enum paint paint;
		struct hue hue[THEME_NONE];
		attr_t with_color, without;
	} paints[] = {
		{ PAINT_FREE, { OWN, HUE(240, BLACK), OWN }, A_DIM, A_NORMAL },
		{ PAINT_DATA, { BOTH(CYAN), HUE(30, CYAN), HUE(74, CYAN) }, A_NORMAL, A_NORMAL },
		{ PAINT_PINNED, { BOTH(RED), HUE(160, RED), HUE(202, YELLOW) }, A_BOLD, A_NORMAL },
		{ PAINT_CACHED, { BOTH(BLUE), HUE(20, BLUE), HUE(32, BLUE) }, A_NORMAL, A_NORMAL },
		{ PAINT_ISOLATING, { BOTH(YELLOW), HUE(130, BLACK), HUE(227, WHITE) },
		  A_NORMAL, A_NORMAL },
		{ PAINT_RESERVED, { BOTH(GREEN), HUE(28, GREEN), HUE(36, BLUE) },
		  A_NORMAL, A_NORMAL },
		{ PAINT_PERMANENT, { BOTH(MAGENTA), HUE(90, MAGENTA), HUE(175, MAGENTA) },
		  A_NORMAL, A_NORMAL },
		{ PAINT_UNUSABLE, { OWN, HUE(240, BLACK), OWN }, A_DIM, A_NORMAL },
		{ PAINT_PLAIN, { OWN, HUE(16, BLACK), OWN }, A_NORMAL, A_NORMAL },
		{ PAINT_DIM, { OWN, HUE(240, BLACK), OWN }, A_DIM, A_NORMAL },
		{ PAINT_BOLD, { OWN, HUE(16, BLACK), OWN }, A_BOLD, A_BOLD },
		{ PAINT_BAR, { OWN, HUE(16, BLACK), OWN }, A_REVERSE, A_REVERSE },
		{ PAINT_TAB, { OWN, HUE(16, BLACK), OWN },
		  A_BOLD | A_UNDERLINE, A_BOLD | A_UNDERLINE },
		{ PAINT_GOOD, { BOTH(GREEN), HUE(28, GREEN), HUE(36, BLUE) },
		  A_NORMAL, A_NORMAL },
		{ PAINT_BAD, { BOTH(RED), HUE(160, RED), HUE(202, YELLOW) }, A_BOLD, A_BOLD },
		{ PAINT_WARN, { BOTH(YELLOW), HUE(130, BLACK), HUE(214, WHITE) },
		  A_NORMAL, A_BOLD },
	};
	bool many = COLORS >= 256;
	/* Light is light on any terminal; else the background is the terminal's. */
	short back = theme != THEME_LIGHT ? -1 : many ? 231 : COLOR_WHITE;

	scr.color = theme != THEME_NONE && scr.has_colors;
	for (size_t i = 0; i < ARRAY_LEN(paints); i++) {
		attr_t a = scr.color ? paints[i].with_color : paints[i].without;

		/* What is dim by its colour needs not be dimmed once more. */
		if (scr.color && theme == THEME_LIGHT)
			a &= ~A_DIM;
		if (scr.color) {
			const struct hue *hue = &paints[i].hue[theme];
			short fg = many ? hue->many : hue->few, pair = (short)(i + 1);

			if (fg >= 0 || back >= 0) {
				init_pair(pair, fg, back);
				a |= (attr_t)COLOR_PAIR(pair);
			}
		}
		scr.attr[paints[i].paint] = a;
	}
	bkgdset(scr.attr[PAINT_PLAIN] | ' ');
}

int screen_open(enum theme theme, char *why, size_t size)
{
	const char *term = getenv("TERM");
	int err;

	setlocale(LC_ALL, "");
	scr.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (tcgetattr(STDIN_FILENO, &scr.modes)) {
		snprintf(why, size, "standard input is not a terminal");
		return -1;
	}
	if (setupterm(NULL, STDOUT_FILENO, &err) != OK) {
		snprintf(why, size,
			 "the terminal type '%s' is not known here (TERM): try TERM=vt100",
			 term ? term : "");
		return -1;
	}
	if (!tigetstr("cup") || tigetstr("cup") == (char *)-1) {
		snprintf(why, size, "a terminal of type '%s' cannot move its cursor (TERM)", term);
		return -1;
	}
	scr.reset_len = 0;
	add_reset("sgr0");
	add_reset("cnorm");
	add_reset("rmkx");
	scr.clear = !tigetstr("rmcup") || tigetstr("rmcup") == (char *)-1;
	add_reset(scr.clear ? "clear" : "rmcup");
	scr.curses = newterm(NULL, stdout, stdin);
	if (!scr.curses) {
		snprintf(why, size, "the terminal of type '%s' cannot be used", term);
		return -1;
	}
	scr.pid = getpid();
	scr.open = true;
	catch_crashes();
	atexit(screen_close);
	keep_stderr();
	cbreak();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	scr.has_colors = has_colors() && start_color() == OK && use_default_colors() == OK;
	screen_theme(theme);
	return 0;
}

bool screen_has_color(void)
{
	return scr.color;
}

bool screen_is_utf8(void)
{
	return scr.utf8;
}

void screen_size(int *rows, int *cols)
{
	getmaxyx(stdscr, *rows, *cols);
}

void screen_clear(void)
{
	erase();
	screen_cursor(-1, 0);
}

void screen_flush(bool all)
{
	if (all)
		clearok(stdscr, TRUE);
	refresh();
}

void screen_cursor(int y, int x)
{
	curs_set(y >= 0);
	if (y >= 0)
		move(y, x);
}

/* ---- Drawing ----------------------------------------------------------------- */

static attr_t attr_of(int paint)
{
	attr_t a = scr.attr[paint & 0xff];

	if (paint & PAINT_CURSOR)
		a ^= A_REVERSE;
	if (paint & PAINT_CHANGED)
		a |= A_UNDERLINE;
	if (paint & PAINT_STRONG)
		a = (a & ~A_DIM) | A_BOLD;
	return a;
}

/* The next character of *s, one that can be shown in *cells cells. */
static wchar_t next_char(const char **s, mbstate_t *mb, int *cells)
{
	wchar_t wc;
	size_t n = mbrtowc(&wc, *s, MB_CUR_MAX, mb);

	*cells = 1;
	if (n == (size_t)-1 || n == (size_t)-2) {
		memset(mb, 0, sizeof(*mb));
		(*s)++;
		return L'?';
	}
	*s += n ? n : 1;
	if (wc == L'\t')
		return L' ';
	*cells = wcwidth(wc);
	if (*cells >= 1)
		return wc;
	*cells = 1;
	return L'?';
}

static int put(int y, int x, int w, int paint, const char *text, size_t len)
{
	const char *end = text + len;
	mbstate_t mb = { 0 };
	int rows, cols, used = 0, cells;

	screen_size(&rows, &cols);
	if (y < 0 || y >= rows || x < 0 || x >= cols)
		return 0;
	if (w > cols - x)
		w = cols - x;
	attrset(attr_of(paint));
	while (text < end) {
		wchar_t wc = next_char(&text, &mb, &cells);

		if (used + cells > w)
			break;
		mvaddnwstr(y, x + used, &wc, 1);
		used += cells;
	}
	attrset(scr.attr[PAINT_PLAIN]);
	return used;
}

int screen_text(int y, int x, int w, int paint, const char *text)
{
	return put(y, x, w, paint, text, strlen(text));
}

int screen_printf(int y, int x, int w, int paint, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return screen_text(y, x, w, paint, buf);
}

void screen_fill(int y, int x, int w, int paint)
{
	int rows, cols;

	screen_size(&rows, &cols);
	if (y < 0 || y >= rows || x >= cols)
		return;
	attrset(attr_of(paint));
	for (int i = 0; i < w && x + i < cols; i++)
		mvaddch(y, x + i, ' ');
	attrset(scr.attr[PAINT_PLAIN]);
}

void screen_rule(int y, int x, int w, const char *title)
{
	for (int i = 0; i < w; i++)
		screen_text(y, x + i, 1, PAINT_DIM, scr.utf8 ? "─" : "-");
	if (*title)
		screen_printf(y, x + 2, w - 4, PAINT_BOLD, " %s ", title);
}

static int text_cells(const char *text, size_t len)
{
	const char *end = text + len;
	mbstate_t mb = { 0 };
	int used = 0, cells;

	while (text < end) {
		next_char(&text, &mb, &cells);
		used += cells;
	}
	return used;
}

int screen_wrap(struct rect r, int skip, int paint, const char *text)
{
	int line = 0, column = 0;

	if (r.w < 1)
		return 0;
	while (*text) {
		size_t word = strcspn(text, "\n ");
		int cells = text_cells(text, word);

		if (column && column + cells > r.w) {
			line++;
			column = 0;
		}
		if (line >= skip && line - skip < r.h)
			put(r.y + line - skip, r.x + column, r.w - column, paint, text, word);
		column += cells + 1;
		text += word;
		if (*text == '\n' && text[1]) {
			line++;
			column = 0;
		}
		if (*text)
			text++;
	}
	return line + 1;
}

const char *screen_shade(int level)
{
	static const char *const utf8[] = { " ", "░", "▒", "▓", "█" };
	static const char *const ascii[] = { " ", ".", "o", "O", "#" };

	level = level < 0 ? 0 : level > 4 ? 4 : level;
	return scr.utf8 ? utf8[level] : ascii[level];
}

const char *screen_spark(int level)
{
	static const char *const utf8[] = {
		" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█",
	};
	static const char *const ascii[] = { " ", "_", ".", ":", "-", "=", "+", "*", "#" };

	level = level < 0 ? 0 : level > 8 ? 8 : level;
	return scr.utf8 ? utf8[level] : ascii[level];
}

void screen_sparkline(int y, int x, int paint, const uint64_t *v, int n, uint64_t at_least)
{
	uint64_t max = at_least;

	for (int i = 0; i < n; i++)
		if (v[i] > max)
			max = v[i];
	for (int i = 0; i < n; i++) {
		int level = max ? (int)(8.0 * (double)v[i] / (double)max + 0.5) : 0;

		if (v[i] && !level)
			level = 1;
		screen_text(y, x + i, 1, paint, screen_spark(level));
	}
}
