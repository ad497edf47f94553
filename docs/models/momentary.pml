/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * References that are held for a moment. A task that looks for storage sees that something
 * is held, and not by whom. It is an error if that is so for HELD_PERIODS, in each of which
 * every task has slept or returned to user space (wait_is_over(), tag_period_begin()).
 *
 * "It" stands for the page and its storage. Somebody may pin it, for ever. Two bystanders
 * have it in hand once each, at any time, and can be preempted anywhere. The second one
 * may sleep meanwhile, until the first one has released a lock. Somebody else may have
 * asked for a period before.
 *
 * Verified: an error only if it is pinned.
 *
 * Each macro of the kind WRONG_* makes a mistake, which must be found.
 */

#ifdef WRONG_TWO_PERIODS
#define HELD_PERIODS 2
#else
#define HELD_PERIODS 3
#endif
#define OVER 255		/* PERIOD_OVER */

mtype = { USER, KERNEL, ASLEEP };

mtype where[2] = USER;		/* the bystanders; a task in KERNEL may be preempted */
bool holdout[2];		/* the period waits for it */
bool lock;			/* of the first bystander */
byte refs;
bool pinned;

byte begun, ended;		/* periods, as in tag_periods */
bool wanted, scanned;

/* call_rcu_tasks() and period_ended() */
active proctype rcu_tasks()
{
end:	do
	:: atomic {
		begun != ended && !scanned ->
		holdout[0] = where[0] == KERNEL;
		holdout[1] = where[1] == KERNEL;
		scanned = true
	   }
	:: atomic {
		scanned && !holdout[0] && !holdout[1] ->
		scanned = false;
		ended = begun;
		if
		:: wanted -> wanted = false; begun++
		:: else
		fi
	   }
	od
}

proctype bystander(byte me)
{
	atomic {
		where[me] = KERNEL;
		if
		:: me == 0 -> lock = true
		:: else
		fi
	}
	refs++;
	if
	:: atomic { me == 1 && lock -> where[1] = ASLEEP; holdout[1] = false };
	   where[1] == KERNEL
	:: true
	fi;
	refs--;
	atomic {
		where[me] = USER;
		holdout[me] = false;
		if
		:: me == 0 ->
			lock = false;
			/* It can run from now on. */
			if
			:: where[1] == ASLEEP -> where[1] = KERNEL
			:: else
			fi
		:: else
		fi
	}
}

/* tag_period_begin() */
inline begin_period()
{
	atomic {
#ifdef WRONG_UNDER_WAY
		if
		:: begun == ended -> begun++
		:: else
		fi;
		period = begun
#else
		period = begun + 1;
		if
		:: begun == ended -> begun++
		:: else -> wanted = true
		fi
#endif
	}
}

proctype seeker()
{
	byte period, periods, again;
	bool held;

	do
	:: held = refs || pinned;
	   /* Preempted here, too: the rest of it is wait_is_over(). */
	   if
	   :: !held && again == 1 -> break
	   /* It was tried, and somebody else had it again. */
	   :: !held && !again -> period = 0; again = 1
	   :: held ->
		if
		:: period == OVER -> period = 0; periods++
#ifdef WRONG_SAME_LOOK
		:: period && period != OVER && ended >= period -> period = 0; periods++
#else
		:: period && period != OVER && ended >= period -> period = OVER
#endif
		:: else
		fi;
		if
		:: !period && periods < HELD_PERIODS -> begin_period()
		:: else
		fi;
		if
		:: periods >= HELD_PERIODS -> assert(pinned); break
		:: else
		fi
	   fi
	od
}

init
{
	atomic {
		if
		:: pinned = true
		:: true
		fi;
		if
		:: begun = 1
		:: true
		fi;
		run bystander(0);
		run bystander(1);
		run seeker()
	}
}
