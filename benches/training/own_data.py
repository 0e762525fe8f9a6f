#!/usr/bin/env python3
"""Trains on data as people have it, and holds the result against the truth that training never saw.

own_data.py LIMPID MODELS [--w2s DIR] [--cc15 DIR] [--minutes M]

Needs numpy, Pillow and tifffile. Each case prints one row: error of the input, of the base and of the version that serves
afterwards (the version, or what it was kept back for)."""
import argparse
import json
import os
import subprocess
import tempfile

import numpy as np
import tifffile
from PIL import Image


def run(limpid, *args):
    done = subprocess.run([limpid, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}: {done.stderr[-600:]}")
    return done.stdout


def rmse(a, b):
    return float(np.sqrt(np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)))


def train(a, work, name, samples, *flags):
    out = run(a.limpid, "train", "--name", name, "--samples", samples, "--minutes", a.minutes, "--json",
              "--data-dir", f"{work}/data", *flags)
    return json.loads(out)


def weather(n, start):
    t = np.arange(start, start + n)
    return np.stack([20 + 5 * np.sin(.013 * t) + np.cos(.031 * t), 50 - 9 * np.sin(.013 * t), 1013 + 6 * np.cos(.004 * t)], 1)


def sensors(a, work):
    """Temperature, humidity, pressure a minute, ten days, noisy files alone."""
    rng, sigma = np.random.default_rng(1), np.array([.4, 1.5, .8])
    os.makedirs(f"{work}/sensors")
    write = lambda path, rows: np.savetxt(path, rows, fmt="%.3f", delimiter=",", comments="",
                                          header="temperature,humidity,pressure")
    for day in range(10):
        clean = weather(1440, 1440 * day)
        write(f"{work}/sensors/{day}.csv", clean + sigma * rng.standard_normal(clean.shape))
    clean = weather(1440, 50_000)
    noisy = clean + sigma * rng.standard_normal(clean.shape)
    write(f"{work}/day.csv", noisy)
    outcome = train(a, work, "weather", f"{work}/sensors", "--family", "signal")
    version = f"weather@{outcome['version']}"
    run(a.limpid, "denoise", f"{work}/day.csv", "-o", f"{work}/out.csv", "--model", version, "--data-dir", f"{work}/data")
    out = np.genfromtxt(f"{work}/out.csv", delimiter=",")
    out = out[~np.isnan(out).any(1)]
    for column, what in enumerate(["temperature", "humidity", "pressure"]):
        print(f"| sensors, {what} (RMSE) | {rmse(noisy[:, column], clean[:, column]):.3f} | "
              f"| {rmse(out[:, column], clean[:, column]):.3f} | {told(outcome)} |", flush=True)


def told(outcome):
    return "promoted" if outcome["promoted"] else "kept back: " + (outcome["kept_back"] or "as asked").split(";")[0]


def psnr(a, b, peak):
    return 20 * np.log10(peak / rmse(a, b))


def denoised(a, work, path, model):
    run(a.limpid, "denoise", path, "-o", f"{work}/out{os.path.splitext(path)[1]}", "--model", model, "--data-dir", f"{work}/data")
    out = f"{work}/out{os.path.splitext(path)[1]}"
    return tifffile.imread(out) if out.endswith(".tif") else np.array(Image.open(out))


def images(a, work, what, base, pairs, write, ending, peak):
    """Noisy files alone, from a base; the last third is kept to judge by."""
    folder, cut = f"{work}/{base}-{len(pairs)}", 2 * len(pairs) // 3
    os.makedirs(folder)
    for i, (noisy, _) in enumerate(pairs[:cut]):
        write(f"{folder}/{i}{ending}", noisy)
    outcome = train(a, work, f"mine-{base}", folder, "--base", base)
    scores = {"input": [], "base": [], "own": []}
    for noisy, clean in pairs[cut:]:
        path = f"{work}/one{ending}"
        write(path, noisy)
        scores["input"].append(psnr(noisy, clean, peak))
        scores["base"].append(psnr(denoised(a, work, path, base), clean, peak))
        scores["own"].append(psnr(denoised(a, work, path, f"{outcome['model']}@{outcome['version']}"), clean, peak))
    mean = {key: float(np.mean(all)) for key, all in scores.items()}
    print(f"| {what} (PSNR) | {mean['input']:.2f} | {mean['base']:.2f} | {mean['own']:.2f} | {told(outcome)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("limpid")
    parser.add_argument("models")
    parser.add_argument("--w2s")
    parser.add_argument("--cc15")
    parser.add_argument("--minutes", default="2")
    a = parser.parse_args()
    os.environ["LIMPID_MODELS__DIR"] = os.path.abspath(a.models)
    work = tempfile.mkdtemp()
    print(f"| case, {a.minutes} minutes | input | base | own | |\n|---|---|---|---|---|")
    sensors(a, work)
    if a.w2s:
        read = lambda half, name: np.array(Image.open(f"{a.w2s}/{half}/{name}")).astype(np.uint16) * 16
        pairs = [(read("noisy", name), read("clean", name)) for name in sorted(os.listdir(f"{a.w2s}/noisy"))]
        images(a, work, "microscopy of 12 bits in files of 16, noisy alone", "photo-gray", pairs, tifffile.imwrite, ".tif", 4080)
    if a.cc15:
        names = sorted(name for name in os.listdir(a.cc15) if name.endswith("_real.png"))
        read = lambda name: np.array(Image.open(f"{a.cc15}/{name}"))
        pairs = [(read(name), read(name.replace("_real", "_mean"))) for name in names]
        images(a, work, "camera, noisy alone", "photo-color", pairs, lambda path, image: Image.fromarray(image).save(path), ".png", 255)


main()
