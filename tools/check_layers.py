#!/usr/bin/env python3
"""Holds every #include under src/ to the layer order: a file includes only its own folder and lower layers.

Backends are leaves: only applications (capi, cli, server, ...) and tests may include them.
Exits 1 and lists each offending line. `--self-test` shows that a planted fault is caught.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Lowest first; folders on one line are of one rank and may not include each other.
LAYERS = [
    ["base"],
    ["tensor", "text"],
    ["weights", "device", "ir"],
    ["quant", "compiler"],
    ["kernels"],
    ["cache", "backends"],
    ["model"],
    ["engine"],
    ["api"],
    ["capi", "server", "web", "python"],
    ["cli"],
]
APPLICATIONS = {"capi", "server", "web", "python", "cli"}
RANK = {folder: rank for rank, layer in enumerate(LAYERS) for folder in layer}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def faults_of(path: str, text: str) -> list[str]:
    """Faults of one file; `path` is relative to src/."""
    folder = path.split("/")[0]
    found = []
    if folder not in RANK:
        return [f"src/{path}: folder {folder}/ is in no layer; add it to tools/check_layers.py"]
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(1).split("/")[0]
        if target == folder or target not in RANK:
            continue  # its own folder, or an installed header such as tattletale/tattletale.h
        place = f"src/{path}:{number}: {folder}/ includes {match.group(1)}"
        if target == "backends":
            if folder not in APPLICATIONS:
                found.append(f"{place}; only applications and tests name a backend")
        elif RANK[target] >= RANK[folder]:
            found.append(f"{place}; {target}/ is not below {folder}/")
        elif folder == "cli":
            found.append(f"{place}; the command line uses only tattletale/tattletale.h")
    return found


def self_test() -> None:
    assert faults_of("base/a.h", '#include "engine/engine.h"\n'), "upward include was not caught"
    assert faults_of("model/a.cpp", '#include "backends/cpu/cpu_device.h"\n'), "backend include was not caught"
    assert faults_of("cli/a.cpp", '#include "engine/engine.h"\n'), "the command line may not reach the engine"
    assert faults_of("novel/a.cpp", ""), "an unknown folder was not caught"
    assert not faults_of("capi/a.cpp", '#include "backends/cpu/cpu_device.h"\n#include "engine/engine.h"\n')
    assert not faults_of("kernels/a.cpp", '#include "quant/block_format.h"\n#include <vector>\n')


def main() -> int:
    self_test()
    if "--self-test" in sys.argv:
        return 0
    src = ROOT / "src"
    files = sorted(p for p in src.rglob("*") if p.suffix in {".h", ".cpp"})
    found = [fault for p in files for fault in faults_of(p.relative_to(src).as_posix(), p.read_text(encoding="utf-8"))]
    print("\n".join(found) if found else f"layers: {len(files)} files hold the order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
