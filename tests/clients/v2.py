"""Runs the clients of Triton, as they are, over every route of `/v2`: `v2.py PATH_OF_LIMPID`.

The package `tritonclient[http]` has a client that blocks and one of asyncio; both send every request plain, by gzip and by deflate.
Ends with an error at the first answer that is not what the protocol and the native routes say.
"""

import asyncio
import base64
import json
import re
import subprocess
import sys
import tempfile
import urllib.request

import ml_dtypes
import numpy
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

ROOT = __file__.rsplit("/tests/", 1)[0]
SCENE = open(f"{ROOT}/tests/data/noisy/scene.png", "rb").read()


class Blocking:
    """The client that blocks, with the methods of the one of asyncio."""

    def __init__(self, address):
        self.client = tritonclient.http.InferenceServerClient(address)
        self.module = tritonclient.http

    def __getattr__(self, name):
        async def call(*args, **named):
            return getattr(self.client, name)(*args, **named)

        return call


class Asynchronous:
    def __init__(self, address):
        self.client = tritonclient.http.aio.InferenceServerClient(address)
        self.module = tritonclient.http.aio

    def __getattr__(self, name):
        return getattr(self.client, name)


def native(address, path, body, kind, **headers):
    """The reply of a native route."""
    headers = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(f"http://{address}{path}", body, headers)
    with urllib.request.urlopen(request) as reply:
        return reply.read()


async def refused(call, status, part):
    """Checks that a call fails with this status, and names `part`."""
    try:
        await call
    except InferenceServerException as error:
        assert str(error.status()) == str(status), error
        assert part in error.message(), error
        return
    raise AssertionError(f"{part}: was not refused")


def tensor(client, name, values, datatype, binary=True):
    made = client.module.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def output(client, name, binary=True):
    return client.module.InferRequestedOutput(name, binary_data=binary)


async def check_server(client):
    assert await client.is_server_live() and await client.is_server_ready()
    server = await client.get_server_metadata()
    assert server["name"] == "limpid" and "binary_tensor_data" in server["extensions"], server
    assert "system_shared_memory" not in server["extensions"], server
    for call in ("get_system_shared_memory_status", "get_cuda_shared_memory_status", "get_trace_settings", "get_log_settings"):
        await refused(getattr(client, call)(), 404, "there is no route")


async def check_models(client):
    index = await client.get_model_repository_index()
    assert {"photo-gray", "photo-gray.decoder", "ecg", "digits"} <= {entry["name"] for entry in index}, index
    assert all(entry["state"] == "READY" for entry in index), index
    for entry in index:
        name, version = entry["name"], entry["version"]
        for stated in ("", version):
            assert await client.is_model_ready(name, stated), name
            metadata = await client.get_model_metadata(name, stated)
            config = await client.get_model_config(name, stated)
            assert metadata["name"] == config["name"] == name and version in metadata["versions"], metadata
            assert len(metadata["inputs"]) == 1 and metadata["inputs"][0]["shape"][0] == -1, metadata
            assert config["max_batch_size"] == 256, config
            statistics = await client.get_inference_statistics(name, stated)
            assert statistics["model_stats"][0]["name"] == name, statistics
    assert not await client.is_model_ready("nowhere")
    await refused(client.get_model_metadata("nowhere"), 404, "nowhere")
    await refused(client.get_model_metadata("photo-gray", "999"), 404, "999")
    assert len((await client.get_inference_statistics())["model_stats"]) == len(index)


async def check_repository(client):
    await client.load_model("digits")
    await client.unload_model("digits")
    assert await client.is_model_ready("digits")
    await refused(client.load_model("digits", config="{}"), 400, "config")
    await refused(client.load_model("nowhere"), 404, "nowhere")


async def check_images(client, address, coding):
    how = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
    image = numpy.random.default_rng(7).random((2, 1, 40, 56), dtype=numpy.float32)
    stack = native(address, "/denoise?model=photo-gray", image.tobytes(), "application/octet-stream",
                   X_Tensor_Shape="2,1,40,56", X_Tensor_Dtype="float32")
    expected = numpy.frombuffer(stack, numpy.float32).reshape(image.shape)

    # All outputs, in binary form, where none is named.
    reply = await client.infer("photo-gray", [tensor(client, "image", image, "FP32")], request_id="a", **how)
    head = reply.get_response()
    assert head["id"] == "a" and head["model_name"] == "photo-gray" and head["model_version"].isdigit(), head
    assert numpy.array_equal(reply.as_numpy("denoised"), expected)
    latents = reply.as_numpy("latent")
    assert latents.shape == (2,)

    # Each of both forms of input and output.
    for binary in (True, False):
        asked = [output(client, "denoised", binary)]
        reply = await client.infer("photo-gray", [tensor(client, "image", image, "FP32", binary)], outputs=asked, **how)
        assert numpy.array_equal(reply.as_numpy("denoised"), expected)
        assert ("data" in reply.get_output("denoised")) != binary

    # The latent alone, and back by the decoder.
    reply = await client.infer("photo-gray", [tensor(client, "image", image, "FP32")], outputs=[output(client, "latent")], **how)
    assert reply.as_numpy("denoised") is None and reply.as_numpy("latent").tolist() == latents.tolist()
    strict = await client.infer("photo-gray", [tensor(client, "image", image, "FP32")], outputs=[output(client, "denoised")],
                                parameters={"mode": "strict"}, **how)
    reply = await client.infer("photo-gray.decoder", [tensor(client, "latent", latents, "BYTES")], **how)
    assert numpy.array_equal(reply.as_numpy("denoised"), strict.as_numpy("denoised"))
    text = numpy.array([base64.b64encode(latent) for latent in latents], dtype=object)
    reply = await client.infer("photo-gray.decoder", [tensor(client, "latent", text, "BYTES", False)], **how)
    assert numpy.array_equal(reply.as_numpy("denoised"), strict.as_numpy("denoised"))

    # A file.
    file = numpy.array([SCENE], dtype=object)
    reply = await client.infer("photo-gray", [tensor(client, "image", file, "BYTES")], outputs=[output(client, "denoised")], **how)
    clean = native(address, "/denoise?model=photo-gray&format=npy&depth=float", SCENE, "image/png")
    clean = numpy.frombuffer(clean[-reply.as_numpy("denoised").nbytes:], numpy.float32)
    assert numpy.array_equal(reply.as_numpy("denoised").ravel(), clean)


async def check_types(client, coding):
    how = {"request_compression_algorithm": coding, "outputs": [output(client, "denoised")], "parameters": {"strength": 0.0}}
    whole = numpy.random.default_rng(8).integers(0, 256, (1, 1, 16, 24))
    for name, dtype, scale in [
        ("UINT8", numpy.uint8, 255), ("INT32", numpy.int32, 1), ("INT64", numpy.int64, 1), ("FP16", numpy.float16, 1),
        ("BF16", ml_dtypes.bfloat16, 1), ("FP32", numpy.float32, 1), ("FP64", numpy.float64, 1),
    ]:
        reply = await client.infer("photo-gray", [tensor(client, "image", whole.astype(dtype), name)], **how)
        # Strength 0 gives the input back.
        assert numpy.abs(reply.as_numpy("denoised") * scale - whole).max() < 1e-4, name
    await refused(client.infer("photo-gray", [tensor(client, "image", whole > 9, "BOOL")], **how), 400, "BOOL")
    await refused(client.infer("photo-gray", [tensor(client, "image", whole.astype(numpy.uint16), "UINT16")], **how), 400, "UINT16")


async def check_signals(client, address, coding):
    signal = numpy.sin(numpy.arange(1500, dtype=numpy.float32) / 9).reshape(1, 1, -1)
    reply = await client.infer("ecg", [tensor(client, "signal", signal, "FP32")], request_compression_algorithm=coding)
    clean = native(address, "/denoise?model=ecg", signal.tobytes(), "application/octet-stream", X_Tensor_Shape="1,1,1500")
    assert numpy.array_equal(reply.as_numpy("denoised").ravel(), numpy.frombuffer(clean, numpy.float32))
    # The shape of a model of one fixed shape follows from the bytes of a tensor without JSON.
    digits = numpy.random.default_rng(9).random((3, 1, 28, 28), dtype=numpy.float32)
    reply = await client.infer("digits", [tensor(client, "image", digits, "FP32")], request_compression_algorithm=coding)
    raw = urllib.request.Request(f"http://{address}/v2/models/digits/infer", digits.tobytes(), {"Inference-Header-Content-Length": "0"})
    with urllib.request.urlopen(raw) as answer:
        length = int(answer.headers["Inference-Header-Content-Length"])
        body = answer.read()
    assert json.loads(body[:length])["outputs"][0]["shape"] == [3, 1, 28, 28]
    assert body[length:][:digits.nbytes] == reply.as_numpy("denoised").tobytes()


async def check_refusals(client):
    image = numpy.zeros((1, 1, 8, 8), numpy.float32)
    good = tensor(client, "image", image, "FP32")
    await refused(client.infer("nowhere", [good]), 404, "nowhere")
    await refused(client.infer("photo-gray", [good], model_version="999"), 404, "999")
    await refused(client.infer("photo-gray", [good, good]), 400, "expected the one input image")
    await refused(client.infer("photo-gray", [tensor(client, "signal", image, "FP32")]), 400, "expected image")
    await refused(client.infer("photo-color", [good]), 400, "[-1, 3, -1, -1]")
    await refused(client.infer("photo-gray", [good], outputs=[output(client, "clean")]), 400, "denoised, latent")
    await refused(client.infer("photo-gray", [good], sequence_id=3), 400, "sequence_id")
    await refused(client.infer("photo-gray", [good], parameters={"strength": 2}), 400, "expected 0..=1")
    await refused(client.infer("photo-gray", [tensor(client, "image", image * numpy.nan, "FP32")]), 400, "not finite")
    many = numpy.zeros((257, 1, 1, 1), numpy.float32)
    await refused(client.infer("photo-gray", [tensor(client, "image", many, "FP32")]), 413, "256")
    large = tensor(client, "image", numpy.random.default_rng(1).random((1, 1, 1024, 1024), dtype=numpy.float32), "FP32")
    await refused(client.infer("photo-gray", [large], timeout=1), 504, "timeout")
    shared = client.module.InferInput("image", [1, 1, 8, 8], "FP32")
    shared.set_shared_memory("region", 256)
    await refused(client.infer("photo-gray", [shared]), 400, "shared_memory")


async def check(address):
    for client in (Blocking(address), Asynchronous(address)):
        await check_server(client)
        await check_models(client)
        await check_repository(client)
        for coding in (None, "gzip", "deflate"):
            await check_images(client, address, coding)
            await check_types(client, coding)
            await check_signals(client, address, coding)
        await check_refusals(client)
        await client.close()
        print(f"{client.module.__name__}: every route is as the protocol says")


def main(limpid):
    with tempfile.TemporaryDirectory() as folder:
        command = [limpid, "serve", "--bind", "127.0.0.1:0", "--data-dir", folder, "--log-format", "json"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as service:
            try:
                lines = iter(service.stderr.readline, "")
                address = next(found[1] for line in lines if (found := re.search(r'"address":"([^"]*)"', line)))
                # What it logs from here on is read by a process that keeps nothing of it.
                drain = subprocess.Popen(["cat"], stdin=service.stderr, stdout=subprocess.DEVNULL)
                while not is_ready(address):
                    pass
                asyncio.run(check(address))
            finally:
                service.terminate()
                service.wait()
                drain.wait()


def is_ready(address):
    try:
        with urllib.request.urlopen(f"http://{address}/v2/health/ready") as reply:
            return json.load(reply)["ready"]
    except urllib.error.HTTPError:
        return False


if __name__ == "__main__":
    main(sys.argv[1])
