"""docs/python_parity.md against the installed Python, and against the tests that it names.

Every public name of gc and weakref, and the memory part of sys, must be in its first column, and
nothing that Python does not have, but for what came later and says so. Whatever has something in
its place must name a test or a scenario, and each that is named must exist.
"""

import gc
import pathlib
import re
import sys
import weakref

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What sys has about memory; not all of it in every version.
SYS = {
    "getrefcount", "getsizeof", "getallocatedblocks", "_debugmallocstats", "unraisablehook",
    "__unraisablehook__", "intern", "is_finalizing", "getunicodeinternedsize", "_is_interned",
    "_is_immortal",
}

problems = []


def check(condition, problem):
    if not condition:
        problems.append(problem)


def rows():
    """(section, names with their versions, the cell of Reef, the cell of tests)"""
    section = None
    for line in (ROOT / "docs/python_parity.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        if not line.startswith("| `"):
            continue
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
        check(len(cells) == 4, f"a row of {len(cells)} cells: {line[:60]}")
        names = re.findall(r"`([^`]+)`(?: \((3\.\d+)\))?", cells[0])
        yield section, names, cells[1], cells[3]


def later(version):
    return version and tuple(map(int, version.split("."))) > sys.version_info[:2]


def expect_names(module, listed, expected):
    """What is listed for the module is what it has."""
    for name in sorted(expected - set(listed)):
        problems.append(f"{module}.{name} is not in the table")
    for name, version in sorted(listed.items()):
        check(name in expected or later(version), f"{module} has no {name}")


def compare_names(table):
    listed = {"gc": {}, "weakref": {}, "sys": {}}
    for section, names, _, _ in table:
        owner = None
        for name, version in names:
            if section == "gc":
                listed["gc"][name] = version
            elif section == "weakref" and (name in weakref.__all__ or owner is None):
                listed["weakref"][name.split(".")[0]] = version
                owner = getattr(weakref, name.split(".")[0], None)
                for part in name.split(".")[1:]:
                    check(hasattr(owner, part), f"weakref has no {name}")
            elif section == "weakref":
                check(hasattr(owner, name), f"{owner.__name__} has no {name}")
            elif name.startswith("sys."):
                listed["sys"][name[4:]] = version
    expect_names("gc", listed["gc"], {n for n in dir(gc) if not n.startswith("_")})
    expect_names("weakref", listed["weakref"], set(weakref.__all__))
    check(set(listed["sys"]) == SYS, f"sys: {sorted(set(listed['sys']) ^ SYS)}")
    for name, version in listed["sys"].items():
        check(hasattr(sys, name) or later(version), f"sys has no {name}")


def tests():
    found = set()
    for path in ROOT.glob("tests/*/*_test.cc"):
        for suite, test in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", path.read_text(), re.M):
            found.add(f"{suite}.{test}")
    return found


def compare_tests(table):
    known = tests()
    check(len(known) > 500, f"only {len(known)} tests were found")
    titles = re.findall(r'^title\("(.*)"\)', (ROOT / "tests/parity/scenarios.py").read_text(), re.M)
    sources = sorted(ROOT.glob("tests/parity/*.cc"))
    titles_here = re.findall(r'Title\("(.*)"\)', "".join(path.read_text() for path in sources))
    check(sorted(titles) == sorted(titles_here), "the scenarios have different titles in Python and on Reef")
    for _, names, reef, shown in table:
        row = names[0][0]
        named = re.findall(r"`([^`]+)`", shown)
        scenarios = re.findall(r"\*([^*]+)\*", shown)
        check(reef == "–" or named or scenarios, f"{row}: no test shows it")
        for test in named:
            check(test in known, f"{row}: there is no test {test}")
        for title in scenarios:
            check(any(t.startswith(title) for t in titles), f"{row}: no scenario begins {title!r}")


def main():
    table = list(rows())
    check(len(table) > 30, f"only {len(table)} rows were read")
    compare_names(table)
    compare_tests(table)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(f"{len(table)} rows agree with Python {sys.version.split()[0]} and with the tests")


main()
