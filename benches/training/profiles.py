#!/usr/bin/env python3
"""Training with a measured noise profile, against true pairs and against the model as it is.

profiles.py LIMPID PHOTOS BSD68 [--models DIR] [--steps N] [--images N]

PHOTOS are clean training photographs, BSD68 the test images. The noise is drawn by numpy, not by Limpid: blurred noise (sigma 25,
blur 0.8), demosaiced noise (sigma 35 on a Bayer pattern, bilinear, of which the brightness is taken), and stripes (white noise of
sigma 10, offsets of rows of sigma 20), on the 0..255 scale. For each, a profile is measured
on one even frame, on six ordinary noisy photographs and on repeats of one; photo-gray is then trained for N steps from clean
photographs with that profile, and, with as many steps, from true pairs and from the noisy photographs alone. Prints PSNR on test
images that training never saw, with fresh noise. Needs numpy and Pillow."""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image


def run(limpid, *args):
    done = subprocess.run([limpid, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}: {done.stderr[-800:]}")
    return done.stdout


def gray(file):
    return np.asarray(Image.open(file).convert("L"), np.float32) / 255


def blurred(shape, rng):
    """Normal noise under a Gaussian blur of 0.8 pixels, of sigma 25."""
    at = np.arange(-4, 5)
    kernel = np.exp(-at**2 / (2 * 0.8**2))
    kernel /= np.sqrt((kernel**2).sum())
    noise = rng.standard_normal((shape[0] + 8, shape[1] + 8))
    for axis in (0, 1):
        noise = np.apply_along_axis(lambda line: np.convolve(line, kernel, "valid"), axis, noise)
    return 25 / 255 * noise


def demosaiced(shape, rng):
    """Brightness of white noise on a Bayer pattern, with the missing colours as means of their neighbours."""
    height, width = shape[0] + 4, shape[1] + 4
    mosaic, y, x = rng.standard_normal((height, width)), *np.mgrid[:height, :width]
    colors = [(y + x) % 2 == 1, (y % 2 == 0) & (x % 2 == 0), (y % 2 == 1) & (x % 2 == 1)]
    shift = lambda plane, dy, dx: np.roll(plane, (dy, dx), (0, 1))
    weights = [(dy, dx, (2 - abs(dy)) * (2 - abs(dx))) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    around = lambda plane: sum(weight * shift(plane, dy, dx) for dy, dx, weight in weights)
    brightness = np.zeros((height, width))
    for share, own in zip((0.587, 0.299, 0.114), colors):
        brightness += share * np.where(own, mosaic, around(mosaic * own) / around(own.astype(float)))
    return 35 / 255 * brightness[2:-2, 2:-2]


def striped(shape, rng):
    return 10 / 255 * rng.standard_normal(shape) + 20 / 255 * rng.standard_normal((shape[0], 1))


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


def save(folder, name, array):
    Path(folder).mkdir(parents=True, exist_ok=True)
    np.save(f"{folder}/{name}.npy", array.astype(np.float32))


def case(a, name, draw):
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as work:
        photos = [gray(file) for file in sorted(Path(a.photos).glob("*.jp*g"))[: a.images]]
        # The middle of each: the photographs have many megapixels.
        middle = lambda image: image[image.shape[0] // 2 - 160 :, image.shape[1] // 2 - 160 :][:320, :320]
        photos = [middle(photo) for photo in photos]
        for i, clean in enumerate(photos):
            noisy = clean + draw(clean.shape, rng)
            for folder, image in (("pairs/clean", clean), ("pairs/noisy", noisy), ("clean", clean), ("noisy", noisy)):
                save(f"{work}/{folder}", f"{i:02}", image)
            if i < 6:
                save(f"{work}/ordinary", f"{i:02}", noisy)
        save(f"{work}/flat", "frame", 0.5 + draw((256, 256), rng))
        for i in range(4):
            save(f"{work}/repeats", f"{i}", photos[0] + draw(photos[0].shape, rng))
        data = ["--data-dir", f"{work}/data"]
        train = lambda model, samples, *flags: run(
            a.limpid, "train", "--name", model, "--base", "photo-gray", "--samples", f"{work}/{samples}", "--steps", a.steps,
            "--seed", 1, "--promote", "always", "--models", a.models, *data, *flags)
        profile = lambda name: ("--corruption", json.dumps({"profile": {"name": name}}))
        for source in ("flat", "repeats", "ordinary"):
            told = run(a.limpid, "noise", "profile", f"{work}/{source}", "-o", source, *data)
            print("   ", source, "|", told.splitlines()[1], "|", told.splitlines()[2], flush=True)
            train(f"from-{source}", "clean", "--scheme", "clean", *profile(source))
        train("from-pairs", "pairs", "--scheme", "pairs")
        train("from-noisy", "noisy", "--scheme", "noisy")
        train("from-noisy-and-profile", "noisy", "--scheme", "noisy", *profile("ordinary"))
        tests = [gray(file) for file in sorted(Path(a.bsd68).glob("*.png"))[: a.images]]
        for i, clean in enumerate(tests):
            save(f"{work}/test", f"{i:02}", clean + draw(clean.shape, rng))
        noisy = [np.load(f"{work}/test/{i:02}.npy") for i in range(len(tests))]
        rows = [("noisy", np.mean([psnr(n, c) for n, c in zip(noisy, tests)]))]
        for model in ("photo-gray", "from-pairs", "from-flat", "from-repeats", "from-ordinary", "from-noisy", "from-noisy-and-profile"):
            run(a.limpid, "denoise", f"{work}/test", "-o", f"{work}/{model}", "--model", model, "--models", a.models, *data)
            results = [np.load(f"{work}/{model}/{i:02}.npy") for i in range(len(tests))]
            rows.append((model, np.mean([psnr(r, c) for r, c in zip(results, tests)])))
    for model, db in rows:
        print(f"| {name} | {model} | {db:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("limpid")
    parser.add_argument("photos")
    parser.add_argument("bsd68")
    parser.add_argument("--models", default="models")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--images", type=int, default=16)
    a = parser.parse_args()
    case(a, "blurred", blurred)
    case(a, "demosaiced", demosaiced)
    case(a, "stripes", striped)


main()
