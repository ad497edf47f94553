/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page that holds copies of page cache: its owner takes it and gives it back, two
 * files are reclaimed and read, and one of them is written to with O_DIRECT.
 *
 * Each file has one page. Who reclaims it copies it, without the lock of the file's
 * tree of copies, and publishes the copy under that; who reads it takes the copy out of
 * the tree under the lock, and copies it back without. The owner takes no lock.
 *
 * Verified: nobody writes to the page while it is taken; a node is in one tree at a
 * time; and what is read from a copy is what is on the disk, unless a write to it has
 * not returned yet.
 *
 * Each macro of the kind WRONG_* makes a mistake, which must be found.
 */

#define NF 2
#define NOWHERE NF
#define NONE 15			/* no folio */
#define TAGS 255
#define TORN 254
#ifndef ROUNDS
#define ROUNDS 1
#endif

mtype:state = { TAKEN, FREE, CLAIMED, FILLING, CACHED };

/* struct page_copy */
mtype:state state = FREE;
byte gen;
bool busy;
byte where = NOWHERE;		/* the file whose tree has the node */
byte content;			/* of the page: file and version */

byte disk[NF];			/* version of what is on the disk */
byte folio[NF] = NONE;		/* version of what is in the page cache */
bool present[NF];		/* there is a folio, up to date or not */
bool flock[NF];			/* folio lock */
bool ilock[NF];			/* i_pages lock */
bool writing[NF];
byte invalidating[NF];		/* no copies are published or used meanwhile */

#define COPY(m, v) ((m) * 16 + (v))

#ifdef WRONG_NO_GENERATION
#define MINE(g) true
#else
#define MINE(g) (gen == g)
#endif

#ifdef WRONG_NO_BUSY
#define IDLE true
#else
#define IDLE (!busy)
#endif

inline lock(l)
{
	atomic { !l; l = true }
}

/* forget_some(): i_pages lock held */
inline forget(m)
{
	atomic {
		if
		:: where == m ->
			where = NOWHERE;
			if
			:: state == CACHED -> state = FREE
			:: else
			fi
		:: else
		fi
	}
}

/* __remove_mapping() */
inline reclaim(m)
{
	atomic {
		if
		:: folio[m] != NONE && !flock[m] -> flock[m] = true; got = true
		:: else -> got = false
		fi
	}
	if
	:: got ->
		/* try_claim() */
		atomic {
			if
			:: (state == FREE || state == CACHED) && IDLE ->
				busy = true;
				state = CLAIMED;
				gen++;
				g = gen
			:: else -> got = false
			fi
		}
#ifndef WRONG_NO_UNLINK
		/* unlink_old() */
		w = where;
		if
		:: got && w != NOWHERE ->
			lock(ilock[w]);
			if
			:: where == w -> where = NOWHERE
			:: else
			fi;
			ilock[w] = false
		:: else
		fi;
#endif
		atomic {
			if
			:: got && state == CLAIMED && MINE(g) -> state = FILLING
			:: got && !(state == CLAIMED && MINE(g)) -> got = false; busy = false
			:: else
			fi
		}
		if
		:: got ->
			content = TORN;
			content = COPY(m, folio[m]);
			state = CLAIMED
		:: else
		fi;
		lock(ilock[m]);
		forget(m);
		folio[m] = NONE;
		present[m] = false;
		/* __cleancache_publish() */
		if
		:: got && invalidating[m] ->
			atomic {
				if
				:: state == CLAIMED && MINE(g) -> state = FREE
				:: else
				fi
			}
			busy = false
		:: got && !invalidating[m] ->
			assert(where == NOWHERE);
			where = m;
			atomic {
				if
				:: state == CLAIMED && MINE(g) -> state = CACHED
				:: else -> where = NOWHERE
				fi
			}
			busy = false
		:: else
		fi;
		ilock[m] = false;
		flock[m] = false
	:: else
	fi
}

/* filemap_create_folio(), __cleancache_load() */
inline read(m)
{
	atomic {
		if
		:: !present[m] && !flock[m] ->
			present[m] = true;
			flock[m] = true;
			got = true
		:: else -> got = false
		fi
	}
	if
	:: got ->
		lock(ilock[m]);
		atomic {
			got = (where == m && state == CACHED && !invalidating[m]);
			if
			:: got -> state = CLAIMED; gen++; g = gen
			:: else
			fi;
			if
			:: where == m -> where = NOWHERE
			:: else
			fi
		}
		ilock[m] = false;
		if
		:: got ->
			v = content;
			atomic {
#ifdef WRONG_NOT_LOOKED_AGAIN
				if
				:: state == CLAIMED && MINE(g) -> state = FREE
				:: else
				fi
#else
				got = (state == CLAIMED && MINE(g));
				if
				:: got -> state = FREE
				:: else
				fi
#endif
			}
		:: else
		fi;
		if
		:: got ->
			assert(writing[m] || v == COPY(m, disk[m]));
			folio[m] = v % 16
		:: else -> folio[m] = disk[m]
		fi;
		flock[m] = false
	:: else
	fi
}

/* kiocb_invalidate_post_direct_write() and invalidate_inode_pages2_range() */
inline invalidate(m)
{
#ifndef WRONG_NOT_KEPT_OUT
	invalidating[m]++;
#endif
#ifdef WRONG_LOOK_WITHOUT_LOCK
	if
	:: where == m ->
		lock(ilock[m]);
		forget(m);
		ilock[m] = false
	:: else
	fi;
#else
	lock(ilock[m]);
	forget(m);
	ilock[m] = false;
#endif
	if
	:: present[m] ->
		lock(flock[m]);
		lock(ilock[m]);
		forget(m);
		folio[m] = NONE;
		present[m] = false;
		ilock[m] = false;
		flock[m] = false
	:: else
	fi;
#ifdef WRONG_NOT_KEPT_OUT
	lock(ilock[m]);
	forget(m);
	ilock[m] = false
#elif defined(WRONG_END_WITHOUT_LOCK)
	invalidating[m]--
#else
	lock(ilock[m]);
	invalidating[m]--;
	ilock[m] = false
#endif
}

proctype user(byte m)
{
	byte i, g, w, v;
	bool got;

	do
	:: i < ROUNDS ->
		read(m);
		reclaim(m);
		i++
	:: else -> break
	od
}

proctype writer(byte m)
{
	invalidate(m);
	writing[m] = true;
	disk[m]++;
#ifndef WRONG_ONE_INVALIDATION
	invalidate(m);
#endif
	writing[m] = false
}

proctype reader(byte m)
{
	byte g, v;
	bool got;

	read(m)
}

proctype owner()
{
	byte i;

	do
	:: i < ROUNDS ->
		/* cleancache_take() */
#ifdef WRONG_NO_WAIT
		atomic { state = TAKEN; gen++ }
#else
		atomic { state != FILLING -> state = TAKEN; gen++ }
#endif
		content = TAGS;
#ifdef WRONG_EARLY_GIVE
		state = FREE;
#endif
		assert(content == TAGS);
		/* cleancache_give() */
		state = FREE;
		i++
	:: else -> break
	od
}

init
{
	atomic {
		run user(0);
		run user(1);
		run writer(0);
		run reader(0);
		run owner()
	}
}
