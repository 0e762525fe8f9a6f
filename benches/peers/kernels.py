#!/usr/bin/env python3
"""Times Limpid, candle's own kernels, PyTorch and ONNX Runtime on the same networks, side by side.

    python -m venv venv && venv/bin/pip install -r benches/peers/requirements.txt
    venv/bin/python benches/peers/kernels.py [--threads 2] [--rounds 15]

Every round runs each contender once, in a shifting order, so that a busy neighbour hurts all alike; the table has medians
in milliseconds. With --cpu-time everyone has one thread and its CPU time counts: on a busy machine waiting at barriers, which some
contenders do with a spinning loop, would be measured otherwise. PyTorch runs channels last. `faults` are page faults of
a run of Limpid's. The last line is JSON: Limpid's time as a part of the peer's.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--threads", type=int, default=2)
PARSER.add_argument("--rounds", type=int, default=15)
PARSER.add_argument("--only", default="", help="run only cases whose name contains this")
PARSER.add_argument("--no-candle", action="store_true", help="leave out candle's own kernels, which are slow")
PARSER.add_argument("--cpu-time", action="store_true", help="one thread, CPU time: for a machine with neighbours")
PARSER.add_argument("--allocator", choices=["mimalloc", "system"], default="mimalloc", help="of Limpid and candle")
PARSER.add_argument("--avx2", action="store_true", help="hold every contender to AVX2")
ARGS = PARSER.parse_args()

if ARGS.cpu_time:
    ARGS.threads = 1

# Before torch is imported: it reads these once.
os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)
HAS_AVX512 = "avx512f" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
if ARGS.avx2:
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
    if HAS_AVX512:
        from mask_cpuid import mask_avx512

        mask_avx512()

import numpy as np
import onnxruntime as ort
import torch
from torch import nn
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What Limpid's own binary sets at its start.
SETTINGS = {"RAYON_NUM_THREADS": str(ARGS.threads), "CANDLE_NUM_THREADS": "1", "MIMALLOC_PURGE_DELAY": "-1"}


class N1(nn.Module):
    """PixelUnshuffle(2), conv 3x3 4 -> 64, 13 times 64 -> 64, each with ReLU, 64 -> 4, PixelShuffle(2)."""

    def __init__(self):
        super().__init__()
        widths = [4] + 14 * [64] + [4]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        x = F.pixel_unshuffle(x, 2)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return (F.pixel_shuffle(self.layers[-1](x), 2),)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return self.second(F.relu(self.first(x))) + x


def stack(count, width):
    return nn.Sequential(*(Residual(width) for _ in range(count)))


class Pyramid(nn.Module):
    """The bundled family, by default in its default sizes (src/nn/model/pyramid.rs), both results."""

    def __init__(self, widths=(48, 64, 96), encoder=(1, 1, 2), decoder=(1, 1, 2), refiner=1, latent=(1, 2, 8), channels=1):
        super().__init__()
        w1, w2, w3 = widths
        self.head = nn.Conv2d(4 * channels, w1, 3, padding=1)
        self.encoder = nn.ModuleList(stack(n, w) for n, w in zip(encoder, widths))
        self.downs = nn.ModuleList([nn.Conv2d(4 * w1, w2, 1), nn.Conv2d(4 * w2, w3, 1)])
        self.codes = nn.ModuleList(nn.Conv2d(w, z, 1) for w, z in zip(widths, latent))
        self.uncodes = nn.ModuleList(nn.Conv2d(z, w, 1) for w, z in zip(widths, latent))
        self.decoder = nn.ModuleList(stack(n, w) for n, w in zip(decoder, widths))
        self.ups = nn.ModuleList([nn.Conv2d(w2, 4 * w1, 1), nn.Conv2d(w3, 4 * w2, 1)])
        self.tail = nn.Conv2d(w1, 4 * channels, 3, padding=1)
        self.features = nn.Conv2d(w1, w1, 1)
        self.detail = nn.Conv2d(w1, w1, 1)
        self.refiner = stack(refiner, w1)
        self.refined = nn.Conv2d(w1, 4 * channels, 3, padding=1)

    @classmethod
    def of(cls, config):
        """In the sizes that a model's config.json states."""
        sizes = config["model"]["family"]["pyramid"]
        keys = "widths", "encoder_blocks", "decoder_blocks", "refiner_blocks", "latent", "channels"
        return cls(*(sizes[key] for key in keys))

    def forward(self, x):
        e1 = self.encoder[0](F.relu(self.head(F.pixel_unshuffle(x, 2))))
        e2 = self.encoder[1](self.downs[0](F.pixel_unshuffle(e1, 2)))
        e3 = self.encoder[2](self.downs[1](F.pixel_unshuffle(e2, 2)))
        z1, z2, z3 = (code(e) for code, e in zip(self.codes, (e1, e2, e3)))
        d3 = self.decoder[2](self.uncodes[2](z3))
        d2 = self.decoder[1](self.uncodes[1](z2) + F.pixel_shuffle(self.ups[1](d3), 2))
        d1 = self.decoder[0](self.uncodes[0](z1) + F.pixel_shuffle(self.ups[0](d2), 2))
        strict = F.pixel_shuffle(self.tail(d1), 2)
        both = self.refiner(F.relu(self.features(d1) + self.detail(e1)))
        return strict, F.pixel_shuffle(self.refined(both), 2) + strict


NETWORKS = {"n1": N1, "pyramid": Pyramid}


class Rust:
    """Limpid and candle, in a process of their own that does one run a line."""

    def __init__(self):
        build = ["cargo", "bench", "--no-run", "--bench", "peers", "--message-format=json"]
        lines = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        messages = (json.loads(line) for line in lines if line.startswith("{"))
        paths = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "peers"]
        env = {**os.environ, **SETTINGS, "ALLOCATOR": ARGS.allocator}
        self.process = subprocess.Popen(paths, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def runner(self, name, network, task, shape):
        isa = "avx2" if ARGS.avx2 else "best"
        command = f"{name} {network} {task} {' '.join(map(str, shape))} {isa} {ARGS.threads}"
        # Wall and CPU time of each run, in turn.
        return lambda times: self.ask(f"{command} {times}")[ARGS.cpu_time :: 2]


CLOCK = time.thread_time if ARGS.cpu_time else time.perf_counter


def timed(run):
    def once():
        start = CLOCK()
        run()
        return (CLOCK() - start) * 1e3

    return lambda times: [once() for _ in range(times)]


def torch_runner(network, task, shape):
    batch, height, width = shape
    net = NETWORKS[network]().to(memory_format=torch.channels_last)
    x = torch.randn(batch, 1, height, width).to(memory_format=torch.channels_last)
    if task == "forward":
        net.eval()

        def forward():
            with torch.inference_mode():
                net(x)

        return timed(forward)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)

    def train():
        optimizer.zero_grad(set_to_none=True)
        sum(F.mse_loss(y, x) for y in net(x)).backward()
        optimizer.step()

    return timed(train)


def ort_runner(network, shape):
    batch, height, width = shape
    x = torch.randn(batch, 1, height, width)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.onnx")
        torch.onnx.export(NETWORKS[network]().eval(), (x,), path, input_names=["x"], dynamo=False)
        options = ort.SessionOptions()
        options.intra_op_num_threads = ARGS.threads
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"x": x.numpy().astype(np.float32)}
    return timed(lambda: session.run(None, feed))


def main():
    torch.set_num_threads(ARGS.threads)
    rust = Rust()
    isa = "avx2" if ARGS.avx2 or not HAS_AVX512 else "avx512"
    peak = max(rust.ask(f"peak {isa} {ARGS.threads}")[0] for _ in range(5))
    print(f"multiply-adds in registers: {peak:.0f} GFLOP/s with {ARGS.threads} threads, {isa}")
    # Name, network, task, (batch, height, width), GFLOP of the direct convolutions.
    n1 = 2 * (4 * 64 * 2 + 13 * 64 * 64) * 9 / 4e9
    p = pyramid_flops()
    cases = [
        ("n1_forward_512", "n1", "forward", (1, 512, 512), n1 * 512 * 512),
        ("n1_forward_16x64", "n1", "forward", (16, 64, 64), n1 * 65536),
        ("n1_forward_64", "n1", "forward", (1, 64, 64), n1 * 4096),
        ("n1_forward_28", "n1", "forward", (1, 28, 28), n1 * 784),
        ("n1_train", "n1", "train", (16, 64, 64), 3 * n1 * 65536),
        ("pyramid_forward", "pyramid", "forward", (1, 512, 512), p * 512 * 512),
        ("pyramid_forward_64", "pyramid", "forward", (1, 64, 64), p * 4096),
        ("pyramid_train", "pyramid", "train", (16, 64, 64), 3 * p * 65536),
    ]
    times = {}
    print(f"{'':20}{'limpid':>10}{'candle':>10}{'torch':>10}{'ort':>10}   GFLOP/s  of peak   faults")
    for case in cases:
        if ARGS.only in case[0]:
            times[case[0]] = measure(rust, *case[:4])
            show(case[0], times[case[0]], case[4], peak, faults(rust, *case[1:4]))
    resident, most, _ = rust.ask("memory")
    print(f"Limpid's process, all networks kept: {resident:.0f} MiB resident at rest, {most:.0f} at most")
    print(json.dumps(ratios(times)))


def measure(rust, name, network, task, shape):
    contenders = {"limpid": rust.runner("limpid", network, task, shape)}
    # candle's matrix product finds the instruction set itself and cannot be held to another.
    if not ARGS.no_candle and not (ARGS.avx2 and HAS_AVX512):
        contenders["candle"] = rust.runner("candle", network, task, shape)
    contenders["torch"] = torch_runner(network, task, shape)
    if task == "forward":
        contenders["ort"] = ort_runner(network, shape)
    order = list(contenders)
    samples = {who: [] for who in order}
    # Each runs for a tenth of a second at a time, at least twice, and the second half counts: after a pause caches and
    # clocks are cold, and the scheduler of a virtual machine may need tens of milliseconds to part two threads.
    times = {who: max(2, int(100 / contenders[who](3)[-1])) for who in order}
    for turn in range(ARGS.rounds):
        for i in range(len(order)):
            who = order[(i + turn) % len(order)]
            if who == "candle" and turn > 2:
                continue
            time.sleep(0.1)  # ONNX Runtime's threads spin for up to 40 ms after a run
            samples[who].append(statistics.median(contenders[who](times[who])[times[who] // 2 :]))
    return {who: statistics.median(of) for who, of in samples.items()}


def faults(rust, *case, times=20):
    """Page faults of a run of Limpid's: what it still allocates anew in steady state."""
    run = rust.runner("limpid", *case)
    before = rust.ask("memory")[2]
    run(times)
    return (rust.ask("memory")[2] - before) / times


def show(name, times, gflop, peak, faults):
    cells = "".join(f"{times[w]:10.2f}" if w in times else f"{'-':>10}" for w in ("limpid", "candle", "torch", "ort"))
    rate = gflop / times["limpid"] * 1e3
    print(f"{name:20}{cells}{rate:10.0f}{100 * rate / peak:8.0f}%{faults:9.1f}", flush=True)


def pyramid_flops():
    """Floating-point operations of one pixel, in 1e9."""
    total = 0
    x = torch.zeros(1, 1, 64, 64)

    def count(module, _, y):
        nonlocal total
        kernel = module.kernel_size[0] * module.kernel_size[1]
        total += 2 * module.in_channels * kernel * y.numel()

    net = Pyramid()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        net(x)
    return total / 4096 / 1e9


def ratios(times):
    suffix = "_avx2" if ARGS.avx2 else ""
    out = {}
    for name, of in times.items():
        for peer in ("ort", "torch", "candle"):
            if peer in of:
                out[f"{name}{suffix}_vs_{peer}{suffix}"] = round(of["limpid"] / of[peer], 3)
        if name.startswith("pyramid_forward") and "ort" in of:
            out[f"{name}{suffix}_vs_best{suffix}"] = round(of["limpid"] / min(of["ort"], of["torch"]), 3)
    return out


if __name__ == "__main__":
    main()
