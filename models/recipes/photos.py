#!/usr/bin/env python3
"""Photographs at five sizes, for crops of finer and coarser detail.

    python photos.py PHOTOS OUT

OUT/large has each photograph of PHOTOS as it is, reduced by 1.5 and by 2, OUT/small reduced by 2, 3 and 4 (Lanczos), as PNG. Needs
pillow. Most crops of the large ones are smooth; the small ones are dense with texture.
"""

import pathlib
import sys

from PIL import Image

source, out = map(pathlib.Path, sys.argv[1:3])
SIZES = {"large": {"full": 1, "two-thirds": 1.5, "half": 2}, "small": {"half": 2, "third": 3, "quarter": 4}}

for file in sorted(source.iterdir()):
    if file.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        continue
    photo = Image.open(file).convert("RGB")
    for group, factors in SIZES.items():
        for name, factor in factors.items():
            folder = out / group / name
            folder.mkdir(parents=True, exist_ok=True)
            size = tuple(round(n / factor) for n in photo.size)
            smaller = photo if factor == 1 else photo.resize(size, Image.Resampling.LANCZOS)
            smaller.save(folder / f"{file.stem}.png", compress_level=1)
