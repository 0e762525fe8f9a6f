"""House of a drill: servers and workers of one Postgres and one folder of models, on this machine."""
import argparse, http.client, json, math, os, re, shutil, signal, subprocess, tempfile, time

from postgres import Pg, Proxy, free_port
from report import say

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
ap = argparse.ArgumentParser()
ap.add_argument("what")
ap.add_argument("--limpid", default=os.environ.get("PROGRAM") or f"{ROOT}/target/release/limpid")
ap.add_argument("--models", default="none")
ap.add_argument("--root", default=f"{tempfile.gettempdir()}/limpid-cluster")
ap.add_argument("--steps", type=int, default=6000)
ap.add_argument("--moves", type=int, default=20)
ap.add_argument("--seed", type=int, default=1)
args = ap.parse_args()
args.limpid = os.path.abspath(args.limpid)


class Proc:
    def __init__(self, house, kind, name, folder, url, more=()):
        self.house, self.kind, self.name, self.folder, self.url = house, kind, name, folder, url
        self.port, self.more, self.child = free_port(), dict(more), None
        self.start()

    def start(self):
        env = {**os.environ, "LIMPID_DATABASE__URL": self.url, "LIMPID_JOBS__WORKERS": "0", "LIMPID_JOBS__QUEUE": "1000",
               "LIMPID_JOBS__CHECKPOINT_SECONDS": "0.5", "LIMPID_JOBS__NICE": "5", "LIMPID_JOBS__LEASE_SECONDS": "3",
               "LIMPID_JOBS__ATTEMPTS": "50", "RAYON_NUM_THREADS": "1", "NO_COLOR": "1"}
        env.update({f"LIMPID_{k}": v for k, v in self.more.items()})
        cmd = [args.limpid, self.kind, "--data-dir", self.folder, "--threads", "1", "--models", args.models]
        if self.kind == "serve":
            cmd += ["--bind", f"127.0.0.1:{self.port}"]
        log = open(f"{self.house.root}/{self.name}.log", "a")
        self.child = subprocess.Popen(cmd, env=env, cwd=self.house.root, stdout=log, stderr=log)
        self.house.children.append(self.child)

    def signal(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.child.wait()

    def log(self):
        text = open(f"{self.house.root}/{self.name}.log").read()
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    # HTTP, for servers
    def call(self, method, path, body=None, headers=(), timeout=15):
        """(status, headers, bytes); status 0 where there is no answer."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            conn.request(method, path, body, dict(headers))
            r = conn.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        except (OSError, http.client.HTTPException) as e:
            return 0, {"error": repr(e)}, b""
        finally:
            conn.close()

    def get(self, path, timeout=15):
        status, _, body = self.call("GET", path, timeout=timeout)
        try:
            return json.loads(body) if status == 200 else None
        except ValueError:
            return None

    def wait_ready(self, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            if self.call("GET", "/readyz", timeout=2)[0] == 204:
                return self
            assert self.child.poll() is None, self.log()[-2000:]
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} is not ready: {self.log()[-2000:]}")

    def submit(self, name, key=None, steps=None, seed=1, more=(), tries=1, salt=0):
        config = {"name": name, "family": "dense", "steps": steps or args.steps, "seed": seed, "batch": 16, **dict(more)}
        mark = "x7f3a"
        body = (f"--{mark}\r\nContent-Disposition: form-data; name=\"config\"\r\n\r\n{json.dumps(config)}\r\n--{mark}\r\n"
                f"Content-Disposition: form-data; name=\"samples\"; filename=\"rows.csv\"\r\nContent-Type: text/csv\r\n\r\n"
                f"{table(salt)}\r\n--{mark}--\r\n").encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        if key:
            headers["Idempotency-Key"] = key
        for _ in range(tries):
            status, _, reply = self.call("POST", "/train", body, headers)
            if status == 202:
                return json.loads(reply)["id"]
            time.sleep(0.1)
        return None

    def job(self, id):
        return self.get(f"/train/{id}") or {}

    def denoise(self, model, timeout=15):
        """The version that answered, or a status with the problem's code."""
        body = json.dumps({"model": model, "data": row(3)}).encode()
        status, headers, reply = self.call("POST", "/denoise", body, {"Content-Type": "application/json"}, timeout)
        if status == 200:
            return headers.get("x-model")
        try:
            problem = json.loads(reply)
            return f"{status} {problem.get('code')}: {problem.get('detail', '')[:160]}"
        except ValueError:
            return f"{status} {headers.get('error', '')}"


def row(i):
    return [math.sin((i * 3 + j) * 0.7) + i % 7 for j in range(12)]


def table(salt=0):
    return "\n".join(",".join(f"{x:.6f}" for x in row(i + 100 * salt)) for i in range(60))


class House:
    def __init__(self, servers, workers, is_shared=True, via=None):
        self.root = f"{args.root}/{args.what}"
        shutil.rmtree(self.root, ignore_errors=True)
        os.makedirs(self.root)
        self.children = []
        self.pg = Pg(f"{self.root}/pg")
        self.proxies = {}
        for name in via or ():
            self.proxies[name] = Proxy(self.pg)
        where = lambda name: f"{self.root}/" + ("data" if is_shared else f"data-{name}")
        url = lambda name: self.pg.url(self.proxies[name].port if name in self.proxies else None)
        self.servers, self.workers = [], []
        for i in range(servers):
            self.servers.append(Proc(self, "serve", f"s{i}", where(f"s{i}"), url(f"s{i}")).wait_ready())
        for i in range(workers):
            self.workers.append(Proc(self, "worker", f"w{i}", where(f"w{i}"), url(f"w{i}")))

    def end(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()
        for step in (lambda: self.pg.freeze(False), self.pg.stop):
            try:
                step()
            except Exception:
                pass

    def wait(self, ids, seconds=300, want=("succeeded",)):
        end = time.time() + seconds
        left = dict.fromkeys(ids)
        while left and time.time() < end:
            for id in list(left):
                for s in self.servers:
                    job = s.job(id)
                    if job:
                        break
                left[id] = job.get("status")
                if left[id] in ("succeeded", "failed", "cancelled"):
                    if left[id] not in want:
                        say("BAD", f"{id} is {left[id]}: {job.get('error')}")
                    del left[id]
            time.sleep(0.1)
        return left
