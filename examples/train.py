#!/usr/bin/env python3
"""Train a model on a zip of your files, follow the job, and use the result. Needs `pip install requests`.

    python3 examples/train.py my-scans scans.zip 10
"""
import os
import sys
import time

import requests

URL = os.environ.get("LIMPID_URL", "http://127.0.0.1:8080")
session = requests.Session()
if key := os.environ.get("LIMPID_KEY"):
    session.headers["Authorization"] = f"Bearer {key}"

name, samples, minutes = sys.argv[1], sys.argv[2], float(sys.argv[3])
config = f'{{"name": "{name}", "minutes": {minutes}}}'
with open(samples, "rb") as file:
    reply = session.post(f"{URL}/train", files={"config": (None, config), "samples": (samples, file)})
if not reply.ok:
    raise SystemExit(reply.json()["detail"])
job = reply.json()["id"]
while True:
    job_now = session.get(f"{URL}/train/{job}").json()
    print(job_now["status"], job_now.get("step"), job_now.get("psnr_db"))
    if job_now["status"] in ("succeeded", "failed", "cancelled"):
        break
    time.sleep(5)
print(session.get(f"{URL}/models/{name}").json())
