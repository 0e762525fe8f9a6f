#!/usr/bin/env python3
"""How well text is read from scans before and after `document`: the character error of tesseract (Debian: tesseract-ocr).

    python3 benches/ocr.py PAGES [--model document]

PAGES has `noisy` and `clean` pages of the same names, such as target/recipes/document/test after models/recipes/document.sh.
What tesseract reads from the clean page is taken as its text; the character error is the edit distance to it for each of its
characters, spaces aside. The last line is JSON.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

from limpid import ROOT, build

PARSER = argparse.ArgumentParser()
PARSER.add_argument("pages", type=pathlib.Path)
PARSER.add_argument("--model", default="document")


def text_of(page):
    command = ["tesseract", str(page), "-", "--psm", "6"]
    env = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    return "".join(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env).stdout.split())


def distance(a, b):
    """The least number of characters to insert, delete or replace (V. I. Levenshtein, 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[:], i
        for j, y in enumerate(b, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y))
    return row[-1]


def main():
    args = PARSER.parse_args()
    errors, characters = {"noisy": 0, "denoised": 0}, 0
    with tempfile.TemporaryDirectory() as work:
        out = pathlib.Path(work)
        program = os.environ.get("PROGRAM") or build("build", "--release")["limpid"]
        denoise = [program, "denoise", str(args.pages / "noisy"), "-o", work, "--model", args.model, "--models", str(ROOT / "models")]
        subprocess.run(denoise, check=True, stdout=subprocess.DEVNULL)
        pages = sorted((args.pages / "clean").iterdir())
        for page in pages:
            clean = text_of(page)
            characters += len(clean)
            errors["noisy"] += distance(text_of(args.pages / "noisy" / page.name), clean)
            errors["denoised"] += distance(text_of(next(out.rglob(page.name))), clean)
    rates = {name: round(count / characters, 4) for name, count in errors.items()}
    print(f"{len(pages)} pages, {characters} characters: {rates['noisy']:.1%} wrong before, {rates['denoised']:.1%} after")
    print(json.dumps({"pages": len(pages), "characters": characters, "character_error": rates}))


if __name__ == "__main__":
    main()
