/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The life of one tag block: free pages taken at once, or data moved out by
 * several tasks together; joined and left by users without a lock; released by
 * the last one; its pages claimed when they are freed meanwhile.
 *
 * A block of NPAGES pages stores the tags of NDATA data pages. NT tasks map a data
 * page, find storage for it, use its tags, and unmap it; whoever unmaps it last
 * frees it. Another program uses the pages of the block for data, and sometimes
 * pins them.
 *
 * Verified: a page has the flag PG_mte_storage only while its block is reserved;
 * tags are used only then; a page that is freed while its block is isolating is
 * claimed, once; in the end the block is available and all its pages are with
 * the page allocator.
 *
 * Each macro of the kind WRONG_* makes a mistake, which must be found.
 */

#define NT 3
#define NDATA 2
#define NPAGES 2
#define ALL ((1 << NPAGES) - 1)
#ifndef ROUNDS
#define ROUNDS 1		/* how often each task does all this */
#endif
#ifndef PASSES
#define PASSES 2		/* attempts to empty a block */
#endif
#ifndef DATA_ROUNDS
#define DATA_ROUNDS 2		/* how often the other program allocates */
#endif

mtype:block = { AVAILABLE, ISOLATING, RESERVED };
mtype:page = { BUDDY, DATA, FREEING, TAKEN };

/* struct tag_block */
mtype:block state = AVAILABLE;
byte users;			/* atomic_t */
byte taken;			/* bitmap of pages, under the lock */
byte moving;			/* bitmap of pages, under the lock */
byte emptying;			/* tasks that empty it, under the lock */
bool locked;

/* The pages of the block. */
mtype:page where[NPAGES] = BUDDY;
byte ref[NPAGES];
bool mapped[NPAGES];
bool missed[NPAGES];		/* freed while isolating: not for the allocator */

/* The data pages. */
byte maps[NDATA];
bool freeing[NDATA];
bool flag[NDATA];			/* PG_mte_storage */

byte finished;

/*
 * What is done under the lock is one step (atomic), but for what those can tell
 * apart who do without it: they look at the state and at the users.
 */
inline lock()
{
	!locked;
	locked = true
}

inline unlock()
{
	locked = false
}

/* tag_block_set_state() */
inline set_state(to)
{
	d_step {
		state = to;
		missed[0] = false;
		missed[1] = false
	}
}

/*
 * Page allocator: each step of it is under zone->lock.
 */

/* take_free_page() */
inline take_free(s, got)
{
	d_step {
		if
		:: where[s] == BUDDY -> where[s] = TAKEN; got = true
		:: else -> got = false
		fi
	}
}

/* put_taken_page() */
inline put_taken(s)
{
	d_step {
		assert(where[s] == TAKEN);
		where[s] = BUDDY
	}
}

/* tag_storage_claim_page(), called by whoever has freed page @s: last is set */
inline free_storage_page(s)
{
	if
	:: d_step {
		state == ISOLATING ->
		missed[s] = true
	   }
#ifdef WRONG_NO_CLAIM
	   where[s] = BUDDY
#else
	   atomic {
		lock();
		if
#ifdef WRONG_CLAIM_UNCHECKED
		:: true ->
#else
		:: state == ISOLATING ->
#endif
			assert(where[s] == FREEING);
			assert(!(taken & (1 << s)));
			where[s] = TAKEN;
			taken = taken | (1 << s);
			missed[s] = false;
			last = false
#ifndef WRONG_CLAIM_UNCHECKED
		:: else
#endif
		fi;
		unlock()
	   }
	   if
	   :: last -> where[s] = BUDDY
	   :: else
	   fi
#endif
	:: d_step {
		state != ISOLATING ->
		skip
	   }
	   where[s] = BUDDY
	fi
}

inline put_storage_page(s)
{
	d_step {
		assert(ref[s]);
		ref[s]--;
		last = ref[s] == 0;
		if
		:: last -> where[s] = FREEING
		:: else
		fi
	}
	if
	:: last -> free_storage_page(s)
	:: else
	fi
}

/*
 * The users of the block.
 */

/* The block is given back. Block lock held. */
inline give_all()
{
	put_taken(0);
	put_taken(1)
}

/* tag_block_release(): one user less. Block lock held. */
inline release_locked()
{
	d_step {
		assert(users > 0);
		users--;
		last = users == 0
	}
	if
#ifdef WRONG_RELEASE_UNCHECKED
	:: true ->
#else
	:: last ->
#endif
		set_state(AVAILABLE);
		give_all()
#ifndef WRONG_RELEASE_UNCHECKED
	:: else
#endif
	fi
}

/* One user less, without the lock if it is not the last. */
inline drop_user()
{
	if
#ifdef WRONG_RELEASE_UNLOCKED
	:: d_step { true -> assert(users > 0); users-- }
#else
	:: d_step { users > 1 -> users-- }
	:: else ->
		atomic { lock() };
		release_locked();
		unlock()
#endif
	fi
}

/* release_page(): the data page @d is being freed. */
inline release_page(d)
{
#ifdef WRONG_FLAG_LAST
	drop_user();
	flag[d] = false
#else
	flag[d] = false;
	drop_user()
#endif
}

/*
 * tag_block_add_user(): what this task has counted is for page @d, unless
 * another task was first.
 */
inline add_user(d)
{
#ifdef WRONG_FLAG_NOT_ATOMIC
	had = flag[d];
	flag[d] = true;
#else
	d_step { had = flag[d]; flag[d] = true }
#endif
	if
	:: had -> drop_user()
	:: else
	fi;
	had = false
}

/* __tag_storage_join(); atomic_inc_not_zero() */
inline join()
{
	d_step {
		if
#ifdef WRONG_JOIN_UNCHECKED
		:: true -> users++; ok = true
#else
		:: users -> users++; ok = true
		:: else
#endif
		fi
	}
}

/* cma_take(): all pages at once, or none. Block lock held. */
inline take_all()
{
	take_free(0, got);
	if
	:: got ->
		take_free(1, got);
		if
#ifndef WRONG_TAKE_PARTIAL
		:: !got -> put_taken(0)
#endif
		:: else
		fi
	:: else
	fi
}

/* cma_collect(): take what is free of the block. Block lock held. */
inline collect()
{
	take_free(0, got);
	if
	:: got -> taken = taken | 1
	:: else
	fi;
	take_free(1, got);
	if
	:: got -> taken = taken | 2
	:: else
	fi;
	got = taken == ALL;
	if
	:: got -> taken = 0
	:: else
	fi
}

/*
 * What can be done at once. ok: this task is counted as a user; got: it has all
 * pages of the block, and is to be counted. Block lock held.
 */
inline look()
{
	if
#ifdef WRONG_STATE_STALE
	:: emptier ->
		collect()
	:: else ->
		if
#else
	:: true ->
		if
#endif
		:: state == RESERVED ->
			users++;
			ok = true
		:: state == AVAILABLE ->
			take_all()
		:: state == ISOLATING ->
			collect()
		fi
	fi
}

/* Mark one page of the block as being moved, of those that nobody is moving. */
inline mark()
{
	if
	:: !((taken | moving) & 1) -> s = 0
	:: !((taken | moving) & 2) && ((taken | moving) & 1) -> s = 1
	:: else -> s = NPAGES
	fi;
	if
	:: s < NPAGES -> moving = moving | (1 << s)
	:: else
	fi
}

inline unmark()
{
	if
	:: s < NPAGES -> moving = moving & ~(1 << s)
	:: else
	fi;
	s = NPAGES
}

/* This task does not empty the block any more. Block lock held. */
inline leave()
{
	if
	:: emptier -> emptying--
	:: else
	fi;
	if
	:: emptier && !emptying && state == ISOLATING ->
		/* The last of them gives up. */
		set_state(AVAILABLE);
		if
		:: taken & 1 -> put_taken(0)
		:: else
		fi;
		if
		:: taken & 2 -> put_taken(1)
		:: else
		fi;
		taken = 0
	:: else
	fi;
	pass = 0;
	emptier = false
}

/* Nothing is free: leave, or go on. Block lock held. */
inline go_on()
{
	if
	:: ok || pass == PASSES ->
		leave()
	:: else ->
		pass++;
		if
		:: !emptier -> emptier = true; emptying++
		:: else
		fi;
		if
		:: state == AVAILABLE -> set_state(ISOLATING)
		:: else
		fi;
		mark()
	fi
}

/* Move what is in page @s of the block, which this task has marked as moving. */
inline migrate_page(s)
{
	if
	:: d_step { ref[s] > 0 -> ref[s]++ }
		if
		:: d_step {
			ref[s] == 2 && mapped[s] ->
			mapped[s] = false;
			ref[s]--
		   }
		:: else			/* pinned, or unmapped meanwhile */
		fi;
		put_storage_page(s)
	:: else				/* free, or being freed */
	fi
}

/*
 * tag_storage_reserve(): at once, or after the block has been emptied, alone or
 * with others. ok: this task is counted as a user.
 */
inline reserve()
{
	join();
	do
	:: ok -> break
	:: else ->
		atomic {
			lock();
			unmark();
			look();
			if
			:: !got ->
				go_on();
				unlock()
			:: else ->
				set_state(RESERVED)
			fi
		}
		if
#ifdef WRONG_EMPTIED_NO_USER
		:: got ->
			unlock();
			users++;
			atomic { lock(); ok = true; leave(); unlock(); got = false }
#else
		:: got ->
			atomic { users++; ok = true; leave(); unlock(); got = false }
#endif
		:: else
		fi;
		if
		:: !ok && !emptier -> break
		:: s == 0 -> migrate_page(0)
		:: s == 1 -> migrate_page(1)
		:: else
		fi
	od
}

proctype task(byte d)
{
	byte pass, s = NPAGES, round;
	bool ok, got, had, last, emptier;

	do
	:: round == ROUNDS -> break
	:: else ->
		atomic {
			round++;
			if
			:: d == NDATA -> d = 0
			:: d == NDATA -> d = 1
			:: else
			fi
		}
		atomic { !freeing[d] -> maps[d]++ }

		if
		:: flag[d] -> ok = true
		:: else ->
			reserve();
			if
			:: ok -> add_user(d)
			/* The page has moved, or its entry has changed. */
			:: ok -> drop_user(); ok = false
			:: !ok
			fi
		fi;
		/* The tags are written. */
		assert(!ok || (flag[d] && state == RESERVED));

		d_step {
			ok = false;
			maps[d]--;
			last = maps[d] == 0;
			freeing[d] = last
		}
		if
		:: last ->
			if
			:: flag[d] -> release_page(d)
			:: else
			fi;
			d_step { freeing[d] = false; last = false }
		:: else
		fi
	od;
	finished++
}

proctype data()
{
	byte round, s;
	bool last, pinned;

	do
	:: round == DATA_ROUNDS -> break
	:: else ->
		round++;
		s = NPAGES;
		if
		:: d_step { where[0] == BUDDY -> where[0] = DATA; s = 0 }
		:: d_step { where[1] == BUDDY -> where[1] = DATA; s = 1 }
		:: true		/* does without */
		fi;
		if
		:: s < NPAGES ->
			d_step {
				assert(!missed[s]);
				assert(state != RESERVED);
				mapped[s] = true;
				ref[s] = 1
			}
			/* Pinned, perhaps for longer than mapped. */
			atomic {
				if
				:: mapped[s] -> ref[s]++; pinned = true
				:: true
				fi
			}
			if
			:: d_step { mapped[s] -> mapped[s] = false }
			   put_storage_page(s)
			:: else		/* it was moved away */
			fi;
			if
			:: pinned -> put_storage_page(s)
			:: else
			fi;
			pinned = false
		:: else
		fi
	od;
	finished++
}

active proctype monitor()
{
	if
	:: atomic { flag[0] && state != RESERVED -> assert(false) }
	:: atomic { flag[1] && state != RESERVED -> assert(false) }
	:: atomic { state == ISOLATING && !emptying && !locked -> assert(false) }
	:: d_step {
		finished == NT + 1 ->
		assert(state == AVAILABLE);
		assert(!users && !taken && !moving && !emptying && !locked);
		assert(where[0] == BUDDY && where[1] == BUDDY);
		assert(!flag[0] && !flag[1])
	   }
	fi
}

init
{
	atomic {
		/* Two of them share a page. */
		run task(0);
		run task(1);
		run task(NDATA);
		run data()
	}
}
