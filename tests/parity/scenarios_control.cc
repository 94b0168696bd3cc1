// The scenarios of control: switches, callbacks, frozen objects, kept garbage.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "reef/reef.h"
#include "tests/parity/world.h"

namespace reef::parity {

void Control() {
  reef::Heap& heap = reef::DefaultHeap();
  Title("switched off, on and off again");
  Print(Word(heap.IsCollectionEnabled()));
  heap.EnableCollection();
  Print(Word(heap.IsCollectionEnabled()));
  heap.DisableCollection();
  Print(Word(heap.IsCollectionEnabled()));

  Title("callbacks before and after a collection");
  {
    std::vector<std::string> events;
    reef::CollectionCallback told = heap.OnCollection([&](const reef::CollectionEvent& event) {
      const bool start = event.moment == reef::CollectionEvent::Moment::kStart;
      events.push_back((start ? "start " : "stop ") + std::to_string(event.report.objects));
    });
    Ref<Plain> plain = Make<Plain>();
    plain->other = Make<Plain>();
    plain->other->other = plain;
    plain = nullptr;
    (void)Collect();
    told.Reset();
    Print(events.at(0), events.at(1));
    events.clear();
    (void)Collect();
    Print(events.size());
  }
}

void FrozenAndKept() {
  reef::Heap& heap = reef::DefaultHeap();
  Title("frozen: spared and counted, until unfrozen");
  {
    (void)heap.Freeze();
    const uint64_t before = heap.FreezeCount();
    Ref<Plain> plain = Make<Plain>();
    plain->other = Make<Plain>();
    plain->other->other = plain;
    const Weak<Plain> one = plain;
    plain = nullptr;
    (void)heap.Freeze();
    Print(heap.FreezeCount() - before);
    plain = Make<Plain>();
    plain->other = plain;
    plain = nullptr;
    Print(Collect().objects);
    Print(Word(one.IsKnownDead()));
    (void)heap.Unfreeze();
    Print(heap.FreezeCount());
    Print(Collect().objects);
    Print(Word(!one.Lock()));
  }

  Title("garbage that is kept: finalized, and in a list");
  {
    const reef::DebugFlags keep{.keep_garbage = true};
    heap.SetDebug(keep);
    Print(Word(heap.Debug() == keep));
    Ref<Node> node = Make<Node>("a");
    node->other = node;
    node = nullptr;
    (void)Collect();
    std::vector<reef::AnyRef> garbage = heap.TakeGarbage();
    Print(garbage.size(), garbage.at(0).As<Node>()->name, Word(garbage.at(0).Is<Node>()));
    heap.SetDebug({});
    Print(Collect().objects);
    garbage.clear();
    Print(Collect().objects);
  }
}

}  // namespace reef::parity
