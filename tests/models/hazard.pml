/* hazard.pml: markers against the destroyer of one block, with store buffers and reuse.
 *
 * Mutator makes an object in the block, drops it, begins its destructor in a bracket of its own
 * {read the mode; store DESTROYING; armed: fence, look into the published batches; found: push on
 * the collector's list}, destroys it unless it was found, frees the block and reuses it. An object
 * that nobody else ever saw may die private: if the bracket that drops it finds no collection
 * armed, it stores DESTROYING at once, and the destructor runs later, with no bracket and no look;
 * otherwise that bracket does nothing, and the object dies as any other. Two marking workers meet
 * the block's address at any moment while armed (from a root, an edge, a log entry, or stale): they
 * publish it by an exchange, check the stage, trace, clear. Driver arms, lets the workers run,
 * drains the list during marking (looking into all batches) and again after a rendezvous that
 * follows the clearing of the last batch. The mutator's stages and the workers' batches go through
 * FIFO store buffers; a rendezvous drains the mutator's.
 *
 * Checked:
 *   H1  no trace overlaps a destructor of the traced object;
 *   H2  the block is not freed, let alone reborn, while it is traced;
 *   H3  every object is destroyed exactly once, handed-off ones included, before Driver sleeps;
 *   H4  neither side waits for the other (no step but a rendezvous waits).
 *
 * Abstracted: a batch holds one address; who may trace what (mark.pml); the rendezvous is
 * {membarrier, wait until outside a bracket} in one piece (rendezvous.pml); scanning the words of
 * a BUILDING or DESTROYING object is harmless by I1 and not shown; arming is one step.
 *
 * Mutations, each takes out one step:
 *   PLAIN_PUBLISH   a worker publishes its batch by a plain store
 *   CHECK_FIRST     a worker checks the stage before it publishes
 *   CLEAR_EARLY     a worker clears its batch before the trace ends
 *   NO_FENCE        the destroyer does not fence between DESTROYING and its look
 *   NO_LOOK         the destroyer does not look
 *   ONE_BATCH       the destroyer looks into the first batch only
 *   STAGE_LATE      the destroyer looks, then stores DESTROYING
 *   MODE_EARLY      the destroyer uses the mode that the dropping bracket read
 *   PUSH_OUTSIDE    the destroyer pushes after its bracket
 *   DRAIN_BLIND     a drain does not look into the batches
 *   SLEEP_EARLY     the last drain comes before the rendezvous that follows the last batch
 *   REUSE_LISTED    the mutator counts a handed-off object's block as free
 *   PRIVATE_ARMED   an object dies private whatever the mode
 *   PRIVATE_DYING   a private object's bracket stores DYING; DESTROYING follows with the destructor
 */
#ifndef LIVES
#define LIVES 3                      /* objects born in the block */
#endif
#ifndef CYCLES
#define CYCLES 2
#endif
#ifndef TRACES
#define TRACES 2                     /* per worker and cycle */
#endif

#define FREE 0
#define BUILDING 1
#define LIVE 2
#define DYING 3
#define DESTROYING 4
#define ENDED 5                      /* not a stage: the store that makes seq even */

bool armed;
byte stage = FREE;
bool batch[2];                       /* worker w has published the block */
bool handed;                         /* the block is on the collector's list */
bool on_free_list = true;
byte begun, ended;                   /* brackets: begun, and ended as memory shows it */

chan stages = [3] of { byte };       /* the mutator's store buffer */
chan batches[2] = [2] of { bool };   /* the workers' */

/* Ghosts. */
byte born, destroyed;
bool tracing[2], destructor;
bool working[2];                     /* worker w runs in this cycle */
bool mutator_done;

#define TRACED (tracing[0] || tracing[1])

inline put_stage(s) { atomic { nfull(stages) -> stages ! s } }

inline drain_stage() {
  if
  :: stages ? [ENDED] -> stages ? ENDED; ended++
  :: else -> stages ? stage
  fi
}

inline drain_stages() {
  do
  :: nempty(stages) -> drain_stage()
  :: empty(stages) -> break
  od
}

inline drain_batch(w) {
  do
  :: nempty(batches[w]) -> batches[w] ? batch[w]
  :: empty(batches[w]) -> break
  od
}

inline run_destructor() {            /* user code: begins, goes on for a while, ends */
  atomic { assert(!TRACED && !destructor); destructor = true };
  atomic { assert(!TRACED); destructor = false; destroyed++; assert(destroyed <= born) }
}

#define BEGIN atomic { begun++; now_armed = armed }
#define END put_stage(ENDED)

inline look() {
#ifndef NO_FENCE
  if
  :: now_armed -> atomic { drain_stages() }
  :: else
  fi;
#endif
#ifndef NO_LOOK
  if
  :: now_armed ->
     found = batch[0];
#ifndef ONE_BATCH
     found = found || batch[1]
#endif
  :: else
  fi
#endif
}

inline hand_off() {
  if
  :: found -> atomic { drain_stages(); handed = true }       /* a compare-exchange */
  :: else
  fi
}

inline die_private() {               /* or do nothing, and clear `alone` */
  BEGIN;
#ifndef PRIVATE_ARMED
  if
  :: now_armed -> alone = false
  :: else
  fi;
#endif
  if
  :: alone ->
#ifdef PRIVATE_DYING
     put_stage(DYING)
#else
     put_stage(DESTROYING)
#endif
  :: else
  fi;
  END;
#ifdef PRIVATE_DYING
  if
  :: alone -> put_stage(DESTROYING)
  :: else
  fi;
#endif
  now_armed = false
}

inline die() {                       /* sets `found` if the object was handed off */
  BEGIN;                             /* the last drop */
  put_stage(DYING);
  END;
#ifdef MODE_EARLY
  begun++;
#else
  BEGIN;                             /* the start of destruction */
#endif
#ifdef STAGE_LATE
  look();
  put_stage(DESTROYING);
#else
  put_stage(DESTROYING);
  look();
#endif
#ifdef PUSH_OUTSIDE
  END;
  hand_off()
#else
  hand_off();
  END
#endif
}

proctype Mutator() {
  bool now_armed, found, alone;
  do
  :: born < LIVES ->
     if
     :: on_free_list
#ifdef REUSE_LISTED
     :: handed
#endif
     fi;
     atomic { on_free_list = false; born++; assert(!TRACED) };
     put_stage(BUILDING);
     put_stage(LIVE);
     if
     :: alone = true; die_private()
     :: true
     fi;
     if
     :: !alone -> die()
     :: else
     fi;
     if
     :: !found ->
        run_destructor();
        put_stage(FREE);
        on_free_list = true
     :: else
     fi;
     found = false;
     now_armed = false;
     alone = false
  :: else -> break
  od;
  mutator_done = true
}

proctype Drain() {
end:
  do
  :: atomic { nempty(stages) -> drain_stage() }
  :: atomic { nempty(batches[0]) -> batches[0] ? batch[0] }
  :: atomic { nempty(batches[1]) -> batches[1] ? batch[1] }
  od
}

inline publish() {
#ifdef PLAIN_PUBLISH
  batches[w] ! true
#else
  atomic { drain_batch(w); batch[w] = true }
#endif
}

proctype Worker(byte w) {
  byte n, seen, life;
end:
  do
  :: working[w] ->
     do
     :: n < TRACES ->
        n++;
#ifdef CHECK_FIRST
        seen = stage;
        publish();
#else
        publish();
        seen = stage;
#endif
        if
        :: seen == LIVE || seen == DYING ->
#ifdef CLEAR_EARLY
           batches[w] ! false;
#endif
           atomic { assert(!destructor); tracing[w] = true; life = born };
           atomic { assert(!destructor && born == life); tracing[w] = false; life = 0 }
        :: else
        fi;
        seen = 0;
        batches[w] ! false
     :: true -> break
     od;
     n = 0;
     atomic { drain_batch(w); working[w] = false }   /* tells Driver: a release at least */
  od
}

inline rendezvous() {
  atomic { drain_stages(); open = begun };               /* membarrier */
  ended >= open;
  open = 0
}

inline drain_list() {
  if
  :: handed ->
#ifdef DRAIN_BLIND
     free_to_go = true;
#else
     free_to_go = !batch[0];
     free_to_go = free_to_go && !batch[1];
#endif
     if
     :: free_to_go ->
        atomic { handed = false };
        run_destructor();
        stage = FREE;
        on_free_list = true          /* by a release */
     :: else
     fi;
     free_to_go = false
  :: else
  fi
}

proctype Driver() {
  byte cycle, open;
  bool free_to_go;
  do
  :: cycle < CYCLES && !(mutator_done && !handed) ->
     cycle++;
     armed = true;
     rendezvous();
     atomic { working[0] = true; working[1] = true };
     do
     :: handed -> drain_list()
     :: !working[0] && !working[1] -> break
     od;
#ifdef SLEEP_EARLY
     drain_list();
     armed = false;
     rendezvous();
#else
     armed = false;
     rendezvous();
     drain_list();
#endif
     assert(!handed)                 /* H3: Driver would sleep now */
  :: else -> break
  od;
  if
  :: mutator_done
  :: timeout -> assert(false)        /* H3: stranded */
  fi;
  atomic { assert(!handed && destroyed == born) }
}

init { atomic { run Mutator(); run Drain(); run Worker(0); run Worker(1); run Driver() } }
