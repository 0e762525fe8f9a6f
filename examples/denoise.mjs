// Denoise a picture with fetch, in Node 18 or newer or a browser.
//
//   node examples/denoise.mjs tests/data/noisy/scene.png clean.png
import { readFile, writeFile } from "node:fs/promises";

const url = process.env.LIMPID_URL ?? "http://127.0.0.1:8080";
const headers = { "Content-Type": "application/octet-stream" };
if (process.env.LIMPID_KEY) headers.Authorization = `Bearer ${process.env.LIMPID_KEY}`;

const [source, target] = process.argv.slice(2);
const reply = await fetch(`${url}/denoise`, { method: "POST", headers, body: await readFile(source) });
if (!reply.ok) {
  const problem = await reply.json();
  console.error(`${problem.code}: ${problem.detail}`);
  process.exit(1);
}
await writeFile(target, Buffer.from(await reply.arrayBuffer()));
console.log(reply.headers.get("x-model"), reply.headers.get("x-noise-sigma"), reply.headers.get("x-model-reason"));
