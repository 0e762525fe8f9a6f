#!/usr/bin/env python3
"""Trainers: a training process that does not stop when it is asked to, and one that hangs.

    python3 benches/drills/trainers.py

A job whose single step takes minutes is cancelled: the time until it is so, and until the next job is done, which needs the same process.
It is paused, which needs the process to be ended. Then the process of a running job is stopped with SIGSTOP: the time until the
job is done by another one. The exit code is 1 if a cancel takes longer than a second, or if a job behind is not done in a minute.
"""

import json
import os
import pathlib
import signal
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import Service, machine

STOP = 3
LEASE = 4
FAULTS = []


def image(side):
    """A gray PNM."""
    return b"P5\n%d %d\n255\n" % (side, side) + bytes((x * 7 + y * 3) % 200 for y in range(side) for x in range(side))


def submit(service, config, files):
    mark = "x7f3a"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="config"\r\n\r\n{json.dumps(config)}\r\n'.encode()]
    for name, content in files.items():
        head = f'--{mark}\r\nContent-Disposition: form-data; name="samples"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    body, _ = service.post("/train", b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}")
    return json.loads(body)["id"]


def heavy(service, name):
    """A job of one step that takes minutes."""
    widths = {"channels": 1, "widths": [256] * 3, "encoder_blocks": [16] * 3, "decoder_blocks": [16] * 3, "refiner_blocks": 16, "latent": [1, 1, 1]}
    config = {"name": name, "family": {"pyramid": widths}, "batch": 32, "crop": 256, "steps": 1}
    return submit(service, config, {f"{i}.pgm": image(512) for i in range(4)})


def small(service, name, steps=300):
    rows = "\n".join(",".join(f"{(i * 3 + j) % 7 / 7:.3f}" for j in range(12)) for i in range(60))
    return submit(service, {"name": name, "family": "dense", "steps": steps}, {"rows.csv": rows.encode()})


def job(service, id):
    return json.load(urllib.request.urlopen(f"{service.url}/train/{id}"))


def until(service, id, wanted, seconds):
    """Seconds until the job is in a state; none if that takes too long."""
    begun = time.perf_counter()
    while job(service, id)["status"] not in wanted:
        if time.perf_counter() - begun > seconds:
            return None
        time.sleep(0.02)
    return time.perf_counter() - begun


def report(text, seconds, limit):
    shown = "never" if seconds is None else f"{seconds:.2f} s"
    is_bad = seconds is None or seconds > limit
    print(f"{'BAD' if is_bad else 'ok':4}{text}: {shown} (limit {limit} s)", flush=True)
    if is_bad:
        FAULTS.append(text)


def trainer(service):
    """The process id of the service's training process."""
    for task in pathlib.Path(f"/proc/{service.process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            return int(child)


def main():
    print(machine())
    with Service(LIMPID_JOBS__STOP_SECONDS=str(STOP), LIMPID_JOBS__LEASE_SECONDS=str(LEASE)) as service:
        for verb, wanted, limit in (("cancel", "cancelled", 1), ("pause", "paused", STOP + 3)):
            first = heavy(service, f"heavy-{verb}")
            until(service, first, {"running"}, 60)
            time.sleep(3)
            next_one = small(service, f"after-{verb}")
            urllib.request.urlopen(urllib.request.Request(f"{service.url}/train/{first}/{verb}", b"", method="POST"))
            report(f"{verb} of a job within a step of minutes", until(service, first, {wanted}, 60), limit)
            report(f"the job behind it is done", until(service, next_one, {"succeeded"}, 60), 60)
        long = small(service, "long", 20_000)
        until(service, long, {"running"}, 60)
        os.kill(trainer(service), signal.SIGSTOP)
        begun = time.perf_counter()
        while job(service, long)["attempt"] == 1 and time.perf_counter() - begun < 60:
            time.sleep(0.05)
        taken = time.perf_counter() - begun if job(service, long)["attempt"] == 2 else None
        report("a job whose process was stopped is taken by another one", taken, LEASE + STOP + 10)
        report("and is done", until(service, long, {"succeeded"}, 300), 300)
    print(f"{len(FAULTS)} faults")
    return bool(FAULTS)


sys.exit(main())
