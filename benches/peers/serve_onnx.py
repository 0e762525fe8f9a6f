"""One network behind FastAPI or LitServe with ONNX Runtime, as their documentation shows it. FastAPI takes and gives
PNG; LitServe takes and gives JSON with a PNG in base64, since it reads no other bodies.

    python serve_onnx.py fastapi|litserve NET.onnx PORT MEAN STD

MEAN and STD are taken out of the pixels and put back; `sample` in place of both takes those of the image itself.
"""

import io
import sys

import numpy as np
import onnxruntime as ort
from PIL import Image

KIND, NET, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
STATS = None if sys.argv[4] == "sample" else tuple(map(float, sys.argv[4:6]))


def session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(NET, options, providers=["CPUExecutionProvider"])


def read(body):
    x = np.asarray(Image.open(io.BytesIO(body)).convert("L"), np.float32)[None, None] / 255
    mean, std = STATS or (x.mean(), x.std() or 1)
    return (x - mean) / std, mean, std


def write(y, mean, std):
    y = np.clip(np.rint((y * std + mean) * 255), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(y).save(file, "png", compress_level=1)
    return file.getvalue()


if KIND == "fastapi":
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from starlette.concurrency import run_in_threadpool

    app, net = FastAPI(), session()

    def denoise(body):
        x, mean, std = read(body)
        return write(net.run(None, {"x": x.astype(np.float32)})[0][0, 0], mean, std)

    @app.post("/denoise")
    async def route(request: Request):
        return Response(await run_in_threadpool(denoise, await request.body()), media_type="image/png")

    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error")
else:
    import base64

    import litserve as ls

    class Denoise(ls.LitAPI):
        def setup(self, device):
            self.net = session()

        def decode_request(self, request):
            return read(base64.b64decode(request["image"]))

        def batch(self, inputs):
            return inputs

        def predict(self, inputs):
            # Samples of one shape go through together.
            y = self.net.run(None, {"x": np.concatenate([x for x, _, _ in inputs]).astype(np.float32)})[0]
            return [(one[0], mean, std) for one, (_, mean, std) in zip(y, inputs)]

        def unbatch(self, outputs):
            return outputs

        def encode_response(self, output):
            return {"image": base64.b64encode(write(*output)).decode()}

    if __name__ == "__main__":
        api = Denoise(max_batch_size=16, batch_timeout=0.001, api_path="/denoise")
        ls.LitServer(api, accelerator="cpu", workers_per_device=1).run(host="127.0.0.1", port=PORT, log_level="error", generate_client_file=False)
