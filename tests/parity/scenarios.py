"""The scenarios of scenarios*.cc, in Python: both programs must print the same."""

import gc
import sys
import weakref

gc.disable()


class Node:
    __slots__ = ("name", "other", "on_del", "__weakref__")

    def __init__(self, name):
        self.name = name
        self.other = None
        self.on_del = None

    def __del__(self):
        finalized(self.name)
        if self.on_del:
            self.on_del(self)


# In which order the finalizers of one garbage graph run is nobody's promise: they are collected
# there, and printed in the order of their names.
collected = None


def finalized(name):
    if collected is None:
        print(f"finalize {name}")
    else:
        collected.append(name)


def collect_and_print():
    global collected
    collected = []
    gc.collect()
    for name in sorted(collected):
        print(f"finalize {name}")
    collected = None


class Plain:
    __slots__ = ("other", "__weakref__")

    def __init__(self):
        self.other = None

    def greet(self, word):
        print(f"hello, {word}")


def note(word):
    return lambda *_: print(word)


def title(text):
    print(f"-- {text}")


saved = []


def save(node):
    saved.append(node)


title("three names, and the argument")
a = []
b = a
c = b
print(sys.getrefcount(a))
del a, b, c

title("a counted death is prompt; callbacks newest first, after the finalizer")
node = Node("a")
one = weakref.ref(node, note("callback one"))
two = weakref.ref(node, note("callback two"))
print(weakref.getweakrefcount(node))
node = None
print("dropped")
print(one() is None, two() is None)

title("a callback whose handle is gone is not called")
node = Node("a")
one = weakref.ref(node, note("callback one"))
two = weakref.ref(node, note("callback two"))
del one
node = None

title("the finalizer sees its object through a weak handle")
node = Node("a")
one = weakref.ref(node)
node.on_del = lambda self: print(one() is self)
node = None
print(one() is None)

title("parents before children")
node = Node("a")
node.other = Node("b")
node.other.other = Node("c")
node = None

title("resurrection, once")
node = Node("a")
one = weakref.ref(node)
node.on_del = save
node = None
print(len(saved), one() is saved[0])
saved[0].on_del = None
saved.clear()
print(one() is None)

title("a cycle waits for the collector, which says what it found")
plain = Plain()
plain.other = Plain()
plain.other.other = plain
one = weakref.ref(plain)
plain = None
print(one() is None)
print(gc.collect())
print(one() is None)
print(gc.collect())

title("a cycle with finalizers: each once, all gone when collect returns")
node = Node("a")
node.other = Node("b")
node.other.other = node
two = weakref.ref(node.other)
node = None
collect_and_print()
print(two() is None)
gc.collect()

title("weak handles to a dead cycle: those from outside are called, those inside it are not")
class Watcher:
    __slots__ = ("other", "watch", "__weakref__")
plain = Watcher()
plain.other = Watcher()
plain.other.other = plain
plain.watch = weakref.ref(plain.other, note("from inside"))
one = weakref.ref(plain.other, note("from outside"))
plain = None
gc.collect()
print(one() is None)

title("one member resurrects the rest")
node = Node("a")
node.other = Node("b")
node.other.other = node
node.other.on_del = save
node = None
collect_and_print()
print(len(saved), saved[0].name, saved[0].other.name, saved[0].other.other is saved[0])
saved[0].on_del = None
saved.clear()
gc.collect()
print("gone")

title("what a finalizer raises goes to the hook, and its object dies")
def raise_it(self):
    raise RuntimeError("no")
sys.unraisablehook = lambda what: print(f"unraisable: {what.exc_value}")
node = Node("a")
one = weakref.ref(node, note("callback"))
node.on_del = raise_it
node = None
print(one() is None)

title("what a callback raises goes there too, and the others are called")
def raise_callback(_):
    raise RuntimeError("neither")
node = Node("a")
one = weakref.ref(node, note("callback one"))
two = weakref.ref(node, raise_callback)
node = None

title("is_finalized")
node = Node("a")
print(gc.is_finalized(node))
node.on_del = save
node = None
print(gc.is_finalized(saved[0]))
saved[0].on_del = None
saved.clear()

title("switched off, on and off again")
print(gc.isenabled())
gc.enable()
print(gc.isenabled())
gc.disable()
print(gc.isenabled())

title("callbacks before and after a collection")
events = []
def told(phase, info):
    events.append(f"{phase} {info['collected']}")
gc.callbacks.append(told)
plain = Plain()
plain.other = Plain()
plain.other.other = plain
plain = None
gc.collect()
gc.callbacks.remove(told)
# The first collection's: Reef looks again when it has found something.
print(*events[:2])
events.clear()
gc.collect()
print(len(events))

title("frozen: spared and counted, until unfrozen")
gc.collect()
gc.freeze()
before = gc.get_freeze_count()
plain = Plain()
plain.other = Plain()
plain.other.other = plain
one = weakref.ref(plain)
plain = None
gc.freeze()
print(gc.get_freeze_count() - before)
plain = Plain()
plain.other = plain
plain = None
print(gc.collect())
print(one() is None)
gc.unfreeze()
print(gc.get_freeze_count())
print(gc.collect())
print(one() is None)

title("garbage that is kept: finalized, and in a list")
gc.set_debug(gc.DEBUG_SAVEALL)
print(gc.get_debug() == gc.DEBUG_SAVEALL)
node = Node("a")
node.other = node
node = None
gc.collect()
print(len(gc.garbage), gc.garbage[0].name, type(gc.garbage[0]) is Node)
gc.set_debug(0)
print(gc.collect())
gc.garbage.clear()
print(gc.collect())

title("finalizer handles: at death, by hand, detached")
plain = Plain()
one = weakref.finalize(plain, print, "at death")
two = weakref.finalize(plain, print, "by hand")
three = weakref.finalize(plain, print, "detached")
print(one.alive, two.alive, three.alive)
two()
two()
three.detach()
plain = None
print(one.alive, two.alive, three.alive)

title("weak containers forget the dead")
values = weakref.WeakValueDictionary()
names = weakref.WeakSet()
plain = Plain()
kept = Plain()
values["gone"] = plain
values["kept"] = kept
names.add(plain)
names.add(kept)
print(len(values), len(names), values.get("gone") is plain, plain in names)
plain = None
print(len(values), len(names), values.get("gone") is None, kept in names)

title("callbacks of an object: those that will be called")
plain = Plain()
one = weakref.ref(plain)
two = weakref.ref(plain, note("callback two"))
three = weakref.ref(plain, note("callback three"))
def callbacks():
    return sum(1 for handle in weakref.getweakrefs(plain) if handle.__callback__)
print(callbacks())
del three
print(callbacks())
plain = None

title("a map with weak keys: entries go with their keys, values with the entries")
values = weakref.WeakKeyDictionary()
plain = Plain()
value = Plain()
one = weakref.ref(value, note("value one"))
values[plain] = value
value = Plain()
two = weakref.ref(value, note("value two"))
values[kept] = value
value = None
print(len(values), values[plain] is one(), plain in values, weakref.getweakrefcount(plain))
plain = None
print(len(values), one() is None, two() is None)
values[kept] = Plain()
print(len(values), two() is None)
print(values.pop(kept) is not None, values.pop(kept, None) is None, len(values))

title("a map with weak keys: cycles of keys and values, but for those through their own entry")
values = weakref.WeakKeyDictionary()
plain = Plain()
plain.other = Plain()
plain.other.other = plain
values[plain] = Plain()
one = weakref.ref(values[plain], note("value"))
plain = None
gc.collect()
print(len(values), one() is None)

title("a map with weak keys: its end drops the values, not the keys")
plain = Plain()
values = weakref.WeakKeyDictionary()
value = Plain()
one = weakref.ref(value, note("value"))
values[plain] = value
value = None
values = None
print(one() is None, weakref.getweakrefcount(plain))
plain = None

title("a weakly bound method")
plain = Plain()
greet = weakref.WeakMethod(plain.greet)
greet()("you")
plain = None
print(greet() is None)

title("at exit: the newest first")
first = weakref.finalize(kept, print, "one")
second = weakref.finalize(kept, print, "two")
third = weakref.finalize(kept, print, "silent")
third.atexit = False
print("end")
