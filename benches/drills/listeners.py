#!/usr/bin/env python3
"""Listeners: a thousand clients that follow the events of one job.

    python3 benches/drills/listeners.py [--count 1000]

Each holds GET /train/ID/events of a job that trains. Threads, memory and processor time of the service are measured before and while
they listen; each must hear the same events without a gap. One more than server.event_streams must be refused. The exit code is 1 if the
service takes more than 100 MiB or 16 threads for them, or if one hears other events than the rest.
"""

import argparse
import http.client
import json
import pathlib
import re
import resource
import selectors
import socket
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import Service, machine

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--count", type=int, default=1000)
PARSER.add_argument("--seconds", type=float, default=20)
ARGS = PARSER.parse_args()


def threads(pid):
    return int(re.search(r"Threads:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def submit(service):
    """The id of a job that trains for long."""
    rows = "\n".join(",".join(f"{(i * 3 + j) % 7 / 7:.3f}" for j in range(12)) for i in range(60))
    part = '--B\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
    config = json.dumps({"name": "heard", "family": "dense", "steps": 5_000_000})
    body = part.format("config", "", config) + part.format("samples", '; filename="rows.csv"', rows) + "--B--\r\n"
    reply, _ = service.post("/train", body.encode(), "multipart/form-data; boundary=B")
    return json.loads(reply)["id"]


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (ARGS.count + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    settings = {"LIMPID_SERVER__EVENT_STREAMS": ARGS.count, "LIMPID_SERVER__MAX_CONNECTIONS": ARGS.count + 100,
                "LIMPID_SERVER__CONNECTIONS_PER_ADDRESS": 0, "LIMPID_JOBS__THREADS": 1}
    print(machine())
    with Service(**{name: str(value) for name, value in settings.items()}) as service:
        pid, job = service.process.pid, submit(service)
        host, port = service.address.split(":")
        while json.load(urllib.request.urlopen(f"{service.url}/train/{job}"))["status"] != "running":
            time.sleep(0.1)
        time.sleep(2)
        before = threads(pid), service.memory()
        begun, used = time.perf_counter(), cpu(pid)
        time.sleep(5)
        idle = (cpu(pid) - used) / (time.perf_counter() - begun)
        heard, look = {}, selectors.DefaultSelector()
        for _ in range(ARGS.count):
            client = socket.create_connection((host, int(port)))
            client.sendall(f"GET /train/{job}/events HTTP/1.1\r\nhost: {service.address}\r\n\r\n".encode())
            client.setblocking(False)
            look.register(client, selectors.EVENT_READ)
            heard[client] = b""

        def read(seconds):
            end = time.perf_counter() + seconds
            while (left := end - time.perf_counter()) > 0:
                for key, _ in look.select(left):
                    heard[key.fileobj] += key.fileobj.recv(1 << 16)

        read(10)
        begun, used, most = time.perf_counter(), cpu(pid), (0, 0.0)
        while time.perf_counter() - begun < ARGS.seconds:
            read(1)
            most = max(most[0], threads(pid)), max(most[1], service.memory())
        cores = (cpu(pid) - used) / (time.perf_counter() - begun)
        extra = http.client.HTTPConnection(host, int(port))
        extra.request("GET", f"/train/{job}/events")
        refused = extra.getresponse()
        detail = json.loads(refused.read())["detail"] if refused.status != 200 else ""
        ids = [[int(number) for number in re.findall(rb"\nid: (\d+)", text)] for text in heard.values()]
        whole = sum(one == list(range(1, len(one) + 1)) and len(one) > 10 for one in ids)
        print(f"{ARGS.count} listeners for {ARGS.seconds:.0f} s: threads {before[0]} -> {most[0]}, memory {before[1]:.0f} -> {most[1]:.0f} MiB, "
              f"cores {idle:.2f} -> {cores:.2f} (service alone); events heard by each {min(map(len, ids))}..{max(map(len, ids))}, without a gap {whole}")
        print(f"one more: {refused.status} {detail}")
        faults = []
        if most[0] - before[0] > 16:
            faults.append("a thread each")
        if most[1] - before[1] > 100:
            faults.append("more than 100 MiB")
        if whole != ARGS.count or refused.status != 429:
            faults.append("events are missing, or the limit does not hold")
        for fault in faults:
            print("BAD", fault)
        print(f"{len(faults)} faults")
        return bool(faults)


sys.exit(main())
