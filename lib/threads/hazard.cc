#include "lib/threads/hazard.h"

namespace reef::threads {
namespace {

HazardBatch g_hazards[kMaxMarkers];
std::atomic<int> g_markers{1};  // relaxed: see SetMarkers
// Release by destroyers (the link is written), acquire by the collector.
std::atomic<Header*> g_handed_over{nullptr};

}  // namespace

void HazardBatch::Publish(Header* const* objects, int count) {
  if (count == 0) return;
  for (int i = 0; i < count - 1; ++i) objects_[i].store(objects[i], std::memory_order_release);
  // An exchange, not a fence: some compilers make a fence an MFENCE, which halves the mark rate.
  (void)objects_[count - 1].exchange(objects[count - 1], std::memory_order_seq_cst);
  published_ = count;
}

void HazardBatch::Clear() {
  for (int i = 0; i < published_; ++i) objects_[i].store(nullptr, std::memory_order_release);
  published_ = 0;
}

void HazardBatch::Forget() {
  for (auto& entry : objects_) entry.store(nullptr, std::memory_order_relaxed);
  published_ = 0;
}

bool HazardBatch::Holds(const Header* object) const {
  for (const auto& entry : objects_) {
    if (entry.load(std::memory_order_seq_cst) == object) return true;
  }
  return false;
}

void ForgetHazards() {
  for (HazardBatch& batch : g_hazards) batch.Forget();
}

HazardBatch& HazardsOf(int marker) { return g_hazards[marker]; }

void SetMarkers(int count) { g_markers.store(count, std::memory_order_relaxed); }

bool IsHazardous(const Header* object) {
  const int markers = g_markers.load(std::memory_order_relaxed);
  for (int i = 0; i < markers; ++i) {
    if (g_hazards[i].Holds(object)) return true;
  }
  return false;
}

void HandOver(Header* object) {
  Header* head = g_handed_over.load(std::memory_order_relaxed);
  do {
    object->SetLink(head);
  } while (!g_handed_over.compare_exchange_weak(head, object, std::memory_order_release,
                                                std::memory_order_relaxed));
}

Header* TakeHandedOver() { return g_handed_over.exchange(nullptr, std::memory_order_acquire); }

bool AnyHandedOver() { return g_handed_over.load(std::memory_order_relaxed) != nullptr; }

}  // namespace reef::threads
