/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fault on access: when it waits, when it is replayed, when it is an error.
 *
 * Two data pages, D(0) and D(1), have their tags in one block, of one page S, in
 * which there is data: the folio X. Tasks 0 and 1 access D(0), task 2 D(1).
 * Others hold references to X and to the D, from the beginning or not, and drop
 * them at any time or never. Memory may be short; D(0) may be in the LRU batch of
 * some CPU; other blocks have storage for a page that moves, or not.
 *
 * A task may be preempted anywhere, for as long as you like.
 *
 * Without a macro: an attempt that fails with -EBUSY, and so may lead to an error,
 * was in the way of references that belong to nobody who looks for storage; who
 * waits, or runs out of memory, holds nothing.
 *
 * LIVENESS: SIGBUS comes only when X and D were both found held, once more than the
 * deadline has room for; and every access ends, if each task that can run is run
 * at some time. HANDLER, with it: instead of task 1, a signal handler of task 0,
 * which accesses D(1), runs between any two of its faults.
 *
 * Each macro of the kind WRONG_* makes a mistake, which must be found.
 */

#ifdef HANDLER
#define NT 2
#else
#define NT 3
#endif
#define LIMIT 1			/* rounds that the deadline has room for */

mtype:block = { AVAILABLE, ISOLATING, RESERVED };
mtype:page = { DATA, FREE, TAKEN };
mtype:outcome = { NONE, BUSY, NOMEM };

/* The block and its page. */
mtype:block state = AVAILABLE;
mtype:page where = DATA;
byte users, emptying;
byte xref = 1;			/* all references to X */
bool xpin;			/* that of a holder */
bool xmark;			/* a task moves X */
#ifdef LIVENESS
bool xheld[3];			/* X was found held, of late: for each task */
#endif

/* The data pages. */
byte dref[2] = 1;
bool dpin[2];
bool dmark[2];			/* isolated from the LRU by a task, to be moved */
bool batch;			/* D(0) is in an LRU batch */
bool flag[2];			/* PG_mte_storage */
bool moved[2];			/* it is elsewhere, with storage */

bool elsewhere = true;		/* other blocks have storage */
bool memory = true;		/* there is a free page to migrate to */
bool reclaim, drain;		/* asked for */

byte finished;

/* One user less; after the last the block is given back. */
inline drop_user()
{
	users--;
	if
	:: users == 0 -> state = AVAILABLE; where = FREE
	:: else
	fi
}

/* What can be done at once, under the block lock. */
inline look()
{
	if
	:: state == RESERVED -> users++; got = true
	:: state != RESERVED && where != DATA ->
		where = TAKEN;
		state = RESERVED;
		users++;
		got = true
	:: else
	fi
}

/* This task has found X held: that holds for all who want storage in this block. */
inline found_x_held()
{
#ifdef LIVENESS
#ifdef WRONG_NOT_SHARED
	xheld[me] = true
#else
	xheld[0] = true;
	xheld[1] = true;
	xheld[2] = true
#endif
#else
	skip
#endif
}

/*
 * Empty the block, with others, and become a user of it: got is set. D(i) is not
 * referenced meanwhile.
 */
inline empty_block()
{
	atomic {
		look();
		if
		:: !got ->
#ifdef WRONG_REFERENCE
			dref[i]++;
#endif
			state = ISOLATING;
			emptying++;
			at_work = true;
			if
#ifndef WRONG_NO_MARK
			:: xmark
#endif
			:: else -> xmark = true; mine = true; xref++
			fi
		:: else
		fi
	}
	if
	:: atomic {
		mine ->
		if
		:: where != DATA
#ifdef WRONG_NOMEM_IS_BUSY
		:: where == DATA && !memory -> res = BUSY
#else
		:: where == DATA && !memory -> res = NOMEM
#endif
		/* Mapped once, and the reference of this task. */
		:: where == DATA && memory && xref == 2 ->
			xref = 1;
			where = TAKEN
		:: else ->
			res = BUSY
		fi;
		assert(res != BUSY || xpin)
	   }
	:: else
	fi;
	if
	:: atomic {
		at_work ->
		if
		:: mine ->
			if
			:: res == BUSY -> found_x_held()
			:: else
			fi;
			xref--;
			xmark = false;
			mine = false
		:: else
		fi;
#ifdef WRONG_REFERENCE
		dref[i]--;
#endif
		look();
		emptying--;
		at_work = false;
		if
		:: state == ISOLATING && !emptying -> state = AVAILABLE
		:: else
		fi
	   }
	:: else
	fi
}

/* The page table lock is held: the entry is completed, if it is still the same. */
inline complete()
{
	if
	:: moved[i] || flag[i] -> drop_user()
	:: else -> flag[i] = true
	fi;
	got = false
}

/* Move D(i) to where there is storage. */
inline move_page()
{
	atomic {
		res = NONE;
		if
		:: moved[i] || flag[i]
		:: !moved[i] && !flag[i] && !i && batch ->
			/* Neither can it be isolated, nor is it held. */
#ifndef WRONG_NO_DRAIN
			drain = true;
#endif
#ifdef WRONG_BATCH_IS_HELD
			res = BUSY;
			assert(dpin[i])
#endif
		:: !moved[i] && !flag[i] && (i || !batch) ->
			if
#ifndef WRONG_NO_MARK
			:: dmark[i]
#endif
			:: else -> dmark[i] = true; mine = true; dref[i]++
			fi
		fi;
		at_work = mine
	}
	if
	:: atomic {
		mine ->
		if
		:: dref[i] > 2 || !elsewhere -> res = BUSY
		:: else ->
			if
			:: memory -> moved[i] = true
			:: else -> res = NOMEM
			fi
		fi;
		assert(res != BUSY || dpin[i] || !elsewhere)
	   }
	   atomic {
		dref[i]--;
		dmark[i] = false;
		mine = false;
		at_work = false
	   }
	:: else
	fi
}

/* VM_FAULT_OOM. */
inline out_of_memory()
{
#ifndef WRONG_NO_RECLAIM
	reclaim = true
#else
	skip
#endif
}

/* Both attempts have failed, for whatever reason: SIGBUS, or go on. */
inline judge()
{
#ifdef LIVENESS
	dheld = dheld || res == BUSY;
	if
#ifdef WRONG_WALL_CLOCK
	:: rounds[i] <= LIMIT -> rounds[i]++
#else
	:: dheld && xheld[me] ->
		xheld[me] = false;
		dheld = false;
		rounds[i]++
#endif
	:: else
	fi;
	if
	:: rounds[i] > LIMIT ->
		assert(xpin && (dpin[i] || !elsewhere));
		break
	:: else
	fi
#else
	/* Or killed by something else. */
	if
	:: true
	:: break
	fi
#endif
}

proctype task(byte me; byte first)
{
	byte i = first;
	mtype:outcome res = NONE;
	bool got, mine;
	bool at_work;		/* for the check that who waits holds nothing */
#ifdef LIVENESS
	byte rounds[2];		/* of the deadline for each D */
	bool dheld;		/* D(i) was found held, of late */
#endif

	do
	:: atomic {
		/* The fault, under the page table lock: the access is made. */
		moved[i] || flag[i] ->
#ifdef LIVENESS
		rounds[i] = 0;
#endif
		if
		:: i == first -> break
#ifdef HANDLER
		/* The handler returns. */
		:: else -> i = first; dheld = false
#endif
		fi
	   }
	:: !moved[i] && !flag[i] ->
	   empty_block();
	   if
	   :: atomic { got -> complete(); res = NONE }
	   :: atomic { !got && res == NOMEM ->
		assert(!at_work && !mine);
		out_of_memory();
		res = NONE
	      }
	   :: !got && res != NOMEM ->
		move_page();
		atomic {
			assert(!at_work && !mine);
			if
			:: res == NOMEM -> out_of_memory()
			:: else -> judge()
			fi;
			res = NONE
		}
	   fi;
#ifdef HANDLER
	   /* The wait; a signal's handler runs before the fault is replayed. */
	   if
	   :: true
	   :: atomic {
		me == 0 ->
#ifdef WRONG_ONE_DEADLINE
		rounds[i] = 0;
#endif
		i = 1 - i;
		dheld = false
	      }
#ifdef WRONG_NEW_DEADLINE
	   /* A signal without a handler. */
	   :: me == 0 -> rounds[i] = 0
#endif
	   fi
#endif
	od;
	finished++
}

/* Whoever holds references: from the beginning, and for ever or not. */
proctype holder()
{
end:	do
	:: atomic { xpin -> xpin = false; xref-- }
	:: atomic { dpin[0] -> dpin[0] = false; dref[0]-- }
	:: atomic { dpin[1] -> dpin[1] = false; dref[1]-- }
	od
}

/*
 * The rest of the kernel: reclaim and the OOM killer, and a worker that drains
 * the LRU batches, each when asked; somebody who takes the memory again, once.
 */
proctype others()
{
	bool taken;

end:	do
	:: atomic { reclaim -> memory = true; reclaim = false }
	:: atomic { drain -> batch = false; drain = false }
	:: atomic { memory && !taken -> memory = false; taken = true }
	od
}

init
{
	atomic {
		if
		:: xpin = true; xref++
		:: true
		fi;
		if
		:: dpin[0] = true; dref[0]++
		:: true
		fi;
		if
		:: dpin[1] = true; dref[1]++
		:: true
		fi;
		/* One thing more may be in the way. */
		if
		:: elsewhere = false
#if !defined(LIVENESS) || defined(HANDLER)
		:: memory = false
		:: batch = true
#endif
		:: true
		fi;
		run task(0, 0);
#ifndef HANDLER
		run task(1, 0);
#endif
		run task(2, 1);
#ifndef LIVENESS
		run holder();
#endif
#if !defined(LIVENESS) || defined(HANDLER)
		run others();
#endif
		skip
	}
}

#ifdef LIVENESS
ltl ends { <> (finished == NT) }
#endif
