#!/usr/bin/env python3
"""Compares Tattletale with llama.cpp: same GGUF file, same thread counts, taking turns within one run.

    python3 -m venv compare && compare/bin/pip install llama-cpp-python numpy
    compare/bin/python bench/compare_llama_cpp.py -m MODEL.gguf

Measured, per thread count: prefill of 512 tokens, decode of 128 tokens after a short prompt, decode of 128 tokens
after 512. llama.cpp is driven by its C functions (llama_decode on a batch that asks for the logits of its last
token only, as llama-bench does), without sampling; ours runs as `tattletale bench`, sampling included. Both read
random tokens. Decode is also given as the share of the read bandwidth that the same threads reach in this run
over a buffer as large as the weights; prefill also as arithmetic (two operations per weight and token).

Build llama-cpp-python for this machine, with the compiler that makes it fastest and that works: on machines with
AMX some builds by GCC 12 crash in its AMX code, where Clang builds do not:
    CC=clang-19 CXX=clang++-19 pip install --no-binary llama-cpp-python llama-cpp-python
"""
import argparse
import ctypes
import json
import pathlib
import random
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PREFILL, DECODE_SHORT, DECODE_LONG = "prefill", "decode, short context", "decode after prompt"
FIGURES = (PREFILL, DECODE_SHORT, DECODE_LONG)
SETTLE_S = 0.5  # lets the other engine's threads fall asleep


class LlamaCpp:
    """One loaded model. Nothing but llama_decode and a wait for its result is inside the timed parts."""

    def __init__(self, path: str, context_tokens: int, flash_attention: str):
        import llama_cpp

        self.api = llama_cpp
        self.version = llama_cpp.__version__
        self.log = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.log, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama.cpp could not load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = context_tokens
        params.n_batch = params.n_ubatch = 512
        params.flash_attn_type = {"auto": -1, "off": 0, "on": 1}[flash_attention]
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit("llama.cpp could not make a context")
        self.vocab_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def _decode(self, tokens) -> None:
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(tokens, len(tokens))) != 0:
            sys.exit("llama_decode failed")

    def measure(self, threads: int, prompt_tokens: int, generate_tokens: int, rng: random.Random) -> tuple[float, float]:
        """Tokens per second of prefill and of decode."""
        api = self.api
        api.llama_set_n_threads(self.context, threads, threads)
        low, high = self.vocab_size // 4, self.vocab_size * 3 // 4
        draw = lambda count: (ctypes.c_int * count)(*(rng.randrange(low, high) for _ in range(count)))
        chunks = [draw(min(512, prompt_tokens - begin)) for begin in range(0, prompt_tokens, 512)]
        singles = [draw(1) for _ in range(generate_tokens - 1)]  # the first token comes with the prefill
        self.clear()
        self._decode(draw(16))  # wakes the threads, as our warm-up does
        self._decode(draw(1))
        api.llama_synchronize(self.context)
        self.clear()
        start = time.perf_counter()
        for chunk in chunks:
            self._decode(chunk)
        api.llama_synchronize(self.context)
        prefilled = time.perf_counter()
        for token in singles:
            self._decode(token)
            api.llama_synchronize(self.context)
        end = time.perf_counter()
        return prompt_tokens / (prefilled - start), len(singles) / (end - prefilled)

    def clear(self) -> None:
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)


def run_ours(binary: str, model: str, threads: int, prompt_tokens: int, generate_tokens: int, bandwidth: bool) -> dict:
    command = [binary, "bench", "-m", model, "--json", "--repeat", "1", "--threads", str(threads),
               "--prompt-tokens", str(prompt_tokens), "--generate-tokens", str(generate_tokens)]
    done = subprocess.run(command + (["--bandwidth"] if bandwidth else []), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def prefill_operations_per_token(binary: str, model: str) -> float:
    """Two for each weight of the layers' matrices; the head is computed for one token only."""
    done = subprocess.run([binary, "inspect", model, "--json"], capture_output=True, text=True, check=True)
    weights = 0
    for tensor in json.loads(done.stdout)["tensors"]:
        if len(tensor["shape"]) == 2 and tensor["name"] not in ("token_embd.weight", "output.weight"):
            weights += tensor["shape"][0] * tensor["shape"][1]
    return 2.0 * weights


def measure(options) -> dict:
    llama = LlamaCpp(options.model, options.prompt_tokens + options.generate_tokens + 64, options.flash_attention)
    rng = random.Random(1)
    ours = {(t, f): [] for t in options.threads for f in FIGURES}
    theirs = {key: [] for key in ours}
    bandwidth = {t: [] for t in options.threads}
    facts = {}

    def turn_ours(threads: int) -> None:
        long = run_ours(options.binary, options.model, threads, options.prompt_tokens, options.generate_tokens, True)
        short = run_ours(options.binary, options.model, threads, options.short_tokens, options.generate_tokens, False)
        ours[threads, PREFILL].append(long["prefill_tok_s"])
        ours[threads, DECODE_LONG].append(long["decode_tok_s"])
        ours[threads, DECODE_SHORT].append(short["decode_tok_s"])
        bandwidth[threads].append(long["read_bytes_per_s"])
        facts.update({key: long[key] for key in ("isa", "format", "arch", "decode_weight_bytes", "version")})

    def turn_theirs(threads: int) -> None:
        prefill, decode = llama.measure(threads, options.prompt_tokens, options.generate_tokens, rng)
        theirs[threads, PREFILL].append(prefill)
        theirs[threads, DECODE_LONG].append(decode)
        theirs[threads, DECODE_SHORT].append(llama.measure(threads, options.short_tokens, options.generate_tokens, rng)[1])

    for round_number in range(options.rounds):
        for threads in options.threads:
            turns = [turn_ours, turn_theirs]
            for turn in turns if round_number % 2 == 0 else reversed(turns):
                time.sleep(SETTLE_S)
                turn(threads)
        print(f"round {round_number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return {"ours": ours, "theirs": theirs, "bandwidth": bandwidth, "facts": facts, "llama_cpp": llama.version,
            "operations": prefill_operations_per_token(options.binary, options.model)}


def report(options, result: dict) -> None:
    facts = result["facts"]
    print(f"{options.model}: {facts['arch']}, {facts['format']}, {facts['isa']}; tattletale {facts['version']}, "
          f"llama-cpp-python {result['llama_cpp']}; {options.rounds} rounds; prefill {options.prompt_tokens}, short prompt "
          f"{options.short_tokens}, decode {options.generate_tokens} tokens; tok/s, min / median / max")
    print(f"{'figure':<24}{'threads':>8}  {'tattletale':^26}  {'llama.cpp':^26}  {'ratio':>6}  ours / theirs of ceiling")
    spread = lambda values: f"{min(values):8.1f}{statistics.median(values):9.1f}{max(values):9.1f}"
    best = {}
    for figure in FIGURES:
        for threads in options.threads:
            ours, theirs = result["ours"][threads, figure], result["theirs"][threads, figure]
            # Paired: each round's own ratio, so that a slow spell of the machine hits both.
            ratio = statistics.median(a / b for a, b in zip(ours, theirs))
            medians = statistics.median(ours), statistics.median(theirs)
            best[figure] = [max(a, b) for a, b in zip(best.get(figure, (0, 0)), medians)]
            if figure == PREFILL:
                note = "{:.0f} / {:.0f} Gop/s".format(*(m * result["operations"] / 1e9 for m in medians))
            else:
                ceiling = statistics.median(result["bandwidth"][threads]) / facts["decode_weight_bytes"]
                note = "{:.0%} / {:.0%} of {:.1f} GB/s".format(
                    *(m / ceiling for m in medians), ceiling * facts["decode_weight_bytes"] / 1e9)
            print(f"{figure:<24}{threads:>8}  {spread(ours)}  {spread(theirs)}  {ratio:>6.2f}  {note}")
    for figure, (ours, theirs) in best.items():
        print(f"{figure:<24}{'best':>8}  {'':8}{ours:9.1f}{'':9}  {'':8}{theirs:9.1f}{'':9}  {ours / theirs:>6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True, help="a GGUF file that both engines can run")
    parser.add_argument("--binary", default=str(ROOT / "build/tattletale"))
    parser.add_argument("--threads", default="1,2", help="thread counts, separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--short-tokens", type=int, default=16)
    parser.add_argument("--generate-tokens", type=int, default=128)
    parser.add_argument("--flash-attention", choices=("auto", "on", "off"), default="auto", help="of llama.cpp")
    parser.add_argument("--json", metavar="FILE", help="also write every figure there")
    options = parser.parse_args()
    options.threads = [int(t) for t in options.threads.split(",")]
    result = measure(options)
    report(options, result)
    if options.json:
        flat = {name: [{"threads": t, "figure": f, "tok_s": values} for (t, f), values in result[name].items()]
                for name in ("ours", "theirs")}
        flat.update({key: result[key] for key in ("bandwidth", "facts", "llama_cpp", "operations")})
        pathlib.Path(options.json).write_text(json.dumps(flat, indent=1))


if __name__ == "__main__":
    main()
