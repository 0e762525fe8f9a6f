#!/usr/bin/env python3
"""How well text is read from scans before and after `document`: the character error of tesseract (Debian: tesseract-ocr).

    cargo build --release && python3 benches/ocr.py PAGES [--model document] [--models models]

PAGES has `noisy` and `clean` pages of the same names, such as target/recipes/document/test after models/recipes/document.sh.
What tesseract reads from the clean page is taken as its text; the character error is the edit distance to it for each of its
characters, spaces aside. The last line is JSON.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

PARSER = argparse.ArgumentParser()
PARSER.add_argument("pages", type=pathlib.Path)
PARSER.add_argument("--model", default="document")
PARSER.add_argument("--models", default="models")
PARSER.add_argument("--limpid", default="target/release/limpid")


def text_of(page):
    command = ["tesseract", str(page), "-", "--psm", "6"]
    read = subprocess.run(command, check=True, capture_output=True, text=True, env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin"})
    return "".join(read.stdout.split())


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
        denoise = [args.limpid, "denoise", str(args.pages / "noisy"), "-o", work, "--model", args.model, "--models", args.models]
        subprocess.run(denoise, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
