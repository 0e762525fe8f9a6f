#!/usr/bin/env python3
"""Photographs with stripes and weaves of cloth drawn into them: regular fine texture is rare in photographs.

    python textures.py PHOTOS OUT COUNT

Each of COUNT pictures is a crop of 288x288 of a photograph; within smooth borders its fine detail gives way to a grating, or two
that cross, bent like cloth, 2.5 to 10 pixels from line to line. PHOTOS has PNG in it or in its folders. Needs pillow and numpy.
"""

import pathlib
import sys

import numpy as np
from PIL import Image, ImageFilter

SIDE = 288
# Drawn larger and averaged, so that lines have no steps.
OVER = 2

files = sorted(pathlib.Path(sys.argv[1]).rglob("*.png"))
out = pathlib.Path(sys.argv[2])
count = int(sys.argv[3])


def smooth(rng, knots, side):
    """A smooth random field: a few random numbers, enlarged."""
    few = Image.fromarray(rng.standard_normal((knots, knots)).astype(np.float32))
    return np.asarray(few.resize((side, side), Image.Resampling.BICUBIC))


def grating(rng, angle, period, bend):
    """Lines between -1 and 1, `period` pixels apart, `bend`ed."""
    side = SIDE * OVER
    y, x = np.mgrid[:side, :side] / OVER
    phase = 2 * np.pi * ((x * np.cos(angle) + y * np.sin(angle)) / period + bend)
    hardness = rng.uniform(0.3, 4)
    wave = np.tanh(hardness * np.sin(phase)) / np.tanh(hardness)
    return wave.reshape(SIDE, OVER, SIDE, OVER).mean((1, 3))


def picture(rng, photo):
    left, top = (rng.integers(0, extent - SIDE + 1) for extent in photo.size)
    base = photo.crop((left, top, left + SIDE, top + SIDE))
    light = np.asarray(base.filter(ImageFilter.GaussianBlur(rng.uniform(2, 8))), np.float32)
    base = np.asarray(base, np.float32)
    period, angle = 2.5 * 4 ** rng.uniform(), rng.uniform(0, np.pi)
    # Bends that change the distance of the lines by up to a third or so.
    knots = int(rng.integers(3, 7))
    bend = smooth(rng, knots, SIDE * OVER) * rng.uniform(0, 0.3) * SIDE / knots / period
    wave = grating(rng, angle, period, bend)
    if rng.uniform() < 0.4:
        across = grating(rng, angle + np.pi / 2, period * rng.uniform(0.8, 1.5), smooth(rng, knots, SIDE * OVER) * 0.5)
        wave = wave * across if rng.uniform() < 0.5 else (wave + across) / 2
    colour = rng.uniform(0.6, 1.4, 3) * rng.uniform(8, 60)
    fold = np.clip(smooth(rng, 4, SIDE) * 0.3 + 0.8, 0.1, 1)
    cloth = light + wave[..., None] * fold[..., None] * colour
    inside = 1 / (1 + np.exp(-(smooth(rng, 5, SIDE) + 0.5) * rng.uniform(4, 30)))
    mixed = base + (cloth - base) * inside[..., None]
    return Image.fromarray(np.clip(mixed + 0.5, 0, 255).astype(np.uint8))


out.mkdir(parents=True, exist_ok=True)
for i in range(count):
    rng = np.random.default_rng(i)
    with Image.open(files[rng.integers(len(files))]) as photo:
        picture(rng, photo.convert("RGB")).save(out / f"{i:03}.png")
