#!/usr/bin/env python3
"""Footprint: start-up, idle memory, sizes on disk, and peak memory for images of 1, 10 and 100 megapixels.

    python3 benches/drills/footprint.py [--megapixels 1 10 100]

Each image is gray noise of 8 bits as PNG, which does not shrink, sent to a service of its own. The last line is JSON.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import struct
import sys
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import ROOT, Service, machine

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--megapixels", type=float, nargs="*", default=[1, 10, 100])
PARSER.add_argument("--starts", type=int, default=9)
ARGS = PARSER.parse_args()


def png(width, height):
    """Gray noise of 8 bits."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    draw = random.Random(1)
    pack = zlib.compressobj(1)
    rows = b"".join(pack.compress(b"\0" + draw.randbytes(width)) for _ in range(height)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def start():
    """Milliseconds from the start of the process to its first answer."""
    small = png(28, 28)
    with Service() as service:
        service.post("/denoise", small, "image/png")
        return (time.perf_counter() - service.begun) * 1e3


def idle():
    with Service() as service:
        time.sleep(1)
        return service.memory()


def size(path):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def peak(megapixels):
    side = round((megapixels * 1e6) ** 0.5)
    body = png(side, side)
    with Service() as service:
        base = service.memory()
        begun = time.perf_counter()
        service.post("/denoise", body, "image/png")
        took = time.perf_counter() - begun
        time.sleep(0.2)
        return {"file_mib": len(body) / 2**20, "base_mib": base, "peak_mib": service.memory("VmHWM"),
                "after_mib": service.memory(), "seconds": took}


def main():
    print(machine())
    starts = sorted(start() for _ in range(ARGS.starts))
    with Service() as service:
        program = os.path.getsize(service.program) / 1e6
    result = {"start_ms": statistics.median(starts), "slowest_start_ms": starts[-1], "idle_mib": idle(), "program_mb": program,
              "models_mb": size(ROOT / "models") / 1e6, "images": {}}
    print(f"start to first answer {result['start_ms']:.0f} ms (slowest of {len(starts)}: {starts[-1]:.0f}); idle {result['idle_mib']:.0f} MiB; "
          f"program {program:.1f} MB + models {result['models_mb']:.1f} MB")
    print(f"{'megapixels':>10}{'file':>8}{'peak':>8}{'after':>8}{'seconds':>9}   MiB")
    for megapixels in ARGS.megapixels:
        row = result["images"][megapixels] = peak(megapixels)
        print(f"{megapixels:>10}{row['file_mib']:>8.0f}{row['peak_mib']:>8.0f}{row['after_mib']:>8.0f}{row['seconds']:>9.1f}", flush=True)
    print(json.dumps(result))


main()
