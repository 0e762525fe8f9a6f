#!/usr/bin/env python3
"""Photographs at three sizes, for crops of finer and coarser detail.

    python photos.py PHOTOS OUT

OUT/full, OUT/two-thirds and OUT/half hold each photograph of PHOTOS as PNG (Lanczos). Needs pillow.
"""

import pathlib
import sys

from PIL import Image

source, out = map(pathlib.Path, sys.argv[1:3])
for file in sorted(source.iterdir()):
    if file.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        continue
    photo = Image.open(file).convert("RGB")
    for name, factor in (("full", 1), ("two-thirds", 1.5), ("half", 2)):
        size = tuple(round(n / factor) for n in photo.size)
        (out / name).mkdir(parents=True, exist_ok=True)
        smaller = photo if factor == 1 else photo.resize(size, Image.Resampling.LANCZOS)
        smaller.save(out / name / f"{file.stem}.png", compress_level=1)
