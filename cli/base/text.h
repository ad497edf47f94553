/* SPDX-License-Identifier: GPL-2.0-only */
/* Text from elsewhere, before it is shown. */
#ifndef TAGSCOPE_TEXT_H
#define TAGSCOPE_TEXT_H

/*
 * Make it one line that is fit for any terminal and any format, in place: white space
 * becomes a space; other control characters, and bytes that are not UTF-8, '?'.
 */
void text_clean(char *text);

#endif
