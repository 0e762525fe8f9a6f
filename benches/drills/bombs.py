#!/usr/bin/env python3
"""Bombs: small files that would cost much memory or time, while /livez is asked every 20 ms.

    python3 benches/drills/bombs.py [NAME...]

For each file: its size, the status, the time of the answer after the last byte, the longest time of a probe, and how much the memory of the
service grew beyond the body. The exit code is 1 if a probe took longer than 100 ms, if memory grew by more than 64 MiB beyond the body,
if a refusal took longer than a second, or if the status is not the expected one.
"""

import argparse
import http.client
import pathlib
import struct
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from limpid import Service, machine

PARSER = argparse.ArgumentParser()
PARSER.add_argument("names", nargs="*")
ARGS = PARSER.parse_args()
FORM = "multipart/form-data; boundary=B"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(extra):
    """A pixel with chunks before it."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND", b"")


def zeros(length):
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(packer.compress(block[: min(1 << 20, length - at)]) for at in range(0, length, 1 << 20)) + packer.flush()


def jpeg(extra):
    """Eight by eight gray pixels with segments before them."""
    table = lambda kind, symbols: b"\xff\xc4" + struct.pack(">HB", 19 + len(symbols), kind << 4) + bytes([1] * len(symbols) + [0] * (16 - len(symbols))) + bytes(symbols)
    return (b"\xff\xd8" + extra + b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64) + b"\xff\xc0"
            + struct.pack(">HBHHB", 11, 8, 8, 8, 1) + bytes([1, 0x11, 0]) + table(0, [0]) + table(1, [0])
            + b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 0, 63, 0]) + b"\x3f\xff\xd9")


def tiff(count, tags=()):
    """A chain of one page and thumbnails, of one pixel each."""
    entries = [(254, 4, 1, 1), (256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 0), (277, 3, 1, 1),
               (278, 4, 1, 1), (279, 4, 1, 1), *tags]
    size = 2 + 12 * len(entries) + 4
    fields = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(fields + struct.pack("<I", 8 + (i + 1) * size if i < count - 1 else 0) for i in range(count))


def form(count, name):
    part = b'--B\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\nContent-Type: image/png\r\n\r\nx\r\n' % name
    return part * count + b"--B--\r\n"


def form_with(name, file_name, content):
    return (b'--B\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n' % (name, file_name)) + content + b"\r\n--B--\r\n"


def pgm(width, height):
    return b"P5\n%d %d\n255\n" % (width, height) + bytes(width * height)


def tar(kind, size):
    """A header of a tar entry with so many bytes."""
    block = bytearray(512)
    block[:5], block[100:108], block[124:136], block[156:157], block[257:265] = b"aaaaa", b"0000644\0", b"%011o\0" % size, kind, b"ustar  \0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"a" * (size + -size % 512)


# Name: body, media type, path, expected statuses.
CASES = {
    "png profile of 100 MB": lambda: (png(chunk(b"iCCP", b"x\0\0" + zeros(100 << 20))), "image/png", "/denoise", {413}),
    "png profile of 2 GB": lambda: (png(chunk(b"iCCP", b"x\0\0" + zeros(2000 << 20))), "image/png", "/denoise", {413}),
    "png text of 1 GB": lambda: (png(chunk(b"zTXt", b"x\0\0" + zeros(1000 << 20))), "image/png", "/denoise", {200}),
    "png 1 M text chunks": lambda: (png(chunk(b"tEXt", b"a\0b") * 1_000_000), "image/png", "/denoise", {413}),
    "png 10 M text chunks": lambda: (png(chunk(b"tEXt", b"a\0b") * 10_000_000), "image/png", "/denoise", {413}),
    "jpeg 5 M segments": lambda: (jpeg(b"\xff\xe5\0\2" * 5_000_000), "image/jpeg", "/denoise", {413}),
    "jpeg 60 M segments": lambda: (jpeg(b"\xff\xe5\0\2" * 60_000_000), "image/jpeg", "/denoise", {413}),
    "jpeg 3000 profile segments": lambda: (jpeg((b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + bytes(65535 - 16)) * 3000), "image/jpeg", "/denoise", {413}),
    "tiff 100 k thumbnails": lambda: (tiff(100_000), "image/tiff", "/denoise", {200, 400, 413}),
    "tiff 1 M thumbnails": lambda: (tiff(1_000_000), "image/tiff", "/denoise", {200, 400, 413}),
    "tiff 4000 tags of 20 MB": lambda: (tiff(1, [(40000 + i, 1, 20_000_000, 8) for i in range(4000)]) + bytes(20 << 20), "image/tiff", "/denoise", {413}),
    "webp 5 M chunks": lambda: (b"RIFF" + struct.pack("<I", 40_000_004) + b"WEBP" + b"teSt\0\0\0\0" * 5_000_000, "image/webp", "/denoise", {413}),
    "form of 2 M fields": lambda: (form(2_000_000, b"zzz"), FORM, "/denoise", {400}),
    "form of 100 k files": lambda: (form(100_000, b"file"), FORM, "/denoise", {400, 413}),
    "form without an end": lambda: (b"\r\n--A" * 25_000_000, FORM, "/denoise", {400}),
    "form with a file of 150 MB": lambda: (form_with(b"file", b"a.pgm", pgm(12_500, 12_000)), FORM, "/denoise", {413}),
    "form with a head of 200 MB": lambda: (form_with(b"samples", b"a" * (200 << 20), b"1,2"), FORM, "/train", {0, 400}),
    "json 1 M deep": lambda: (b'{"data":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "application/json", "/denoise", {400}),
    "json 2.5 M samples": lambda: (b'{"samples":[' + b'{"data":[1]},' * 2_500_000 + b'{"data":[1]}]}', "application/json", "/denoise", {400, 413}),
    "pnm comments of 90 MB": lambda: (b"P5\n" + b"#x\n" * 30_000_000 + b"1 1\n255\nx", "image/x-portable-anymap", "/denoise", {200, 400, 413}),
    "tar name of 100 MB": lambda: (tar(b"L", 100 << 20), "application/x-tar", "/models?name=bomb", {400}),
}


class Probe(threading.Thread):
    """Asks /livez every 20 ms; keeps the longest time and the most memory."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service, self.worst, self.memory, self.is_over = service, 0.0, 0.0, False

    def run(self):
        host, port = self.service.address.split(":")
        while not self.is_over:
            begun = time.perf_counter()
            client = http.client.HTTPConnection(host, int(port), timeout=60)
            client.request("GET", "/livez")
            client.getresponse().read()
            client.close()
            self.worst = max(self.worst, time.perf_counter() - begun)
            self.memory = max(self.memory, self.service.memory())
            time.sleep(0.02)


def started(service):
    client = http.client.HTTPConnection(service.address, timeout=60)
    client.request("GET", "/startupz")
    return client.getresponse().status == 204


def send(service, path, body, media_type):
    """Status, or 0 where the connection was closed before, and seconds after the last byte."""
    host, port = service.address.split(":")
    client = http.client.HTTPConnection(host, int(port), timeout=300)
    client.putrequest("POST", path)
    client.putheader("content-type", media_type)
    client.putheader("content-length", str(len(body)))
    client.endheaders()
    view = memoryview(body)
    try:
        for at in range(0, len(body), 1 << 20):
            client.sock.sendall(view[at : at + (1 << 20)])
        begun = time.perf_counter()
        reply = client.getresponse()
        reply.read()
        return reply.status, time.perf_counter() - begun
    except OSError:  # refused and closed while it was sent
        return 0, 0.0


def main():
    faults = 0
    print(machine())
    for name in ARGS.names or CASES:
        body, media_type, path, expected = CASES[name]()
        with Service() as service:
            # The models that it loads at its start are no growth.
            while not started(service):
                time.sleep(0.05)
            send(service, "/denoise", b"P5\n32 32\n255\n" + bytes(range(256)) * 4, "image/x-portable-anymap")
            before, probe = service.memory(), Probe(service)
            probe.start()
            time.sleep(0.2)
            status, seconds = send(service, path, body, media_type)
            time.sleep(0.3)
            probe.is_over = True
            probe.join()
        growth = probe.memory - before - len(body) / (1 << 20)
        bad = [text for text, is_bad in [
            ("status", status not in expected), ("probe", probe.worst > 0.1), ("memory", growth > 64), ("time", status >= 400 and seconds > 1)] if is_bad]
        faults += bool(bad)
        print(f"{'BAD' if bad else 'ok':4}{name:28}{len(body) / 1e6:9.1f} MB -> {status} in {seconds:6.2f} s | probe {probe.worst * 1000:6.0f} ms | memory {growth:+7.0f} MiB  {' '.join(bad)}", flush=True)
    print(f"{faults} faults")
    return bool(faults)


sys.exit(main())
