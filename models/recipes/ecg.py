#!/usr/bin/env python3
"""Pairs of ECG for the model `ecg`: MIT-BIH records with recorded noise of the stress test database mixed in.

    python ecg.py DATA/signals OUT

OUT/train and OUT/test hold noisy/NAME.npy and clean/NAME.npy, (1, 3600) float32 in millivolt: ten seconds of one lead.
Patients of the test are not in the training, and the noise is of another stretch of the recording: the first 70 % for
training, the rest for the test. Training mixes have a signal-to-noise ratio of -5 to 15 dB, those of the test 0 dB.
Prints what a zero-phase band-pass of 0.5 to 40 Hz (Butterworth, order 4) makes of the test. Needs numpy and scipy.
"""

import pathlib
import sys

import numpy as np
from scipy.signal import butter, sosfiltfilt

RATE = 360
WINDOW = 10 * RATE
TEST = ["106", "119", "213", "234"]
MIXES = 16  # noises for each window of training, half of them on the window turned upside down


def windows(signals, records):
    for record in records:
        leads = (np.load(signals / "mitdb" / f"{record}.npy").astype(np.float32) - 1024) / 200
        for lead in range(leads.shape[1]):
            for start in range(0, len(leads) - WINDOW + 1, WINDOW):
                window = leads[start : start + WINDOW, lead]
                # A lead that came off says nothing about the heart.
                if window.std() > 0.05:
                    yield f"{record}-{lead}-{start // WINDOW:02}", window - np.median(window)


def noises(signals, part):
    """Baseline wander, electrode motion, muscle: one stretch of each."""
    out = []
    for kind in ("bw", "em", "ma"):
        noise = np.load(signals / "nstdb" / f"{kind}_first_half.npy").astype(np.float32)
        cut = int(0.7 * len(noise))
        out.append(noise[:cut] if part == "train" else noise[cut:])
    return out


def mix(window, recorded, snr_db, rng):
    total = np.zeros(WINDOW, np.float32)
    for noise, weight in zip(recorded, rng.dirichlet(np.ones(len(recorded)))):
        start, channel = rng.integers(len(noise) - WINDOW), rng.integers(noise.shape[1])
        piece = noise[start : start + WINDOW, channel]
        piece = piece - piece.mean()
        total += np.sqrt(weight) * piece / piece.std()
    return window + total / total.std() * window.std() * 10 ** (-snr_db / 20)


def snr(clean, other):
    return 10 * np.log10(clean.var() / np.mean((clean - other) ** 2))


def main():
    signals, out = map(pathlib.Path, sys.argv[1:3])
    rng = np.random.default_rng(1)
    records = sorted(path.stem for path in (signals / "mitdb").glob("*.npy"))
    band_pass = butter(4, [0.5, 40], "bandpass", fs=RATE, output="sos")
    scores = []
    for part in ("train", "test"):
        for side in ("noisy", "clean"):
            (out / part / side).mkdir(parents=True, exist_ok=True)
        recorded = noises(signals, part)
        chosen = [r for r in records if (r in TEST) == (part == "test")]
        for name, clean in windows(signals, chosen):
            for i in range(MIXES if part == "train" else 1):
                # Leads point either way: half of the training is upside down.
                target = -clean if part == "train" and i % 2 else clean
                noisy = mix(target, recorded, rng.uniform(-5, 15) if part == "train" else 0.0, rng)
                for side, window in (("noisy", noisy), ("clean", target)):
                    np.save(out / part / side / f"{name}-{i}.npy", window[None].astype(np.float32))
                if part == "test":
                    scores.append((snr(clean, noisy), snr(clean, sosfiltfilt(band_pass, noisy))))
    noisy, filtered = np.mean(scores, axis=0)
    print(f"test: {len(scores)} windows, noisy {noisy:.2f} dB SNR, band-pass 0.5 to 40 Hz {filtered:.2f} dB")


main()
