#!/usr/bin/env python3
"""Pairs of ECG for the model `ecg`: MIT-BIH records with recorded noise of the stress test database mixed in.

    python ecg.py DATA/signals OUT

OUT/train and OUT/test hold noisy/NAME.npy and clean/NAME.npy, (1, 3600) float32 in millivolt: ten seconds of one lead.
Patients of the test are not in the training, and the noise is of another stretch of the recording: the first 70 % for
training, the rest for the test. There are few patients, so that windows of training begin anywhere, run up to a quarter
faster or slower, and half of them see the heart from a direction between the two leads; their signal-to-noise ratio is -6
to 14 dB, mostly near 1 dB. The test takes each lead as it is, at 0 dB. Prints what a zero-phase band-pass of 0.5 to 40 Hz
(Butterworth, order 4) makes of the test. Needs numpy and scipy.
"""

import pathlib
import sys

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal import butter, sosfiltfilt

RATE = 360
WINDOW = 10 * RATE
TEST = ["106", "119", "213", "234"]
COUNT = 12000  # windows of training
EDGE = 4  # what the interpolation sees beyond a window


def anywhere(tracks, rng):
    """A window of two tracks mixed, (WINDOW,); every other time it is one of them, either way up."""
    pace, angle = rng.uniform(0.8, 1.25), rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        angle = np.round(angle / (np.pi / 2)) * (np.pi / 2)
    span = int(np.ceil(WINDOW * pace)) + 2 * EDGE
    start = rng.integers(len(tracks) - span)
    line = tracks[start : start + span] @ np.array([np.cos(angle), np.sin(angle)])
    return map_coordinates(line, [EDGE + np.arange(WINDOW) * pace], order=3, mode="nearest")


def each(tracks):
    """Every window of every lead."""
    for lead in range(tracks.shape[1]):
        for start in range(0, len(tracks) - WINDOW + 1, WINDOW):
            yield f"{lead}-{start // WINDOW:02}", tracks[start : start + WINDOW, lead]


def mixed(noises, draw, rng):
    """Baseline wander, electrode motion and muscle noise in shares drawn at random, of deviation 1."""
    total = np.zeros(WINDOW)
    for noise, share in zip(noises, rng.dirichlet(np.ones(len(noises)))):
        piece = draw(noise)
        total += np.sqrt(share) * (piece - piece.mean()) / piece.std()
    return total / total.std()


def under(noise, window, snr_db):
    return window + noise * window.std() * 10 ** (-snr_db / 20)


def snr(clean, other):
    return 10 * np.log10(clean.var() / np.mean((clean - other) ** 2))


def save(folder, name, clean, noisy):
    for side, window in (("clean", clean), ("noisy", noisy)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        np.save(folder / side / f"{name}.npy", window[None].astype(np.float32))


def train(records, noises, out):
    rng = np.random.default_rng(2)
    names = [name for name in sorted(records) if name not in TEST]
    for i in range(COUNT):
        clean = np.zeros(WINDOW)
        # A lead that came off says nothing about the heart.
        while clean.std() < 0.05:
            clean = anywhere(records[names[i % len(names)]], rng)
        clean -= np.median(clean)
        noise = mixed(noises, lambda noise: anywhere(noise, rng), rng)
        save(out, f"{names[i % len(names)]}-{i:05}", clean, under(noise, clean, rng.triangular(-6, 1, 14)))


def test(records, noises, out):
    rng = np.random.default_rng(1)
    band_pass = butter(4, [0.5, 40], "bandpass", fs=RATE, output="sos")

    def piece(noise):
        start = rng.integers(len(noise) - WINDOW)
        return noise[start : start + WINDOW, rng.integers(noise.shape[1])]

    scores = []
    for record in TEST:
        for name, window in each(records[record]):
            clean = window - np.median(window)
            if clean.std() < 0.05:
                continue
            noisy = under(mixed(noises, piece, rng), clean, 0.0)
            save(out, f"{record}-{name}", clean, noisy)
            scores.append((snr(clean, noisy), snr(clean, sosfiltfilt(band_pass, noisy))))
    noisy, filtered = np.mean(scores, axis=0)
    print(f"test: {len(scores)} windows, noisy {noisy:.2f} dB SNR, band-pass 0.5 to 40 Hz {filtered:.2f} dB")


def load(signals):
    """Records in millivolt by name, and the three kinds of noise."""
    files = (signals / "mitdb").glob("*.npy")
    records = {file.stem: (np.load(file).astype(float) - 1024) / 200 for file in files}
    noises = [np.load(signals / "nstdb" / f"{kind}_first_half.npy").astype(float) for kind in ("bw", "em", "ma")]
    return records, noises


def main():
    signals, out = map(pathlib.Path, sys.argv[1:3])
    records, noises = load(signals)
    cuts = [int(0.7 * len(noise)) for noise in noises]
    train(records, [noise[:cut] for noise, cut in zip(noises, cuts)], out / "train")
    test(records, [noise[cut:] for noise, cut in zip(noises, cuts)], out / "test")


if __name__ == "__main__":
    main()
