/* roots.pml: the root scan of one header, against counts that move between its two words.
 *
 * One object X. Owner (X may be biased to it), Other, and Revoker (whoever holds the pending
 * entry) copy, drop, pass, convert, share and adopt references by the rules of count.cc, bias.cc
 * and revocation.cc. P, a rooted object with one edge, is black and traced as soon as the cycle is
 * armed: what goes into its edge later is seen by nobody but through the log. The collector arms,
 * scans X as IsRoot() does {local, then shared, counting a REVOKING word}, then repeats
 * {rendezvous; take the log} until nothing is new.
 *
 * Checked:
 *   R1  when marking ends, X is marked, or dead, or nobody has a reference to it;
 *   R2  X dies once, without references, and no count operation touches it afterwards;
 *   R3  a count field that is not QUEUED never falls below zero.
 *
 * Abstracted: sequentially consistent threads (the owner's buffer: count.pml; its stores leave it
 * in order, and T0's membarrier empties it); arming in one step (mark.pml); edges have one writer
 * at a time, as users must see to; a spill moves 2 of 3; a compare-exchange loop is its last round.
 *
 * OPS0, OPS1: operations of Owner and Other. CASE chooses where the counts are at first.
 *
 * Mutations, each takes out one step:
 *   REVOKING_EMPTY     the scan reads a REVOKING word as no counts
 *   SCAN_LOCAL_ONLY    the scan does not look at shared
 *   SCAN_SHARED_ONLY   the scan does not look at local
 *   SCAN_SWAPPED       the scan reads shared, then local
 *   SHARE_SWAPPED      Share stores local, then shared
 *   ADOPT_ARMED        adoption does not look at the mode
 *   ADOPT_EARLY        adoption uses the mode of an earlier bracket
 *   QUEUED_HEAP        a queued edge's reference stays a heap count
 *   NO_LOG_EDGE        an edge's old target is not logged
 *   NO_LOG_CONVERT     an edge store does not log what it moves or copies in
 *   NO_LOG_SHARED      the drop of a shared ext does not log
 *   NO_LOG_LOCAL       the drop of the last local ext does not log (with NO_LOG_COPY)
 *   NO_LOG_MERGE       the revoker's exchange does not log (with NO_LOG_COPY or MERGE_TORN)
 *   MERGE_TORN         the revoker zeroes local, then raises shared (with NO_LOG_MERGE)
 * Not mutations but variants that pass: NO_LOG_COPY (an edge store logs what it moves in, not what
 * it copies in), each of the last three alone, because either log covers them; SPILL_SWAPPED
 * (local.ext stays above zero); MERGED_LOCAL (local.ext of a MERGED word counts: it only floats).
 */
#ifdef CASE
#define START(c) c == CASE
#else
#define START(c) true
#endif
#ifndef OPS0
#define OPS0 2
#endif
#ifndef OPS1
#define OPS1 2
#endif
#define SPILL 3                      /* local.ext that counts as "top bit set" */

#ifdef NO_LOG_COPY
#define LOG_COPY false
#else
#define LOG_COPY true
#endif

#define NOBODY 9
#define REVOKING 8

#define EXT 0
#define HEAP 1

byte local_owner, local_ext, local_heap;
short shared_ext, shared_heap;
bool merged, queued, dead;

bool busy;                           /* Owner's, at X */
bool armed, marked, logged;
bool in_bracket[3];
bool turn[3];                        /* changes at every end of a bracket */

bool edge;                           /* P's: to X or empty */
bool writing;                        /* somebody writes it */

/* Ghosts. */
byte refs[3];                        /* Refs of each thread, those in flight included */
bool pending;                        /* the queued reference */
#ifdef QUEUED_HEAP
bool queued_heap;                    /* it is an edge's */
#endif
bool edge_to_be[3];                  /* counted, not yet in the edge; or out of it, still counted */

#define REFS (refs[0] + refs[1] + refs[2] + pending + edge + edge_to_be[0] + edge_to_be[1])
#define INITIAL (shared_ext == 0 && shared_heap == 0 && !merged && !queued && !dead)
#define SUM (shared_ext + shared_heap)
#define BEGIN atomic { in_bracket[m] = true; md = armed }
#define END atomic { in_bracket[m] = false; turn[m] = !turn[m]; md = false }

inline log_if_white() {
  if
  :: md && !marked -> logged = true
  :: else
  fi
}

inline die() { assert(!dead && REFS == 0); dead = true }                      /* R2 */

/* One more reference of a kind; `who` has the ghost. */
inline spill() {
#ifdef SPILL_SWAPPED
  atomic { local_ext = SPILL - 2; le = 2 };
  shared_ext = shared_ext + le;
#else
  shared_ext = shared_ext + 2;
  local_ext = SPILL - 2;
#endif
}

inline increment(kind) {
  if
  :: m == 0 ->
     atomic { busy = true; assert(!dead); lo = local_owner; le = local_ext; lh = local_heap }
  :: else
  fi;
  if
  :: m == 0 && lo == 0 && kind == EXT ->
     atomic { local_owner = 0; local_ext = le + 1; local_heap = lh };
     if
     :: le + 1 == SPILL -> spill()
     :: else
     fi
  :: m == 0 && lo == 0 && kind == HEAP ->
     atomic { local_owner = 0; local_ext = le; local_heap = lh + 1 }
  :: else ->
     atomic {
       assert(!dead);
       if
       :: kind == EXT -> shared_ext++
       :: else -> shared_heap++
       fi
     }
  fi;
  if
  :: m == 0 -> busy = false
  :: else
  fi;
  lo = NOBODY; le = 0; lh = 0
}

inline decrement_shared(kind) {
#ifndef NO_LOG_SHARED
  if
  :: kind == EXT -> atomic { log_if_white() }
  :: else
  fi;
#endif
  atomic {
    assert(!dead);
    if
    :: !merged && !queued && ((kind == EXT && shared_ext == 0) || SUM == 0) ->
       queued = true; pending = true;
#ifndef QUEUED_HEAP
       if
       :: kind == HEAP -> shared_ext++; shared_heap--
       :: else
       fi
#else
       queued_heap = (kind == HEAP)
#endif
    :: else ->
       if
       :: kind == EXT -> shared_ext--
       :: else -> shared_heap--
       fi;
       assert(queued || shared_ext >= 0);                                     /* R3 */
       if
       :: merged && SUM == 0 -> die()
       :: else
       fi
    fi
  }
}

inline local_zero() {
  if
  :: atomic { INITIAL -> die() }; local_owner = NOBODY
  :: else ->
     local_owner = NOBODY;
     atomic {
       assert(!dead); merged = true;
       if
       :: SUM == 0 -> die()
       :: else
       fi
     }
  fi
}

/* In a bracket. The caller has taken the ghost away. */
inline decrement(kind) {
  if
  :: m == 0 ->
     atomic { busy = true; assert(!dead); lo = local_owner; le = local_ext; lh = local_heap }
  :: else
  fi;
  if
  :: m == 0 && lo == 0 && kind == EXT && le > 0 ->
#ifndef NO_LOG_LOCAL
     if
     :: le == 1 -> atomic { log_if_white() }
     :: else
     fi;
#endif
     atomic { local_owner = 0; local_ext = le - 1; local_heap = lh };
     if
     :: le == 1 && lh == 0 -> local_zero()
     :: else
     fi
  :: m == 0 && lo == 0 && kind == HEAP && lh > 0 ->
     atomic { local_owner = 0; local_ext = le; local_heap = lh - 1 };
     if
     :: le == 0 && lh == 1 -> local_zero()
     :: else
     fi
  :: else -> decrement_shared(kind)
  fi;
  if
  :: m == 0 -> busy = false
  :: else
  fi;
  lo = NOBODY; le = 0; lh = 0
}

inline drop_ref() {
  if
  :: m == 0 && local_owner == 0 && local_ext > 1 ->      /* not the last: no bracket */
     atomic { refs[m]--; busy = true; lo = local_owner; le = local_ext; lh = local_heap };
     if
     :: lo == 0 && le > 1 -> atomic { local_owner = 0; local_ext = le - 1; local_heap = lh }
     :: else
     fi;
     busy = false;
     if
     :: lo == 0 && le > 1 -> lo = NOBODY; le = 0; lh = 0
     :: else ->
        atomic { lo = NOBODY; le = 0; lh = 0; refs[m]++ };
        BEGIN;
        refs[m]--;
        decrement(EXT);
        END
     fi
  :: else ->
     BEGIN;
     refs[m]--;
     decrement(EXT);
     END
  fi
}

/* ConvertToHeap, in a bracket. */
inline convert() {
  if
  :: m == 0 ->
     atomic { busy = true; assert(!dead); lo = local_owner; le = local_ext; lh = local_heap }
  :: else
  fi;
  if
  :: m == 0 && lo == 0 && le > 0 ->
     atomic { local_owner = 0; local_ext = le - 1; local_heap = lh + 1 }
  :: m == 0 && lo == 0 && le == 0 ->
     atomic { local_owner = 0; local_ext = 0; local_heap = lh + 1 };
     decrement_shared(EXT)
  :: else ->
     if
     :: atomic { shared_ext > 0 -> assert(!dead); shared_ext--; shared_heap++ }
     :: else ->
        atomic { assert(!dead); shared_heap++ };
        decrement_shared(EXT)
     fi
  fi;
  if
  :: m == 0 -> busy = false
  :: else
  fi;
  lo = NOBODY; le = 0; lh = 0
}

inline store(moves) {                /* P's edge = a Ref, copied or moved */
  BEGIN;
#ifndef NO_LOG_EDGE
  if
  :: edge -> atomic { log_if_white() }
  :: else
  fi;
#endif
#ifndef NO_LOG_CONVERT
  if
  :: LOG_COPY || moves -> atomic { log_if_white() }
  :: else
  fi;
#endif
  if
  :: moves -> atomic { refs[m]--; edge_to_be[m] = true }; convert()
  :: else -> edge_to_be[m] = true; increment(HEAP)
  fi;
  atomic { old = edge; edge = true; edge_to_be[m] = false };
  if
  :: old -> decrement(HEAP)
  :: else
  fi;
  END;
  old = false
}

inline reset() {                     /* empties P's edge */
  BEGIN;
#ifndef NO_LOG_EDGE
  atomic { log_if_white() };
#endif
  edge = false;
  decrement(HEAP);
  END
}

inline take() {                      /* Ref = std::move(P's edge) */
  BEGIN;
#ifndef NO_LOG_EDGE
  atomic { log_if_white() };
#endif
  increment(EXT);
  atomic { edge = false; refs[m]++ };
  decrement(HEAP);
  END
}

inline share() {                     /* by Owner, from a sole Ref; no bracket */
  busy = true;
  if
  :: atomic { local_owner == 0 && local_ext == 1 && local_heap == 0 && INITIAL -> skip } ->
#ifdef SHARE_SWAPPED
     atomic { local_owner = NOBODY; local_ext = 0 };
     atomic { shared_ext = 1; merged = true }
#else
     atomic { shared_ext = 1; merged = true };
     atomic { local_owner = NOBODY; local_ext = 0 }
#endif
  :: else
  fi;
  busy = false
}

inline adopt() {                     /* by Owner, from a Ref&& */
#ifdef ADOPT_EARLY
  BEGIN;
  early = md;
  END;
  BEGIN;
  md = early;
#else
  BEGIN;
#endif
  busy = true;
  if
#ifdef ADOPT_ARMED
  :: atomic { merged && !queued && shared_ext == 1 && shared_heap == 0 -> skip } ->
#else
  :: atomic { !md && merged && !queued && shared_ext == 1 && shared_heap == 0 -> skip } ->
#endif
     atomic { shared_ext = 0; merged = false };
     atomic { local_owner = 0; local_ext = 1; local_heap = 0 }
  :: else
  fi;
  busy = false;
  END
}

#define MAY (k < ops && !marked && !dead)      /* once it is marked nothing is left to lose */
#define MAY_WRITE (MAY && !writing)

proctype Mutator(byte m; byte ops) {
  byte k, lo = NOBODY, le, lh;
  bool md, old, early;
end:
  do
  :: atomic { MAY && refs[m] > 0 -> k++ }; increment(EXT); refs[m]++
  :: atomic { MAY && refs[m] > 0 -> k++ }; drop_ref()
  :: atomic { MAY && refs[m] > 0 -> k++; refs[m]--; refs[1 - m]++ }
  :: atomic { MAY && m == 0 && refs[0] == 1 -> k++ }; share()
  :: atomic { MAY && m == 0 && refs[0] == 1 -> k++ }; adopt()
  :: atomic { MAY_WRITE && refs[m] > 0 -> k++; writing = true }; store(false); writing = false
  :: atomic { MAY_WRITE && refs[m] > 0 -> k++; writing = true }; store(true); writing = false
  :: atomic { MAY_WRITE && edge -> k++; writing = true }; reset(); writing = false
  :: atomic { MAY_WRITE && edge -> k++; writing = true }; take(); writing = false
  :: atomic { MAY_WRITE && edge -> k++; writing = true }; increment(EXT); refs[m]++;
     writing = false
  od
}

inline merge(ext_, heap_) {
  BEGIN;
#ifndef NO_LOG_MERGE
  atomic { log_if_white() };
#endif
#ifdef MERGE_TORN
  atomic { local_ext = 0; local_heap = 0 };
#endif
  atomic {
    assert(!dead);
    pending = false;
    shared_ext = shared_ext + ext_; shared_heap = shared_heap + heap_;
#ifdef QUEUED_HEAP
    if
    :: queued_heap -> shared_heap--
    :: else -> shared_ext--
    fi;
#else
    shared_ext--;
#endif
    merged = true; queued = false;
    assert(shared_ext >= 0);                                                  /* R3 */
    if
    :: SUM == 0 -> die()
    :: else
    fi
  };
  END
}

proctype Revoker() {
  byte m = 2, lo, le, lh, owner;
  bool md, was_busy;
end:
  do
  :: pending ->
     atomic {
       assert(!dead);
       owner = local_owner;
       if
       :: local_owner == 0 -> local_owner = REVOKING
       :: else
       fi
     };
     if
     :: owner != NOBODY ->
        was_busy = busy;
        atomic { assert(!dead); lo = local_owner; le = local_ext; lh = local_heap };
        if
        :: lo == REVOKING && !was_busy -> merge(le, lh)
        :: else
        fi
     :: owner == NOBODY && merged -> merge(0, 0)
     :: else
     fi;
     atomic { lo = 0; le = 0; lh = 0; was_busy = false; owner = 0 }
  od
}

/* ---- Collector ---- */
inline wait_for(x) {
  if
  :: !in_bracket[x] -> skip
  :: else -> seen = turn[x]; (!in_bracket[x] || turn[x] != seen)
  fi
}

inline rendezvous() { wait_for(0); wait_for(1); wait_for(2); seen = false }

#ifdef REVOKING_EMPTY
#define LOCAL_EXT (local_owner == REVOKING -> 0 : local_ext)
#else
#define LOCAL_EXT local_ext
#endif

proctype Collector() {
  byte le;
  bool root, seen;
  armed = true;
  rendezvous();                      /* T0 */
  atomic {                           /* P is traced; X is LIVE */
    if
    :: edge -> marked = true
    :: else
    fi
  };
#ifdef SCAN_SWAPPED
  atomic { root = (shared_ext > 0); seen = merged };
  le = LOCAL_EXT;
  root = root || (!seen && le > 0);
#else
  le = LOCAL_EXT;
#if defined(SCAN_LOCAL_ONLY)
  atomic { root = (!merged && le > 0) };
#elif defined(SCAN_SHARED_ONLY)
  atomic { root = (shared_ext > 0) };
#elif defined(MERGED_LOCAL)
  atomic { root = (shared_ext > 0 || le > 0) };
#else
  atomic { root = (shared_ext > 0 || (!merged && le > 0)) };
#endif
#endif
  atomic {
    if
    :: root -> marked = true
    :: else
    fi;
    root = false; le = 0; seen = false
  };
  do
  :: rendezvous();
     if
     :: atomic { logged && !marked -> logged = false; marked = true }
     :: else -> break
     fi
  od;
  atomic { assert(marked || dead || REFS == 0) }                              /* R1 */
}

init {
  atomic {
    if
    :: START(0) -> local_ext = 1; refs[0] = 1
    :: START(1) -> local_ext = 1; refs[1] = 1
    :: START(2) -> local_ext = 2; refs[0] = 1; refs[1] = 1
    :: START(3) -> local_ext = 1; shared_ext = 1; refs[0] = 1; refs[1] = 1
    :: START(4) -> local_ext = 2; refs[0] = 1; queued = true; pending = true
    :: START(5) -> local_ext = 3; shared_ext = -1; refs[1] = 1; queued = true; pending = true
    :: START(6) -> local_ext = 1; shared_ext = 1; refs[1] = 1; queued = true; pending = true
    :: START(7) -> local_owner = NOBODY; merged = true; shared_ext = 1; refs[0] = 1
    :: START(8) -> local_owner = NOBODY; merged = true; shared_ext = 2; refs[0] = 1; refs[1] = 1
    :: START(9) -> local_heap = 1; edge = true
    :: START(10) -> local_heap = 1; edge = true; local_ext = 1; refs[1] = 1
    :: START(11) -> local_owner = NOBODY; merged = true; shared_heap = 1; edge = true
    :: START(12) ->                  /* and garbage has an edge to it */
       local_heap = 1; shared_ext = 1; refs[0] = 1
    fi;
    run Mutator(0, OPS0); run Mutator(1, OPS1); run Revoker(); run Collector()
  }
}
