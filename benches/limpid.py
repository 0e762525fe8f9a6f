"""Limpid and its load generator as the benchmarks start them: the release build of this checkout, on loopback."""

import json
import os
import pathlib
import re
import resource
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]


def build(*arguments):
    """Builds with cargo and gives the paths of the programs by name."""
    lines = subprocess.run(["cargo", *arguments, "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                           check=True).stdout.splitlines()
    messages = (json.loads(line) for line in lines if line.startswith("{"))
    return {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}


def newest(model):
    """The folder of a bundled model's newest version."""
    return max((ROOT / "models" / model).iterdir(), key=lambda folder: int(folder.name))


class Service:
    """A running service; settings as LIMPID_SECTION__KEY. Usable as a context. PROGRAM names a limpid that is built already;
    `prefix` is a command that starts it."""

    def __init__(self, prefix=(), **settings):
        self.program = os.environ.get("PROGRAM") or build("build", "--release")["limpid"]
        self.folder = tempfile.TemporaryDirectory()
        env = {**os.environ, "LIMPID_LOG__LEVEL": "warn,limpid::api::serve=info,limpid::cli=info",
               "LIMPID_MODELS__DATA_DIR": self.folder.name, **settings}
        self.log = pathlib.Path(self.folder.name, "log")
        self.begun = time.perf_counter()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*prefix, self.program, "serve", "--bind", "127.0.0.1:0"], cwd=ROOT, env=env, stderr=log)
        while True:
            found = re.search(r"address=(127\.0\.0\.1:\d+)", self.log.read_text())
            if found:
                break
            if self.process.poll() is not None:
                raise SystemExit(self.log.read_text())
            time.sleep(0.001)
        self.address = found[1]
        self.url = f"http://{self.address}"

    def post(self, path, body, media_type):
        """The answer's body and headers."""
        request = urllib.request.Request(self.url + path, body, {"content-type": media_type})
        with urllib.request.urlopen(request, timeout=600) as reply:
            return reply.read(), reply.headers

    def memory(self, what="VmRSS"):
        """MiB of memory, now (VmRSS) or at most (VmHWM)."""
        return memory(self.process.pid, what)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def memory(pid, what="VmRSS"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{what}:\s*(\d+) kB", status)[1]) / 1024


def busy():
    """CPU seconds that all processes of this machine have used."""
    ticks = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class Load:
    """The load generator of benches/load.rs. LOAD names one that is built already."""

    def __init__(self):
        self.program = os.environ.get("LOAD") or build("bench", "--no-run", "--bench", "load")["load"]

    def __call__(self, address, path, media_type, body, *mode):
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            command = [self.program, address, path, media_type, file.name, *map(str, mode)]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seen = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        # What the generator takes of the cores it shares with the service.
        return {**seen, "generator_cores": used / seen["seconds"]}


def machine():
    """The machine in words."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    return f"{model[1] if model else 'CPU'}, {len(os.sched_getaffinity(0))} cores"
