// What the engine knows of a managed type: how to trace and destroy it, and how its objects travel.
//
// There is one constant-initialised TypeInfo per type, in each library that makes objects of it: a
// descriptor, and what it points to, are hidden, because the linker would otherwise give two
// libraries the first one's, which is wrong if their types only have the name in common, and would
// let the second be unloaded under its objects. It gets its index, which headers carry, when the
// first object is made with it (lib/object/type_registry.cc).
#ifndef REEF_INTERNAL_TYPE_INFO_H_
#define REEF_INTERNAL_TYPE_INFO_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "reef/internal/header.h"

namespace reef {
class Visitor;
template <typename T>
class Ref;
}  // namespace reef

#define REEF_HIDDEN __attribute__((visibility("hidden")))

namespace reef::internal {

// Its address names the library.
REEF_HIDDEN inline constinit char library_mark = 0;

struct TypeInfo {
  // What word 0 of a newborn says of its type: the index, and for a leaf colour and stage; with
  // kBornUnbiased while objects of the type are born so. Until registered: kBornUnbiased alone,
  // which sends births off the fast path. Release when registered, acquire by births: who reads the
  // index finds the entry in the table.
  std::atomic<uint64_t> birth{kBornUnbiased};
  const char* signature;  // of a function instantiated for the type: holds its name
  size_t bytes;
  size_t alignment;
  bool traced;
  bool trivial;  // a leaf without a destructor: dies by its header alone
  void (*trace)(const void* object, Visitor& visitor);
  void (*destroy)(void* object);
  void (*finalize)(void* object);  // null: the type has no Finalize
  const void* library;             // of the descriptor
  // Adaptive bias (lib/object/bias.h): deaths of biased objects, at home (sampled) and elsewhere.
  // Relaxed, and allowed to lose updates: they only steer.
  std::atomic<uint32_t> home_deaths{0};
  std::atomic<uint32_t> away_deaths{0};
};

template <typename T>
concept HasTrace = requires(const T& object, Visitor& visitor) { object.Trace(visitor); };

// A Trace that could be called, if only the object were not const: meant as one, and none.
template <typename T>
concept HasUnusableTrace =
    !HasTrace<T> && requires(T& object, Visitor& visitor) { object.Trace(visitor); };

template <typename T>
concept HasFinalize = requires(T& object, Ref<T> self) { object.Finalize(self); };

// A class with a member named Finalize, whatever it is and whoever may use it: then the name is
// ambiguous in a class that inherits another one. (Of a final class only what can be named.)
struct NamesFinalize {
  int Finalize;
};
template <typename T>
struct InheritsBoth : T, NamesFinalize {};
template <typename T>
concept HasNamedFinalize =
    std::is_class_v<T> && ((std::is_final_v<T> && requires { &T::Finalize; }) ||
                           (!std::is_final_v<T> && !requires { &InheritsBoth<T>::Finalize; }));

// A Finalize that Reef cannot call: meant as one, and none.
template <typename T>
concept HasUnusableFinalize = HasNamedFinalize<T> && !HasFinalize<T>;

// A type with Finalize has one hidden word behind the payload: the link of the lists in which its
// objects wait for their finalizers. (They are alive meanwhile, so that their counts move.)
constexpr size_t FinalizerLinkOffset(size_t object_bytes) {
  return (object_bytes + sizeof(void*) - 1) / sizeof(void*) * sizeof(void*);
}
template <typename T>
inline constexpr size_t kPayloadBytes =
    HasFinalize<T> ? FinalizerLinkOffset(sizeof(T)) + sizeof(void*) : sizeof(T);

template <typename T>
constexpr const char* SignatureOf() {
  return __PRETTY_FUNCTION__;
}

// A marker that left half an object untraced would condemn what is alive: it ends the process.
template <typename T>
REEF_HIDDEN void TraceObject(const void* object, Visitor& visitor) noexcept {
  if constexpr (HasTrace<T>) static_cast<const T*>(object)->Trace(visitor);
}

template <typename T>
REEF_HIDDEN void DestroyObject(void* object) {
  static_cast<T*>(object)->~T();
}

template <typename T>
REEF_HIDDEN void FinalizeObject(void* object) {
  if constexpr (HasFinalize<T>) {
    if (object == nullptr) __builtin_unreachable();  // or some compilers warn of that case
    static_cast<T*>(object)->Finalize(Ref<T>::FromManaged(static_cast<T*>(object)));
  }
}

template <typename T>
struct REEF_HIDDEN TypeOf {
  static inline constinit TypeInfo info{
      .signature = SignatureOf<T>(),
      .bytes = sizeof(T),
      .alignment = alignof(T),
      .traced = HasTrace<T>,
      .trivial = !HasTrace<T> && !HasFinalize<T> && std::is_trivially_destructible_v<T>,
      .trace = &TraceObject<T>,
      .destroy = &DestroyObject<T>,
      .finalize = HasFinalize<T> ? &FinalizeObject<T> : nullptr,
      .library = &library_mark,
  };
};

// True if the descriptors are of one type. In one library a type has one; in two it is told by its
// name, size and alignment, unless its name does not mean the same everywhere.
bool SameType(const TypeInfo* a, const TypeInfo* b);

// Writes the type's name, as the compiler spells it, into `text`, cut to `size`.
void CopyTypeName(const TypeInfo* type, char* text, size_t size);

// Gives the type its index, unless it has one, and returns `birth`. Any thread; waits for other
// registrations.
uint64_t RegisterType(TypeInfo* info);

// The table of registered types. Release when filled, acquire by readers of headers.
inline constexpr uint32_t kMaxTypes = 1u << 16;
extern std::atomic<TypeInfo*> g_types[kMaxTypes];

inline TypeInfo* TypeInfoOf(const Header* header) {
  return g_types[header->Type()].load(std::memory_order_acquire);
}

}  // namespace reef::internal

#endif  // REEF_INTERNAL_TYPE_INFO_H_
