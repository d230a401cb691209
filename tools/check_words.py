#!/usr/bin/env python3
"""The repository speaks only of itself: fails on absolute paths of a machine, registry host names, and unfinished
marks in shipped code. `--self-test` shows that planted faults are caught."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVERYWHERE = [
    (re.compile(r"(?<![\w.])/(work|root|home/\w+)/"), "a path of some machine"),
    (re.compile(r"https?://[\w.-]*(debian|npmjs|pypi|pythonhosted)\.", re.I), "a registry's host name"),
]
IN_SOURCES = [(re.compile(r"\b(TODO|FIXME|XXX)\b"), "an unfinished mark")]
SOURCES = (".h", ".cpp", ".py", ".sh", ".ts", ".js")
SKIPPED = {"tools/check_words.py"}


def faults_of(path: str, text: str) -> list[str]:
    rules = EVERYWHERE + (IN_SOURCES if path.endswith(SOURCES) else [])
    return [
        f"{path}:{number}: {what}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, what in rules
        if pattern.search(line)
    ]


def self_test() -> None:
    assert faults_of("a.md", "see /work" + "/main/x"), "a machine's path was not caught"
    assert faults_of("a.md", "https://files.python" + "hosted.org/x"), "a registry was not caught"
    assert faults_of("a.cpp", "// TO" + "DO later"), "an unfinished mark was not caught"
    assert not faults_of("a.md", "at work/ or network/root")


def main() -> int:
    self_test()
    if "--self-test" in sys.argv:
        return 0
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    found = []
    for name in filter(None, listed):
        path = ROOT / name
        if name in SKIPPED or not path.is_file() or name.startswith(("tests/data/", "fuzz/corpus/")):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += faults_of(name, text)
    print("\n".join(found) if found else "words: nothing foreign")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
