/* slab.pml: remote frees, full slabs, the AVAILABLE list and the change of a slab's layout.
 *
 * A slab has an owner (the thread that allocates from it, or none), a local free list (its
 * owner's alone) and one word `remote`: FULL, or the list of remotely freed blocks with its count.
 *   Allocate: pop the local list; if it is empty, exchange remote with empty; if that brought
 *     nothing, set owner = none, then compare-exchange remote from empty to FULL: the slab has left
 *     its thread (if it fails, owner = me and take remote). Without a slab: pop AVAILABLE.
 *   Free: owner == me: push on the local list. Otherwise push on remote by compare-exchange; found
 *     FULL: either claim the slab (compare-exchange FULL to empty, owner = me, push locally), or
 *     compare-exchange FULL to {block, 1} and put the slab on AVAILABLE.
 *     If that was the last block in use of a kept slab: take it back out, and put it on AVAILABLE.
 *   Keep: a thread keeps slabs beside the one that it allocates from, each in a place: a word that
 *     only the thread fills. It takes a slab back out of its place by compare-exchange.
 *   Collector: pops AVAILABLE; a slab whose count says that all its blocks are free gets another
 *     layout, any other goes back. It marks the place of a kept slab by compare-exchange, then reads
 *     `used` and `remote`: when no block is in use it empties the place and takes the slab likewise,
 *     otherwise it removes the mark. What its thread does not get, it does without.
 * Blocks in use wander between threads: any thread may free any of them.
 *
 * Checked:
 *   L1  no block is handed out twice, none is pushed that is free already, none is lost;
 *   L2  local lists are touched by the owner only, and a slab has one owner at a time;
 *   L3  nobody touches a slab's metadata after somebody else has changed its layout;
 *   L4  a slab is on AVAILABLE at most once, and at rest no slab is stranded: without an owner, not
 *       on AVAILABLE, and with a free block;
 *   L5  a slab is taken for another layout only when all its blocks are free;
 *   L6  a kept slab is its keeper's, and none stays marked.
 *
 * Abstracted: a list is a set (only its taker looks inside; a push compares head and count);
 * AVAILABLE is a set with an atomic pop (a bitmap; as a linked list it needs a tagged head, and
 * reads of the link must tolerate a slab that has gone); several classes; the grace period that
 * stale *inspectors* need before a new layout; ended threads; memory order (sequentially
 * consistent).
 *
 * Mutations, each takes out one step:
 *   OWNER_LATE      owner = none after remote has become FULL
 *   FULL_STORE      FULL is stored, not compare-exchanged
 *   TAKE_TORN       remote is read, then emptied, in two steps
 *   CLAIM_TORN      FULL is claimed by a load and a store
 *   CLAIM_EARLY     owner = me before the claim has succeeded
 *   NO_LIST         a push into a FULL slab does not put it on AVAILABLE
 *   LIST_EVERY      every push puts the slab on AVAILABLE
 *   TOUCH_AFTER     a freer touches the slab's metadata after an ordinary push
 *   POP_TORN        AVAILABLE is read, then removed from, in two steps
 *   TAKE_UNLISTED   the collector takes any ownerless slab whose blocks are all free
 *   TAKE_NONEMPTY   the collector does not look at the count
 *   LOOK_UNMARKED   the collector reads a kept slab's counts without marking its place
 *   LOOK_FIRST      it reads them, then marks
 *   KEPT_NONEMPTY   it takes a kept slab whatever they say
 *   POP_MARKED      a thread takes its slab out of a marked place
 *   UNMARK_NOT      a mark that found blocks in use stays
 */
#ifndef SLABS
#define SLABS 1
#endif
#ifndef BLOCKS
#define BLOCKS 3
#endif
#ifndef OPS
#define OPS 4                        /* per thread */
#endif
#ifndef VISITS
#define VISITS 2                     /* of the collector */
#endif

#define ALL ((1 << BLOCKS) - 1)
#define EMPTY 0
#define FULL 128                     /* remote: FULL, or the set of blocks */
#define NONE 0                       /* owners: threads are 1 and 2 */

byte owner[SLABS], free_here[SLABS], remote[SLABS];
bool available[SLABS];
byte place[SLABS];                   /* of a slab that its owner keeps; there are enough of them */
byte keeper[SLABS];                  /* whose place */
#define NOWHERE 0
#define KEPT 1
#define MARKED 2

/* Ghosts. */
byte in_use[SLABS];                  /* blocks that the program holds */
byte layout[SLABS];
byte done;

inline touch(s, g) { assert(layout[s] == g) }

inline push_local(s, b) {
  atomic {
    touch(s, g);
    assert(owner[s] == me && (free_here[s] & b) == 0 && (remote[s] & b) == 0);
    free_here[s] = free_here[s] | b;
    b = 0
  }
}

inline put_available(s) {
  atomic { touch(s, g); assert(!available[s]); available[s] = true }
}

/* A thread takes its slab out of its place; ok: it did. */
inline unkeep(s) {
  atomic {
#ifdef POP_MARKED
    ok = (place[s] != NOWHERE && keeper[s] == me);
#else
    ok = (place[s] == KEPT && keeper[s] == me);
#endif
    if
    :: ok -> assert(owner[s] == me); place[s] = NOWHERE
    :: else
    fi
  }
}

/* Looks for a slab on AVAILABLE; leaves s at SLABS when there is none. */
inline pop_available(s) {
  atomic {
    s = 0;
    do
    :: s < SLABS && !available[s] -> s++
    :: s < SLABS && available[s] ->
#ifndef POP_TORN
       available[s] = false;
#endif
       break
    :: s == SLABS -> break
    od
  };
#ifdef POP_TORN
  if
  :: s < SLABS -> available[s] = false
  :: else
  fi;
#endif
  skip
}

/* Takes a block out of slab s, which is this thread's; or the slab leaves the thread. */
inline allocate_from(s) {
  g = layout[s];
  do
  :: atomic {
       free_here[s] != 0 ->
       touch(s, g);
       assert(owner[s] == me);
       b = free_here[s] & -free_here[s];     /* the first */
       assert((in_use[s] & b) == 0 && (remote[s] & b) == 0);
       free_here[s] = free_here[s] & ~b;
       in_use[s] = in_use[s] | b
     };
     break
  :: free_here[s] == 0 ->
#ifdef TAKE_TORN
     r = remote[s];
     remote[s] = EMPTY;
#else
     atomic { r = remote[s]; remote[s] = EMPTY };
#endif
     assert(r != FULL);
     if
     :: r != EMPTY -> atomic { touch(s, g); assert(owner[s] == me); free_here[s] = r; r = 0 }
     :: else ->
#ifndef OWNER_LATE
        atomic { touch(s, g); owner[s] = NONE };
#endif
#ifdef FULL_STORE
        remote[s] = FULL;
        ok = true;
#else
        atomic {
          ok = (remote[s] == EMPTY);
          if
          :: ok -> remote[s] = FULL
          :: else
          fi
        };
#endif
        if
#ifdef OWNER_LATE
        :: ok -> atomic { touch(s, g); owner[s] = NONE }; current = SLABS; break
        :: else
#else
        :: ok -> current = SLABS; break
        :: else -> atomic { touch(s, g); owner[s] = me }
#endif
        fi
     fi
  od;
  ok = false; b = 0; g = 0
}

/* Frees block b of slab s; g is the layout in which it was handed out. */
inline free_block(s, b) {
  if
  :: owner[s] == me ->
     push_local(s, b);
     if
     :: free_here[s] == ALL ->
        unkeep(s);
        if
        :: ok -> atomic { touch(s, g); owner[s] = NONE }; put_available(s)
        :: else                      /* its current slab, or a marked one */
        fi;
        ok = false
     :: else
     fi
  :: else ->
     do
     :: b == 0 -> break
     :: b != 0 && remote[s] == FULL ->
        if
        :: true ->                   /* claim */
#ifdef CLAIM_EARLY
           atomic { touch(s, g); owner[s] = me };
#endif
#ifdef CLAIM_TORN
           ok = (remote[s] == FULL);
           if
           :: ok -> remote[s] = EMPTY
           :: else
           fi;
#else
           atomic {
             ok = (remote[s] == FULL);
             if
             :: ok -> remote[s] = EMPTY
             :: else
             fi
           };
#endif
           if
           :: ok ->
#ifndef CLAIM_EARLY
              atomic { touch(s, g); assert(owner[s] == NONE); owner[s] = me };
#endif
              push_local(s, b);
              atomic { assert(place[s] == NOWHERE); place[s] = KEPT; keeper[s] = me }
           :: else
           fi
        :: true ->                   /* first push */
           atomic {
             ok = (remote[s] == FULL);
             if
             :: ok -> remote[s] = b; b = 0
             :: else
             fi
           };
           if
#ifndef NO_LIST
           :: ok -> put_available(s)
#endif
           :: else
           fi
        fi;
        ok = false
     :: b != 0 && remote[s] != FULL ->
        r = remote[s];
        atomic {
          touch(s, g);
          ok = (remote[s] == r && r != FULL);
          if
          :: ok -> assert((r & b) == 0); remote[s] = r | b; b = 0
          :: else
          fi
        };
#ifdef TOUCH_AFTER
        if
        :: ok -> touch(s, g)
        :: else
        fi;
#endif
#ifdef LIST_EVERY
        if
        :: ok -> put_available(s)
        :: else
        fi;
#endif
        r = 0;
        ok = false
     od
  fi;
  g = 0
}

proctype Thread(byte me; byte current) {
  byte n, s, b, r, g;
  bool ok;
  do
  :: n < OPS ->
     n++;
     if
     :: true ->                      /* allocate */
        if
        :: current < SLABS -> s = current; ok = true
        :: else ->
           atomic {
             s = 0;
             do
             :: s < SLABS && !(place[s] != NOWHERE && keeper[s] == me) -> s++
             :: s < SLABS && place[s] != NOWHERE && keeper[s] == me -> break
             :: s == SLABS -> break
             od
           };
           if
           :: s < SLABS -> unkeep(s)
           :: else
           fi
        fi;
        if
        :: ok -> ok = false; current = s; allocate_from(s)
        :: else ->
           pop_available(s);
           if
           :: s < SLABS ->
              g = layout[s];
              atomic { touch(s, g); assert(owner[s] == NONE); owner[s] = me };
              current = s;
              allocate_from(s)
           :: else
           fi
        fi
     :: atomic {                     /* free */
          if
          :: in_use[0] != 0 -> s = 0
#if SLABS > 1
          :: in_use[1] != 0 -> s = 1
#endif
          fi;
          if
          :: (in_use[s] & 1) != 0 -> b = 1
          :: (in_use[s] & 2) != 0 -> b = 2
          :: (in_use[s] & 4) != 0 -> b = 4
          fi;
          in_use[s] = in_use[s] & ~b;
          g = layout[s]
        };
        free_block(s, b)
     fi;
     s = 0
  :: true -> break
  od;
  done++
}

proctype Collector() {
  byte n, s, g, here;
  bool ok;
  do
  :: n < VISITS ->                   /* a kept slab */
     n++;
     if
     :: s = 0
#if SLABS > 1
     :: s = 1
#endif
     fi;
     g = layout[s];
#ifdef LOOK_FIRST
     here = free_here[s];
     ok = ((here | remote[s]) == ALL && owner[s] != NONE);
#endif
     if
#ifdef LOOK_UNMARKED
     :: place[s] == KEPT ->
#else
     :: atomic { place[s] == KEPT -> place[s] = MARKED };
#endif
#ifndef LOOK_FIRST
        here = free_here[s];         /* `used` says as much */
        ok = ((here | remote[s]) == ALL);
#ifdef KEPT_NONEMPTY
        ok = true;
#endif
#endif
        if
        :: ok ->
           place[s] = NOWHERE;
           atomic {
             touch(s, g);
             assert(owner[s] != NONE && in_use[s] == 0 && (free_here[s] | remote[s]) == ALL);  /* L5 */
             owner[s] = NONE;
             free_here[s] = 0;
             remote[s] = ALL;        /* as it comes from the supply */
             layout[s]++;
             g++
           };
           put_available(s)
#ifndef UNMARK_NOT
        :: else -> place[s] = KEPT
#else
        :: else
#endif
        fi
     :: place[s] != KEPT
     fi;
     s = 0; g = 0; here = 0; ok = false
  :: n < VISITS ->                   /* an available one */
     n++;
#ifdef TAKE_UNLISTED
     atomic {
       s = 0;
       do
       :: s < SLABS && !(owner[s] == NONE && remote[s] == ALL) -> s++
       :: s < SLABS && owner[s] == NONE && remote[s] == ALL -> available[s] = false; break
       :: s == SLABS -> break
       od
     };
#else
     pop_available(s);
#endif
     if
     :: s < SLABS ->
        g = layout[s];
#ifdef TAKE_NONEMPTY
        ok = true;
#else
        ok = (remote[s] == ALL);     /* its count says so */
#endif
        if
        :: ok ->
           atomic {
             touch(s, g);
             assert(in_use[s] == 0 && free_here[s] == 0 && owner[s] == NONE && remote[s] == ALL);
             layout[s]++;
             g++
           }
        :: else
        fi;
        put_available(s)
     :: else
     fi;
     s = 0; g = 0; ok = false
  :: true -> break
  od;
  done++
}

init {
  byte s;
  atomic {
    owner[0] = 1;                    /* half used */
    free_here[0] = ALL & ~1;
    in_use[0] = 1;
#if SLABS > 1
    remote[1] = FULL;                /* left its thread */
    in_use[1] = ALL;
#endif
    if
    :: place[0] = KEPT; keeper[0] = 1; run Thread(1, SLABS)
    :: run Thread(1, 0)
    fi;
    run Thread(2, SLABS); run Collector()
  };
  done == 3;
  atomic {
    do
    :: s < SLABS ->
       assert((free_here[s] & in_use[s]) == 0 && (free_here[s] & remote[s]) == 0);
       assert((remote[s] & in_use[s]) == 0);
       assert((free_here[s] | in_use[s] | (remote[s] & ALL)) == ALL);               /* L1 */
       assert(owner[s] != NONE || available[s] || remote[s] == FULL);           /* L4 */
       assert(remote[s] != FULL || (owner[s] == NONE && !available[s]));
       assert(place[s] == NOWHERE || (place[s] == KEPT && owner[s] != NONE));   /* L6 */
       s++
    :: else -> break
    od
  }
}
