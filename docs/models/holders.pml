/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose references are they? Tasks that look for storage tell of the reference by
 * which they move a folio (tag_hold_isolate(), tag_unhold()), and compare the
 * folio's count with what they know (tag_folio_held()).
 *
 * Three tasks move the folio F and look at it, one of them twice; or get a reference by
 * get_user_pages(), of which they tell first, in another list, with a lock of its
 * own. Somebody else has a reference for a while.
 *
 * Verified: "held by others" is said only if somebody else had a reference while it
 * was looked; a folio that somebody else holds all the time is never called free; in
 * the end no reference and no entry in the list is left.
 *
 * Each macro of the kind WRONG_* makes a mistake, which must be found.
 */

#define NT 3

byte refs = 1;			/* it is mapped */
bool pinned;			/* by somebody else */
byte listed;			/* entries of F in the list */
bool isolated;			/* not on the LRU */
bool locked;			/* the lock of the list */
bool seen_pinned[NT];		/* since a task began to look, it was pinned */
byte expected;			/* entries of those who use get_user_pages() */
byte told;			/* how many there have been so far */
byte finished;

inline lock()
{
	atomic { !locked -> locked = true }
}

inline unlock()
{
	locked = false
}

/* tag_hold_isolate(); mine: isolated by this task */
inline hold_isolate()
{
#ifndef WRONG_ISOLATE_UNLOCKED
	lock();
#endif
	refs++;				/* folio_try_get() */
	atomic { mine = !isolated; isolated = true };
#ifndef WRONG_NOT_LISTED
	if
	:: mine ->
#ifdef WRONG_LIST_LATE
		unlock();
		lock();
#endif
		refs++;			/* folio_isolate_lru() */
		listed++
	:: else
	fi;
#else
	refs = refs + mine;
#endif
	refs--;				/* folio_put_testzero() */
#ifndef WRONG_ISOLATE_UNLOCKED
	unlock()
#endif
}

/* It could not be migrated: folio_putback_lru(), tag_unhold(). */
inline put_back()
{
#ifdef WRONG_UNLIST_EARLY
	lock();
	listed--;
	unlock();
	isolated = false;
	refs--
#else
	isolated = false;
	refs--;
#ifndef WRONG_NOT_LISTED
	lock();
	listed--;
	unlock()
#endif
#endif
}

/* tag_page_held(): the page need not be mapped here, so that a reference is taken. */
inline look()
{
	atomic {
		seen_pinned[me] = pinned;
		before = told;
		others = expected
	}
#ifndef WRONG_LOOK_UNLOCKED
	lock();
#endif
	refs++;
	known = listed;
	held = refs > 2 + known + others;
	refs--;
#ifndef WRONG_LOOK_UNLOCKED
	unlock();
#endif
	/* Somebody may have got a reference after they were counted. */
#ifdef WRONG_COUNT_AGAIN
	held = held && expected <= others;
#else
	held = held && told == before;
#endif
	assert(!held || seen_pinned[me]);
	d_step {
		held = false;
		known = 0;
		before = 0;
		others = 0;
		seen_pinned[me] = false
	}
}

proctype task(byte me; byte left)
{
	byte known, others, before;
	bool mine, held;

	do
	:: !left -> break
	:: else ->
		left--;
		if
		:: hold_isolate();
		   if
		   :: mine -> put_back(); mine = false
		   :: else
		   fi
		/* get_user_pages() and after */
		:: atomic { expected++; told++ }
		   refs++;
		   refs--;
		   expected--
		:: look()
		fi
	od;
	finished++
}

proctype other()
{
	/* While others look: they will have seen it. */
	atomic {
		pinned = true;
		refs++;
		seen_pinned[0] = true;
		seen_pinned[1] = true;
		seen_pinned[2] = true
	}
	atomic { pinned = false; refs-- }
	finished++
}

active proctype monitor()
{
	d_step {
		finished == NT + 1 ->
		assert(refs == 1 && !listed && !isolated && !locked)
	}
}

init
{
	atomic {
		run task(0, 2);
		run task(1, 1);
		run task(2, 1);
		run other()
	}
}
