// The scenarios of handles and containers that keep nothing alive.

#include <memory>
#include <string>
#include <utility>

#include "reef/reef.h"
#include "tests/parity/world.h"

namespace reef::parity {

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

void MethodsAndTheEnd(const Ref<Plain>& kept) {
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

}  // namespace reef::parity
