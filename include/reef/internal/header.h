// The 16 bytes in front of every managed object, and the only code that knows their layout.
//
//  word 0, written at birth by one 64-bit store
//   bits  0..9   local.ext    references counted by the owner: roots (Ref)
//   bits 10..19  local.heap   references counted by the owner: edges (Member)
//   bits 20..31  owner        1..4092 a slot, 0 nobody, 4094 REVOKING
//   bits 32..47  type         index of the TypeInfo, constant while the block is not FREE
//   bits 48..55  colour       the number of the cycle that proved it reachable; 253: frozen;
//                             254, 255: leaf
//   bits 56..63  stage        see Stage
//  word 1, "shared"
//   bits  0..25  ext          biased by 2^25: roots counted by everybody else
//   bits 26..55  heap         biased by 2^29: edges counted by everybody else
//   bits 56..63  flags        see kMerged ... kSticky
//   A DEAD object has no counts left: the low 48 bits are then the link of the list it waits in.
//
// The true count is the sum of the four fields; the object is a root of marking while local.ext > 0
// or shared.ext > 0 (local counts only while not MERGED).
//
// I2  Only the owner stores to `local`, but for one exchange to REVOKING; counts move from local to
//     shared, never back while a collection is armed.
// I3  DEAD is set once, by one thread; no increment succeeds after it.
// I4  While `shared` equals kSharedInit, no thread but the owner, and those it lent the object to,
//     can reach the object: the owner's drop of the last reference needs no read-modify-write.
// I1  A free block reads stage FREE, also when its memory was given back (zero pages): inspecting a
//     stale header is always safe.
//
// The fields of word 0 are accessed narrowly (never wider than the last store, which would stall
// store forwarding), all of them as atomics.
#ifndef REEF_INTERNAL_HEADER_H_
#define REEF_INTERNAL_HEADER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace reef::internal {

// The life of a block, in this order.
enum class Stage : uint8_t {
  kFree = 0,        // not an object; zero, so that fresh and returned memory reads as free
  kBuilding = 1,    // the constructor runs: payload is scanned word by word, never traced
  kLive = 2,        // traced through its Trace
  kDying = 3,       // count gone, destructor not begun: still owns its edges, hence a root
  kDestroying = 4,  // the destructor runs: payload is scanned word by word
};

using Owner = uint32_t;
inline constexpr Owner kNobody = 0;
inline constexpr Owner kMaxOwner = 4092;
inline constexpr Owner kClaimed = 4093;  // by who dropped the sole reference (lib/object/sole.h)
inline constexpr Owner kRevoking = 4094;
inline constexpr Owner kUnbiased = 4095;  // what a thread without a number calls itself

inline constexpr uint32_t kLocalExt = 1;
inline constexpr uint32_t kLocalHeap = 1u << 10;
inline constexpr uint32_t kLocalExtMask = kLocalHeap - 1;
inline constexpr uint32_t kLocalHeapMask = kLocalExtMask << 10;
inline constexpr uint32_t kLocalCounts = kLocalExtMask | kLocalHeapMask;
inline constexpr int kOwnerShift = 20;
// A local field whose top bit is set spills half of itself into shared.
inline constexpr uint32_t kLocalExtSpill = 1u << 9;
inline constexpr uint32_t kLocalHeapSpill = kLocalExtSpill << 10;
inline constexpr int64_t kSpillCount = 256;

// In the words that birth combines: the object is born unbiased. No stage uses the bit.
inline constexpr uint64_t kBornUnbiased = uint64_t{1} << 63;

inline constexpr int kTypeShift = 32;
inline constexpr int kColourShift = 48;
inline constexpr int kStageShift = 56;
inline constexpr uint8_t kTrivialLeafColour = 254;  // a leaf without a destructor
inline constexpr uint8_t kLeafColour = 255;         // any other leaf
inline constexpr uint8_t kFrozenColour = 253;       // traced, and spared by every collection
inline constexpr uint8_t kMaxColour = 252;  // cycles count from 1 to here, then again from 1
constexpr bool IsLeafColour(uint8_t colour) { return colour >= kTrivialLeafColour; }
// Leaves and frozen objects read black in every cycle.
constexpr bool IsAlwaysBlack(uint8_t colour) { return colour >= kFrozenColour; }

inline constexpr uint64_t kSharedExt = 1;
inline constexpr uint64_t kSharedHeap = uint64_t{1} << 26;
inline constexpr uint64_t kSharedExtMask = kSharedHeap - 1;
inline constexpr uint64_t kSharedHeapMask = ((uint64_t{1} << 30) - 1) << 26;
inline constexpr uint64_t kSharedInit = (uint64_t{1} << 25) | (uint64_t{1} << 55);
// The top bits of a field all set: within 2^16 (ext) or 2^18 (heap) of its end, more than there
// are threads to overshoot. From there the field stays as it is and the object is STICKY.
inline constexpr uint64_t kExtFull = 0x3ff0000;
inline constexpr uint64_t kHeapFull = uint64_t{0x3ffc0000} << 26;

inline constexpr uint64_t kMerged = uint64_t{1} << 56;       // local is void, all counts are here
inline constexpr uint64_t kQueued = uint64_t{1} << 57;       // one ext is held by a pending list
inline constexpr uint64_t kDead = uint64_t{1} << 58;         // I3
inline constexpr uint64_t kWeak = uint64_t{1} << 59;         // a weak cell exists
inline constexpr uint64_t kPublished = uint64_t{1} << 60;    // was stored in an Atomic…
inline constexpr uint64_t kFinalizable = uint64_t{1} << 61;  // its finalizer has yet to be taken
inline constexpr uint64_t kImmortal = uint64_t{1} << 62;     // never counted, never freed
inline constexpr uint64_t kSticky = uint64_t{1} << 63;       // a field is full: only cycles free it
inline constexpr uint64_t kFlags = uint64_t{0xff} << 56;
inline constexpr uint64_t kLinkMask = (uint64_t{1} << 48) - 1;

constexpr int64_t SharedExt(uint64_t word) {
  return static_cast<int64_t>(word & kSharedExtMask) - (int64_t{1} << 25);
}
constexpr int64_t SharedHeap(uint64_t word) {
  return static_cast<int64_t>((word & kSharedHeapMask) >> 26) - (int64_t{1} << 29);
}
constexpr int64_t SharedSum(uint64_t word) { return SharedExt(word) + SharedHeap(word); }
// What becomes of a merged word whose counts have come to zero, in the exchange that brings them
// there: DEAD; or, while the finalizer has yet to be taken, it is taken and its root is counted.
constexpr uint64_t EndOf(uint64_t zero) {
  return (zero & kFinalizable) != 0 ? (zero & ~kFinalizable) + kSharedExt : zero | kDead;
}
constexpr bool ExtIsFull(uint64_t word) { return (word & kExtFull) == kExtFull; }
constexpr bool HeapIsFull(uint64_t word) { return (word & kHeapFull) == kHeapFull; }
constexpr Owner OwnerOf(uint32_t local) { return local >> kOwnerShift; }
constexpr uint32_t LocalExtOf(uint32_t local) { return local & kLocalExtMask; }
constexpr uint32_t LocalHeapOf(uint32_t local) { return (local & kLocalHeapMask) >> 10; }

class Header {
 public:
  static constexpr size_t kBytes = 16;

  static Header* Of(const void* payload) {
    return reinterpret_cast<Header*>(reinterpret_cast<uintptr_t>(payload) - kBytes);
  }
  void* Payload() { return reinterpret_cast<char*>(this) + kBytes; }

  // --- word 0 ---
  // Birth: shared first, then everything else at once; release, so that whoever reads the stage
  // (acquire) sees the shared word and the type of this life and not of the last.
  void Bear(uint64_t word0, uint64_t shared) {
    __atomic_store_n(&word1_, shared, __ATOMIC_RELAXED);
    __atomic_store_n(&word0_, word0, __ATOMIC_RELEASE);
  }
  // Acquire when the caller goes on to read what the last owner's store published.
  uint32_t Local(std::memory_order order) const {
    return __atomic_load_n(LocalPtr(), static_cast<int>(order));
  }
  // Release: a revoker that reads this value by its exchange sees what the owner did before.
  void SetLocal(uint32_t value) { __atomic_store_n(LocalPtr(), value, __ATOMIC_RELEASE); }
  bool CompareExchangeLocal(uint32_t* expected, uint32_t desired) {
    return __atomic_compare_exchange_n(LocalPtr(), expected, desired, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
  }
  // Constant during a life; ordered by the stage or the reference that led here.
  uint16_t Type() const { return __atomic_load_n(Narrow<Half>(4), __ATOMIC_RELAXED); }
  // Relaxed: a stale colour only costs a repeated mark or log entry; who must see white objects is
  // ordered by the rendezvous.
  uint8_t Colour() const { return __atomic_load_n(Narrow<Byte>(6), __ATOMIC_RELAXED); }
  void SetColour(uint8_t colour) { __atomic_store_n(Narrow<Byte>(6), colour, __ATOMIC_RELAXED); }
  // Acquire and release: LIVE publishes the constructed payload to the marker, DESTROYING and FREE
  // what was done before. The pair with the marker's hazards is in lib/threads/hazard.h.
  Stage GetStage() const {
    return static_cast<Stage>(__atomic_load_n(Narrow<Byte>(7), __ATOMIC_ACQUIRE));
  }
  void SetStage(Stage stage) {
    __atomic_store_n(Narrow<Byte>(7), static_cast<uint8_t>(stage), __ATOMIC_RELEASE);
  }
  // Colour and stage at once: what a living trivial leaf shows.
  bool IsLiveTrivialLeaf() const {
    constexpr auto kWanted =
        static_cast<uint16_t>((static_cast<unsigned>(Stage::kLive) << 8) | kTrivialLeafColour);
    return __atomic_load_n(Narrow<Half>(6), __ATOMIC_RELAXED) == kWanted;
  }
  // Sequentially consistent: the destroyer's half of the hazard protocol.
  void ExchangeStage(Stage stage) {
    (void)__atomic_exchange_n(Narrow<Byte>(7), static_cast<uint8_t>(stage), __ATOMIC_SEQ_CST);
  }
  Stage GetStageSequential() const {
    return static_cast<Stage>(__atomic_load_n(Narrow<Byte>(7), __ATOMIC_SEQ_CST));
  }

  // --- word 1 ---
  uint64_t Shared(std::memory_order order) const {
    return __atomic_load_n(&word1_, static_cast<int>(order));
  }
  // Plain stores are right only for who alone can reach the object (I4, or its destroyer).
  void SetShared(uint64_t value) { __atomic_store_n(&word1_, value, __ATOMIC_RELEASE); }
  // Relaxed: the caller holds a counted reference, so the object cannot die meanwhile; whatever
  // passes the pointer on does the publishing.
  void AddShared(uint64_t unit) { (void)__atomic_fetch_add(&word1_, unit, __ATOMIC_RELAXED); }
  // Flags are set by a holder of a counted reference before the handle that relies on them is
  // passed on; that hand-over publishes them.
  uint64_t SetFlags(uint64_t flags) { return __atomic_fetch_or(&word1_, flags, __ATOMIC_ACQ_REL); }
  // Release: this thread's uses of the object come before its death. Acquire: if this exchange
  // brings the count to zero, everybody else's uses came before, too.
  bool CompareExchangeShared(uint64_t* expected, uint64_t desired) {
    return __atomic_compare_exchange_n(&word1_, expected, desired, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
  }

  // --- the link of a DEAD object ---
  static Header* LinkOf(uint64_t word) { return reinterpret_cast<Header*>(word & kLinkMask); }
  Header* Link() const { return LinkOf(Shared(std::memory_order_relaxed)); }
  // Only the destroyer, who alone may write a DEAD object's word; flags stay readable for all.
  void SetLink(Header* next) {
    const uint64_t flags = Shared(std::memory_order_relaxed) & kFlags;
    SetShared(flags | reinterpret_cast<uintptr_t>(next));
  }
  // The same where the link is null.
  void AddLink(Header* next) {
    SetShared(Shared(std::memory_order_relaxed) + reinterpret_cast<uintptr_t>(next));
  }

 private:
  using Word = uint32_t __attribute__((may_alias));
  using Half = uint16_t __attribute__((may_alias));
  using Byte = uint8_t __attribute__((may_alias));

  template <typename Field>
  Field* Narrow(size_t offset) const {
    return reinterpret_cast<Field*>(const_cast<char*>(reinterpret_cast<const char*>(this)) +
                                    offset);
  }
  Word* LocalPtr() const { return Narrow<Word>(0); }

  uint64_t word0_;
  uint64_t word1_;
};
static_assert(sizeof(Header) == Header::kBytes);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the narrow fields assume little endian");

}  // namespace reef::internal

#endif  // REEF_INTERNAL_HEADER_H_
