#!/usr/bin/env python3
"""Pages of many kinds and sizes, cleaned: dB, ink and time, beside the division by the background and Sauvola's threshold.

    python3 benches/documents.py [--pages DIRTY_DOCS] [--seed 2024] [--sizes 1,2,3] [--model document]

Draws pages with `models/recipes/pages.py` (a fixed seed; every kind in every size, worn and clean), and with `--pages` adds the held-out
pages of NoisyOffice as they are and enlarged 1.5 to 4 times. Ink is the share of the clean page's dark pixels (below half) that
are dark in the result. The last line is JSON. Needs numpy, scipy and pillow.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image
from scipy import ndimage

from limpid import ROOT, build

sys.path.insert(0, str(ROOT / "models" / "recipes"))
import pages  # noqa: E402

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--pages", type=pathlib.Path)
PARSER.add_argument("--seed", type=int, default=2024)
PARSER.add_argument("--sizes", default="1,2,3")
PARSER.add_argument("--model", default="document")
PARSER.add_argument("--models", type=pathlib.Path, default=ROOT / "models")


def load(path):
    return np.asarray(Image.open(path).convert("L"), np.float32) / 255


def save(path, page):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(np.clip(page, 0, 1) * 255 + 0.5)).save(path)


def sauvola(page, scale):
    """The page over its background, black where Sauvola's threshold says ink (J. Sauvola and M. Pietikainen, 2000; k 0.2)."""
    flat = np.clip(page / np.maximum(pages.level(page, round(32 * scale)), 0.05), 0, 1)
    side = round(25 * scale) | 1
    mean = ndimage.uniform_filter(flat, side)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(flat * flat, side) - mean * mean, 0))
    return np.where(flat < mean * (1 + 0.2 * (spread / 0.5 - 1)), flat, 1.0)


def score(result, clean):
    error = float(np.mean((np.clip(result, 0, 1) - clean) ** 2))
    dark = clean < 0.5
    ink = float(np.mean(result[dark] < 0.5)) if dark.any() else 1.0
    return 10 * np.log10(1 / max(error, 1e-8)), ink


def enlarged(page, scale):
    height, width = (round(n * scale) for n in page.shape)
    return np.asarray(Image.fromarray(page, "F").resize((width, height), Image.Resampling.BICUBIC))


def draw(folder, args):
    """Pairs in folder/noisy and folder/clean, named kind-size-number; clean pages as input under the kind `clean`."""
    for size in (float(s) for s in args.sizes.split(",")):
        for k, kind in enumerate(pages.KINDS):
            for worn in range(2):
                clean, noisy = pages.draw(kind, args.seed * 1000 + 10 * k + worn, round(400 * size), size, flat=0)
                name = f"{kind}-{size:g}-{worn}.png"
                save(folder / "noisy" / name, noisy)
                save(folder / "clean" / name, clean)
                if not worn:
                    for side in ("noisy", "clean"):
                        save(folder / side / f"clean.{kind}-{size:g}-0.png", clean)
    if args.pages:
        for path in sorted((args.pages / "noisy").glob("*.png")):
            if int(path.stem) % 6 == 3:
                for size in (1, 1.5, 2, 3, 4):
                    for side in ("noisy", "clean"):
                        page = load(args.pages / side / path.name)
                        save(folder / side / f"noisyoffice-{size:g}-{path.stem}.png", page if size == 1 else enlarged(page, size))


def main():
    args = PARSER.parse_args()
    program = os.environ.get("PROGRAM") or build("build", "--release")["limpid"]
    rows = {}
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        draw(folder, args)
        command = [program, "denoise", str(folder / "noisy"), "-o", str(folder / "out"), "--model", args.model, "--models", str(args.models)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for path in sorted((folder / "clean").glob("*.png")):
            kind, size, _ = path.stem.split("-")
            clean, noisy = load(path), load(folder / "noisy" / path.name)
            found = next((folder / "out").rglob(path.name))
            each = [score(page, clean) for page in (noisy, sauvola(noisy, float(size)), load(found))]
            rows.setdefault((kind.split(".")[0], size), []).append(each)
    print("| kind, size | noisy dB, ink | background and Sauvola | document | worst ink |\n|---|---|---|---|---|")
    table = {}
    for (kind, size), each in sorted(rows.items()):
        means = np.mean(each, axis=0)
        worst = min(of[2][1] for of in each)
        cells = " | ".join(f"{db:.2f}, {ink:.3f}" for db, ink in means)
        print(f"| {kind} x{size} | {cells} | {worst:.3f} |")
        table[f"{kind} x{size}"] = {"noisy": list(means[0]), "sauvola": list(means[1]), "document": list(means[2]), "worst_ink": worst}
    print(json.dumps(table))


if __name__ == "__main__":
    main()
