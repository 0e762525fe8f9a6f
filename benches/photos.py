#!/usr/bin/env python3
"""Photographs as files hold them: camera noise, JPEG, clipped noise, through `limpid denoise` without a model named.

    python benches/photos.py DATA [--program target/release/limpid] [--models models] [--every 1] [--only KIND,...]

DATA has test/bsd68, test/cbsd68 and real/cc15. Each kind of noise is made with a fixed seed per image and written as the file that
a stranger would send; PSNR is that of the 8-bit result against the clean image, peak 255. `--every N` takes each N-th image, for a
quick look. Needs numpy and pillow.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import tempfile

import numpy as np
from PIL import Image

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=pathlib.Path)
parser.add_argument("--program", default="target/release/limpid")
parser.add_argument("--models", default="models")
parser.add_argument("--model", help="one model for all, in place of the choice by noise")
parser.add_argument("--every", type=int, default=1)
parser.add_argument("--only", default="")
args = parser.parse_args()


def white(sigma):
    def make(clean, rng):
        return np.clip(np.round(clean + rng.normal(0, sigma, clean.shape)), 0, 255)

    return make


def impulses(clean, rng):
    noisy, u = clean.copy(), rng.random(clean.shape)
    noisy[u < 0.025], noisy[u > 0.975] = 0, 255
    return noisy


def same(clean, rng):
    return clean


def jpeg(quality, subsampling):
    return dict(suffix=".jpg", save=dict(quality=quality, subsampling=subsampling))


# kind: (folder, noise, file)
PNG = dict(suffix=".png", save={})
KINDS = {
    "cc15": ("cc15", None, PNG),
    "color-20-420-q75": ("cbsd68", white(20), jpeg(75, 2)),
    "color-20-420-q90": ("cbsd68", white(20), jpeg(90, 2)),
    "color-20-420-q95": ("cbsd68", white(20), jpeg(95, 2)),
    "color-20-444-q90": ("cbsd68", white(20), jpeg(90, 0)),
    "gray-jpeg-q10": ("bsd68", same, jpeg(10, 0)),
    "gray-jpeg-q40": ("bsd68", same, jpeg(40, 0)),
    "gray-jpeg-q80": ("bsd68", same, jpeg(80, 0)),
    "color-jpeg-420-q40": ("cbsd68", same, jpeg(40, 2)),
    "color-jpeg-420-q75": ("cbsd68", same, jpeg(75, 2)),
    "gray-impulses-5%": ("bsd68", impulses, PNG),
    "color-impulses-5%": ("cbsd68", impulses, PNG),
    "gray-clipped-15": ("bsd68", white(15), PNG),
    "gray-clipped-25": ("bsd68", white(25), PNG),
    "gray-clipped-50": ("bsd68", white(50), PNG),
    "color-clipped-15": ("cbsd68", white(15), PNG),
    "color-clipped-25": ("cbsd68", white(25), PNG),
    "color-clipped-50": ("cbsd68", white(50), PNG),
    "gray-clean": ("bsd68", same, PNG),
    "color-clean": ("cbsd68", same, PNG),
}


def images(folder):
    if folder == "cc15":
        for noisy in sorted((args.data / "real/cc15").glob("*_real.png"))[:: args.every]:
            yield noisy, noisy.with_name(noisy.name.replace("_real", "_mean"))
    else:
        for clean in sorted((args.data / "test" / folder).glob("*.png"))[:: args.every]:
            yield None, clean


def read(path):
    return np.array(Image.open(path)).astype(float)


def psnr(a, b):
    error = np.mean((a - b) ** 2)
    return 10 * np.log10(255**2 / error) if error else 99.0


print(f"{'kind':20} {'images':>6} {'noisy':>6} {'out':>6} {'gain':>6} {'worst':>6}  bias at 0..10  models")
for kind, (folder, make, form) in KINDS.items():
    if args.only and kind not in args.only.split(","):
        continue
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / "in").mkdir()
        pairs = {}
        for i, (noisy, path) in enumerate(images(folder)):
            clean = read(path)
            pixels = read(noisy) if noisy else make(clean, np.random.default_rng(i))
            file = work / "in" / f"{i:03}{form['suffix']}"
            Image.fromarray(pixels.astype(np.uint8)).save(file, **form["save"])
            pairs[file.name] = clean
        command = [args.program, "denoise", work / "in", "-o", work / "out", "--models", args.models, "--format", "png", "-v"]
        command += ["--model", args.model] if args.model else []
        log = subprocess.run(command, capture_output=True, text=True, check=True)
        models = collections.Counter(re.findall(r": ([a-z][\w.-]*@\d+)", log.stdout + log.stderr))
        before, after, shifts = [], [], []
        for name, clean in pairs.items():
            out = read((work / "out" / name).with_suffix(".png"))
            before.append(psnr(read(work / "in" / name), clean))
            after.append(psnr(out, clean))
            dark = clean <= 10
            shifts.append(((out - clean)[dark].sum(), dark.sum()))
        gains = np.array(after) - np.array(before)
        total, count = map(sum, zip(*shifts))
        bias = f"{total / count:+.2f}" if count else "none"
        print(
            f"{kind:20} {len(pairs):6} {np.mean(before):6.2f} {np.mean(after):6.2f} {np.mean(gains):+6.2f} {gains.min():+6.2f}"
            f"  {bias:>13}  {', '.join(f'{m} {n}' for m, n in models.most_common())}",
            flush=True,
        )
