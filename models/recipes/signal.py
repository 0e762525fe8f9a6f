#!/usr/bin/env python3
"""Made signals for the model `signal`: clean ones to train on, and the test signals of Donoho and Johnstone.

    python signal.py OUT

OUT/train holds NAME.npy, (1, 4096) float32 of deviation 1: steps, ramps, oscillations that change their amplitude and
pace, pulses with a tail, random walks of every smoothness, and sums of two of them. OUT/test holds Blocks, Bumps,
HeaviSine and Doppler (D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994,
table 1) of 2048 steps, which the training never sees. Equal seeds make equal files. Needs numpy.
"""

import pathlib
import sys

import numpy as np

LENGTH = 4096
COUNT = 12000


def spread(rng, low, high):
    """A number between two bounds, evenly in its logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high)))


def knots(rng):
    """Places where something changes, in order, with both ends."""
    count = int(spread(rng, 2, 100))
    return np.unique(np.concatenate([[0], rng.integers(1, LENGTH, count), [LENGTH]]))


def levels(rng, count):
    """Values at knots: independent, or those of a walk."""
    values = rng.standard_normal(count)
    return np.cumsum(values) if rng.random() < 0.3 else values


def steps(rng):
    places = knots(rng)
    return np.repeat(levels(rng, len(places) - 1), np.diff(places))


def ramps(rng):
    places = knots(rng)
    return np.interp(np.arange(LENGTH), places, levels(rng, len(places)))


def walk(rng):
    """Noise of spectrum 1 / f^slope, up to a bound above which there is nothing."""
    frequency = np.arange(LENGTH + 1) / (2 * LENGTH)
    bound = spread(rng, 1 / 1000, 1 / 12)
    weight = np.maximum(frequency, 1 / LENGTH) ** -rng.uniform(0, 1.5) * np.exp(-((frequency / bound) ** 2))
    phases = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    return np.fft.irfft(phases * weight)[:LENGTH]


def slow(rng, strength):
    """A positive factor that changes slowly, about 1."""
    places = np.linspace(0, LENGTH, int(rng.integers(3, 12)))
    return np.exp(strength * np.interp(np.arange(LENGTH), places, rng.standard_normal(len(places))))


def oscillation(rng):
    """A tone with overtones, of a period of 10 to 1000 steps."""
    period = spread(rng, 10, 1000)
    phase = 2 * np.pi * np.cumsum(slow(rng, rng.uniform(0, 0.5))) / period
    wave = np.zeros(LENGTH)
    for overtone in range(1, int(rng.integers(1, 5)) + 1):
        if period / overtone > 8:
            wave += rng.standard_normal() / overtone * np.sin(overtone * phase + rng.uniform(0, 2 * np.pi))
    return wave * slow(rng, rng.uniform(0, 0.8))


def pulses(rng):
    """Pulses that rise at once or smoothly and decay, now and then or at even distances."""
    rise, decay = spread(rng, 0.5, 30), spread(rng, 2, 200)
    time = np.arange(-300, 1000)
    shape = np.where(time < 0, np.exp(-0.5 * (time / rise) ** 2), np.exp(-np.maximum(time, 0) / decay))
    if rng.random() < 0.3:
        shape = shape - np.exp(-0.5 * ((time - 2 * decay) / (decay + 1)) ** 2) * rng.uniform(0, 0.8)
    places = np.zeros(LENGTH)
    if rng.random() < 0.5:
        distance = int(spread(rng, 60, 1500))
        places[int(rng.integers(distance)) :: distance] = 1
        places *= slow(rng, rng.uniform(0, 0.5))
    else:
        count = int(spread(rng, 3, 80))
        places[rng.integers(0, LENGTH, count)] = spread(rng, 1, 3) ** rng.standard_normal(count)
        places *= np.sign(rng.standard_normal(LENGTH)) if rng.random() < 0.3 else 1
    return np.convolve(places, shape)[300 : 300 + LENGTH]


KINDS = [steps, ramps, walk, oscillation, pulses]


def even(line):
    line = line - line.mean()
    return line / line.std() if line.std() > 1e-6 else None


def sample(rng):
    """One signal; two of five are sums of two kinds."""
    while True:
        line = even(KINDS[rng.integers(len(KINDS))](rng))
        other = even(KINDS[rng.integers(len(KINDS))](rng))
        if line is None or other is None:
            continue
        return even(line + rng.uniform(0.2, 1) * other) if rng.random() < 0.4 else line


def known():
    """The four signals of Donoho and Johnstone, by name."""
    time = np.arange(1, 2049) / 2048
    at = np.array([0.1, 0.13, 0.15, 0.23, 0.25, 0.40, 0.44, 0.65, 0.76, 0.78, 0.81])
    jumps = [4, -5, 3, -4, 5, -4.2, 2.1, 4.3, -3.1, 2.1, -4.2]
    heights = [4, 5, 3, 4, 5, 4.2, 2.1, 4.3, 3.1, 5.1, 4.2]
    widths = [0.005, 0.005, 0.006, 0.01, 0.01, 0.03, 0.01, 0.01, 0.005, 0.008, 0.005]
    yield "blocks", sum(jump * (1 + np.sign(time - place)) / 2 for place, jump in zip(at, jumps))
    yield "bumps", sum(high / (1 + np.abs((time - place) / wide)) ** 4 for place, high, wide in zip(at, heights, widths))
    yield "heavisine", 4 * np.sin(4 * np.pi * time) - np.sign(time - 0.3) - np.sign(0.72 - time)
    yield "doppler", np.sqrt(time * (1 - time)) * np.sin(2 * np.pi * 1.05 / (time + 0.05))


def main(out):
    rng = np.random.default_rng(1)
    train, test = pathlib.Path(out, "train"), pathlib.Path(out, "test")
    train.mkdir(parents=True)
    test.mkdir()
    for number in range(COUNT):
        np.save(train / f"{number:05}.npy", sample(rng)[None].astype(np.float32))
    for name, line in known():
        np.save(test / f"{name}.npy", even(line)[None].astype(np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
