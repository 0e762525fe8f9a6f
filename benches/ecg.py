#!/usr/bin/env python3
"""The model `ecg` as served, under recorded noise of 0 to 24 dB, by record, beside methods without learning.

    python3 benches/ecg.py SIGNALS [--every N] [--seed 1]

SIGNALS is the folder of recorded signals (mitdb, nstdb). The protocol is that of models/recipes/ecg.py: windows of ten seconds of
the four patients and of the stretch of noise that training never saw, at 0 dB as in its table, and at 6, 12, 18 and 24 dB with the
same noise. Takes every N-th window of a lead. Prints the signal-to-noise ratio in dB by record at 0 dB, beside a zero-phase
band-pass of 0.5 to 40 Hz, a moving average and Savitzky-Golay (each at the best of 5, 11 and 21 steps for the window, which nobody
knows beforehand) and scikit-image's BayesShrink wavelets (db4); and by level how many windows come out below their input. Needs
numpy, scipy, scikit-image and PyWavelets. PROGRAM names a limpid that is built already.
"""

import argparse
import importlib.util
import os
import pathlib
import subprocess
import tempfile

import numpy as np
from scipy.signal import butter, savgol_filter, sosfiltfilt
from skimage.restoration import denoise_wavelet

from limpid import ROOT, build

SPEC = importlib.util.spec_from_file_location("recipe", ROOT / "models" / "recipes" / "ecg.py")
recipe = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(recipe)

LEVELS = [0, 6, 12, 18, 24]
SIZES = [5, 11, 21]
BAND_PASS = butter(4, [0.5, 40], "bandpass", fs=recipe.RATE, output="sos")


def windows(folder, every, seed):
    """Record, clean window and noise of deviation 1 of every window."""
    records, noises = recipe.load(folder)
    noises = [noise[int(0.7 * len(noise)) :] for noise in noises]
    rng = np.random.default_rng(seed)

    def piece(noise):
        start = rng.integers(len(noise) - recipe.WINDOW)
        return noise[start : start + recipe.WINDOW, rng.integers(noise.shape[1])]

    for record in recipe.TEST:
        for name, window in list(recipe.each(records[record]))[::every]:
            clean = window - np.median(window)
            if clean.std() >= 0.05:
                yield record, clean, recipe.mixed(noises, piece, rng)


def served(noisy):
    """What `limpid denoise` makes of the windows."""
    with tempfile.TemporaryDirectory() as work:
        before, after = pathlib.Path(work, "before"), pathlib.Path(work, "after")
        before.mkdir()
        for number, window in enumerate(noisy):
            np.save(before / f"{number:04}.npy", window[None].astype(np.float32))
        program = os.environ.get("PROGRAM") or build("build", "--release")["limpid"]
        command = [program, "denoise", before, "-o", after, "--model", "ecg", "--models", ROOT / "models", "--quiet"]
        subprocess.run(command, check=True)
        return [np.load(after / f"{number:04}.npy")[0].astype(float) for number in range(len(noisy))]


def wavelet(window):
    low, scale = window.min(), np.ptp(window)
    return denoise_wavelet((window - low) / scale, method="BayesShrink", wavelet="db4") * scale + low


def classical(clean, noisy):
    """Scores of the methods without learning."""
    best = lambda method: max(recipe.snr(clean, method(size)) for size in SIZES)
    return [
        recipe.snr(clean, sosfiltfilt(BAND_PASS, noisy)),
        best(lambda size: np.convolve(np.pad(noisy, size // 2, mode="edge"), np.ones(size) / size, "valid")),
        best(lambda size: savgol_filter(noisy, size, 3)),
        recipe.snr(clean, wavelet(noisy)),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("signals", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    names, cleans, noises = zip(*windows(args.signals, args.every, args.seed))
    names = np.array(names)
    by_level = []
    for level in LEVELS:
        noisy = [recipe.under(noise, clean, level) for clean, noise in zip(cleans, noises)]
        results = served(noisy)
        score = lambda of: np.array([recipe.snr(clean, one) for clean, one in zip(cleans, of)])
        before, after = score(noisy), score(results)
        below = after < before - 0.01
        by_level.append((level, before.mean(), after.mean(), below.sum(), (after - before).min()))
        if level == 0:
            others = np.array([classical(clean, window) for clean, window in zip(cleans, noisy)])
            print("| record | windows | noisy | band-pass | moving average | Savitzky-Golay | BayesShrink | `ecg` | worst |")
            print("|---|---|---|---|---|---|---|---|---|")
            for record in [*recipe.TEST, "all"]:
                own = names == record if record != "all" else np.full(len(names), True)
                cells = [before[own].mean(), *others[own].mean(0), after[own].mean(), after[own].min()]
                print(f"| {record} | {own.sum()} | " + " | ".join(f"{db:.2f}" for db in cells) + " |", flush=True)
    print("\n| noisy, dB | `ecg`, dB | below the input | largest loss, dB |\n|---|---|---|---|")
    for level, before, after, below, worst in by_level:
        print(f"| {before:.2f} | {after:.2f} | {below} of {len(names)} | {max(0.0, -worst):.2f} |")


if __name__ == "__main__":
    main()
