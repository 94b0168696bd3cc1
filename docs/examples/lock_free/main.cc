// Four lock-free structures at work: threads change them at the same time, nobody waits, and no
// line of them frees anything. When they are dropped, nothing is left, cycles included.
#include <atomic>
#include <cstdint>
#include <iostream>
#include <thread>
#include <vector>

#include "docs/examples/lock_free/hash_map.h"
#include "docs/examples/lock_free/michael_scott_queue.h"
#include "docs/examples/lock_free/ordered_set.h"
#include "docs/examples/lock_free/treiber_stack.h"
#include "reef/reef.h"

namespace {

constexpr int kThreads = 4;
constexpr int64_t kEach = 50'000;

// Everything is within reach of everything: a job knows the board that it hangs on.
struct Board;
struct Job {
  Job(int64_t its_number, const reef::Ref<Board>& its_board)
      : number(its_number), board(its_board) {}
  void Trace(reef::Visitor& visitor) const { visitor.Visit(board); }
  int64_t number;
  reef::Member<Board> board;
};
struct Board {
  explicit Board(reef::Heap& heap) : stack(heap), queue(heap), numbers(heap), jobs(heap) {}
  void Trace(reef::Visitor& visitor) const { visitor.Visit(stack, queue, numbers, jobs); }
  lock_free::TreiberStack<Job> stack;
  lock_free::MichaelScottQueue<Job> queue;
  lock_free::OrderedSet<int64_t> numbers;
  lock_free::HashMap<int64_t, Job> jobs;
};

std::atomic<int64_t> g_passed_on{0};
std::atomic<int64_t> g_inserted{0};

// Jobs travel from the stack to the queue to the map.
void Work(reef::Heap& heap, const reef::Ref<Board>& board, int64_t thread) {
  for (int64_t i = 0; i < kEach; ++i) {
    const int64_t number = i * kThreads + thread;
    board->stack.Push(heap.Make<Job>(number, board));
    if (reef::Ref<Job> job = board->stack.Pop()) board->queue.Enqueue(std::move(job));
    if (const reef::Ref<Job> job = board->queue.Dequeue()) {
      board->jobs.Set(job->number, job);
      ++g_passed_on;
      if (board->numbers.Insert(job->number % 200)) ++g_inserted;
    }
    if (i % 3 == 0) board->jobs.Remove(number);
    if (board->numbers.Remove(number * 7 % 200)) --g_inserted;
  }
}

}  // namespace

int main() {
  reef::Heap& heap = reef::DefaultHeap();
  int64_t members = 0;
  {
    const reef::Ref<Board> board = heap.Make<Board>(heap);
    std::vector<std::thread> threads;
    for (int64_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&heap, &board, i] { Work(heap, board, i); });
    }
    for (std::thread& thread : threads) thread.join();
    for (int64_t number = 0; number < 200; ++number) members += board->numbers.Contains(number);
  }
  std::cout << "A stack, a queue, an ordered set and a hash map, without a lock\n\n"
            << "  threads                 " << kThreads << "\n"
            << "  jobs passed on          " << g_passed_on << " of " << kThreads * kEach << "\n"
            << "  numbers in the set      " << members << ", counted " << g_inserted << "\n";
  const reef::CollectionReport report = heap.Collect();
  std::cout << "  in one cycle at the end " << report.objects << " objects\n"
            << "  left after collecting   " << heap.Stats().live_objects << "\n";
  const bool sound =
      g_passed_on == kThreads * kEach && members == g_inserted && heap.Stats().live_objects == 0;
  return sound ? 0 : 1;
}
