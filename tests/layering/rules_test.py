"""Each rule of layering_test.py against a small tree that breaks it."""

import pathlib
import tempfile
import unittest

import layering_test

GUARDED = "#ifndef REEF_X_H_\n#define REEF_X_H_\n%s\n#endif\n"


def sound_tree():
    tree = {f"lib/{layer}/unit.h": GUARDED % "" for layer in layering_test.LAYERS}
    tree |= {f"tests/{folder}/unit_test.cc": "" for folder in layering_test.LAYERS + ["heap"]}
    tree |= {f"include/reef/{name}.h": GUARDED % "" for name in ("heap", "error", "internal/slot")}
    return tree


class RulesTest(unittest.TestCase):

    def findings(self, changes):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in (sound_tree() | changes).items():
                if text is not None:
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_text(text, encoding="utf-8")
            return list(layering_test.check_tree(root))

    def assert_sound(self, changes):
        self.assertEqual(self.findings(changes), [])

    def assert_broken(self, path, text, reason):
        if path.endswith(".h"):
            text = GUARDED % text
        found = self.findings({path: text})
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(path), found)
        self.assertIn(reason, found[0])

    def test_sound_tree_has_no_findings(self):
        self.assert_sound({})

    def test_layers_may_look_down_and_at_plain_data(self):
        self.assert_sound({
            "lib/collector/unit.cc": '#include "lib/collector/unit.h"\n#include "lib/os/unit.h"\n'
                                     '#include "reef/internal/slot.h"\n#include "reef/error.h"\n'
                                     "#include <oneapi/tbb/concurrent_queue.h>\n",
            "lib/heap.cc": '#include "reef/heap.h"\n#include "lib/inspect/unit.h"\n',
        })

    def test_layer_looks_up(self):
        self.assert_broken("lib/os/unit.cc", '#include "lib/memory/unit.h"\n', "higher")

    def test_layer_includes_the_facade(self):
        found = self.findings({"lib/heap_core.h": GUARDED % "",
                               "lib/inspect/unit.cc": '#include "lib/heap_core.h"\n'})
        self.assertEqual(len(found), 1, found)

    def test_layer_includes_the_public_surface(self):
        self.assert_broken("lib/object/unit.cc", '#include "reef/heap.h"\n', "plain data")

    def test_public_header_includes_lib(self):
        self.assert_broken("include/reef/heap.h", '#include "lib/os/unit.h"', "lib/")

    def test_internal_header_includes_public(self):
        self.assert_broken("include/reef/internal/slot.h", '#include "reef/error.h"', "standard")

    def test_internal_header_includes_abseil(self):
        self.assert_broken("include/reef/internal/slot.h", "#include <absl/status/status.h>",
                           "standard")

    def test_tbb_outside_the_collector(self):
        self.assert_broken("lib/inspect/unit.cc", "#include <oneapi/tbb/task_group.h>\n", "oneTBB")

    def test_relative_include(self):
        self.assert_broken("lib/os/unit.cc", '#include "unit.h"\n', "in full")

    def test_header_that_does_not_exist(self):
        self.assert_broken("lib/os/unit.cc", '#include "lib/os/gone.h"\n', "no such header")

    def test_header_without_guard(self):
        found = self.findings({"lib/os/unit.h": "// Nothing else.\nint x;\n"})
        self.assertEqual(len(found), 1, found)

    def test_long_file(self):
        self.assert_broken("lib/os/unit.cc", "\n" * 401, "401 lines")
        self.assert_broken("tests/heap/unit_test.cc", "\n" * 401, "401 lines")

    def test_fence_must_be_argued(self):
        self.assert_broken("lib/os/unit.cc", 'asm volatile("");\n', "fence:")
        self.assert_sound({"lib/os/unit.cc": '// fence: pairs with [X1]\nasm volatile("");\n'})

    def test_fence_words_in_comments_and_literals_do_not_count(self):
        self.assert_sound({
            "lib/os/unit.cc": '// not volatile\n/* #include "lib/heap.h" */ auto s = "volatile";\n'
                              "int big = 1'000'000; char c = '\"'; // volatile\n"})

    def test_unknown_folder(self):
        found = self.findings({"lib/util/unit.cc": ""})
        self.assertEqual(len(found), 1, found)
        self.assertIn("not a layer", found[0])

    def test_missing_tests(self):
        found = self.findings({"tests/memory/unit_test.cc": None})
        self.assertEqual(found, ["tests/memory: the layer has no tests"])


if __name__ == "__main__":
    unittest.main()
