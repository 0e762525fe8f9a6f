#!/usr/bin/env python3
"""Overload: requests due at 0.8, 2, 10 and 50 times what the service can do, open loop, on loopback.

    python3 benches/drills/overload.py [--seconds 8] [--queue 2]

The generator shares the cores with the service, so that what is left for the service shrinks as refusals grow: goodput is
given beside the CPU time the service had. `--queue` is the setting engine.queue: how many may wait beside those at work. The
last line is JSON.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import Load, Service, machine

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--seconds", type=float, default=8)
PARSER.add_argument("--queue", type=int, default=2)
PARSER.add_argument("--times", type=float, nargs="*", default=[0.8, 2, 10, 50])
ARGS = PARSER.parse_args()


def image():
    """256x256 pixels in a few hundred bytes, so that sending it costs the generator little."""
    pixels = bytes((x // 16 * 7 + y // 16 * 5) % 200 for y in range(256) for x in range(256))
    return b"P5\n256 256\n255\n" + pixels


def cpu(service):
    fields = pathlib.Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main():
    load, body = Load(), image()
    print(machine())
    with Service(LIMPID_ENGINE__QUEUE=str(ARGS.queue)) as service:
        ask = lambda *mode: load(service.address, "/denoise", "image/x-portable-anymap", body, *mode)
        ask("closed", 2, 2)
        peak = max(ask("closed", 2 + ARGS.queue, 4)["rps"] for _ in range(2))
        print(f"capacity {peak:.0f} requests/s (256x256 gray), at most {ARGS.queue} wait; memory {service.memory():.0f} MiB")
        print(f"{'offered':>8}{'sent/s':>9}{'good/s':>9}{'of peak':>9}{'p50':>9}{'p99':>9}{'429':>8}{'429 p99':>9}{'other':>7}{'CPU':>7}{'MiB':>7}")
        rows = {}
        for times in ARGS.times:
            before = cpu(service)
            seen = ask("open", peak * times, ARGS.seconds, 128)
            used = (cpu(service) - before) / seen["seconds"]
            statuses = seen["statuses"]
            other = sum(n for status, n in statuses.items() if status not in ("200", "429"))
            rows[times] = row = {
                "sent_per_s": seen["sent"] / seen["seconds"], "good_per_s": seen["rps"], "of_peak": seen["rps"] / peak,
                "p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"], "refused": statuses.get("429", 0),
                "refused_p99_ms": seen["refused_p99_ms"], "other": other, "cpu": used, "mib": service.memory(),
            }
            print(f"{times:>7}x{row['sent_per_s']:>9.0f}{row['good_per_s']:>9.0f}{row['of_peak']:>8.0%}{row['p50_ms']:>9.1f}"
                  f"{row['p99_ms']:>9.1f}{row['refused']:>8}{row['refused_p99_ms']:>9.2f}{other:>7}{used:>7.2f}{row['mib']:>7.0f}", flush=True)
        print(json.dumps({"capacity_per_s": peak, "rows": rows}))


main()
