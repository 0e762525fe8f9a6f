#!/usr/bin/env python3
"""Denoise a picture, keep its latent, and rebuild the picture from it. Needs `pip install requests`.

    python3 examples/denoise.py tests/data/noisy/scene.png clean.png
"""
import os
import sys

import requests

URL = os.environ.get("LIMPID_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("LIMPID_KEY")
session = requests.Session()
if KEY:
    session.headers["Authorization"] = f"Bearer {KEY}"


def call(route, body, media_type, **params):
    """Post bytes; a refusal becomes an exception that says what to do."""
    reply = session.post(f"{URL}/{route}", data=body, headers={"Content-Type": media_type}, params=params)
    if not reply.ok:
        problem = reply.json()
        raise SystemExit(f"{problem['code']}: {problem['detail']}")
    return reply


source, target = sys.argv[1:3]
picture = open(source, "rb").read()
clean = call("denoise", picture, "application/octet-stream")
open(target, "wb").write(clean.content)
print(f"{clean.headers['X-Model']}, sigma {clean.headers['X-Noise-Sigma']}: {clean.headers.get('X-Model-Reason')}")

latent = call("encode", picture, "application/octet-stream", ratio=4)
back = call("decode", latent.content, "application/vnd.limpid.latent")
print(f"{len(picture)} bytes of picture, {len(latent.content)} of latent, rebuilt to {len(back.content)} bytes")
