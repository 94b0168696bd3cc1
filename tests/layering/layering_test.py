"""Reads every file of include/ and lib/ and says where one breaks the order of the layers.

Run without arguments for this checkout, or with the root of another one. Exits with 1 after a
finding. rules_test.py shows each rule at work.
"""

import pathlib
import re
import sys

LAYERS = ["os", "memory", "threads", "object", "collector", "inspect"]  # lowest first
PLAIN_DATA = {"reef/stats.h", "reef/error.h", "reef/unraisable.h"}  # public, yet open to every layer
CONTRACTS = {"reef/trace.h"}  # what types promise to the collector: read from both sides
LIBRARIES = ("absl/", "oneapi/", "tbb/")
MAX_LINES = 400

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
FENCE_WORD = re.compile(r"\b(volatile|__volatile__|atomic_thread_fence)\b")
GUARD = re.compile(r"\s*(#\s*pragma\s+once\b|#\s*ifndef\s+(\w+)\s*\n\s*#\s*define\s+\2\b)")


def strip(text, keep_strings=False):
    """The code without comments (and literals), line numbers unchanged."""

    def blank(match):
        token = match.group()
        if keep_strings and token[0] in "\"'":
            return token
        return "\n" * token.count("\n")

    return COMMENT_OR_LITERAL.sub(blank, text)


def layer_of(path):
    """The number of the layer a repository path belongs to; the façade comes after the last."""
    parts = path.split("/")
    if parts[0] != "lib":
        return None
    if len(parts) == 2:
        return len(LAYERS)
    return LAYERS.index(parts[1]) if parts[1] in LAYERS else None


def is_ours(target):
    return target.startswith(("reef/", "lib/"))


def include_fault(path, bracket, target):
    """Why the file at `path` must not include `target`, or None."""
    is_internal = path.startswith("include/reef/internal/")
    is_public = path.startswith("include/") and not is_internal
    ours = is_ours(target)

    if bracket == '"' and not ours and not target.startswith(LIBRARIES):
        return "write the path in full, as reef/... or lib/..."
    if bracket == "<" and ours:
        return "write our own headers in quotes"
    if target.startswith(("oneapi/", "tbb/")) and not path.startswith("lib/collector/"):
        return "oneTBB is for lib/collector alone"
    if is_public and target.startswith("lib/"):
        return "public headers know nothing of lib/"
    if is_internal:
        if target.startswith("reef/internal/"):
            return None
        standard = re.fullmatch(r"[a-z_0-9]+", target)
        if not standard and not target.startswith("sanitizer/"):
            return "internal headers include each other and the standard library only"
    if path.startswith("lib/"):
        own = layer_of(path)
        if target.startswith("lib/"):
            other = layer_of(target)
            if other is None:
                return "no such layer"
            if other > own:
                return "a lower layer includes a higher one"
        elif ours and own < len(LAYERS):
            if not target.startswith("reef/internal/") and target not in PLAIN_DATA | CONTRACTS:
                return "a layer includes a public header that is more than plain data"
    return None


def exists(root, target):
    base = root if target.startswith("lib/") else root / "include"
    return (base / target).is_file()


def check_file(root, path):
    text = (root / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    code = strip(text)

    for number, line in enumerate(strip(text, keep_strings=True).splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, target = match.groups()
        fault = include_fault(path, bracket, target)
        if not fault and is_ours(target) and not exists(root, target):
            fault = "no such header"
        if fault:
            yield f"{path}:{number}: {target}: {fault}"

    for number, line in enumerate(code.splitlines(), 1):
        match = FENCE_WORD.search(line)
        if match and not any("// fence:" in near for near in lines[max(0, number - 2):number]):
            yield f"{path}:{number}: {match.group()} without a '// fence:' comment that argues it"

    if path.endswith(".h") and not GUARD.match(code):
        yield f"{path}:1: the header has no include guard"


def check_length(root, path):
    count = len((root / path).read_text(encoding="utf-8").splitlines())
    if count > MAX_LINES:
        yield f"{path}:{MAX_LINES + 1}: {count} lines, more than {MAX_LINES}: split the file"


def check_folders(root):
    for folder in sorted(p for p in (root / "lib").iterdir() if p.is_dir()):
        if folder.name not in LAYERS:
            yield f"lib/{folder.name}: not a layer; the layers are {', '.join(LAYERS)}"
    for layer in LAYERS:
        if not any((root / "lib" / layer).glob("*.h")):
            yield f"lib/{layer}: the layer is missing"
        if not any((root / "tests" / layer).glob("*_test.cc")):
            yield f"tests/{layer}: the layer has no tests"
    if not any((root / "tests" / "heap").glob("*_test.cc")):
        yield "tests/heap: the public surface has no tests"


def check_tree(root):
    yield from check_folders(root)
    for top in ("include", "lib", "tests", "stress", "bench", "docs"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cc"):
                continue
            path = file.relative_to(root).as_posix()
            yield from check_length(root, path)
            if top == "include" or (top == "lib" and layer_of(path) is not None):
                yield from check_file(root, path)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    if root.is_file():
        root = root.parents[2]
    findings = list(check_tree(root))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings" if findings else "the layers hold")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
