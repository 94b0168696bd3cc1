// The lock-free examples against the standard containers behind one mutex, which is what a program
// would use in their place. Per operation, with one thread (what it costs) and with several (what
// it bears). For Google Benchmark only.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/suite.h"
#include "docs/examples/lock_free/hash_map.h"
#include "docs/examples/lock_free/michael_scott_queue.h"
#include "docs/examples/lock_free/ordered_set.h"
#include "docs/examples/lock_free/treiber_stack.h"

namespace bench {
namespace {

struct LockFreeTag;
using Object = Words<LockFreeTag>;
using Handle = std::shared_ptr<Object>;

constexpr uint32_t kSetKeys = 64;  // a list: a search passes a quarter of them
constexpr uint32_t kMapKeys = 4096;

// --- a push and a pop ---

struct Stack {
  void Step(Random& random) {
    stack->Push(reef::Make<Object>(random.Next()));
    Keep(stack->Pop().get());
  }
  using Type = lock_free::TreiberStack<Object>;
  reef::Ref<Type> stack = reef::Make<Type>(reef::DefaultHeap());
};
struct LockedStack {
  void Step(Random& random) {
    Handle handle = std::make_shared<Object>(random.Next());
    {
      const std::lock_guard<std::mutex> lock(mutex);
      stack.push(std::move(handle));
    }
    const std::lock_guard<std::mutex> lock(mutex);
    handle = std::move(stack.top());
    stack.pop();
    Keep(handle.get());
  }
  std::mutex mutex;
  std::stack<Handle, std::vector<Handle>> stack;
};

struct Queue {
  void Step(Random& random) {
    queue->Enqueue(reef::Make<Object>(random.Next()));
    Keep(queue->Dequeue().get());
  }
  using Type = lock_free::MichaelScottQueue<Object>;
  reef::Ref<Type> queue = reef::Make<Type>(reef::DefaultHeap());
};
struct LockedQueue {
  void Step(Random& random) {
    Handle handle = std::make_shared<Object>(random.Next());
    {
      const std::lock_guard<std::mutex> lock(mutex);
      queue.push(std::move(handle));
    }
    const std::lock_guard<std::mutex> lock(mutex);
    handle = std::move(queue.front());
    queue.pop();
    Keep(handle.get());
  }
  std::mutex mutex;
  std::queue<Handle> queue;
};

// --- eight looks in ten steps, one insertion, one removal ---

struct Set {
  void Step(Random& random) {
    const int64_t key = random.Below(kSetKeys);
    const uint32_t draw = random.Below(10);
    if (draw == 0) (void)set->Insert(key);
    if (draw == 1) (void)set->Remove(key);
    if (draw > 1) found += set->Contains(key) ? 1 : 0;
    Keep(&found);
  }
  using Type = lock_free::OrderedSet<int64_t>;
  static inline thread_local uint64_t found = 0;
  reef::Ref<Type> set = reef::Make<Type>(reef::DefaultHeap());
};
struct LockedSet {
  void Step(Random& random) {
    const int64_t key = random.Below(kSetKeys);
    const uint32_t draw = random.Below(10);
    const std::lock_guard<std::mutex> lock(mutex);
    if (draw == 0) set.insert(key);
    if (draw == 1) set.erase(key);
    if (draw > 1) found += set.contains(key) ? 1 : 0;
    Keep(&found);
  }
  static inline thread_local uint64_t found = 0;
  std::mutex mutex;
  std::set<int64_t> set;
};

struct Map {
  void Step(Random& random) {
    const int64_t key = random.Below(kMapKeys);
    const uint32_t draw = random.Below(10);
    if (draw == 0) map->Set(key, reef::Make<Object>(random.Next()));
    if (draw == 1) (void)map->Remove(key);
    if (draw > 1) Keep(map->Get(key).get());
  }
  using Type = lock_free::HashMap<int64_t, Object>;
  reef::Ref<Type> map = reef::Make<Type>(reef::DefaultHeap());
};
struct LockedMap {
  void Step(Random& random) {
    const int64_t key = random.Below(kMapKeys);
    const uint32_t draw = random.Below(10);
    Handle handle = draw == 0 ? std::make_shared<Object>(random.Next()) : nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (draw == 0) {
        std::swap(map[key], handle);
      } else if (const auto found = map.find(key); found != map.end()) {
        handle = found->second;
        if (draw == 1) map.erase(found);
      }
    }
    Keep(handle.get());
  }
  std::mutex mutex;
  std::unordered_map<int64_t, Handle> map;
};

// A rise with one thread means that brackets, counts or grace periods cost more; with several,
// that more of the cells' lines travel.
template <typename Structure, int kThreads>
double Steps(uint64_t operations) {
  Structure structure;
  Random first(1);
  for (uint32_t i = 0; i < kMapKeys; ++i) structure.Step(first);
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  WallTimer timer;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Random random(static_cast<uint64_t>(thread) + 2);
      structure.Step(random);
      // All begin together; the last one starts the clock.
      if (ready.fetch_add(1) + 1 == kThreads) {
        timer = WallTimer();
        ready.store(2 * kThreads);
      }
      while (ready.load() != 2 * kThreads) std::this_thread::yield();
      for (uint64_t i = 0; i < operations / kThreads; ++i) structure.Step(random);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return timer.Elapsed();
}

template <typename Structure, typename Locked, int kThreads>
void AddOne(Suite& suite, const std::string& name) {
  const std::string threads = kThreads == 1 ? ", one thread" : ", 4 threads";
  suite.push_back(Workload{.name = name + threads, .operations = 400'000, .in_table = false}
                      .Add(Column::kReef, Steps<Structure, kThreads>)
                      .Add(Column::kGlibcShared, Steps<Locked, kThreads>));
}

template <typename Structure, typename Locked>
void AddBoth(Suite& suite, const std::string& name) {
  AddOne<Structure, Locked, 1>(suite, name);
  AddOne<Structure, Locked, 4>(suite, name);
}

}  // namespace

void AddLockFree(Suite& suite) {
  AddBoth<Stack, LockedStack>(suite, "lock-free stack");
  AddBoth<Queue, LockedQueue>(suite, "lock-free queue");
  AddBoth<Set, LockedSet>(suite, "lock-free set");
  AddBoth<Map, LockedMap>(suite, "lock-free map");
}

}  // namespace bench
