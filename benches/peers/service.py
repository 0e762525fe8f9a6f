#!/usr/bin/env python3
"""Requests/s, times and memory of Limpid beside LitServe and FastAPI + ONNX Runtime with the same networks and weights.

    python -m venv venv && venv/bin/pip install -r benches/peers/requirements-service.txt
    venv/bin/python benches/peers/service.py [--rounds 5] [--seconds 2] [--only limpid,fastapi,litserve]

PNG in, PNG out, on loopback (LitServe: JSON with the PNG in base64): 28x28 through `digits`, 256x256 gray through `photo-gray`, by 1, 8 and 64 connections that ask again as
soon as they have their answer. The load generator is a program of its own (benches/load.rs) on the same cores, the same for all. A 28x28
digit is black but for its stroke, 256x256 is a slope with noise. Numbers are medians of rounds in which each service has its turn while the
others are stopped (LitServe at rest takes a tenth of a core), and so is what stands last: Limpid's requests/s as a multiple of theirs in
the same round. `beside` is the median of what is not computing: HTTP, files and queue, of Limpid alone, which tells its computing in
Server-Timing. The last line is JSON.
"""

import argparse
import base64
import contextlib
import io
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--rounds", type=int, default=5)
PARSER.add_argument("--seconds", type=float, default=2)
PARSER.add_argument("--only", default="limpid,fastapi,litserve")
PARSER.add_argument("--sizes", type=int, nargs="*", default=[28, 256])
PARSER.add_argument("--connections", type=int, nargs="*", default=[1, 8, 64])
ARGS = PARSER.parse_args()

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
from PIL import Image

from limpid import Load, Service, machine, memory, newest


def png(size):
    y, x = np.mgrid[:size, :size]
    draw = np.random.default_rng(1)
    clean = 255 * (abs((x - 14) ** 2 + (y - 14) ** 2 - 64) < 25) if size == 28 else 40 + 150 * x / size
    noisy = np.clip(np.rint(clean + draw.normal(0, 25, (size, size))), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "png")
    return file.getvalue()


def export(folder, size):
    """The network as ONNX, and the arguments for its statistics."""
    import torch
    from safetensors.torch import load_file
    from torch import nn
    from torch.nn import functional as F

    sys.argv = sys.argv[:1]
    from kernels import Pyramid, stack

    model = "digits" if size == 28 else "photo-gray"
    config = json.loads((newest(model) / "config.json").read_text())
    weights = load_file(newest(model) / "model.safetensors")

    class Compact(nn.Module):
        """src/nn/model/compact.rs."""

        def __init__(self, latent, widths, blocks):
            super().__init__()
            (w1, w2), (b1, b2) = widths, blocks
            self.head, self.tail = nn.Conv2d(4, w1, 3, padding=1), nn.Conv2d(w1, 4, 3, padding=1)
            self.encoder = nn.ModuleList([stack(b1, w1), stack(b2, w2)])
            self.decoder = nn.ModuleList([stack(b1, w1), stack(b2, w2)])
            self.down, self.up = nn.Conv2d(4 * w1, w2, 1), nn.Conv2d(w2, 4 * w1, 1)
            self.to_latent, self.from_latent = nn.Linear(49 * w2, latent), nn.Linear(latent, 49 * w2)

        def forward(self, x):
            x = self.encoder[0](F.relu(self.head(F.pixel_unshuffle(x, 2))))
            x = self.encoder[1](self.down(F.pixel_unshuffle(x, 2)))
            x = F.relu(self.from_latent(self.to_latent(x.flatten(1)))).unflatten(1, (-1, 7, 7))
            x = F.pixel_shuffle(self.up(self.decoder[1](x)), 2)
            return F.pixel_shuffle(self.tail(self.decoder[0](x)), 2)

    class Full(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Pyramid.of(config)

        def forward(self, x):
            return self.net(x)[1]

    names = {"to_latent": "encoder.latent", "from_latent": "decoder.latent", "head": "encoder.head", "encoder": "encoder.blocks",
             "down": "encoder.down", "downs": "encoder.down", "codes": "encoder.latent", "uncodes": "decoder.latent", "decoder": "decoder.blocks",
             "up": "decoder.up", "ups": "decoder.up", "tail": "decoder.tail", "features": "refiner.features", "detail": "refiner.detail",
             "refiner": "refiner.blocks", "refined": "refiner.tail"}
    if size == 28:
        sizes = config["model"]["family"]["compact"]
        net = Compact(sizes["latent"], sizes["widths"], sizes["blocks"])
    else:
        net = Full()
    keys = [key.removeprefix("net.") for key in net.state_dict()]
    stored = [f"{names[key.split('.', 1)[0]]}.{key.split('.', 1)[1]}" for key in keys]
    net.load_state_dict({key: weights[name] for key, name in zip(net.state_dict(), stored)})
    path = pathlib.Path(folder, f"{model}.onnx")
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    torch.onnx.export(net.eval(), (torch.zeros(1, 1, size, size),), path, input_names=["x"], output_names=["y"], dynamic_axes=axes, dynamo=False)
    fixed = config["model"]["normalize"]
    return path, ["sample"] if fixed == "sample" else [str(fixed["fixed"]["mean"]), str(fixed["fixed"]["std"])]


class Peer:
    """A Python service in processes of its own."""

    def __init__(self, kind, net, stats):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, str(HERE / "serve_onnx.py"), kind, str(net), str(port), *stats]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        self.address = f"127.0.0.1:{port}"
        for _ in range(600):
            time.sleep(0.1)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        time.sleep(2)

    def memory(self):
        """MiB of the process and all below it."""
        def tree(pid):
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return [pid] + [p for child in children for p in tree(int(child))]
        return sum(memory(pid) for pid in tree(self.process.pid))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGCONT)
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def turn(self):
        """It runs for so long, and is stopped else."""
        os.killpg(self.process.pid, signal.SIGCONT)
        yield
        os.killpg(self.process.pid, signal.SIGSTOP)


class Limpid(Service):
    """At rest it takes nothing, and need not be stopped."""

    turn = contextlib.nullcontext


class Asked:
    """A service with the request that it gets."""

    def __init__(self, kind, size, net, stats, body):
        self.service = Limpid() if kind == "limpid" else Peer(kind, net, stats)
        self.media_type, self.body = "image/png", body
        if kind == "litserve":
            self.media_type, self.body = "application/json", json.dumps({"image": base64.b64encode(body).decode()}).encode()
        self.path = "/denoise?model=digits" if kind == "limpid" and size == 28 else "/denoise"

    def load(self, load, connections, seconds):
        """What the generator saw of a turn, but for its first moments."""
        with self.service.turn():
            for seconds in (min(0.3, seconds), seconds):
                seen = load(self.service.address, self.path, self.media_type, self.body, "closed", connections, seconds)
        seen["bad"] = sum(n for status, n in seen["statuses"].items() if status != "200")
        return seen | {"mib": self.service.memory()}


def rows(load, size, folder):
    """For each number of connections, each service's medians, and Limpid's requests/s as a multiple of its."""
    net, stats, body = *export(folder, size), png(size)
    with contextlib.ExitStack() as stack:
        asked = {}
        for kind in ARGS.only.split(","):
            asked[kind] = Asked(kind, size, net, stats, body)
            stack.enter_context(asked[kind].service)
            asked[kind].load(load, 2, 1)
        for connections in ARGS.connections:
            rounds = [{kind: one.load(load, connections, ARGS.seconds) for kind, one in asked.items()} for _ in range(ARGS.rounds)]
            for kind in asked:
                row = {key: statistics.median(seen[kind][key] for seen in rounds) for key in ("rps", "p50_ms", "p99_ms", "overhead_p50_ms", "mib", "bad")}
                if "limpid" in asked:
                    row["limpid_over"] = statistics.median(seen["limpid"]["rps"] / seen[kind]["rps"] for seen in rounds)
                yield kind, connections, row


def main():
    load, results = Load(), {}
    print(machine())
    print(f"{'':22}{'connections':>12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'beside':>9}{'MiB':>7}{'bad':>5}{'Limpid over it':>16}")
    with tempfile.TemporaryDirectory() as folder:
        for size in ARGS.sizes:
            for kind, connections, row in rows(load, size, folder):
                results[f"{size} {kind} {connections}"] = row
                print(f"{size:>4}x{size:<4} {kind:<12}{connections:>12}{row['rps']:>12.1f}{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}{row['overhead_p50_ms']:>9.2f}"
                      f"{row['mib']:>7.0f}{row['bad']:>5.0f}{row.get('limpid_over', 0):>16.2f}", flush=True)
    print(json.dumps(results))


main()
