#!/usr/bin/env python3
"""Latents as an array: which of many samples are alike? Needs `pip install numpy requests scikit-learn`.

    python3 examples/latents.py digits.npy            # (N, 28, 28), 0 to 1, for the bundled model digits

Sends all samples at once, gets one array with a row of 32 numbers for each, and prints the nearest neighbour of each sample.
"""
import io
import os
import sys

import numpy as np
import requests
from sklearn.neighbors import NearestNeighbors

URL = os.environ.get("LIMPID_URL", "http://127.0.0.1:8080")

with open(sys.argv[1], "rb") as file:
    reply = requests.post(
        f"{URL}/encode",
        params={"model": "digits"},
        data=file.read(),
        headers={"Content-Type": "application/x-npy", "Accept": "application/x-npy"},
    )
if not reply.ok:
    problem = reply.json()
    raise SystemExit(f"{problem['code']}: {problem['detail']}")
latents = np.load(io.BytesIO(reply.content))
print(f"{len(latents)} samples, {latents.shape[1]} numbers each")
_, near = NearestNeighbors(n_neighbors=2).fit(latents).kneighbors(latents)
for own, other in near:
    print(f"{own}: nearest {other}")
