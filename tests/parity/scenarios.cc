// The scenarios of scenarios.py, on Reef: both programs must print the same. Deaths, cycles, and
// what throws; the others are in scenarios_control.cc and scenarios_handles.cc.

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "reef/reef.h"
#include "tests/parity/world.h"

namespace reef::parity {

void CountedDeaths() {
  Title("three names, and the argument");
  {
    const Ref<Plain> a = Make<Plain>();
    const Ref<Plain> b = a;  // NOLINT(performance-unnecessary-copy-initialization): counted
    const Ref<Plain> c = b;  // NOLINT(performance-unnecessary-copy-initialization)
    Print(reef::RefCount(a));
  }

  Title("a counted death is prompt; callbacks newest first, after the finalizer");
  {
    Ref<Node> node = Make<Node>("a");
    const WeakCallback<Node> one(node, Note("callback one"));
    const WeakCallback<Node> two(node, Note("callback two"));
    Print(reef::WeakCount(node));
    node = nullptr;
    Print("dropped");
    Print(Word(!one.Lock()), Word(!two.Lock()));
  }

  Title("a callback whose handle is gone is not called");
  {
    Ref<Node> node = Make<Node>("a");
    WeakCallback<Node> one(node, Note("callback one"));
    const WeakCallback<Node> two(node, Note("callback two"));
    one.Cancel();
    node = nullptr;
  }
}

void FinalizersOfCountedDeaths() {
  Title("the finalizer sees its object through a weak handle");
  {
    Ref<Node> node = Make<Node>("a");
    const Weak<Node> one = node;
    node->on_finalize = [&one](const Ref<Node>& self) { Print(Word(one.Lock() == self)); };
    node = nullptr;
    Print(Word(!one.Lock()));
  }

  Title("parents before children");
  {
    Ref<Node> node = Make<Node>("a");
    node->other = Make<Node>("b");
    node->other->other = Make<Node>("c");
    node = nullptr;
  }

  Title("resurrection, once");
  {
    Ref<Node> node = Make<Node>("a");
    const Weak<Node> one = node;
    node->on_finalize = &Save;
    node = nullptr;
    Print(g_saved.size(), Word(one.Lock() == g_saved[0]));
    LetGo();
    Print(Word(!one.Lock()));
  }
}

void Cycles() {
  Title("a cycle waits for the collector, which says what it found");
  {
    Ref<Plain> plain = Make<Plain>();
    plain->other = Make<Plain>();
    plain->other->other = plain;
    const Weak<Plain> one = plain;
    plain = nullptr;
    Print(Word(one.IsKnownDead()));
    Print(Collect().objects);
    Print(Word(!one.Lock()));
    Print(Collect().objects);
  }

  Title("a cycle with finalizers: each once, all gone when collect returns");
  {
    Ref<Node> node = Make<Node>("a");
    node->other = Make<Node>("b");
    node->other->other = node;
    const Weak<Node> two = node->other;
    node = nullptr;
    CollectAndPrint();
    Print(Word(!two.Lock()));
    (void)Collect();
  }

  Title("weak handles to a dead cycle: those from outside are called, those inside it are not");
  {
    Ref<Plain> plain = Make<Plain>();
    plain->other = Make<Plain>();
    plain->other->other = plain;
    plain->watch = WeakCallback<Plain>(plain->other, Note("from inside"));
    const WeakCallback<Plain> one(plain->other, Note("from outside"));
    plain = nullptr;
    (void)Collect();
    Print(Word(!one.Lock()));
  }

  Title("one member resurrects the rest");
  {
    Ref<Node> node = Make<Node>("a");
    node->other = Make<Node>("b");
    node->other->other = node;
    node->other->on_finalize = &Save;
    node = nullptr;
    CollectAndPrint();
    Print(g_saved.size(), g_saved[0]->name, g_saved[0]->other->name,
          Word(g_saved[0]->other->other == g_saved[0]));
    LetGo();
    (void)Collect();
    Print("gone");
  }
}

void Exceptions() {
  Title("what a finalizer raises goes to the hook, and its object dies");
  reef::SetUnraisableHook([](const reef::Unraisable& what) {
    try {
      std::rethrow_exception(what.exception);
    } catch (const std::exception& exception) {
      Print("unraisable:", exception.what());
    }
  });
  {
    Ref<Node> node = Make<Node>("a");
    const WeakCallback<Node> one(node, Note("callback"));
    node->on_finalize = [](const Ref<Node>&) { throw std::runtime_error("no"); };
    node = nullptr;
    Print(Word(!one.Lock()));
  }

  Title("what a callback raises goes there too, and the others are called");
  {
    Ref<Node> node = Make<Node>("a");
    const WeakCallback<Node> one(node, Note("callback one"));
    const WeakCallback<Node> two(node, [] { throw std::runtime_error("neither"); });
    node = nullptr;
  }

  Title("is_finalized");
  {
    Ref<Node> node = Make<Node>("a");
    Print(Word(IsFinalized(node)));
    node->on_finalize = &Save;
    node = nullptr;
    Print(Word(IsFinalized(g_saved[0])));
    LetGo();
  }
}

}  // namespace reef::parity

int main() {
  using namespace reef::parity;  // NOLINT(google-build-using-namespace)
  // Alive at exit, and never dropped, as what a Python module holds.
  static const auto* const kept = new reef::Ref<Plain>(reef::Make<Plain>());
  reef::DefaultHeap().DisableCollection();
  CountedDeaths();
  FinalizersOfCountedDeaths();
  Cycles();
  Exceptions();
  Control();
  FrozenAndKept();
  Handles(*kept);
  WeakKeys(*kept);
  MethodsAndTheEnd(*kept);
}
