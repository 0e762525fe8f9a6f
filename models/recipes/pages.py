#!/usr/bin/env python3
"""Draws pages and what happens to them: pairs to train or to judge a document model with.

    python3 pages.py OUT COUNT [--seed N] [--size 512] [--kinds a,b] [--scale 1] [--photos FOLDER] [--mnist FILE]

Writes OUT/clean and OUT/noisy, gray PNG of equal names. A page is text of many scripts and sizes, tables, forms, formulas,
handwriting of splines, stamps, drawings, halftones and pictures on white; what happens to it is uneven light, shadows,
coloured, folded and stained paper, the print of the other side, faded and broken ink, blur, the noise of cameras, JPEG and fax.
On the clean page paper is white, and ink is as dark as it was when new. Equal seeds draw equal pages where the same fonts are
installed. Needs numpy, scipy and pillow; fonts from the Debian packages named in `models/recipes/README.md`.
"""

import argparse
import gzip
import io
import pathlib
import random
import struct
import subprocess

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

KINDS = "text table form formula handwriting stamp drawing halftone picture inverted scripts digits".split()
# Script, share, first and last letter, and what the name of a fitting font has in it.
SCRIPTS = {
    "latin": (None, "Liberation,DejaVu,TeX Gyre,Libertine O,FreeSerif,FreeSans,FreeMono,Comic Neue,Noto Sans,Noto Serif"),
    "greek": ((0x3B1, 0x3C9), "DejaVu,FreeSerif,FreeSans,Liberation,Libertine O"),
    "cyrillic": ((0x430, 0x44F), "DejaVu,FreeSerif,FreeSans,Liberation,Libertine O"),
    "cjk": ((0x4E00, 0x7FFF), "WenQuanYi"),
    "arabic": ((0x627, 0x64A), "Noto Sans Arabic,Noto Naskh Arabic,Noto Kufi Arabic"),
    "devanagari": ((0x905, 0x939), "Noto Sans Devanagari,Noto Serif Devanagari"),
}
HANDS = "Kristi,Breip,Dancing Script"


def fonts():
    """Files of fonts by family, in a fixed order."""
    listed = subprocess.run(["fc-list", "-f", "%{family[0]}\t%{file}\n"], check=True, capture_output=True, text=True).stdout
    found = sorted(line.split("\t") for line in set(listed.splitlines()))
    return [(family, file) for family, file in found if file.endswith((".ttf", ".otf", ".ttc"))]


class Artist:
    """Draws onto a page of twice the size, in ink as dark as 0..255."""

    def __init__(self, seed, size, scale, photos, digits):
        self.rng = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.size, self.scale, self.photos, self.digits = size, scale, photos, digits
        self.page = Image.new("L", (2 * size, 2 * size), 255)
        self.draw = ImageDraw.Draw(self.page)
        self.ink = self.rng.choice([0, 0, 0, 20, 40, 60])

    def font(self, families, pixels):
        wanted = families.split(",")
        # Noto has a font for each script; only those of the letters wanted will do.
        fits = lambda family: any(family == name or "Noto" not in name and family.startswith(name) for name in wanted)
        fitting = [file for family, file in FONTS if fits(family)]
        return ImageFont.truetype(self.rng.choice(fitting), max(6, round(2 * pixels * self.scale)))

    def word(self, script):
        letters, _ = SCRIPTS[script]
        if letters is None:
            if self.rng.random() < 0.2:
                return self.rng.choice(["%d", "%d.5", "€%d", "%d%%", "(%d)", "No. %d"]) % self.rng.randint(0, 99999)
            syllables = "ta ri mo en st le qu is the an ing pro con de ver sch ck ff ij xy ow ab gul zor".split()
            word = "".join(self.rng.choice(syllables) for _ in range(self.rng.randint(1, 4)))
            return self.rng.choice([word, word, word.capitalize(), word.upper(), word + self.rng.choice(".,;:-!?")])
        return "".join(chr(self.rng.randint(*letters)) for _ in range(self.rng.randint(1, 7)))

    def text(self, box, pixels, script="latin", families=None, ink=None):
        font = self.font(families or SCRIPTS[script][1], pixels)
        x, y, right, bottom = box
        step = round(2 * pixels * self.scale * self.rng.uniform(1.05, 1.6))
        while y + step <= bottom:
            at = x + self.rng.choice([0, 0, step])
            while at < right:
                word = self.word(script)
                wide = self.draw.textlength(word, font=font)
                if at + wide > right:
                    break
                self.draw.text((at, y), word, fill=self.ink if ink is None else ink, font=font)
                at += wide + step * 0.3
            y += step

    def lines(self):
        """Text all over, in a size or two."""
        top = self.rng.randint(0, 40)
        if self.rng.random() < 0.4:
            tall = self.rng.uniform(24, 60)
            self.text((20, top, 2 * self.size, top + round(3.4 * tall * self.scale)), tall)
            top += round(3.4 * tall * self.scale)
        half = self.size if self.rng.random() < 0.3 else 2 * self.size - 10
        for left, right in [(16, half), (half + 20, 2 * self.size - 10)][: 2 if half == self.size else 1]:
            self.text((left, top, right, 2 * self.size), self.rng.choice([9, 11, 12, 14, 16, 18, 22, 28]))

    def scripts(self):
        names = [name for name in SCRIPTS if name != "latin"]
        third = 2 * self.size // 3
        for row, name in enumerate(self.rng.sample(names, 3)):
            self.text((16, row * third + 8, 2 * self.size - 10, (row + 1) * third), self.rng.choice([12, 16, 20, 26]), name)

    def table(self):
        thick = self.rng.choice([2, 2, 3, 4])
        rows = [0]
        while rows[-1] < 2 * self.size:
            rows.append(rows[-1] + self.rng.randint(36, 80))
        columns = [0]
        while columns[-1] < 2 * self.size:
            columns.append(columns[-1] + self.rng.randint(80, 300))
        size = self.rng.choice([9, 11, 13, 15])
        for top, bottom in zip(rows, rows[1:]):
            for left, right in zip(columns, columns[1:]):
                self.text((left + 8, top + 4, right - 4, bottom), size)
        rule = self.rng.choice([self.ink, 120, 160])
        for y in rows:
            self.draw.line((0, y + 2, 2 * self.size, y + 2), fill=rule, width=thick)
        if self.rng.random() < 0.7:
            for x in columns:
                self.draw.line((x + 2, 0, x + 2, 2 * self.size), fill=rule, width=thick)

    def form(self):
        for y in range(20, 2 * self.size, 90):
            self.text((16, y, 300, y + 40), 11)
            left, right = 320, self.rng.randint(500, 2 * self.size - 20)
            if self.rng.random() < 0.5:
                self.draw.rectangle((left, y - 6, right, y + 50), outline=self.ink, width=2)
            else:
                for x in range(left, right, 8):
                    self.draw.rectangle((x, y + 44, x + 2, y + 46), fill=self.ink)
            if self.rng.random() < 0.6:
                self.text((left + 10, y - 8, right, y + 60), 22, families=HANDS, ink=self.rng.choice([0, 40, 80]))
            box = right + 20
            self.draw.rectangle((box, y, box + 24, y + 24), outline=self.ink, width=2)
            if self.rng.random() < 0.5:
                self.draw.line((box + 4, y + 4, box + 20, y + 20), fill=self.ink, width=3)
                self.draw.line((box + 20, y + 4, box + 4, y + 20), fill=self.ink, width=3)

    def formula(self):
        signs = "∫∑∏√∞≈≠≤≥±×÷∂∇∈∉∪∩αβγδεθλμπσφψω()[]{}=+-0123456789xyzabcn^/"
        for y in range(10, 2 * self.size, 80):
            x, size = self.rng.randint(10, 200), self.rng.choice([14, 18, 24, 30])
            while x < 2 * self.size - 60:
                small = self.rng.random() < 0.3
                font = self.font("DejaVu", size * (0.6 if small else 1))
                sign = self.rng.choice(signs)
                self.draw.text((x, y + (self.rng.choice([-10, 20]) if small else 0)), sign, fill=self.ink, font=font)
                x += self.draw.textlength(sign, font=font) + 2
            self.draw.line((60, y + 66, self.rng.randint(100, 500), y + 66), fill=self.ink, width=2)

    def curve(self, points, thick, ink):
        """A smooth line through points, a little uneven in its width, as a pen draws."""
        points = np.asarray(points, float)
        at = np.linspace(0, len(points) - 1, 40 * len(points))
        x, y = (ndimage.map_coordinates(points[:, k], [at], order=3, mode="nearest") for k in (0, 1))
        for k in range(len(at) - 1):
            wide = thick * (0.75 + 0.35 * np.sin(k / 17.0))
            self.draw.line((x[k], y[k], x[k + 1], y[k + 1]), fill=ink, width=max(1, round(wide)))

    def handwriting(self):
        if self.rng.random() < 0.4:
            return self.text((20, 10, 2 * self.size - 10, 2 * self.size), self.rng.choice([22, 28, 36]), families=HANDS)
        thick, ink = self.rng.choice([2, 3, 4, 5, 7]), self.rng.choice([0, 30, 60, 90, 110])
        high = self.rng.choice([24, 34, 50])
        ruled = self.rng.random() < 0.3
        for y in range(60, 2 * self.size, round(high * 2.2)):
            if ruled:
                self.draw.line((0, y + high // 2, 2 * self.size, y + high // 2), fill=170, width=2)
            x = self.rng.randint(10, 80)
            while x < 2 * self.size - 60:
                points = [(x, y)]
                for _ in range(self.rng.randint(4, 14)):
                    x += self.rng.uniform(0.05, 0.5) * high
                    points.append((x + self.rng.uniform(-0.3, 0.1) * high, y + self.rng.uniform(-0.6, 0.6) * high))
                self.curve(points, thick, ink)
                x += high * 0.7

    def stamp(self):
        self.lines()
        for _ in range(self.rng.randint(1, 3)):
            x, y, r = self.rng.randint(80, 2 * self.size - 80), self.rng.randint(80, 2 * self.size - 80), self.rng.randint(50, 140)
            ink = self.rng.randint(60, 130)
            for wide in (r, round(r * 0.7)):
                self.draw.ellipse((x - wide, y - wide, x + wide, y + wide), outline=ink, width=self.rng.choice([3, 5]))
            self.text((x - r // 2, y - 20, x + r // 2, y + 30), 11, ink=ink)

    def drawing(self):
        for _ in range(self.rng.randint(8, 25)):
            box = [self.rng.randint(0, 2 * self.size) for _ in range(4)]
            box = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
            thick = self.rng.choice([2, 2, 3, 5])
            shape = self.rng.choice([self.draw.rectangle, self.draw.ellipse, None, None])
            if shape:
                shape(box, outline=self.ink, width=thick)
            else:
                self.draw.line((box[0], box[3], box[2], box[1]), fill=self.ink, width=thick)
        for _ in range(6):
            x, y = self.rng.randint(0, 2 * self.size - 200), self.rng.randint(0, 2 * self.size - 60)
            self.text((x, y, x + 200, y + 40), 11)

    def halftone(self):
        self.lines()
        side, step = self.rng.randint(200, 500), self.rng.choice([8, 10, 12, 16])
        x, y = self.rng.randint(0, 2 * self.size - side), self.rng.randint(0, 2 * self.size - side)
        self.draw.rectangle((x - 8, y - 8, x + side + 8, y + side + 8), fill=255)
        for v in range(0, side, step):
            for u in range(0, side, step):
                r = step * 0.62 * (0.5 + 0.5 * np.sin(u / 60) * np.cos(v / 80))
                self.draw.ellipse((x + u - r, y + v - r, x + u + r, y + v + r), fill=self.ink)

    def picture(self):
        self.lines()
        if not self.photos:
            return
        photo = Image.open(self.rng.choice(self.photos)).convert("L")
        wide, high = self.rng.randint(250, 600), self.rng.randint(200, 500)
        x, y = self.rng.randint(0, 2 * self.size - wide), self.rng.randint(0, 2 * self.size - high)
        left, top = self.rng.randint(0, max(0, photo.width - wide)), self.rng.randint(0, max(0, photo.height - high))
        self.draw.rectangle((x - 10, y - 10, x + wide + 10, y + high + 10), fill=255)
        self.page.paste(photo.crop((left, top, left + wide, top + high)), (x, y))

    def inverted(self):
        """Bars of white letters on black among the others."""
        self.lines()
        for _ in range(self.rng.randint(1, 4)):
            y, size = self.rng.randint(0, 2 * self.size - 80), self.rng.choice([12, 18, 26])
            left, right = self.rng.choice([(0, 2 * self.size), (100, self.size)])
            self.draw.rectangle((left, y, right, y + 4 * size), fill=self.rng.choice([0, 30]))
            self.text((left + 10, y + 4, right - 10, y + 4 * size), size, ink=255)

    def digits_(self):
        """Written digits in rows."""
        if self.digits is None:
            return self.lines()
        side = self.rng.choice([44, 60, 90])
        for y in range(10, 2 * self.size - side, round(side * 1.3)):
            for x in range(10, 2 * self.size - side, self.rng.choice([side - 6, side + 20])):
                digit = Image.fromarray(255 - self.digits[self.rng.randrange(len(self.digits))]).resize((side, side), Image.Resampling.BICUBIC)
                self.page.paste(digit, (x, y))

    def clean(self, kind):
        {"text": self.lines, "digits": self.digits_}.get(kind, getattr(self, kind, self.lines))()
        page = np.asarray(self.page.resize((self.size, self.size), Image.Resampling.BOX), np.float32) / 255
        soft = self.rng.choice([0, 0.3, 0.5, 0.7])
        return ndimage.gaussian_filter(page, soft) if soft else page

    # What happens to a page.

    def field(self, cells, low, high):
        """A smooth random field."""
        grid = self.numbers.uniform(0, 1, (cells + 3, cells + 3)).astype(np.float32)
        wide = Image.fromarray(grid, "F").resize((self.size, self.size), Image.Resampling.BICUBIC)
        return low + (high - low) * np.clip(np.asarray(wide), 0, 1)

    def blots(self, count, low, high, wide):
        """Blots with darker rims, as coffee leaves them."""
        y, x = np.mgrid[: self.size, : self.size].astype(np.float32)
        paper = np.ones((self.size, self.size), np.float32)
        for _ in range(count):
            cy, cx = self.numbers.uniform(0, self.size, 2)
            ry, rx = self.numbers.uniform(0.04, 0.4, 2) * self.size * wide
            away = np.hypot((y - cy) / ry, (x - cx) / rx) + self.field(6, -0.25, 0.25)
            depth = self.rng.uniform(low, high)
            inside = 1 / (1 + np.exp(np.minimum((away - 1) * self.rng.uniform(15, 60), 80)))
            rim = np.exp(-(((away - 1) / self.rng.uniform(0.02, 0.1)) ** 2)) * self.rng.uniform(0, 0.8)
            hollow = self.rng.choice([0.15, 0.5, 1.0])
            paper *= 1 - depth * np.clip(inside * hollow + rim, 0, 1)
        return paper

    def paper(self, strength):
        """The light that comes back from where no ink is, on 0..1."""
        rng = self.rng
        paper = np.full((self.size, self.size), rng.uniform(0.6, 1.0), np.float32)
        if rng.random() < 0.7:
            grain = sum(self.numbers.normal(0, 1, (self.size >> k, self.size >> k)).repeat(1 << k, 0).repeat(1 << k, 1) for k in (0, 1, 2))
            grain = ndimage.gaussian_filter(grain.astype(np.float32), 0.7)
            paper *= 1 + rng.uniform(0.004, 0.04) * strength * grain
        if rng.random() < 0.5:
            paper *= self.field(rng.choice([3, 8, 20, 50]), 1 - rng.uniform(0.02, 0.2) * strength, 1)
        if rng.random() < 0.45:
            paper *= self.field(1, 1 - rng.uniform(0.1, 0.6) * strength, 1)
        if rng.random() < 0.3:
            edge = self.field(2, 0, 1) > rng.uniform(0.4, 0.7)
            soft = ndimage.gaussian_filter(edge.astype(np.float32), rng.uniform(2, 30))
            paper *= 1 - rng.uniform(0.1, 0.5) * strength * soft
        if rng.random() < 0.4:
            paper *= self.blots(rng.randint(1, 6), 0.1 * strength, 0.6 * strength, 1)
        if rng.random() < 0.3:
            paper *= self.blots(rng.randint(5, 60), 0.1, 0.7 * strength, 0.04)
        if rng.random() < 0.4:
            y, x = np.mgrid[: self.size, : self.size].astype(np.float32)
            for _ in range(rng.randint(1, 8)):
                angle, at = rng.uniform(0, np.pi), rng.uniform(-0.2, 1.2) * self.size
                away = x * np.cos(angle) + y * np.sin(angle) - at + self.field(8, -8, 8)
                depth = rng.uniform(-0.1, 0.25) * strength
                paper *= 1 - depth * np.exp(-np.abs(away) / rng.uniform(0.7, 4)) - depth * 0.5 * np.exp(-np.abs(away) / 20)
        return paper

    def degrade(self, clean, behind):
        rng, strength = self.rng, self.rng.choice([0.3, 0.7, 1.0, 1.0, 1.3])
        if rng.random() < 0.07:
            return clean.copy()
        ink = clean
        if rng.random() < 0.3:
            ink = 1 - (1 - ink) * rng.uniform(0.35, 0.95)
        if rng.random() < 0.2:
            ink = 1 - (1 - ink) * self.field(rng.choice([4, 60, 120]), rng.uniform(0.3, 0.8), 1)
        if rng.random() < 0.25:
            ink = ndimage.gaussian_filter(ink, rng.uniform(0.3, 1.0))
        page = ink * self.paper(strength)
        if rng.random() < 0.3:
            through = ndimage.gaussian_filter(behind[:, ::-1], rng.uniform(0.8, 3))
            page *= 1 - rng.uniform(0.08, 0.35) * (1 - through)
        if rng.random() < 0.15:
            page = rng.uniform(0.02, 0.25) + page * rng.uniform(0.6, 0.75)
        if rng.random() < 0.4:
            page = ndimage.gaussian_filter(page, rng.uniform(0.2, 0.8))
        if rng.random() < 0.6:
            shot, read = 10 ** rng.uniform(-4, -2.2), 10 ** rng.uniform(-5, -2.8)
            noise = self.numbers.normal(0, 1, page.shape).astype(np.float32) * np.sqrt(shot * np.clip(page, 0, 1) + read)
            page = page + (ndimage.gaussian_filter(noise, 0.6) * 1.6 if rng.random() < 0.4 else noise)
        if rng.random() < 0.05:
            page = (page > rng.uniform(0.4, 0.6) * np.median(page)).astype(np.float32)
        if rng.random() < 0.05:
            specks = self.numbers.uniform(0, 1, page.shape)
            page = np.where(specks < 0.004, 0, np.where(specks > 0.997, 1, page))
        page = np.clip(page, 0, 1)
        if rng.random() < 0.5:
            held = io.BytesIO()
            Image.fromarray(np.uint8(page * 255 + 0.5)).save(held, "JPEG", quality=rng.randint(35, 95))
            page = np.asarray(Image.open(held), np.float32) / 255
        return page


def level(page, cell=32, share=90):
    """The paper's brightness, smooth: of each cell with its neighbours what so many in a hundred do not exceed."""
    rows, columns = (max(1, round(n / cell)) for n in page.shape)
    ys, xs = (np.linspace(0, n, k + 1).astype(int) for n, k in zip(page.shape, (rows, columns)))
    grid = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            near = page[ys[max(0, i - 1)] : ys[min(rows, i + 2)], xs[max(0, j - 1)] : xs[min(columns, j + 2)]]
            grid[i, j] = np.percentile(near, share)
    wide = Image.fromarray(ndimage.gaussian_filter(grid, 0.7, mode="nearest"), "F")
    return np.asarray(wide.resize(page.shape[::-1], Image.Resampling.BILINEAR))


def mnist(path):
    data = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    count, height, width = struct.unpack(">3I", data[4:16])
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, height, width)


def draw(kind, seed, size=512, scale=1.0, photos=(), digits=None, flat=0.5):
    """A clean page and the same as it was found, gray on 0..1; with chance `flat` freed of uneven light."""
    artist = Artist(seed, size, scale, photos, digits)
    clean = artist.clean(kind)
    behind = Artist(seed + 1_000_000_007, size, scale, photos, digits).clean("text")
    noisy = artist.degrade(clean, behind)
    if artist.rng.random() < flat:
        noisy = np.clip(noisy / np.maximum(level(noisy), 0.05), 0, 1)
    return clean, noisy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--scale", type=float, default=1.0, help="of all text")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--photos", type=pathlib.Path)
    parser.add_argument("--mnist", type=pathlib.Path)
    args = parser.parse_args()
    photos = sorted(args.photos.glob("*.jpg")) if args.photos else []
    digits = mnist(args.mnist) if args.mnist else None
    kinds = args.kinds.split(",")
    for side in ("clean", "noisy"):
        (args.out / side).mkdir(parents=True, exist_ok=True)
    for k in range(args.count):
        kind = kinds[k % len(kinds)]
        clean, noisy = draw(kind, args.seed * 100_000 + k, args.size, args.scale, photos, digits)
        for side, page in (("clean", clean), ("noisy", noisy)):
            Image.fromarray(np.uint8(np.clip(page, 0, 1) * 255 + 0.5)).save(args.out / side / f"{kind}-{k:04}.png")


FONTS = fonts()
if __name__ == "__main__":
    main()
