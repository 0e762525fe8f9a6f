#!/usr/bin/env python3
"""Container: more bodies and images at once than the memory of a cgroup holds.

    python3 benches/drills/container.py [--mib 1024]

The service runs in a memory cgroup of its own (needs root; version 1 or 2), once in a cgroup namespace, as in a container, and once
without, as under systemd. It must see its limit, answer with 200 or 429 and nothing else, and not be ended by the system:
60 clients send a body of 59 MiB but for its last byte, and then that; 40 clients send an image of 25 megapixels. The exit code is 1
if one of these does not hold.
"""

import argparse
import collections
import os
import pathlib
import re
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import Service, machine

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--mib", type=int, default=1024)
ARGS = PARSER.parse_args()
ROOT = pathlib.Path("/sys/fs/cgroup")


class Group:
    """A memory cgroup, removed at the end."""

    def __init__(self, mib):
        is_new = (ROOT / "cgroup.controllers").exists()
        self.root = ROOT if is_new else ROOT / "memory"
        self.folder = self.root / "limpid-drill"
        if is_new:
            (ROOT / "cgroup.subtree_control").write_text("+memory")
        self.folder.mkdir(exist_ok=True)
        limit, self.peak_file, self.kills_file = (
            ("memory.max", "memory.peak", "memory.events") if is_new
            else ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"))
        (self.folder / limit).write_text(str(mib << 20))
        self.version = 2 if is_new else 1

    def command(self, has_namespace):
        """What starts a program in the group."""
        join = ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh"]
        if not has_namespace:
            return join
        # The group is the root of what the program sees, at the place where it looks.
        mount = (f"mount -t cgroup2 none {ROOT}" if self.version == 2 else
                 f"mount -t tmpfs none {ROOT} && mkdir {ROOT}/memory && mount -t cgroup -o memory none {ROOT}/memory")
        return [*join, "unshare", "-m", "-C", "sh", "-c", f'{mount} && exec "$@"', "sh"]

    def peak(self):
        """MiB at most since the start."""
        return int((self.folder / self.peak_file).read_text()) >> 20

    def kills(self):
        return int(re.search(r"oom_kill (\d+)", (self.folder / self.kills_file).read_text())[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(50):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)


def image(width, height):
    """Noise, as a file of one byte a pixel."""
    return b"P5\n%d %d\n255\n" % (width, height) + os.urandom(width) * height


def post(address, body, pause=0):
    """The status, or the error; the last byte is sent after a pause."""
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=900) as client:
            client.sendall(b"POST /denoise HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: image/x-portable-anymap\r\n"
                           b"content-length: %d\r\n\r\n" % len(body))
            try:
                client.sendall(memoryview(body)[:-1])
                time.sleep(pause)
                client.sendall(body[-1:])
            except OSError:
                pass  # answered before the end, and closed
            return client.recv(64)[9:12].decode() or "closed"
    except OSError as error:
        return type(error).__name__


def crowd(service, count, body, pause=0):
    """How often each status came."""
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(post(service.address, body, pause))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(collections.Counter(seen))


def drill(group, has_namespace):
    """Number of faults."""
    before, faults = group.kills(), 0
    settings = {"LIMPID_SERVER__REQUEST_SECONDS": "900", "LIMPID_SERVER__CONNECTIONS_PER_ADDRESS": "0"}
    with Service(prefix=group.command(has_namespace), **settings) as service:
        place = f"cgroup v{group.version}, {'with' if has_namespace else 'without'} namespace"
        shares = re.search(r"(\d+) MiB: .* work", service.log.read_text())
        faults += not shares or int(shares[1]) != ARGS.mib
        print(f"{place}: it sees {shares and shares[0]}", flush=True)
        for name, count, body, pause in [("bodies of 59 MiB", 60, image(8000, 7734), 8), ("images of 25 Mpixel", 40, image(5000, 5000), 0)]:
            begun = time.time()
            seen = crowd(service, count, body, pause)
            is_alive, kills = service.process.poll() is None, group.kills() - before
            is_bad = not is_alive or kills or not set(seen) <= {"200", "429"} or "200" not in seen
            faults += is_bad
            print(f"{'BAD' if is_bad else 'ok':4}{place}: {count} {name} at once -> {seen} in {time.time() - begun:.0f} s; "
                  f"at most {group.peak()} of {ARGS.mib} MiB, {kills} killed", flush=True)
            if not is_alive:
                break
    return faults


print(machine())
faults = 0
for has_namespace in (False, True):
    with Group(ARGS.mib) as group:
        faults += drill(group, has_namespace)
print(f"{faults} faults")
sys.exit(bool(faults))
