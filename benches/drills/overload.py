#!/usr/bin/env python3
"""Overload: requests at 0.8, 2, 10 and 50 times what the service can do, open loop, on loopback.

    python3 benches/drills/overload.py [--seconds 4] [--rounds 3] [--queue 3] [--side 256]

Requests come as from many callers who know nothing of each other (a Poisson process; the round is its seed), each over a connection
that is kept. The speed of a machine with neighbours moves by a tenth within a minute. So each load follows a measurement of the peak (closed
loop, as many connections as may be inside) and is told as a part of that; the table has the medians of the rounds.
The generator shares the cores with the service, so that what is left for the service shrinks as refusals grow: the table tells
the cores that each of both used (and all other processes, which should be 0), and goodput as a part of the peak twice: as it is,
and for each core that the generator and others left.
`--queue` is the setting engine.queue: how many may wait beside those at work. The last line is JSON.
"""

import argparse
import json
import os
import pathlib
import statistics
import struct
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import Load, Service, busy, machine

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--seconds", type=float, default=4)
PARSER.add_argument("--rounds", type=int, default=3)
PARSER.add_argument("--queue", type=int, default=3)
PARSER.add_argument("--side", type=int, default=256, help="of the image: a refusal costs the same for any, its work does not")
PARSER.add_argument("--times", type=float, nargs="*", default=[0.8, 2, 10, 50])
ARGS = PARSER.parse_args()


def image():
    """A square as a PNG of a few hundred bytes, so that sending it costs the generator little."""
    pixels = range(ARGS.side)
    rows = b"".join(b"\0" + bytes((x // 16 * 7 + y // 16 * 5) % 200 for x in pixels) for y in pixels)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", ARGS.side, ARGS.side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def cpu(service):
    fields = pathlib.Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main():
    load, body = Load(), image()
    cores = len(os.sched_getaffinity(0))
    print(machine())
    with Service(LIMPID_ENGINE__QUEUE=str(ARGS.queue)) as service:

        def ask(*mode):
            """What the generator saw, with the cores that the service, the generator and others used."""
            before, all_before = cpu(service), busy()
            seen = load(service.address, "/denoise", "image/png", body, *mode)
            seen["service_cores"] = (cpu(service) - before) / seen["seconds"]
            all_cores = (busy() - all_before) / seen["seconds"]
            seen["other_cores"] = max(0, all_cores - seen["service_cores"] - seen["generator_cores"])
            seen["left"] = cores - seen["generator_cores"] - seen["other_cores"]
            return seen

        def beside_peak(times, seed):
            """One load of so many times the peak that was measured just before."""
            peak = ask("closed", cores + ARGS.queue, ARGS.seconds)
            seen = ask("open", peak["rps"] * times, ARGS.seconds, 128, seed)
            statuses = seen["statuses"]
            return {
                "peak_per_s": peak["rps"], "sent_per_s": seen["sent"] / seen["seconds"], "good_per_s": seen["rps"],
                "of_peak": seen["rps"] / peak["rps"], "of_peak_a_core": seen["rps"] / seen["left"] / (peak["rps"] / peak["left"]),
                "p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"], "refused": statuses.get("429", 0),
                "refused_p50_ms": seen["refused_p50_ms"], "refused_p99_ms": seen["refused_p99_ms"],
                "other": sum(n for status, n in statuses.items() if status not in ("200", "429")),
                **{name: seen[name] for name in ("service_cores", "generator_cores", "other_cores")}, "mib": service.memory(),
            }

        ask("closed", cores, 2)
        print(f"{ARGS.side}x{ARGS.side} gray, at most {ARGS.queue} wait; memory {service.memory():.0f} MiB")
        print(f"{'offered':>8}{'peak/s':>9}{'sent/s':>9}{'good/s':>9}{'of peak':>9}{'a core':>9}{'p50':>9}{'p99':>9}{'429':>8}{'429 p50':>9}{'429 p99':>9}"
              f"{'other':>7}{'service':>9}{'generator':>11}{'others':>8}{'MiB':>7}")
        rounds = [[beside_peak(times, seed) for times in ARGS.times] for seed in range(ARGS.rounds)]
        rows = {}
        for times, seen in zip(ARGS.times, zip(*rounds)):
            rows[times] = row = {name: statistics.median(one[name] for one in seen) for name in seen[0]}
            print(f"{times:>7}x{row['peak_per_s']:>9.1f}{row['sent_per_s']:>9.0f}{row['good_per_s']:>9.1f}{row['of_peak']:>9.0%}{row['of_peak_a_core']:>9.0%}"
                  f"{row['p50_ms']:>9.1f}{row['p99_ms']:>9.1f}{row['refused']:>8.0f}{row['refused_p50_ms']:>9.2f}{row['refused_p99_ms']:>9.2f}{row['other']:>7.0f}"
                  f"{row['service_cores']:>9.2f}{row['generator_cores']:>11.2f}{row['other_cores']:>8.2f}{row['mib']:>7.0f}")
        print(json.dumps(rows))


main()
