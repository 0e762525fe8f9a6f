#!/usr/bin/env python3
"""The model `signal` as served, on made and recorded signals, beside BayesShrink wavelets and Savitzky-Golay.

    python3 benches/signals.py SIGNALS [--seed 5]

SIGNALS is the folder of recorded signals (mitdb, nab, ett, cwru_12k). Takes each as it was recorded for the truth, although
it has noise of its own, adds white noise of 0, 0.02, 0.1 and 0.3 of its deviation, and prints the signal-to-noise ratio in dB
of the noisy signal, of `limpid denoise` without a model named, and of the others (scikit-image's BayesShrink, which estimates
sigma itself; Savitzky-Golay of order 3 over 11 steps). The signals of Donoho and Johnstone come first. Needs numpy, scipy,
scikit-image and PyWavelets.
PROGRAM names a limpid that is built already.
"""

import argparse
import csv
import importlib.util
import os
import pathlib
import subprocess
import tempfile

import numpy as np
from scipy.signal import savgol_filter
from skimage.restoration import denoise_wavelet

from limpid import ROOT, build

# By its path: `signal` is a standard module.
SPEC = importlib.util.spec_from_file_location("recipe", ROOT / "models" / "recipes" / "signal.py")
recipe = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(recipe)

LEVELS = [0, 0.02, 0.1, 0.3]


def column(path, name):
    with open(path, newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


def signals(folder):
    """Names and signals."""
    yield from recipe.known()
    for record in ["106", "119", "213", "234"]:
        tracks = np.load(folder / "mitdb" / f"{record}.npy").astype(float)
        tracks = tracks if tracks.shape[0] < tracks.shape[1] else tracks.T
        for lead in range(2):
            yield f"ECG {record}, lead {lead + 1}", tracks[lead][:20000]
    for name in ["machine_temperature_system_failure", "nyc_taxi"]:
        yield name, column(folder / "nab" / f"{name}.csv", "value")
    for name in ["HUFL", "MULL", "OT"]:
        yield f"ETTh1 {name}", column(folder / "ett" / "ETTh1.csv", name)
    yield "vibration (CWRU)", np.load(folder / "cwru_12k" / "normal_0hp.npy").astype(float).reshape(-1)[:20000]


def snr(clean, other):
    return 10 * np.log10(clean.var() / max(np.mean((clean - other) ** 2), clean.var() * 1e-12))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("signals", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    cases = []
    with tempfile.TemporaryDirectory() as work:
        before, after = pathlib.Path(work, "before"), pathlib.Path(work, "after")
        before.mkdir()
        for name, clean in signals(args.signals):
            for level in LEVELS:
                noisy = (clean + level * clean.std() * rng.standard_normal(len(clean))).astype(np.float32)
                np.save(before / f"{len(cases):03}.npy", noisy[None])
                cases.append((name, level, clean, noisy.astype(float)))
        command = [os.environ.get("PROGRAM") or build("build", "--release")["limpid"], "denoise", before, "-o", after, "--models", ROOT / "models", "--quiet"]
        subprocess.run(command, check=True)
        print("| signal | noise | noisy | `signal` | BayesShrink | Savitzky-Golay |\n|---|---|---|---|---|---|")
        for number, (name, level, clean, noisy) in enumerate(cases):
            ours = np.load(after / f"{number:03}.npy")[0].astype(float)
            scale = np.ptp(noisy)
            wavelet = denoise_wavelet((noisy - noisy.min()) / scale, method="BayesShrink", wavelet="db4")
            others = [ours, wavelet * scale + noisy.min(), savgol_filter(noisy, 11, 3)]
            row = [snr(clean, noisy), *(snr(clean, other) for other in others)]
            print(f"| {name} | {level} | " + " | ".join("exact" if db > 99 else f"{db:.1f}" for db in row) + " |")


if __name__ == "__main__":
    main()
