/* orphans.pml: the two lists of slots whose threads have ended.
 *
 * Slots have something in their caches, a `seq`, and a `busy` word. Threads end and push their slot
 * on the list of fresh orphans; new threads pop one, fresh ones first, then emptied ones, or take a
 * new slot; the collector pops fresh ones, one at a time, empties their caches and pushes them on
 * the other list. Lists are stacks with tagged heads {first, tag}: a pop reads the head, then the
 * link of the first, then exchanges the head; a push writes the link, then exchanges the head. A
 * slot's `seq` goes on where the last holder left it, and a revoker looks at the `busy` of its
 * holder.
 *
 * Checked:
 *   O1  a slot has one holder at a time: a thread, the collector, or one list;
 *   O2  only the holder touches its caches, and who adopts finds what the last holder left;
 *   O3  no slot is lost;
 *   O4  an orphan is in no bracket, and at no object; its `seq` never goes back.
 *
 * Abstracted: sequentially consistent threads (heads are changed by read-modify-writes, which
 * empty the store buffer after the link was written); the tag is as wide as this model needs; the
 * log, which is appended to like the caches; attaching against a rendezvous (rendezvous.pml).
 *
 * Mutations, each takes out one step:
 *   NO_TAG         the head has no tag
 *   POP_TORN       a pop reads and writes the head in two steps
 *   PUSH_TORN      a push reads and writes the head in two steps
 *   OFFER_EARLY    a thread's end pushes the slot, then works its pending list off
 *   BUSY_STANDS    a thread's end leaves `busy` standing
 *   EMPTY_UNTAKEN  the collector empties a slot without popping it
 *   RESET_SEQ      who adopts a slot sets its `seq` to zero
 *   EMPTIED_LOST   the collector does not push what it has emptied
 */
#ifndef LIVES
#define LIVES 2                      /* lives of each of the two threads, one after the other */
#endif
#define THREADS 2
#define SLOTS 4                      /* room for those that are made while others are in a hand */
#define NONE 0

#define FRESH 0 /* the lists */
#define EMPTIED 1

byte first[2], tag[2];               /* heads: one word each */
byte next[5];                        /* by slot number; 0 is none */
byte count;                          /* slots made */
byte cached[5];                      /* what a slot's caches hold */
bool busy[5];
byte seq[5];

/* Ghosts. */
byte holders[5];
byte left_in[5], last_seq[5];
byte on_list[5];
byte ended;

inline hold(s) {
  atomic {
    holders[s]++; assert(holders[s] == 1);                                    /* O1 */
    assert(!busy[s] && !(seq[s] & 1))                                         /* O4 */
  }
}

#ifdef NO_TAG
#define SAME_TAG(l) true
#else
#define SAME_TAG(l) (tag[l] == t)
#endif

inline pop(l) {                      /* into s */
  do
  :: atomic { f = first[l]; t = tag[l] };
     if
     :: f == NONE -> break
     :: else
     fi;
     n = next[f];
#ifdef POP_TORN
     if
     :: first[l] == f && SAME_TAG(l) -> first[l] = n; tag[l]++; s = f; break
     :: else
     fi
#else
     if
     :: atomic { first[l] == f && SAME_TAG(l) -> first[l] = n; tag[l]++; s = f }; break
     :: else
     fi
#endif
  od;
  atomic { f = NONE; t = 0; n = NONE }
}

inline push(l) {                     /* s */
  do
  :: atomic { f = first[l]; t = tag[l] };
     next[s] = f;
#ifdef PUSH_TORN
     if
     :: first[l] == f && SAME_TAG(l) -> holders[s]--; first[l] = s; tag[l]++; break
     :: else
     fi
#else
     if
     :: atomic {
          first[l] == f && SAME_TAG(l) -> holders[s]--; first[l] = s; tag[l]++
        };
        break
     :: else
     fi
#endif
  od;
  atomic { f = NONE; t = 0; s = NONE }
}

proctype Thread() {
  byte life, s, f, t, n, mine;
  do
  :: life < LIVES ->
     life++;
     pop(FRESH);
     if
     :: s == NONE -> pop(EMPTIED)
     :: else
     fi;
     if
     :: s == NONE ->
        atomic { count++; assert(count <= SLOTS); s = count };
     :: else
     fi;
     hold(s);
     atomic { assert(cached[s] == left_in[s]); mine = cached[s] };            /* O2 */
#ifdef RESET_SEQ
     seq[s] = 0;
#endif
     /* One operation, in a bracket, that caches a block. */
     atomic { busy[s] = true; seq[s]++ };
     atomic {
       assert(cached[s] == mine && holders[s] == 1);                          /* O1, O2 */
       cached[s] = mine + 1; left_in[s] = mine + 1; mine = 0
     };
     atomic { assert(seq[s] & 1); seq[s]++; assert(seq[s] > last_seq[s]); last_seq[s] = seq[s] };
     /* It ends. */
#ifdef OFFER_EARLY
     busy[s] = false;
     mine = s;
     push(FRESH);
     atomic { assert(holders[mine] == 0); cached[mine] = 1; left_in[mine] = 1; mine = 0 }
#else
#ifndef BUSY_STANDS
     busy[s] = false;
#endif
     push(FRESH)
#endif
  :: else -> break
  od;
  ended++
}

proctype Collector() {
  byte s, f, t, n, rounds;
  do
  :: rounds < 3 ->
     rounds++;
#ifdef EMPTY_UNTAKEN
     s = first[FRESH];
     if
     :: s != NONE -> atomic { assert(holders[s] == 0); cached[s] = 0; left_in[s] = 0; s = NONE }
     :: else
     fi
#else
     pop(FRESH);
     if
     :: s != NONE ->
        hold(s);
        atomic { assert(cached[s] == left_in[s]); cached[s] = 0; left_in[s] = 0 };   /* O2 */
#ifdef EMPTIED_LOST
        atomic { holders[s]--; s = NONE }
#else
        push(EMPTIED)
#endif
     :: else
     fi
#endif
  :: break
  od;
  ended == THREADS;
  atomic {                                                                    /* O3 */
    f = first[FRESH];
    do
    :: f != NONE -> on_list[f]++; assert(on_list[f] == 1); f = next[f]
    :: else -> break
    od;
    f = first[EMPTIED];
    do
    :: f != NONE -> on_list[f]++; assert(on_list[f] == 1); f = next[f]
    :: else -> break
    od;
    assert(on_list[1] + on_list[2] + on_list[3] + on_list[4] == count)
  }
}

init { atomic { run Thread(); run Thread(); run Collector() } }
