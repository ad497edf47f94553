/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PG_mte_tagged and its lock: who initialises the tags of a page, and who may
 * read them, on CPUs that reorder accesses to memory.
 *
 * P is a page of a memfd. Task A maps it tagged, by a fault. Task B has it mapped
 * untagged and calls mprotect(PROT_MTE). Task C has a private mapping, tagged,
 * and writes to it, so that P is copied to the new page Q. P may be in swap, with
 * tags saved for it. Storage for the tags of a page may be there or not when
 * somebody looks for it.
 *
 * A store to tags becomes visible to other CPUs at any time later; a barrier waits for
 * it. A load of tags may have been made before the load of the flag that it depends on.
 *
 * Verified: tags are accessed only if the page has storage; they are initialised
 * once; nobody sees tags that were there before, or zeroes instead of the saved
 * tags; no tag that a program has set is lost.
 *
 * Each macro of the kind WRONG_* makes a mistake, which must be found.
 */

/* A tag: what was in the storage before, or a value. */
#define GARBAGE 0
#define ZERO 1
#define SAVED 2
#define TAG(task) (3 + (task))

#define A 0
#define B 1
#define C 2

#define P 0
#define Q 1

byte tags[2] = GARBAGE;		/* of each page, as in memory */
bool storage[2];		/* PG_mte_storage */
bool mte_lock[2];		/* PG_mte_lock */
bool tagged[2];			/* PG_mte_tagged */

byte store[3];			/* of each task, not visible yet; 0: none */
byte stored_to[3];		/* the page */

bool swapped;			/* there are saved tags */
bool present;			/* P is in the page cache */
bool folio_locked;

byte initialised[2];

/* A store becomes visible. */
proctype memory()
{
end:	do
	:: atomic { store[A] -> tags[stored_to[A]] = store[A]; store[A] = 0 }
	:: atomic { store[B] -> tags[stored_to[B]] = store[B]; store[B] = 0 }
	:: atomic { store[C] -> tags[stored_to[C]] = store[C]; store[C] = 0 }
	od
}

/* Stores to one location do not overtake each other. */
inline write_tags(p, v)
{
	atomic {
		!store[me] ->
		assert(storage[p]);
		store[me] = v;
		stored_to[me] = p
	}
}

inline read_tags(p, v)
{
	atomic {
		assert(storage[p]);
		if
		:: store[me] && stored_to[me] == p -> v = store[me]
		:: else -> v = tags[p]
		fi
	}
}

inline smp_wmb()
{
	!store[me]
}

/* Storage is there, or it is not, now. */
inline reserve(p)
{
	if
	:: storage[p] = true
	:: true
	fi
}

/*
 * try_page_mte_tagging(), the tags, set_page_mte_tagged(). An atomic operation that
 * returns a value is a full barrier.
 */
inline initialise(p, v)
{
#ifdef WRONG_NO_LOCK
	won = !tagged[p];
#elif defined(WRONG_FLAG_FIRST)
	atomic { !store[me] -> won = !tagged[p]; tagged[p] = true };
#else
	atomic { !store[me] -> won = !mte_lock[p]; mte_lock[p] = true };
#endif
	if
	:: won ->
		write_tags(p, v);
		initialised[p]++;
		assert(initialised[p] == 1);
#ifndef WRONG_NO_WMB
		smp_wmb();
#endif
		tagged[p] = true
	:: else ->
#ifdef WRONG_NO_WAIT
		skip
#else
		tagged[p]
#endif
	fi;
	won = false
}

/* mte_sync_tags(): ok if the entry may be accessible. */
inline sync_tags(p)
{
#ifndef WRONG_NO_STORAGE
	if
	:: storage[p]
	:: else -> reserve(p)
	fi;
#endif
	if
#ifdef WRONG_NO_STORAGE
	:: true ->
#else
	:: storage[p] ->
#endif
		initialise(p, ZERO);
		smp_wmb();
		ok = true
#ifndef WRONG_NO_STORAGE
	:: else
#endif
	fi
}

/*
 * Find P, swapped in if need be, and lock it. Tags are restored before others can
 * find the page, and for an untagged mapping, too; storage for them was looked for
 * when that could be waited for.
 */
inline find_page()
{
	atomic { !folio_locked -> folio_locked = true };
	if
	:: present
	:: else ->
#ifdef WRONG_FOUND_EARLY
		present = true;
		folio_locked = false;
#endif
		if
		:: swapped ->
#ifndef WRONG_RESTORE_WITHOUT
			storage[P] = true;
#endif
			initialise(P, SAVED)
		:: else
		fi;
		present = true
	fi
}

#define valid(v) ((v) != GARBAGE && (!swapped || (v) != ZERO) && (swapped || (v) != SAVED))

/* The program: it sees tags, sets its own, and sees them or what the other has set. */
inline use_tags()
{
	read_tags(P, seen);
	assert(valid(seen));
	write_tags(P, TAG(me));
	read_tags(P, seen);
	assert(seen == TAG(A) || seen == TAG(B));
	seen = 0
}

/* A fault on access is tried again, until there is storage. */
proctype task_a()
{
	byte me = A, seen;
	bool won, ok;

	find_page();
	sync_tags(P);
	folio_locked = false;
	do
	:: ok -> break
	:: else -> sync_tags(P)
	od;
	use_tags()
}

proctype task_b()
{
	byte me = B, seen;
	bool won, ok;

	find_page();
	folio_locked = false;
	do
	:: ok -> break
	:: else -> sync_tags(P)
	od;
	use_tags()
}

proctype task_c()
{
	byte me = C, seen, early;
	bool won, ok, copied;

	find_page();
	folio_locked = false;

	/* __copy_highpage(); a copy that fails for want of storage is tried again. */
	do
	:: copied -> break
	:: else ->
		early = tags[P];
		if
		:: tagged[P] ->
#ifdef WRONG_NO_RMB
			seen = early;
#else
			read_tags(P, seen);
#endif
			assert(valid(seen));
			if
			:: storage[Q]
			:: else -> reserve(Q)
			fi;
			if
			:: storage[Q] ->
				initialise(Q, seen);
				copied = true
			:: else
			fi
		:: else -> copied = true
		fi;
		early = 0
	od;
	/* Whoever was not tagged had no tags but zero. */
	assert(seen || !swapped);
	do
	:: ok -> break
	:: else -> sync_tags(Q)
	od;
	seen = 0;
	read_tags(Q, seen);
	assert(valid(seen))
}

init
{
	atomic {
		if
		:: swapped = true
		:: true
		fi;
		run memory();
		run task_a();
		run task_b();
		run task_c()
	}
}
