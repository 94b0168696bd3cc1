/* count.pml: biased counts, revocation and death of one object, with the owner's store buffer.
 *
 * Threads: Owner (the object is biased to it), Other (a thread that shares the object), Revoker
 * (whoever holds the pending entry). The references that really exist are ghosts: each thread's
 * `Ref`s (ext) and edges (heap), those on their way from Owner to Other, and the pending one.
 * Owner's plain stores (busy, local, handing over a reference) go through a FIFO buffer that
 * Drain empties at any moment (TSO); a read-modify-write empties it first; `membarrier` by the
 * Revoker empties it at one moment of its own choosing. A freed block is gone: nobody may read
 * or write its header.
 *
 * Checked:
 *   C1  the object dies at most once, never while a reference exists, and DEAD is set once;
 *   C2  no header access after the block is freed;
 *   C3  a word found REVOKING with a busy word elsewhere is written by nobody any more;
 *   C4  at rest: no reference left => dead; else the counts are exact for each kind;
 *   C5  at rest the root predicate (local.ext > 0 or shared.ext > 0; local ignored once MERGED)
 *       says exactly whether a `Ref` exists;
 *   C6  a pending entry is resolved however long Owner sleeps after its last operation.
 *
 * Abstracted: one object, one owner; counter width (spill at 3); flags other than MERGED, QUEUED
 * and DEAD; Share(), adoption of the bias and slots; brackets (rendezvous.pml, mark.pml); a
 * read-modify-write is one step and a compare-exchange loop its last round.
 *
 * Mutations, each takes out one step:
 *   NO_BUSY_TEST     the revoker does not look at the owner's busy word
 *   NO_BUSY_STORE    the owner does not announce the object
 *   BUSY_LATE        the owner loads local, then announces the object
 *   NO_BUSY_CLEAR    busy keeps its value after an operation
 *   NO_MEMBARRIER    the revoker does not drain the owner's buffer
 *   LOCAL_THEN_BUSY  the revoker reads local again first and busy afterwards
 *   NO_REREAD        the revoker trusts its compare-exchange
 *   WRITE_AFTER      the revoker clears local after its exchange
 *   HELP_LOCALZERO   the revoker completes a LocalZero that stands before its exchange
 *   SUM_RULE_ONLY    a drop queues only when the sum would go negative
 *   EXT_RULE_ONLY    a drop queues only when shared.ext would go negative
 *   DOWN_FIRST       a conversion counts the old kind down before the new kind up
 *   BLIND_ZERO       LocalZero destroys without looking at shared
 *
 * With CLAIM, Other claims what it drops if it is the sole reference (lib/object/sole.h), and may
 * lend a Ref to Owner, who copies it while Other waits to have it back. Mutations of that:
 *   CLAIM_BLIND      the claimant does not look at shared
 *   CLAIM_LOCAL_LAST the claimant looks at shared before it takes local, and not afterwards
 *   CLAIM_REVOKING   the claimant leaves the mark of a revoker, which another then takes for its own
 */
#ifndef OWNER_OPS
#define OWNER_OPS 2
#endif
#ifndef OTHER_OPS
#define OTHER_OPS 2
#endif
#define DEPTH 4   /* entries of the store buffer */
#define SPILL 3   /* local.ext that counts as "top bit set" */

#define NOBODY 0
#define OWNER 1
#define REVOKING 2
#define CLAIMED 3

#define NONE 0
#define EXT 1
#define HEAP 2

#define ELSEWHERE 0 /* values of busy */
#define AT_X 1

/* The header and the owner's busy word, as memory has them. */
byte busy = ELSEWHERE;
byte local_owner = OWNER, local_ext, local_heap;
short shared_ext, shared_heap;
bool merged, queued, dead, freed;

/* Ghosts: the references that exist. */
byte owner_ext, owner_heap, other_ext, other_heap, sent_ext, sent_heap;
bool pending;
bool owner_done, other_done;
byte lent;                            /* a Ref of Other's, to Owner: 1 offered, 2 taken */

#define EXT_REFS (owner_ext + other_ext + sent_ext)
#define HEAP_REFS (owner_heap + other_heap + sent_heap)
#define REFS (EXT_REFS + HEAP_REFS + pending)
#define SUM (shared_ext + shared_heap)
#define INITIAL (shared_ext == 0 && shared_heap == 0 && !merged && !queued && !dead)

/* ---- The owner's store buffer ---- */
mtype = { BUSY, LOCAL, SEND, DIE, RETURN };
chan buffer = [DEPTH] of { mtype, byte, byte, byte };
byte buffered_locals;                 /* store-to-load forwarding of local */
byte newest_owner, newest_ext, newest_heap;

inline die() {
  assert(!freed && !dead && REFS == 0);
  dead = true;
  freed = true
}

inline drain_one() {
  buffer ? what, v1, v2, v3;
  if
  :: what == BUSY -> busy = v1
  :: what == LOCAL ->
     assert(!freed);
     local_owner = v1; local_ext = v2; local_heap = v3;
     buffered_locals--
  :: what == SEND ->
     if
     :: v1 == EXT -> sent_ext--; other_ext++
     :: else -> sent_heap--; other_heap++
     fi
  :: what == DIE -> die()
  :: what == RETURN -> lent = 0
  fi;
  v1 = 0; v2 = 0; v3 = 0; what = BUSY
}

inline drain_all() {
  do
  :: nempty(buffer) -> drain_one()
  :: empty(buffer) -> break
  od
}

inline put(what_, a, b, c) { atomic { nfull(buffer) -> buffer ! what_, a, b, c } }

inline store_local(o, e, h) {
  atomic {
    nfull(buffer) -> buffer ! LOCAL, o, e, h;
    buffered_locals++;
    newest_owner = o; newest_ext = e; newest_heap = h
  }
}

inline load_local() {
  atomic {
    assert(!freed);
    if
    :: buffered_locals > 0 -> lo = newest_owner; le = newest_ext; lh = newest_heap
    :: else -> lo = local_owner; le = local_ext; lh = local_heap
    fi
  }
}

/* ---- Count operations ---- */
inline add_shared(kind, n) {
  assert(!freed);
  if
  :: kind == EXT -> shared_ext = shared_ext + n
  :: else -> shared_heap = shared_heap + n
  fi
}

#if defined(SUM_RULE_ONLY)
#define MUST_QUEUE(kind) (SUM - 1 < 0)
#elif defined(EXT_RULE_ONLY)
#define MUST_QUEUE(kind) (kind == EXT && shared_ext - 1 < 0)
#else
#define MUST_QUEUE(kind) (SUM - 1 < 0 || (kind == EXT && shared_ext - 1 < 0))
#endif

/* The shared part of a decrement. `mine` says that the caller is the owner thread. */
inline sub_shared(kind, mine) {
  atomic {
    if
    :: mine -> drain_all()
    :: else
    fi;
    assert(!freed);
    if
    :: merged && !queued && SUM == 1 -> sole = true      /* a load, nothing written */
    :: merged ->
       add_shared(kind, -1);
       zero = (SUM == 0)
    :: !merged && !queued && MUST_QUEUE(kind) ->
       queued = true;
       assert(!pending);
       pending = true;
       if
       :: kind == HEAP -> shared_heap--; shared_ext++   /* the entry is an ext */
       :: else
       fi
    :: !merged && (queued || !MUST_QUEUE(kind)) -> add_shared(kind, -1)
    fi
  };
  if
  :: sole -> atomic { sole = false; assert(SUM == 1); add_shared(kind, -1); die() }
  :: zero -> atomic { zero = false; die() }              /* sets DEAD by compare-exchange */
  :: else
  fi
}

inline begin_op() {
#if defined(NO_BUSY_STORE)
  load_local()
#elif defined(BUSY_LATE)
  load_local(); put(BUSY, AT_X, 0, 0)
#else
  put(BUSY, AT_X, 0, 0); load_local()
#endif
}

inline end_op() {
#ifdef NO_BUSY_CLEAR
  skip;
#else
  put(BUSY, ELSEWHERE, 0, 0);
#endif
  lo = 0; le = 0; lh = 0
}

inline local_zero() {
  atomic { assert(!freed); alone = INITIAL };
  if
#ifdef BLIND_ZERO
  :: true -> put(DIE, 0, 0, 0)
#else
  :: alone -> put(DIE, 0, 0, 0)                /* nobody else ever saw it: plain stores */
  :: !alone ->
     store_local(NOBODY, 0, 0);
     atomic {
       drain_all();
       assert(!freed);
       merged = true;
       if
       :: SUM == 0 -> die()
       :: else
       fi
     }
#endif
  fi;
  alone = false
}

inline owner_up() {
  begin_op();
  if
  :: lo == OWNER && up == EXT && le + 1 >= SPILL ->
     atomic { drain_all(); add_shared(EXT, 2) };
     store_local(OWNER, le - 1, lh)
  :: lo == OWNER && up == EXT && le + 1 < SPILL -> store_local(OWNER, le + 1, lh)
  :: lo == OWNER && up == HEAP -> store_local(OWNER, le, lh + 1)
  :: lo != OWNER -> atomic { drain_all(); add_shared(up, 1) }
  fi;
  atomic {
    if
    :: up == EXT -> owner_ext++
    :: else -> owner_heap++
    fi
  };
  end_op()
}

inline owner_down() {
  atomic {
    if
    :: down == EXT -> owner_ext--
    :: else -> owner_heap--
    fi
  };
  begin_op();
  if
  :: lo == OWNER && down == EXT && le > 0 && le + lh > 1 -> store_local(OWNER, le - 1, lh)
  :: lo == OWNER && down == HEAP && lh > 0 && le + lh > 1 -> store_local(OWNER, le, lh - 1)
  :: lo == OWNER && (down == EXT -> le == 1 && lh == 0 : le == 0 && lh == 1) -> local_zero()
  :: lo != OWNER || (down == EXT -> le == 0 : lh == 0) -> sub_shared(down, true)
  fi;
  end_op()
}

proctype Owner() {
  mtype what = BUSY;
  byte v1, v2, v3, lo, le, lh, n, up, down;
  bool alone, zero, sole, borrowed;
  do
  :: atomic {
       if
#ifdef CLAIM
       :: n < OWNER_OPS && lent == 1 -> lent = 2; up = EXT; borrowed = true
#endif
       :: n < OWNER_OPS && owner_ext > 0 -> up = EXT                    /* copy */
       :: n < OWNER_OPS && owner_ext > 0 -> up = HEAP; down = EXT       /* Ref into edge */
       :: n < OWNER_OPS && owner_heap > 0 -> up = EXT; down = HEAP      /* edge into Ref */
       :: n < OWNER_OPS && owner_ext > 0 && nfull(buffer) ->            /* hand over */
          owner_ext--; sent_ext++; buffer ! SEND, EXT, 0, 0
       :: n < OWNER_OPS && owner_heap > 0 && nfull(buffer) ->
          owner_heap--; sent_heap++; buffer ! SEND, HEAP, 0, 0
       :: owner_ext > 0 -> down = EXT                                   /* drop */
       :: owner_heap > 0 -> down = HEAP
       :: true -> break                                                 /* sleep for ever */
       fi;
       if
       :: n < OWNER_OPS -> n++
       :: else
       fi
     };
#ifdef DOWN_FIRST
     if
     :: down != NONE -> owner_down()
     :: else
     fi;
#endif
     if
     :: up != NONE -> owner_up()
     :: else
     fi;
#ifndef DOWN_FIRST
     if
     :: down != NONE -> owner_down()
     :: else
     fi;
#endif
     if
     :: borrowed -> put(RETURN, 0, 0, 0); borrowed = false
     :: else
     fi;
     up = NONE;
     down = NONE
  od;
  owner_done = true
}

proctype Drain() {
  mtype what = BUSY;
  byte v1, v2, v3;
end:
  do
  :: atomic { nempty(buffer) -> drain_one() }
  od
}

inline other_up() {
  atomic {
    add_shared(up, 1);
    if
    :: up == EXT -> other_ext++
    :: else -> other_heap++
    fi
  }
}

#ifdef CLAIM_REVOKING
#define CLAIM_MARK REVOKING
#else
#define CLAIM_MARK CLAIMED
#endif
#define SOLE_LOCAL(kind) (kind == EXT -> local_ext == 1 && local_heap == 0 \
                                      : local_ext == 0 && local_heap == 1)

/* ends with `claimed` if the object has died by it */
inline claim(kind) {
#ifdef CLAIM_LOCAL_LAST
  atomic { assert(!freed); claimed = INITIAL };
#else
  claimed = true;
#endif
  atomic {                                              /* (1) {owner,1} -> {CLAIMED,1} */
    assert(!freed);
    claimed = claimed && local_owner == OWNER && SOLE_LOCAL(kind);
    if
    :: claimed -> local_owner = CLAIM_MARK
    :: else
    fi
  };
#if !defined(CLAIM_BLIND) && !defined(CLAIM_LOCAL_LAST)
  atomic {                                              /* (2) */
    if
    :: claimed -> assert(!freed); claimed = INITIAL
    :: else
    fi
  };
#endif
  atomic {                       /* (3); to need it takes a third thread, which lends and drops */
    if
    :: claimed -> assert(!freed); claimed = (local_owner == CLAIM_MARK && SOLE_LOCAL(kind))
    :: else
    fi
  };
  if
  :: claimed -> die()
  :: else
  fi
}

inline other_down() {
  atomic {
    if
    :: down == EXT -> other_ext--
    :: else -> other_heap--
    fi
  };
#ifdef CLAIM
  claim(down);
#endif
  if
  :: claimed -> claimed = false
  :: else -> sub_shared(down, false)
  fi
}

proctype Other() {
  mtype what = BUSY;
  byte v1, v2, v3, n, up, down;
  bool zero, sole, claimed;
  do
#ifdef CLAIM
  :: atomic { n < OTHER_OPS && other_ext > 0 && !owner_done -> n++; lent = 1 };
     if
     :: lent == 0
     :: atomic { owner_done && lent == 1 -> lent = 0 }
     fi
#endif
  :: atomic {
       if
       :: n < OTHER_OPS && other_ext > 0 -> up = EXT
       :: n < OTHER_OPS && other_ext > 0 -> up = HEAP; down = EXT
       :: n < OTHER_OPS && other_heap > 0 -> up = EXT; down = HEAP
       :: n < OTHER_OPS && other_ext > 0 && !owner_done -> other_ext--; owner_ext++
       :: other_ext > 0 -> down = EXT
       :: other_heap > 0 -> down = HEAP
       :: owner_done && empty(buffer) -> break
       fi;
       if
       :: n < OTHER_OPS -> n++
       :: else
       fi
     };
#ifdef DOWN_FIRST
     if
     :: down != NONE -> other_down()
     :: else
     fi;
#endif
     if
     :: up != NONE -> other_up()
     :: else
     fi;
#ifndef DOWN_FIRST
     if
     :: down != NONE -> other_down()
     :: else
     fi;
#endif
     up = NONE;
     down = NONE
  od;
  other_done = true
}

/* ---- Revocation ---- */
inline merged_drop() {           /* the queued reference, an ext, of a MERGED object */
  atomic {
    assert(!freed);
    pending = false;
    shared_ext--;
    if
    :: SUM == 0 -> die()
    :: else
    fi
  }
}

proctype Revoker() {
  mtype what = BUSY;
  byte v1, v2, v3, seen_busy, seen_owner, seen_ext, seen_heap;
  bool quiet, claimed;
  do
  :: pending ->
     quiet = owner_done && other_done && empty(buffer);
     atomic {                                           /* (1) {owner,n} -> {REVOKING,n} */
       assert(!freed);
       claimed = (local_owner != NOBODY);
       if
       :: local_owner == OWNER || local_owner == CLAIMED -> local_owner = REVOKING
       :: else
       fi;
       seen_ext = local_ext; seen_heap = local_heap
     };
     if
     :: claimed ->
#ifndef NO_MEMBARRIER
        atomic { drain_all() };                         /* (2) */
#endif
#ifdef LOCAL_THEN_BUSY
        atomic {
          seen_owner = local_owner; seen_ext = local_ext; seen_heap = local_heap;
          assert(!freed)
        };
        seen_busy = busy;
#elif defined(NO_REREAD)
        seen_busy = busy;
        seen_owner = REVOKING;
#else
        seen_busy = busy;                               /* (3) busy first, then local */
        atomic {
          seen_owner = local_owner; seen_ext = local_ext; seen_heap = local_heap;
          assert(!freed)
        };
#endif
#ifdef NO_BUSY_TEST
        seen_busy = ELSEWHERE;
#endif
        if
        :: seen_owner == REVOKING && seen_busy != AT_X ->
           atomic {                                     /* (4) one exchange */
             assert(!freed && !merged);
             assert(local_owner == REVOKING && local_ext == seen_ext && local_heap == seen_heap);
             pending = false;
             shared_ext = shared_ext + seen_ext - 1;
             shared_heap = shared_heap + seen_heap;
             merged = true;
             queued = false;
             if
             :: SUM == 0 -> die()
             :: else
             fi
           };
#ifdef WRITE_AFTER
           atomic { assert(!freed); local_owner = NOBODY; local_ext = 0; local_heap = 0 };
#endif
           skip
        :: else -> assert(!quiet)                       /* stays pending; C6 */
        fi
     :: !claimed && merged -> merged_drop()
#ifdef HELP_LOCALZERO
     :: atomic {
          !claimed && !merged -> merged = true; pending = false; shared_ext--;
          if
          :: SUM == 0 -> die()
          :: else
          fi
        }
#endif
     :: !claimed && !merged -> assert(!quiet)           /* the owner stands in its LocalZero */
     fi;
     claimed = false; quiet = false;
     seen_busy = 0; seen_owner = 0; seen_ext = 0; seen_heap = 0
  :: atomic { !pending && owner_done && other_done && empty(buffer) -> break }
  od;
  atomic {
    if
    :: REFS == 0 -> assert(dead && freed)
    :: else ->
       assert(!dead && !freed);
       if
       :: merged ->
          assert(shared_ext == EXT_REFS && shared_heap == HEAP_REFS);
          assert((shared_ext > 0) == (EXT_REFS > 0))
       :: else ->
          assert(local_ext + shared_ext == EXT_REFS && local_heap + shared_heap == HEAP_REFS);
          assert((local_ext > 0 || shared_ext > 0) == (EXT_REFS > 0))
       fi
    fi
  }
}

init {
  atomic {
    if
    :: local_ext = 1; owner_ext = 1                               /* private */
    :: local_ext = 1; other_ext = 1                               /* moved away */
    :: local_ext = 2; owner_ext = 1; other_ext = 1                /* lent */
    :: local_ext = 1; local_heap = 1; owner_ext = 1; other_heap = 1
    :: local_ext = 1; shared_ext = 1; owner_ext = 1; other_ext = 1
    fi;
    run Owner(); run Drain(); run Other(); run Revoker()
  }
}
