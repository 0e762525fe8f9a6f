#!/usr/bin/env python3
"""Large images at once: the time of each answer, and with deadlines how many are answered at all.

    python3 benches/drills/large.py [--side 1500] [--count 8]

`--count` clients send a gray image of side x side pixels within 0.4 s. In order of arrival, the k-th answer of n comes after k/n of
the time of the last one. Then ten clients send one, each with a deadline that leaves time for five. The exit code is 1 if the fourth
of eight answers comes later than 0.75 of the last one, or if less than 90 % of the images that fit in the deadline are answered.
"""

import argparse
import collections
import os
import pathlib
import random
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import Service, machine

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--side", type=int, default=1500)
PARSER.add_argument("--count", type=int, default=8)
ARGS = PARSER.parse_args()
GAP = 0.05


def main():
    body = b"P5\n%d %d\n255\n" % (ARGS.side, ARGS.side) + random.Random(1).randbytes(ARGS.side**2)
    with Service() as service:

        def send(headers={}):
            """The status of one image."""
            request = urllib.request.Request(service.url + "/denoise", body, {"content-type": "image/x-portable-anymap", **headers})
            try:
                with urllib.request.urlopen(request, timeout=900) as reply:
                    reply.read()
                    return reply.status
            except urllib.error.HTTPError as error:
                return error.code

        def together(count, headers={}):
            """Pairs of seconds and status, in order of the answers."""
            seen, begun = [], time.perf_counter()

            def one(index):
                time.sleep(index * GAP)
                status = send(headers)
                seen.append((round(time.perf_counter() - begun, 1), status))

            threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return sorted(seen)

        print(machine())
        send()
        begun = time.perf_counter()
        send()
        alone = time.perf_counter() - begun
        answers = together(ARGS.count)
        times = [seconds for seconds, _ in answers]
        print(f"{ARGS.side}x{ARGS.side} gray: alone {alone:.1f} s; {ARGS.count} at once: {times} s")
        # The time of one in a row, without what the others disturb.
        each = times[-1] / ARGS.count
        limit = int(each * 5 * 1000)
        late = together(10, {"x-request-timeout-ms": str(limit)})
        statuses = collections.Counter(status for _, status in late)
        print(f"10 at once with a deadline of {limit} ms, time for 5: {dict(statuses)}; memory {service.memory('VmHWM'):.0f} MiB at most")
        faults = []
        if {status for _, status in answers} != {200}:
            faults.append(f"statuses without a deadline: {answers}")
        half = times[ARGS.count // 2 - 1] / times[-1]
        if half > 0.75:
            faults.append(f"answer {ARGS.count // 2} of {ARGS.count} came at {half:.2f} of the last one's time")
        if statuses[200] < 4.5:
            faults.append(f"{statuses[200]} of 5 images that fit were answered")
        for fault in faults:
            print("BAD", fault)
        print(f"the first half came at {half:.2f} of the time of all; {len(faults)} faults")
        return bool(faults)


sys.exit(main())
