// Objects handed from thread to thread in every way there is: Refs moved and copied through queues,
// with the bias given up and taken, through atomic roots and edges, inside other objects, by owners
// that end. Each object's payload is checked wherever it arrives, and at rest none may be left.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "reef/reef.h"
#include "stress/program.h"

namespace reef::stress {
namespace {

std::atomic<int64_t> g_alive{0};

// What an object carries: a value, and three words that follow from it.
class Cargo {
 public:
  explicit Cargo(uint64_t value) : words_{value, ~value, value * 3, value ^ kSalt} {
    g_alive.fetch_add(1, std::memory_order_relaxed);
  }
  ~Cargo() {
    Check();
    words_.fill(0);
    g_alive.fetch_sub(1, std::memory_order_release);
  }
  Cargo(const Cargo&) = delete;
  Cargo& operator=(const Cargo&) = delete;

  void Check() const {
    const uint64_t value = words_[0];
    if (words_[1] == ~value && words_[2] == value * 3 && words_[3] == (value ^ kSalt)) return;
    std::fprintf(stderr, "hand_off_stress: a payload is damaged at %p (%llx)\n",
                 static_cast<const void*>(this), static_cast<unsigned long long>(value));
    std::abort();
  }

 private:
  static constexpr uint64_t kSalt = 0x9e37'79b9'7f4a'7c15;
  std::array<uint64_t, 4> words_;
};

// A leaf: biased, shared and adopted without brackets.
struct Parcel {
  explicit Parcel(uint64_t value) : cargo(value) {}
  Cargo cargo;
};

struct Crate {
  explicit Crate(uint64_t value) : cargo(value) {}
  void Trace(Visitor& v) const { v.Visit(parcel, next, slot); }
  Cargo cargo;
  Member<Parcel> parcel;
  Member<Crate> next;  // written before the crate is handed over, and by its only holder
  AtomicMember<Crate> slot;
};

struct Goods {
  Ref<Parcel> parcel;
  Ref<Crate> crate;
  void Check() const {
    if (parcel) parcel->cargo.Check();
    if (crate) crate->cargo.Check();
  }
};

class Story {
 public:
  Story(Heap& heap, int threads, uint64_t seed)
      : heap_(heap), seed_(seed), queues_(static_cast<size_t>(threads)) {
    board_ = heap_.Make<Crate>(uint64_t{0});
    for (AtomicRef<Crate>& post : posts_) post.Store(nullptr);
  }

  // One thread of one round; it ends with whatever it still holds in queues and posts.
  void Work(size_t index, uint64_t round, size_t steps) {
    std::mt19937_64 random(seed_ + round * 1'000'003 + index * 7919);
    std::deque<Goods> held;
    for (size_t step = 0; step < steps; ++step) {
      switch (Below(random, 12)) {
        case 0:
        case 1:
          held.push_back(Pack(random));
          break;
        case 2:
          Send(random, &held, Below(random, queues_.size()));
          break;
        case 3:
        case 4:
          Receive(index, &held);
          break;
        case 5:
          SendShared(random, &held);
          break;
        case 6:
          Post(random, &held);
          break;
        case 7:
          OnBoard(random, &held);
          break;
        case 8:
          Link(random);
          break;
        case 9:
          Unlink(random, &held);
          break;
        case 10:
          SendCopies(random, &held);
          break;
        default:
          if (!held.empty()) held.pop_front();
          break;
      }
      while (held.size() > kMostHeld) held.pop_front();
    }
    for (Goods& goods : held) {
      if (Below(random, 2) == 0) Push(Below(random, queues_.size()), std::move(goods));
    }
  }

  void DropAll() {
    for (Queue& queue : queues_) queue.goods.clear();
    chains_.clear();
    for (AtomicRef<Crate>& post : posts_) post.Store(nullptr);
    board_->slot.Store(nullptr);
  }

 private:
  static constexpr size_t kMostHeld = 200;
  static constexpr size_t kMostQueued = 500;

  struct Queue {
    std::mutex mutex;
    std::deque<Goods> goods;
  };

  Goods Pack(std::mt19937_64& random) {
    Goods goods;
    const size_t draw = Below(random, 4);
    if (draw != 0) goods.parcel = heap_.Make<Parcel>(random());
    if (draw != 1) {
      goods.crate = heap_.Make<Crate>(random());
      if (draw == 2) goods.crate->parcel = goods.parcel;
      if (draw == 3) goods.crate->parcel = std::move(goods.parcel);
    }
    return goods;
  }

  void Push(size_t to, Goods goods) {
    Queue& queue = queues_[to];
    const std::lock_guard<std::mutex> lock(queue.mutex);
    if (queue.goods.size() < kMostQueued) queue.goods.push_back(std::move(goods));
  }

  void Send(std::mt19937_64& random, std::deque<Goods>* held, size_t to) {
    if (held->empty()) return;
    Goods goods = std::move(held->back());
    held->pop_back();
    goods.Check();
    if (Below(random, 2) == 0) held->push_back(goods);  // a copy stays
    Push(to, std::move(goods));
  }
  void SendShared(std::mt19937_64& random, std::deque<Goods>* held) {
    if (held->empty()) return;
    Goods goods = std::move(held->front());
    held->pop_front();
    goods.parcel = std::move(goods.parcel).Share();
    goods.crate = std::move(goods.crate).Share();
    Push(Below(random, queues_.size()), std::move(goods));
  }
  void SendCopies(std::mt19937_64& random, std::deque<Goods>* held) {
    if (held->empty()) return;
    const Goods& goods = (*held)[Below(random, held->size())];
    for (size_t to = 0; to < queues_.size(); ++to) Push(to, goods);
  }
  void Receive(size_t index, std::deque<Goods>* held) {
    std::deque<Goods> received;
    {
      Queue& queue = queues_[index];
      const std::lock_guard<std::mutex> lock(queue.mutex);
      received.swap(queue.goods);
    }
    size_t count = 0;
    for (Goods& goods : received) {
      goods.Check();
      if (++count % 2 == 0) {
        goods.parcel = std::move(goods.parcel).Adopt();
        goods.crate = std::move(goods.crate).Adopt();
      }
      if (count % 3 != 0) held->push_back(std::move(goods));
    }
  }
  void Post(std::mt19937_64& random, std::deque<Goods>* held) {
    AtomicRef<Crate>& post = posts_[Below(random, posts_.size())];
    const size_t draw = Below(random, 4);
    if (draw == 0 && !held->empty()) {
      held->push_back({nullptr, post.Exchange(held->front().crate)});
    } else if (draw == 1 && !held->empty()) {
      Ref<Crate> expected = post.Load();
      (void)post.CompareExchange(expected, held->back().crate);
      if (expected) expected->cargo.Check();
    } else if (draw == 2) {
      held->push_back({nullptr, post.Load()});
    } else {
      const ReadScope scope;
      if (const Crate* crate = post.Peek(scope)) {
        crate->cargo.Check();
        if (const Crate* further = crate->slot.Peek(scope)) further->cargo.Check();
      }
    }
    if (!held->empty()) held->back().Check();
  }
  // Through an atomic edge, of the board or of one of the crates.
  void OnBoard(std::mt19937_64& random, std::deque<Goods>* held) {
    if (held->empty()) return;
    const Ref<Crate> other = (*held)[Below(random, held->size())].crate;
    Crate* crate = Below(random, 2) == 0 || !other ? board_.get() : other.get();
    Ref<Crate> old = crate->slot.Exchange(held->back().crate);
    if (old) old->cargo.Check();
    held->push_back({nullptr, std::move(old)});
  }
  // A chain of crates, which travels as one.
  void Link(std::mt19937_64& random) {
    Ref<Crate> chain;
    for (size_t count = 1 + Below(random, 10); count != 0; --count) {
      Ref<Crate> crate = heap_.Make<Crate>(random());
      crate->next = std::move(chain);
      chain = std::move(crate);
    }
    if (Below(random, 4) == 0) {  // or a ring of them
      Crate* last = chain.get();
      while (last->next) last = last->next.get();
      last->next = chain;
    }
    const std::lock_guard<std::mutex> lock(chains_mutex_);
    if (chains_.size() < kMostQueued) chains_.push_back(std::move(chain));
  }
  // Takes a chain, of which it is then the only holder, apart.
  void Unlink(std::mt19937_64& random, std::deque<Goods>* held) {
    Ref<Crate> chain;
    {
      const std::lock_guard<std::mutex> lock(chains_mutex_);
      if (chains_.empty()) return;
      chain = std::move(chains_.front());
      chains_.pop_front();
    }
    if (Below(random, 3) == 0) return;  // at once, or as a cycle
    for (size_t hops = 0; chain && hops < 12; ++hops) {
      chain->cargo.Check();
      Ref<Crate> rest = chain->next.Take();
      if (Below(random, 3) == 0) held->push_back({nullptr, std::move(chain)});
      chain = std::move(rest);
    }
  }

  Heap& heap_;
  const uint64_t seed_;
  std::vector<Queue> queues_;
  std::array<AtomicRef<Crate>, 8> posts_;
  Ref<Crate> board_;
  std::mutex chains_mutex_;
  std::deque<Ref<Crate>> chains_;
};

int Run(int argc, char** argv) {
  Program program("hand_off_stress", argc, argv);
  const std::unique_ptr<Heap> heap = NewHeap(EagerOptions());
  {
    Story story(*heap, program.threads(), program.seed());
    for (uint64_t round = 1; program.Running(); ++round) {
      // Every round has new threads, so that owners end and their slots are taken over.
      RunThreads(program.threads(), [&](int i) {
        story.Work(static_cast<size_t>(i), round, kSlowBuild ? 3000 : 30'000);
      });
      if (round % 4 == 0) {
        story.DropAll();
        (void)heap->Collect();
        program.Expect(g_alive.load() == 1, "the board alone lives, not", g_alive.load(),
                       "objects:");
        program.Require(heap->Verify());
      }
      program.Progress("round", round, "alive", g_alive.load(), "collections",
                       heap->Stats().collections);
    }
    story.DropAll();
  }
  (void)heap->Collect();
  program.Expect(g_alive.load() == 0, g_alive.load(), "objects are left: nothing");
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
