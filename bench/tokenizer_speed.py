#!/usr/bin/env python3
"""Our tokenizer beside Hugging Face tokenizers and tiktoken: same text, one thread, ids compared.

Usage: tokenizer_speed.py PROGRAM TOKENIZER.json TEXT   (PROGRAM: bench_tokenizer_speed, built from tokenizer_speed.cpp)
tiktoken runs where the tokenizer is byte-level BPE with one split pattern, with the same vocabulary.
Needs: tokenizers, tiktoken. Best of three runs each; the text is encoded in one call.
"""
import array
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"


def best(run):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        ids = run()
        times.append(time.perf_counter() - start)
    return min(times), ids


def ours(program, source, text):
    with tempfile.NamedTemporaryFile() as out:
        log = subprocess.run([program, source, text, "3", out.name], check=True, capture_output=True, text=True).stdout
        ids = array.array("I")
        ids.frombytes(open(out.name, "rb").read())
    seconds = min(float(line.split(" ids ")[1].split()[0]) / 1e3 for line in log.splitlines() if line.startswith("encode"))
    return seconds, ids.tolist()


def tiktoken_encoding(source):
    import tiktoken
    from tokenizers import pre_tokenizers
    data = json.load(open(source, encoding="utf8"))
    steps = (data["pre_tokenizer"] or {}).get("pretokenizers", [])
    patterns = [s["pattern"]["Regex"] for s in steps if s["type"] == "Split"]
    if len(patterns) != 1 or data["normalizer"]:
        return None
    alphabet = {}
    spare = 0
    for byte in range(256):
        printable = 0x21 <= byte <= 0x7E or (byte >= 0xA1 and byte != 0xAD)
        alphabet[chr(byte if printable else 0x100 + spare)] = byte
        spare += not printable
    assert set(alphabet) == set(pre_tokenizers.ByteLevel.alphabet())
    added = {a["content"]: a["id"] for a in data["added_tokens"]}
    ranks = {bytes(alphabet[c] for c in t): i for t, i in data["model"]["vocab"].items() if t not in added}
    return tiktoken.Encoding("same", pat_str=patterns[0], mergeable_ranks=ranks, special_tokens=added)


def main():
    program, source, path = sys.argv[1:]
    text = open(path, encoding="utf8", errors="replace", newline="").read()
    size = os.path.getsize(path) / 1e6
    from tokenizers import Tokenizer
    hugging = Tokenizer.from_file(source)
    rows = [("tattletale", *ours(program, source, path)), ("tokenizers", *best(lambda: hugging.encode(text).ids))]
    encoding = tiktoken_encoding(source)
    if encoding:
        rows.append(("tiktoken", *best(lambda: encoding.encode(text, allowed_special="all"))))
    want = rows[1][2]
    for name, seconds, ids in rows:
        print(f"{name:12} {size / seconds:8.1f} MB/s  {len(ids)} ids  {'equal' if ids == want else 'DIFFERENT'}")


main()
