#!/usr/bin/env python3
"""Bakes noise into photographs: OUT/noisy/*.npy and OUT/clean/*.npy, gray, float32 on 0..1, not clipped.

usage: bake.py SIGMA OUT IMAGE...      (SIGMA on the 0..255 scale; needs numpy and pillow)
"""

import sys
import zlib
from pathlib import Path

import numpy
from PIL import Image

sigma, out, files = float(sys.argv[1]) / 255, Path(sys.argv[2]), [Path(f) for f in sys.argv[3:]]
for folder in ("noisy", "clean"):
    (out / folder).mkdir(parents=True, exist_ok=True)
for file in files:
    red, green, blue = numpy.moveaxis(numpy.asarray(Image.open(file).convert("RGB"), numpy.float32) / 255, 2, 0)
    clean = 0.299 * red + 0.587 * green + 0.114 * blue
    # One seed for each file, so that the noise of a file does not depend on which others are there.
    noise = numpy.random.default_rng(zlib.crc32(file.name.encode())).standard_normal(clean.shape)
    numpy.save(out / "clean" / f"{file.stem}.npy", clean.astype(numpy.float32))
    numpy.save(out / "noisy" / f"{file.stem}.npy", (clean + sigma * noise).astype(numpy.float32))
