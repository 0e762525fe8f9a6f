#!/usr/bin/env python3
"""A sheet of signals: a row for each, with one column for each folder.

    python lines.py OUT.png FOLDER...

The folders hold npy files of the same names, (1, L); the first four seconds at 360 Hz are drawn, each row on the scale of its
last column. Needs numpy and pillow.
"""

import pathlib
import sys

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT, GAP, SCALE, STEPS = 240, 80, 4, 3, 4 * 360

out, folders = sys.argv[1], [pathlib.Path(folder) for folder in sys.argv[2:]]
names = sorted(file.name for file in folders[-1].glob("*.npy"))
sheet = Image.new("L", ((WIDTH + GAP) * len(folders) * SCALE, (HEIGHT + GAP) * len(names) * SCALE), 255)
draw = ImageDraw.Draw(sheet)
for row, name in enumerate(names):
    clean = np.load(folders[-1] / name)[0, :STEPS]
    middle, reach = (clean.max() + clean.min()) / 2, 0.8 * (clean.max() - clean.min())
    for column, folder in enumerate(folders):
        line = np.clip((np.load(folder / name)[0, :STEPS] - middle) / reach, -0.6, 0.6)
        x = (column * (WIDTH + GAP) + np.linspace(0, WIDTH, STEPS)) * SCALE
        y = (row * (HEIGHT + GAP) + HEIGHT * (0.5 - line / 1.25)) * SCALE
        draw.line(list(zip(x, y)), fill=0, width=SCALE)
sheet.resize((sheet.width // SCALE, sheet.height // SCALE), Image.Resampling.BOX).save(out, optimize=True)
