// What the scenarios share: objects that say what happens to them, in Python's words.
#ifndef REEF_TESTS_PARITY_WORLD_H_
#define REEF_TESTS_PARITY_WORLD_H_

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "reef/reef.h"

namespace reef::parity {

// In which order the finalizers of one garbage graph run is nobody's promise: they are collected
// there, and printed in the order of their names.
inline std::vector<std::string>* g_collected = nullptr;

inline void Finalized(const std::string& name) {
  if (g_collected == nullptr) {
    std::cout << "finalize " << name << '\n';
  } else {
    g_collected->push_back(name);
  }
}

inline void CollectAndPrint() {
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

inline std::function<void()> Note(const char* word) {
  return [word] { std::cout << word << '\n'; };
}

inline void Title(const char* text) { std::cout << "-- " << text << '\n'; }

// As Python prints them.
inline const char* Word(bool value) { return value ? "True" : "False"; }
template <typename... Values>
void Print(Values... values) {
  const char* separator = "";
  ((std::cout << separator << values, separator = " "), ...);
  std::cout << '\n';
}

inline reef::CollectionReport Collect() { return reef::DefaultHeap().Collect(); }

inline std::vector<Ref<Node>> g_saved;
inline void Save(Ref<Node> node) { g_saved.push_back(std::move(node)); }

inline void LetGo() {
  g_saved[0]->on_finalize = nullptr;
  g_saved.clear();
}

// The parts of the program, in the order of scenarios.py. `kept` lives to the end, as what a Python
// module holds.
void CountedDeaths();
void FinalizersOfCountedDeaths();
void Cycles();
void Exceptions();
void Control();
void FrozenAndKept();
void Handles(const Ref<Plain>& kept);
void WeakKeys(const Ref<Plain>& kept);
void MethodsAndTheEnd(const Ref<Plain>& kept);

}  // namespace reef::parity

#endif  // REEF_TESTS_PARITY_WORLD_H_
