#!/usr/bin/env python3
"""Denoises the same noisy images with Limpid and with what else there is, on the same cores: decibels and megapixels/s.

    python -m venv venv && venv/bin/pip install -r benches/peers/requirements-images.txt
    venv/bin/python benches/peers/images.py FOLDER [--color] [--megapixels 0.25 1 12] [--only limpid,nlm]
    venv/bin/python benches/peers/images.py FOLDER [--color] --each --only limpid,bm3d

FOLDER holds clean test images, such as BSD68 (or CBSD68 with --color); they are laid side by side into one of the size that is
asked for, and white noise of sigma 25 is put on it, clipped and rounded to 8 bits as a file holds it. Limpid gets it as a PNG
over HTTP and is measured from the request to the whole answer; all others get the numbers in memory. `network` is
the same network with the same weights; `kernels` is what its kernels alone take here, on pieces of 1024x1024 without a border.
BM3D and wavelets are told sigma, Limpid is not; non-local means and TV get the strength that does best here. What takes longer
than a few minutes is left out by --most seconds, as far as smaller sizes tell. The seconds are medians of rounds in which each has its
turn, so that a machine whose speed drifts is slow for all, and so is what stands behind the speed: the time as a multiple of
Limpid's in the same round. A turn is a second at least and two runs (one, if that takes over half of --most), and the last time counts: cores
that were at rest are slow at first, and so is memory that was given back meanwhile. With --each every image is taken by itself, and the decibels are told alone. The last line is JSON.
"""

import argparse
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

PARSER = argparse.ArgumentParser()
PARSER.add_argument("folder", type=pathlib.Path)
PARSER.add_argument("--color", action="store_true")
PARSER.add_argument("--megapixels", type=float, nargs="*", default=[0.25, 1, 12])
PARSER.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
PARSER.add_argument("--most", type=float, default=60, help="seconds that one run may take")
PARSER.add_argument("--rounds", type=int, default=3)
PARSER.add_argument("--each", action="store_true", help="every image by itself, decibels only")
PARSER.add_argument("--only", default="")
ARGS = PARSER.parse_args()

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = str(ARGS.threads)
# kernels.py reads the command line when it is imported.
sys.argv = sys.argv[:1]
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1])]

import numpy as np
import torch
from PIL import Image
from torch import nn

from kernels import Pyramid
from limpid import Service, build, machine, newest

CHANNELS = 3 if ARGS.color else 1
MODEL = "photo-color" if ARGS.color else "photo-gray"
SIGMA = 25


def test_images():
    """The images of the folder by name, (H, W, C)."""
    mode = "RGB" if ARGS.color else "L"
    files = sorted(p for p in ARGS.folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".bmp"))
    return {path.name: np.asarray(Image.open(path).convert(mode)).reshape(-1, Image.open(path).width, CHANNELS) for path in files}


def clean_image(megapixels):
    """Test images side by side, about square."""
    height = width = int((megapixels * 1e6) ** 0.5)
    if megapixels > 4:
        height, width = 3000, int(megapixels * 1e6 / 3000)
    images = [i if i.shape[0] <= i.shape[1] else i.transpose(1, 0, 2) for i in test_images().values()]
    whole = np.zeros((height, width, CHANNELS), np.uint8)
    y = index = 0
    while y < height:
        row = min(i.shape[0] for i in images)
        x = 0
        while x < width:
            image = images[index % len(images)]
            part = image[: min(row, height - y), : width - x]
            whole[y : y + part.shape[0], x : x + part.shape[1]] = part
            x, index = x + part.shape[1], index + 1
        y += row
    return whole


def noisy_image(clean):
    noise = np.random.default_rng(1).normal(0, SIGMA, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2))


def network():
    """The network of the bundled model, from its weights, with what lies around it: statistics and borders."""
    from safetensors.torch import load_file

    net = Pyramid.of(json.loads((newest(MODEL) / "config.json").read_text()))
    names = {
        "head": "encoder.head", "encoder": "encoder.blocks", "downs": "encoder.down", "codes": "encoder.latent",
        "uncodes": "decoder.latent", "decoder": "decoder.blocks", "ups": "decoder.up", "tail": "decoder.tail",
        "features": "refiner.features", "detail": "refiner.detail", "refiner": "refiner.blocks", "refined": "refiner.tail",
    }
    weights = load_file(newest(MODEL) / "model.safetensors")
    state = {}
    for key in net.state_dict():
        first, rest = key.split(".", 1)
        state[key] = weights[f"{names[first]}.{rest}"]
    net.load_state_dict(state)
    return net.eval()


def prepare(noisy):
    x = noisy.astype(np.float32).transpose(2, 0, 1)[None] / 255
    mean, std = x.mean(dtype=np.float64), x.std(dtype=np.float64)
    h, w = x.shape[2:]
    x = np.pad((x - np.float32(mean)) / np.float32(std), ((0, 0), (0, 0), (0, -h % 8), (0, -w % 8)), mode="reflect")
    return x, mean, std, h, w


def finish(y, mean, std, h, w):
    y = (y[0, :, :h, :w] * std + mean).transpose(1, 2, 0)
    return np.clip(np.rint(y * 255), 0, 255).astype(np.uint8)


def torch_runner():
    torch.set_num_threads(ARGS.threads)
    net = network().to(memory_format=torch.channels_last)

    def run(noisy):
        x, *rest = prepare(noisy)
        with torch.inference_mode():
            y = net(torch.from_numpy(x).to(memory_format=torch.channels_last))[1]
        return finish(y.numpy(), *rest)

    return run


def ort_runner():
    import onnxruntime as ort

    file = io.BytesIO()
    axes = {"x": {2: "h", 3: "w"}, "full": {2: "h", 3: "w"}}

    class Full(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            return self.net(x)[1]

    torch.onnx.export(Full().eval(), (torch.zeros(1, CHANNELS, 64, 64),), file, input_names=["x"], output_names=["full"],
                      dynamic_axes=axes, dynamo=False)
    options = ort.SessionOptions()
    options.intra_op_num_threads = ARGS.threads
    session = ort.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])

    def run(noisy):
        x, *rest = prepare(noisy)
        return finish(session.run(None, {"x": x})[0], *rest)

    return run


def kernels_runner():
    program = build("bench", "--no-run", "--bench", "peers")["peers"]
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(noisy):
        print(f"limpid {newest(MODEL) / 'config.json'} forward 1 1024 1024 best {ARGS.threads} 3", file=process.stdin, flush=True)
        # The middle one, as a row is the middle of its rounds: on a shared machine the best is far from it.
        piece = statistics.median(float(ms) for ms in process.stdout.readline().split()[::2]) / 1e3
        # No result: its weights are not those of the model.
        return None, piece * noisy.shape[0] * noisy.shape[1] / 1024**2, {}

    return run


def limpid_runner(service):
    def run(noisy):
        file = io.BytesIO()
        Image.fromarray(noisy.squeeze()).save(file, "png", compress_level=1)
        begun = time.perf_counter()
        body, headers = service.post("/denoise", file.getvalue(), "image/png")
        took = time.perf_counter() - begun
        timing = {part.split(";")[0].strip(): float(part.split("=")[1]) for part in headers["server-timing"].split(",")}
        return np.asarray(Image.open(io.BytesIO(body))).reshape(noisy.shape), took, timing

    return run


def bm3d_runner():
    import bm3d

    def run(noisy):
        x = noisy.astype(np.float32) / 255
        y = bm3d.bm3d_rgb(x, SIGMA / 255) if ARGS.color else bm3d.bm3d(x[..., 0], SIGMA / 255)
        return np.clip(np.rint(y.reshape(noisy.shape) * 255), 0, 255).astype(np.uint8)

    return run


def nlm_runner(strength):
    import cv2

    cv2.setNumThreads(ARGS.threads)

    def run(noisy):
        if ARGS.color:
            return cv2.fastNlMeansDenoisingColored(noisy, None, strength, strength)
        return cv2.fastNlMeansDenoising(noisy, None, strength)[..., None]

    return run


def wavelet_runner():
    from skimage.restoration import denoise_wavelet

    def run(noisy):
        axis = -1 if ARGS.color else None
        x = noisy.astype(np.float32).squeeze() / 255
        y = denoise_wavelet(x, sigma=SIGMA / 255, mode="soft", convert2ycbcr=ARGS.color, channel_axis=axis, rescale_sigma=True)
        return np.clip(np.rint(y.reshape(noisy.shape) * 255), 0, 255).astype(np.uint8)

    return run


def tv_runner(weight):
    from skimage.restoration import denoise_tv_chambolle

    def run(noisy):
        y = denoise_tv_chambolle(noisy.astype(np.float32) / 255, weight=weight, channel_axis=-1)
        return np.clip(np.rint(y * 255), 0, 255).astype(np.uint8)

    return run


def best(runner, strengths):
    """The strength with the most decibels on a small image."""
    clean = clean_image(0.1)
    noisy = noisy_image(clean)
    return runner(max(strengths, key=lambda s: psnr(clean, runner(s)(noisy))))


def main():
    with Service() as service:
        makers = {
            "limpid": lambda: limpid_runner(service),
            "kernels": kernels_runner,
            "network, ONNX Runtime": ort_runner,
            "network, PyTorch": torch_runner,
            "nlm, OpenCV": lambda: best(nlm_runner, (10, 15, 20, 25, 30)),
            "wavelet, scikit-image": wavelet_runner,
            "tv, scikit-image": lambda: best(tv_runner, (0.08, 0.1, 0.12, 0.15, 0.2)),
            "bm3d": bm3d_runner,
        }
        wanted = [name for name in ARGS.only.split(",") if name]
        runners = {name: make() for name, make in makers.items() if not wanted or any(w in name for w in wanted)}
        print(f"{machine()}; {MODEL}, white noise of sigma {SIGMA}, 8 bits; PSNR of the noisy image and of each result")
        if ARGS.each:
            print(json.dumps({"model": MODEL, "psnr": each(runners)}))
            return
        speeds, result = {}, {}
        for megapixels in ARGS.megapixels:
            clean = clean_image(megapixels)
            noisy = noisy_image(clean)
            pixels = clean.shape[0] * clean.shape[1] / 1e6
            print(f"\n{clean.shape[1]}x{clean.shape[0]}: {psnr(clean, noisy):.2f} dB noisy")
            fit = {name: run for name, run in runners.items() if pixels / speeds.get(name, np.inf) <= ARGS.most}
            rows = result[megapixels] = measure(fit, noisy, clean)
            for name in runners:
                if name not in rows:
                    print(f"  {name:<24} left out: it would take {pixels / speeds[name]:.0f} s")
                    continue
                row = rows[name]
                speeds[name] = row["megapixels_per_s"] = pixels / row["seconds"]
                more = "".join(f"  {stage} {ms / 1e3:.3f}" for stage, ms in row.get("timing", {}).items())
                decibels = f"{row['psnr']:.2f} dB" if "psnr" in row else ""
                print(f"  {name:<24}{decibels:>10}{row['seconds']:>9.3f} s{speeds[name]:>9.3f} MP/s{row['of_limpid']:>8.2f}{more}", flush=True)
        print(json.dumps({"model": MODEL, "results": result}))


def each(runners):
    """Decibels of every image by itself, and their means."""
    rows = {}
    for name, clean in test_images().items():
        noisy = noisy_image(clean)
        outs = {runner: run(noisy) for runner, run in runners.items()}
        rows[name] = {runner: psnr(clean, out[0] if isinstance(out, tuple) else out) for runner, out in outs.items()}
        print(f"  {name:<24}" + "".join(f"  {runner} {db:.2f}" for runner, db in rows[name].items()), flush=True)
    means = {runner: float(np.mean([row[runner] for row in rows.values()])) for runner in runners}
    print(f"  {'mean':<24}" + "".join(f"  {runner} {db:.2f}" for runner, db in means.items()))
    return {**rows, "mean": means}


def measure(runners, noisy, clean):
    """Seconds and decibels of each, in rounds; what takes long runs in the first alone."""
    times, rows = {name: [] for name in runners}, {name: {} for name in runners}
    for _ in range(ARGS.rounds):
        for name, run in runners.items():
            if times[name] and times[name][0] > ARGS.most / 4:
                continue
            turn = took = runs = 0
            while turn < 1 or runs < 2 and turn < ARGS.most / 2:
                begun = time.perf_counter()
                out = run(noisy)
                took = time.perf_counter() - begun
                turn, runs = turn + took, runs + 1
                if isinstance(out, tuple):
                    out, took, rows[name]["timing"] = out
            times[name].append(took)
            if out is not None and "psnr" not in rows[name]:
                rows[name]["psnr"] = psnr(clean, out)
    for name, row in rows.items():
        row["seconds"] = statistics.median(times[name])
        # Of the same round each: what a machine does between rounds is the same for both.
        pairs = zip(times[name], times.get("limpid", []))
        row["of_limpid"] = statistics.median([took / limpid for took, limpid in pairs] or [float("nan")])
    return rows


main()
