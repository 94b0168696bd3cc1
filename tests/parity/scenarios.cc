// The scenarios of scenarios.py, on Reef: both programs must print the same.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "reef/reef.h"

namespace {

using reef::Finalizer;
using reef::Make;
using reef::Member;
using reef::Ref;
using reef::Visitor;
using reef::Weak;
using reef::WeakCallback;
using reef::WeakKeyMap;

// In which order the finalizers of one garbage graph run is nobody's promise: they are collected
// there, and printed in the order of their names.
std::vector<std::string>* g_collected = nullptr;

void Finalized(const std::string& name) {
  if (g_collected == nullptr) {
    std::cout << "finalize " << name << '\n';
  } else {
    g_collected->push_back(name);
  }
}

void CollectAndPrint() {
  std::vector<std::string> collected;
  g_collected = &collected;
  (void)reef::DefaultHeap().Collect();
  g_collected = nullptr;
  std::sort(collected.begin(), collected.end());
  for (const std::string& name : collected) Finalized(name);
}

struct Node {
  explicit Node(std::string own_name) : name(std::move(own_name)) {}
  void Trace(Visitor& v) const { v.Visit(other); }
  void Finalize(Ref<Node> self) {
    Finalized(name);
    if (on_finalize) on_finalize(std::move(self));
  }
  std::string name;
  Member<Node> other;
  std::function<void(Ref<Node>)> on_finalize;
};

struct Plain {
  void Trace(Visitor& v) const { v.Visit(other); }
  void Greet(const std::string& word) { std::cout << "hello, " << word << '\n'; }
  Member<Plain> other;
  WeakCallback<Plain> watch;
};

std::function<void()> Note(const char* word) {
  return [word] { std::cout << word << '\n'; };
}

void Title(const char* text) { std::cout << "-- " << text << '\n'; }

// As Python prints them.
const char* Word(bool value) { return value ? "True" : "False"; }
template <typename... Values>
void Print(Values... values) {
  const char* separator = "";
  ((std::cout << separator << values, separator = " "), ...);
  std::cout << '\n';
}

reef::CollectionReport Collect() { return reef::DefaultHeap().Collect(); }

std::vector<Ref<Node>> g_saved;
void Save(Ref<Node> node) { g_saved.push_back(std::move(node)); }

void LetGo() {
  g_saved[0]->on_finalize = nullptr;
  g_saved.clear();
}

void CountedDeaths() {
  Title("three names, and the argument");
  {
    const Ref<Plain> a = Make<Plain>();
    const Ref<Plain> b = a;
    const Ref<Plain> c = b;
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

void WeakKeys(const Ref<Plain>& kept) {
  Title("a map with weak keys: entries go with their keys, values with the entries");
  {
    WeakKeyMap<Plain, Plain> values;
    Ref<Plain> plain = Make<Plain>();
    Ref<Plain> value = Make<Plain>();
    const WeakCallback<Plain> one(value, Note("value one"));
    values.Set(plain, std::move(value));
    value = Make<Plain>();
    const WeakCallback<Plain> two(value, Note("value two"));
    values.Set(kept, std::move(value));
    Print(values.size(), Word(values.Find(plain) == one.Lock()),
          Word(static_cast<bool>(values.Find(plain))), reef::WeakCount(plain));
    plain = nullptr;
    Print(values.size(), Word(!one.Lock()), Word(!two.Lock()));
    values.Set(kept, Make<Plain>());
    Print(values.size(), Word(!two.Lock()));
    const bool taken = static_cast<bool>(values.Take(kept));
    Print(Word(taken), Word(!values.Take(kept)), values.size());
  }

  Title("a map with weak keys: cycles of keys and values, but for those through their own entry");
  {
    WeakKeyMap<Plain, Plain> values;
    Ref<Plain> plain = Make<Plain>();
    plain->other = Make<Plain>();
    plain->other->other = plain;
    values.Set(plain, Make<Plain>());
    const WeakCallback<Plain> one(values.Find(plain), Note("value"));
    plain = nullptr;
    (void)Collect();
    Print(values.size(), Word(!one.Lock()));
  }

  Title("a map with weak keys: its end drops the values, not the keys");
  {
    const Ref<Plain> plain = Make<Plain>();
    auto values = std::make_unique<WeakKeyMap<Plain, Plain>>();
    Ref<Plain> value = Make<Plain>();
    const WeakCallback<Plain> one(value, Note("value"));
    values->Set(plain, std::move(value));
    values.reset();
    Print(Word(!one.Lock()), reef::WeakCount(plain));
  }
}

void Handles(const Ref<Plain>& kept) {
  Title("finalizer handles: at death, by hand, detached");
  {
    Ref<Plain> plain = Make<Plain>();
    Finalizer one(plain, Note("at death"));
    Finalizer two(plain, Note("by hand"));
    Finalizer three(plain, Note("detached"));
    Print(Word(one.alive()), Word(two.alive()), Word(three.alive()));
    two();
    two();
    (void)three.Detach();
    plain = nullptr;
    Print(Word(one.alive()), Word(two.alive()), Word(three.alive()));
  }

  Title("weak containers forget the dead");
  {
    reef::WeakValueMap<std::string, Plain> values;
    reef::WeakSet<Plain> names;
    Ref<Plain> plain = Make<Plain>();
    values.Set("gone", plain);
    values.Set("kept", kept);
    names.Insert(plain);
    names.Insert(kept);
    Print(values.size(), names.size(), Word(values.Find("gone") == plain),
          Word(names.Contains(plain)));
    plain = nullptr;
    Print(values.size(), names.size(), Word(!values.Find("gone")), Word(names.Contains(kept)));
  }

  Title("callbacks of an object: those that will be called");
  {
    Ref<Plain> plain = Make<Plain>();
    const Weak<Plain> one = plain;
    const WeakCallback<Plain> two(plain, Note("callback two"));
    WeakCallback<Plain> three(plain, Note("callback three"));
    Print(reef::CallbackCount(plain));
    three.Cancel();
    Print(reef::CallbackCount(plain));
    plain = nullptr;
  }

  WeakKeys(kept);

  Title("a weakly bound method");
  {
    Ref<Plain> plain = Make<Plain>();
    const auto greet = reef::WeakFunction(plain, &Plain::Greet);
    greet("you");
    plain = nullptr;
    Print(Word(!greet("you")));
  }

  Title("at exit: the newest first");
  Finalizer first(kept, Note("one"));
  Finalizer second(kept, Note("two"));
  Finalizer third(kept, Note("silent"));
  third.set_at_exit(false);
  Print("end");
}

}  // namespace

int main() {
  // Alive at exit, and never dropped, as what a Python module holds.
  static const auto* const kept = new Ref<Plain>(Make<Plain>());
  reef::DefaultHeap().DisableCollection();
  CountedDeaths();
  Cycles();
  Exceptions();
  Control();
  Handles(*kept);
}
