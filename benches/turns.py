#!/usr/bin/env python3
"""Two programs in turns: the same bytes, and the ratio of their times.

    python turns.py OLD NEW MODELS MODEL=FILE... [--rounds 9]

OLD and NEW are `limpid` programs. Each file is denoised, encoded and decoded by both, one after the other and in turns, with
the model named before it. Prints for each file whether the results
are equal, the medians of the user and system time of a process, and their ratio; ends with 1 if bytes differ or if the
median of all ratios is above 1.01.
"""

import argparse
import filecmp
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile


def cpu(command):
    """Seconds of user and system time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def calls(program, models, file, model, out):
    """The commands for one file, and what they write."""
    named = ["--models", models, "--model", model]
    yield [program, "denoise", file, "-o", out / f"full{file.suffix}", *named]
    yield [program, "denoise", file, "-o", out / f"strict{file.suffix}", "--mode", "strict", *named]
    yield [program, "encode", file, "-o", out / "it.latent", *named]
    yield [program, "decode", out / "it.latent", "-o", out / f"decoded{file.suffix}", "--models", models]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("pairs", nargs="+", help="MODEL=FILE")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    ratios, is_equal = [], True
    for pair in args.pairs:
        model, file = pair.split("=", 1)
        file = pathlib.Path(file)
        times = {args.old: [], args.new: []}
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(args.rounds):
                order = [args.old, args.new] if turn % 2 == 0 else [args.new, args.old]
                for program in order:
                    out = pathlib.Path(folder, f"{'old' if program == args.old else 'new'}-{turn}")
                    out.mkdir()
                    times[program].append(sum(cpu(call) for call in calls(program, args.models, file, model, out)))
            names = [path.name for path in pathlib.Path(folder, "old-0").iterdir()]
            last = f"new-{args.rounds - 1}"
            differ = [name for name in names if not filecmp.cmp(f"{folder}/old-0/{name}", f"{folder}/{last}/{name}", False)]
        old, new = (statistics.median(times[program]) for program in (args.old, args.new))
        ratios.append(new / old)
        is_equal &= not differ
        print(f"{model} {file.name}: {'equal' if not differ else 'DIFFERS: ' + ', '.join(differ)}, "
              f"{old:.3f} s, {new:.3f} s, ratio {new / old:.3f}")
    middle = statistics.median(ratios)
    print(f"ratio, median of {len(ratios)}: {middle:.3f}")
    sys.exit(not is_equal or middle > 1.01)


if __name__ == "__main__":
    main()
