#!/usr/bin/env python3
"""Predicted PSNR beside the true one, on photographs that nobody tuned on, through `POST /denoise?predict=1`.

    python benches/predicted.py DATA [--every 1] [--models models]

DATA has test/bsd68, test/cbsd68 and real/cc15. White noise of sigma 15, 25 and 50 with a fixed seed per image: as floats, neither
clipped nor rounded, and as an 8-bit file holds it. A line has the mean absolute error in dB, the mean error, and the share of
images whose true PSNR lies in the interval (80 % is aimed at), with sigma known and estimated; `known` counts the images for which a
prediction is made at all. Camera noise is correlated: there it must be unknown. The service is that of benches/limpid.py (PROGRAM
names one that is built already). Needs numpy and pillow.
"""

import argparse
import io
import pathlib
import re

import numpy as np
from PIL import Image

from limpid import Service

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=pathlib.Path)
parser.add_argument("--every", type=int, default=1)
parser.add_argument("--models", default="models")
args = parser.parse_args()


def read(path):
    return np.asarray(Image.open(path), np.float32) / 255


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png(array):
    file = io.BytesIO()
    Image.fromarray(np.clip(np.round(array * 255), 0, 255).astype(np.uint8)).save(file, "png")
    return file.getvalue()


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(float) - b) ** 2))


def predict(service, body, kind, query):
    """The result and the prediction: value, low and high, or the reason why it is unknown."""
    reply, headers = service.post(f"/denoise?predict=1{query}", body, kind)
    said = headers["x-psnr-predicted"]
    result = np.load(io.BytesIO(reply)) if kind == "application/x-npy" else np.asarray(Image.open(io.BytesIO(reply)), np.float32) / 255
    numbers = None if said.startswith("unknown") else [float(v) for v in re.findall(r"[\d.]+", said)]
    return result, numbers, said, float(headers.get("x-residual-correlation", "nan"))


def line(name, rows, count):
    if not rows:
        print(f"{name:34} {0:4}/{count}")
        return
    true, numbers, residual = zip(*rows)
    errors = np.array([n[0] - t for t, n in zip(true, numbers)])
    inside = np.mean([n[1] <= t <= n[2] for t, n in zip(true, numbers)]) if len(numbers[0]) == 3 else float("nan")
    print(f"{name:34} {len(rows):4}/{count} {np.mean(true):7.2f} {np.abs(errors).mean():7.3f} {errors.mean():+7.3f} {100 * inside:7.0f} % "
          f"{np.mean(residual):8.3f}", flush=True)


with Service(LIMPID_MODELS__DIR=args.models) as service:
    print(f"{'noise':34} {'known':>8} {'dB':>7} {'|error|':>7} {'error':>7} {'inside':>9} {'residual':>8}")
    for folder, model in [("bsd68", "photo-gray"), ("cbsd68", "photo-color")]:
        paths = sorted((args.data / "test" / folder).glob("*.[jp][pn]g"))[:: args.every]
        for kind in ["float", "8 bits"]:
            for sigma in [15, 25, 50]:
                ways = {"known": [], "estimated": []}
                for i, path in enumerate(paths):
                    clean = read(path)
                    noisy = clean + np.random.default_rng([i, sigma]).normal(0, sigma / 255, clean.shape).astype(np.float32)
                    body, media = (npy(noisy), "application/x-npy") if kind == "float" else (png(noisy), "image/png")
                    for way, told in [("known", f"&sigma={sigma}"), ("estimated", "")]:
                        result, numbers, _, residual = predict(service, body, media, f"&model={model}{told}")
                        if numbers:
                            ways[way].append((psnr(result, clean), numbers, residual))
                for way, rows in ways.items():
                    line(f"{folder}, {kind}, sigma {sigma}, {way}", rows, len(paths))
    paths, unknown = sorted((args.data / "real/cc15").glob("*_real.png"))[:: args.every], 0
    reasons = []
    for path in paths:
        said = predict(service, path.read_bytes(), "image/png", "")[2]
        unknown += said.startswith("unknown")
        reasons.append(said)
    print(f"camera noise (cc15): unknown for {unknown} of {len(paths)}; such as {reasons[0]!r}")
