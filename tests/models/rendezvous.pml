/* rendezvous.pml: brackets, modes, birth templates and the rendezvous, with store buffers.
 *
 * Mutator 0 has its slot from the start. Mutator 1 attaches in the middle, leaves, and comes back
 * (adopting the slot that it left). Each mutator runs brackets: seq odd, read the mode (or, for a
 * birth, the template that its slot keeps), act, seq even. All stores go through the thread's FIFO
 * buffer, which drains at any moment; the collector has a buffer too. The collector makes two
 * rendezvous, LOGGING and MARKING:
 *   store the mode, fence, write the templates of all listed slots, membarrier, then walk the
 *   slots: seq even, or wait until it has changed.
 * Attaching: list the slot (a read-modify-write), then {read the mode; write the template; fence}
 * until the mode read again is the same.
 *
 * Checked, once the rendezvous for mode m is complete:
 *   R1  no bracket that uses an older mode is open, and none begins later;
 *   R2  what brackets with an older mode wrote has left their buffers;
 *   R3  no birth takes an older template.
 *
 * Abstracted: what a bracket does is one store; a slot is found by its index; who may adopt is
 * settled (one thread); ARM's additional reorderings.
 *
 * WHO chooses the mutators (they touch nothing in common but the collector's mode).
 *
 * Mutations, each takes out one step:
 *   NO_MEMBARRIER   the collector walks without the barrier
 *   READ_SEQ_FIRST  the collector reads the sequences before the barrier
 *   PASS_ODD        the collector does not wait for an odd sequence
 *   MODE_FIRST      a bracket reads the mode before it makes seq odd
 *   NESTED          a bracket inside a bracket toggles seq
 *   ATTACH_IDLE     a thread that attaches starts in IDLE without reading the mode
 *   READ_THEN_LIST  a thread that attaches reads the mode before it lists its slot
 *   ONE_TEMPLATE    a thread that attaches writes the template once, without reading again
 *   TEMPLATE_FIRST  the collector writes the templates before the mode
 *   NO_MODE_FENCE   the collector's mode may still be buffered while it writes the templates
 *   ATTACH_UNFENCED a thread that attaches lists its slot by a plain store and does not fence
 * Variants that pass, so nothing rests on these steps alone:
 *   WALK_FIRST      the collector reads which slots are listed before the barrier (a slot listed
 *                   later reads the new mode, because both sides fence)
 *   RESET_SEQ       an adopted slot begins with seq 0
 */
#ifndef WHO
#define WHO 2                        /* 0, 1: that mutator alone; 2: both */
#endif
#ifndef BRACKETS
#define BRACKETS 2
#endif
#ifndef LIVES
#define LIVES 2                      /* how often mutator 1 attaches */
#endif

#define IDLE 0
#define LOGGING 1
#define MARKING 2

#define COLLECTOR 2
#define DEPTH 4

mtype = { SEQ, ACT, TEMPLATE, MODE, LIST };

/* Memory. */
byte mode = IDLE;
byte seq[2], template[2];
bool listed[2];

/* Buffers: kind, slot, value. */
chan buffer[3] = [DEPTH] of { mtype, byte, byte };
byte old_acts[2];                    /* ghost: acts that are still buffered, by mode used */
byte old_acts_logging[2];

/* Ghosts. */
byte complete = IDLE;                /* the mode whose rendezvous is complete */
bool open[2];                        /* in a bracket, mode known */
byte used[2];

inline drain_one(t) {
  buffer[t] ? kind, slot, value;
  if
  :: kind == SEQ -> seq[slot] = value
  :: kind == TEMPLATE -> template[slot] = value
  :: kind == MODE -> mode = value
  :: kind == LIST -> listed[slot] = value
  :: kind == ACT ->
     if
     :: value == IDLE -> old_acts[slot]--
     :: value == LOGGING -> old_acts_logging[slot]--
     :: else
     fi
  fi;
  kind = SEQ; slot = 0; value = 0
}

inline drain_all(t) {
  do
  :: nempty(buffer[t]) -> drain_one(t)
  :: empty(buffer[t]) -> break
  od
}

inline put(t, k, s, v) { atomic { nfull(buffer[t]) -> buffer[t] ! k, s, v } }

inline read_mode(birth) {
  atomic {
    if
    :: birth -> md = template[me]
    :: else -> md = mode
    fi;
    assert(md >= complete);          /* R1, R3 */
    open[me] = true;
    used[me] = md
  }
}

inline bracket() {
  atomic {
    if
    :: birth = true
    :: birth = false
    fi
  };
#ifdef MODE_FIRST
  read_mode(birth);
  put(me, SEQ, me, my_seq + 1);
#else
  put(me, SEQ, me, my_seq + 1);
  read_mode(birth);
#endif
#ifdef NESTED
  put(me, SEQ, me, my_seq + 2);
  put(me, SEQ, me, my_seq + 3);
  my_seq = my_seq + 2;
#endif
  atomic {
    nfull(buffer[me]) -> buffer[me] ! ACT, me, md;
    if
    :: md == IDLE -> old_acts[me]++
    :: md == LOGGING -> old_acts_logging[me]++
    :: else
    fi;
    open[me] = false;
    used[me] = 0
  };
  put(me, SEQ, me, my_seq + 2);
  atomic { my_seq = my_seq + 2; md = 0; birth = false }
}

inline attach() {
#ifdef READ_THEN_LIST
  md = mode;
  put(me, TEMPLATE, me, md);
  atomic { drain_all(me); listed[me] = true };
#else
#ifdef ATTACH_UNFENCED
  put(me, LIST, me, true);
#else
  atomic { drain_all(me); listed[me] = true };
#endif
#ifdef ATTACH_IDLE
  put(me, TEMPLATE, me, IDLE);
#else
  do
  :: md = mode;
     put(me, TEMPLATE, me, md);
#ifndef ATTACH_UNFENCED
     atomic { drain_all(me) };
#endif
#ifdef ONE_TEMPLATE
     break
#else
     if
     :: md == mode -> break
     :: else
     fi
#endif
  od;
#endif
#endif
  md = 0
}

proctype Mutator(byte me; byte lives) {
  mtype kind = SEQ;
  byte slot, value, md, n, my_seq;
  bool birth;
  do
  :: lives > 0 ->
     lives--;
     if
     :: me == 1 ->
        attach();
#ifdef RESET_SEQ
        atomic { put(me, SEQ, me, 0); my_seq = 0 };
#endif
     :: else
     fi;
     do
     :: n < BRACKETS -> n++; bracket()
     :: true -> break
     od;
     n = 0;
     atomic { drain_all(me) }        /* leaving hands the slot over by a release */
  :: break
  od
}

proctype Drain(byte t) {
  mtype kind = SEQ;
  byte slot, value;
end:
  do
  :: atomic { nempty(buffer[t]) -> drain_one(t) }
  od
}

inline write_templates() {
  i = 0;
  do
  :: i < 2 ->
     if
     :: listed[i] -> put(COLLECTOR, TEMPLATE, i, m)
     :: else
     fi;
     i++
  :: else -> break
  od
}

inline read_listed() {
  i = 0;
  do
  :: i < 2 -> walk[i] = listed[i]; i++
  :: else -> break
  od;
  i = 0
}

proctype Collector() {
  mtype kind = SEQ;
  byte slot, value, m = LOGGING, i, seen[2];
  bool walk[2];
  do
  :: m <= MARKING ->
#ifdef TEMPLATE_FIRST
     write_templates();
     put(COLLECTOR, MODE, 0, m);
#else
     put(COLLECTOR, MODE, 0, m);
#ifndef NO_MODE_FENCE
     atomic { drain_all(COLLECTOR) };
#endif
     write_templates();
#endif
#ifdef WALK_FIRST
     read_listed();
#endif
#ifdef READ_SEQ_FIRST
     seen[0] = seq[0]; seen[1] = seq[1];
#endif
     atomic { drain_all(COLLECTOR) };
#ifndef NO_MEMBARRIER
     atomic { drain_all(0) };        /* each thread at a moment of its own */
     atomic { drain_all(1) };
#endif
#ifndef WALK_FIRST
     read_listed();
#endif
     i = 0;
     do
     :: i < 2 ->
        if
        :: walk[i] ->
#ifndef READ_SEQ_FIRST
           seen[i] = seq[i];
#endif
#ifndef PASS_ODD
           seen[i] % 2 == 0 || seq[i] != seen[i]
#endif
        :: else
        fi;
        i++
     :: else -> break
     od;
     atomic {
       assert(!(open[0] && used[0] < m) && !(open[1] && used[1] < m));
       assert(old_acts[0] == 0 && old_acts[1] == 0);
       assert(m < MARKING || (old_acts_logging[0] == 0 && old_acts_logging[1] == 0));
       complete = m;
       i = 0; seen[0] = 0; seen[1] = 0; walk[0] = false; walk[1] = false;
       m++
     }
  :: else -> break
  od
}

init {
  atomic {
    listed[0] = true;
    if
    :: WHO != 1 -> run Mutator(0, 1); run Drain(0)
    :: else
    fi;
    if
    :: WHO != 0 -> run Mutator(1, LIVES); run Drain(1)
    :: else
    fi;
    run Collector(); run Drain(COLLECTOR)
  }
}
