#!/usr/bin/env python3
"""Writes the first files of corpus/: small files of every kind that is read. Needs numpy, pillow, tifffile, imagecodecs.

    python3 fuzz/seeds.py
"""
import base64, gzip, io, json, struct, tarfile, wave, zipfile, zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

CORPUS = Path(__file__).parent / "corpus"
rng = np.random.default_rng(1)
gray = (np.add.outer(np.arange(12), np.arange(16)) * 9 % 256).astype(np.uint8)
color = np.stack([gray, 255 - gray, gray // 2], -1)


def put(target, name, data):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


def image(array, kind, mode=None, **more):
    file = io.BytesIO()
    Image.fromarray(array).convert(mode or None).save(file, kind, **more) if mode else Image.fromarray(array).save(file, kind, **more)
    return file.getvalue()


def tiff(array, **more):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **more)
    return file.getvalue()


def npy(array, **more):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **more)
    return file.getvalue()


exif = Image.Exif()
exif[0x0112], exif[0x010F] = 6, "camera"
png = put("picture", "gray.png", image(gray, "PNG"))
put("picture", "color.png", image(color, "PNG"))
put("picture", "deep.png", image(gray.astype(np.uint16) * 257, "PNG"))
put("picture", "opacity.png", image(np.dstack([color, gray]), "PNG"))
put("picture", "palette.png", image(color, "PNG", "P"))
put("picture", "gray.jpg", image(gray, "JPEG"))
put("picture", "coarse.jpg", image(color, "JPEG", subsampling=2, exif=exif.tobytes(), icc_profile=b"profile"))
put("picture", "print.jpg", image(color, "JPEG", "CMYK"))
put("picture", "progressive.jpg", image(color, "JPEG", progressive=True))
put("picture", "color.webp", image(color, "WEBP", lossless=True))
put("picture", "lossy.webp", image(color, "WEBP"))
put("picture", "gray.pgm", image(gray, "PPM"))
put("picture", "text.pgm", b"P2\n# note\n3 2\n255\n1 2 3\n4 5 6\n")
put("picture", "bits.pbm", b"P4\n9 2\n\xaa\x80\x55\x00")

put("tiff", "gray.tif", tiff(gray))
put("tiff", "deep.tif", tiff(gray.astype(np.uint16) * 16))
put("tiff", "float.tif", tiff(gray.astype(np.float32) / 255, compression="zlib", predictor=True))
put("tiff", "signed.tif", tiff(gray.astype(np.int16) - 99))
put("tiff", "color.tif", tiff(color, compression="lzw"))
put("tiff", "planar.tif", tiff(np.moveaxis(color, -1, 0), planarconfig="separate", photometric="rgb"))
put("tiff", "pages.tif", tiff(np.stack([gray, 255 - gray]), photometric="minisblack"))
put("tiff", "stack.tif", tiff(np.stack([gray, 255 - gray]).astype(np.uint16), imagej=True))
put("tiff", "big.tif", tiff(gray, bigtiff=True))
put("tiff", "tiles.tif", tiff(np.tile(gray, (3, 2))[:32, :32], tile=(16, 16)))
put("tiff", "bits.tif", image(gray, "TIFF", "1", compression="group4"))
put("tiff", "palette.tif", image(color, "TIFF", "P"))

put("npy", "image.npy", npy(gray))
put("npy", "floats.npy", npy(gray.astype("<f4")))
put("npy", "doubles.npy", npy(gray.astype(">f8"), version=(2, 0)))
put("npy", "halves.npy", npy(gray.astype("<f2")))
put("npy", "stack.npy", npy(np.stack([gray, gray])))
put("npy", "fortran.npy", npy(np.asfortranarray(gray.astype("<i2"))))
put("npy", "signal.npy", npy(rng.normal(size=(2, 300)).astype("<f4")))

sound = (np.sin(np.arange(200) / 5) * 9000).astype("<i2")
for channels in (1, 2):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels), out.setsampwidth(2), out.setframerate(8000), out.writeframes(sound.tobytes())
    put("wav", f"{channels}.wav", file.getvalue())
fmt = struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32)
data = (sound / 9000).astype("<f4").tobytes()
body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(data)) + data
put("wav", "float.wav", b"RIFF" + struct.pack("<I", len(body)) + body)
put("wav", "pipe.wav", b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", 16) + fmt + b"data\xff\xff\xff\xff" + data)

rows = [(i, 20 + i / 7, 1000 - i) for i in range(12)]
put("csv", "plain.csv", b"".join(b"%d,%.3f,%d\n" % row for row in rows))
put("csv", "head.csv", b"time,temp,pressure\n" + b"".join(b"2024-01-01T00:%02d:00,%.2f,%d\n" % row for row in rows))
put("csv", "comma.csv", "\ufeffWert;Druck\r\n".encode() + b"".join(f"{b:.2f};{c}\r\n".replace(".", ",").encode() for _, b, c in rows))
put("csv", "quoted.csv", b'"a, b","c"\n"1.5","2"\n"3","4e-3"\n')
put("csv", "wide.csv", "a\tb\n1\t2\n\n3\t4\n".encode("utf-16"))

tensor = {"shape": [2, 2], "dtype": "float32", "base64": base64.b64encode(np.arange(4, dtype="<f4").tobytes()).decode()}
plane = {"dims": [1, 2, 2], "data": tensor["base64"]}
latent = {"model": "photo-gray", "version": 1, "digest": "07" * 32, "shape": {"image": {"channels": 1, "height": 4, "width": 4}},
          "stats": {"mean": 0.5, "std": 0.25}, "planes": [plane]}
for name, value in {"numbers": [[1, 2.5], [3, 4]], "deep": [[[1, 2], [3, 4]]], "tensor": tensor, "latent": latent}.items():
    put("json", f"{name}.json", json.dumps(value).encode())


def archive_zip(files, how):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as out:
        for name, content in files.items():
            out.writestr(zipfile.ZipInfo(name), content, how)
    return file.getvalue()


def archive_tar(files, form):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return file.getvalue()


files = {"a/one.png": png, "two.npy": npy(gray), "b/three.csv": b"1,2\n3,4\n"}
put("zip", "stored.zip", archive_zip(files, zipfile.ZIP_STORED))
put("zip", "deflated.zip", archive_zip(files, zipfile.ZIP_DEFLATED))
tar = put("tar", "ustar.tar", archive_tar(files, tarfile.USTAR_FORMAT))
put("tar", "pax.tar", archive_tar({"n" * 120 + ".csv": b"1,2\n", **files}, tarfile.PAX_FORMAT))
put("tar", "gnu.tgz", gzip.compress(archive_tar(files, tarfile.GNU_FORMAT), mtime=0))

idx = struct.pack(">IIII", 0x803, 2, 4, 5) + bytes(range(40))
for at, content in enumerate([b"1,2\n3,4\n5,6\n", b"1 2 3\n4 5 6\n", idx, npy(gray), png, gzip.compress(idx, mtime=0)]):
    put("upload", f"{at}", bytes([at]) + content)

# Latent files as `src/codec/latent/mod.rs` lays them out, which are also the golden files of tests/data.


def latent_file(kind, shape, stats, planes):
    body = struct.pack("<B", len("photo-gray")) + b"photo-gray" + struct.pack("<I", 3) + bytes([7]) * 32
    body += struct.pack(f"<B{len(shape)}I", kind, *shape) + stats + struct.pack("<H", len(planes))
    for plane in planes:
        body += struct.pack(f"<B{plane.ndim}I", plane.ndim, *plane.shape)
    body += b"".join(plane.astype("<f4").tobytes() for plane in planes)
    file = b"\x89LIMPID\n" + struct.pack("<HQ", 1, 18 + len(body) + 4) + body
    return file + struct.pack("<I", zlib.crc32(file))


ramp = lambda *dims: (np.arange(np.prod(dims), dtype="<f4") / 8 - 1).reshape(dims)
image_latent = latent_file(1, (1, 7, 9), struct.pack("<Bff", 1, 0.5, 0.25), [ramp(2, 1, 2), ramp(1, 2, 3)])
signal_latent = latent_file(2, (2, 12), struct.pack("<BH4f", 2, 2, 0.5, 0.25, -4, 8), [ramp(3, 4)])
vector_latent = latent_file(3, (6,), b"\0", [ramp(2)])
for name, content in {"image": image_latent, "signal": signal_latent, "vector": vector_latent}.items():
    put("latent", f"{name}.latent", content)
    (CORPUS.parent.parent / "tests/data" / f"format-1-{name}.latent").write_bytes(content)

# An index as `src/index/file.rs` lays it out, and a map of a version whose weights have the digest `ab`.
index = b"LMPDINDX" + struct.pack("<I", 1) + bytes([7]) * 32 + struct.pack("<IQ", 2, 3) + ramp(3, 2).tobytes()
index += b"".join(struct.pack("<H", len(name)) + name for name in [b"a", b"\xc3\xa4", b""])
put("index", "three.index", index + struct.pack("<I", zlib.crc32(index)))
points = [{"name": name, "label": label, "latent": [1.0, 2.0]} for name, label in [("a", "0"), ("<b>", "1"), ("c", "0")]]
scores = {"accuracy": 1.0, "trustworthiness": None, "continuity": 0.5}
plane = {"kind": "latent", "scores": scores, "places": [[0, 1], [2.5, -1], [1e30, 3]]}
sheet = base64.b64encode(image(gray[:8, :12], "png")).decode()
thumbnails = {"width": 4, "height": 8, "columns": 3, "png": sheet}
for name, shown in {"bare": None, "pictured": thumbnails}.items():
    chart = {"format": 1, "digest": "ab", "data": "three", "reference": "samples", "neighbors": 1, "projections": [plane, plane],
             "points": points, "thumbnails": shown}
    put("map", f"{name}.json", json.dumps(chart).encode())

# Decisions for `requests.rs` and `jobs.rs`: random ones, and a life of a job.
draw = __import__("random").Random(1)
for i in range(8):
    put("request", f"{i}", bytes([i, i % 2]) + draw.randbytes(250))
put("jobs", "life", bytes([0, 1, 0, 5, 0, 2, 0, 3, 0, 5, 0, 4, 0, 2, 0, 6, 7, 3, 1, 2, 3]))
for i in range(4):
    put("jobs", f"{i}", draw.randbytes(64))
