#!/usr/bin/env python3
"""Writes the mean of the weights of two versions of a model, of one network, that came from one another.

    python3 models/recipes/average.py OLD NEW OUT     # folders of versions; OUT gets NEW's config and card

Between two such versions the loss has no hill, and the mean keeps most of what each does best (M. Wortsman et al., "Robust
fine-tuning of zero-shot models", CVPR 2022). Needs numpy.
"""
import hashlib
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np


def load(folder):
    """Head and tensors of a safetensors file."""
    file = (Path(folder) / "model.safetensors").read_bytes()
    end = 8 + struct.unpack("<Q", file[:8])[0]
    head = json.loads(file[8:end])
    tensors = {name: file[end + t["data_offsets"][0] : end + t["data_offsets"][1]] for name, t in head.items()}
    return file[:end], head, tensors


old, new, out = sys.argv[1:4]
(_, _, before), (start, head, after) = load(old), load(new)
if before.keys() != after.keys():
    sys.exit("the versions are not of one network")
shutil.copytree(new, out)
body = bytearray(max(t["data_offsets"][1] for t in head.values()))
for name, tensor in head.items():
    mean = (np.frombuffer(before[name], "<f4") + np.frombuffer(after[name], "<f4")) * np.float32(0.5)
    body[slice(*tensor["data_offsets"])] = mean.astype("<f4").tobytes()
weights = start + bytes(body)
(Path(out) / "model.safetensors").write_bytes(weights)
config = json.loads((Path(out) / "config.json").read_text())
config["weights"] = {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}
(Path(out) / "config.json").write_text(json.dumps(config, indent=2) + "\n")
