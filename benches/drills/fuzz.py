#!/usr/bin/env python3
"""Fuzz: coverage-guided runs of the targets of `fuzz/` by libFuzzer, on the stable toolchain.

    python3 benches/drills/fuzz.py [--seconds 43] [--jobs 1] [--keep] [TARGET...]

Each target runs for so many seconds of one core, 10 CPU-minutes in total by default, from its corpus and with a fixed seed. For each: runs,
edges covered by the corpus and at the end, inputs that found new ones. `--keep` adds to the corpus the smallest set of inputs with all
edges, none larger than 4 KiB. A panic, a run of more than 20 s or more than 2 GiB of memory is a fault: the input is kept in
`fuzz/artifacts/`, and the exit code is 1.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import ROOT, machine

FUZZ = ROOT / "fuzz"
TARGETS = sorted(path.stem for path in (FUZZ / "fuzz_targets").iterdir())
LARGEST = 4096
# What `cargo fuzz` sets without a sanitizer: counters of edges, and the operands of comparisons.
FLAGS = ["--cfg=fuzzing", "-Cpasses=sancov-module", "-Cllvm-args=-sanitizer-coverage-level=4",
         "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters", "-Cllvm-args=-sanitizer-coverage-pc-table",
         "-Cllvm-args=-sanitizer-coverage-trace-compares", "-Cdebug-assertions"]
PARSER = argparse.ArgumentParser()
PARSER.add_argument("--seconds", type=int, default=43)
PARSER.add_argument("--jobs", type=int, default=1)
PARSER.add_argument("--keep", action="store_true")
PARSER.add_argument("targets", nargs="*", metavar="TARGET", default=TARGETS)
ARGS = PARSER.parse_args()


def build():
    """The folder of the programs."""
    folder = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", FUZZ / "target"))
    host = re.search(r"host: (\S+)", subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout)[1]
    # With a target stated, build scripts and macros are not instrumented.
    command = ["cargo", "build", "--release", "--target", host, "--manifest-path", str(FUZZ / "Cargo.toml")]
    subprocess.run(command, env={**os.environ, "CARGO_TARGET_DIR": str(folder), "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(FLAGS)}, check=True)
    return folder / host / "release"


def fuzz(program):
    """A line about the runs of a target, and `True` if there was no fault."""
    seeds, artifacts = FUZZ / "corpus" / program.name, FUZZ / "artifacts" / program.name
    artifacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        found, kept = pathlib.Path(folder, "found"), pathlib.Path(folder, "kept")
        found.mkdir()
        kept.mkdir()
        limits = ["-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={artifacts}/"]
        run = subprocess.run([program, f"-max_total_time={ARGS.seconds}", "-seed=1", "-print_final_stats=1", *limits, found, seeds],
                             capture_output=True, text=True, errors="replace", cwd=folder)
        log = run.stderr
        covered = re.findall(r"(?:INITED|NEW|REDUCE|pulse|DONE)\s+cov: (\d+)", log)
        runs, most = (re.search(rf"stat::{what}:\s+(\d+)", log) for what in ("number_of_executed_units", "peak_rss_mb"))
        if ARGS.keep and run.returncode == 0:
            subprocess.run([program, "-merge=1", f"-max_len={LARGEST}", *limits, kept, seeds, found], capture_output=True, check=True, cwd=folder)
            for path in kept.iterdir():
                if not is_there(path, seeds):
                    shutil.copy(path, seeds / path.name)
        line = (f"{program.name:8} {runs and runs[1]:>8} runs, edges {covered[0] if covered else '?':>6} -> {covered[-1] if covered else '?':>6}, "
                f"{len(list(found.iterdir())):5} new inputs, at most {most and most[1]} MiB")
    if run.returncode:
        line = "BAD " + line + "\n" + "\n".join(log.splitlines()[-30:])
    return line, run.returncode == 0


def is_there(path, folder):
    content = path.read_bytes()
    return any(other.read_bytes() == content for other in folder.iterdir())


programs = build()
print(f"{machine()}; libFuzzer, {ARGS.seconds} s each", flush=True)
faults = 0
with concurrent.futures.ThreadPoolExecutor(ARGS.jobs) as pool:
    for line, is_ok in pool.map(fuzz, [programs / name for name in ARGS.targets]):
        faults += not is_ok
        print(line, flush=True)
print(f"{faults} faults")
sys.exit(bool(faults))
