#!/usr/bin/env python3
"""Cluster: servers and workers on one Postgres and one folder of models, played on one machine, and what goes wrong between them.

    python3 benches/drills/cluster.py commitlost      the answer to COMMIT of a publication is lost
    python3 benches/drills/cluster.py stale           moves and removals on one server, seen by another
    python3 benches/drills/cluster.py late            a shared folder that shows new files 2 s late
    python3 benches/drills/cluster.py balanced        a job watched on one server, its model asked for on another
    python3 benches/drills/cluster.py separate        a server and a worker with a folder that is not the shared one
    python3 benches/drills/cluster.py halfopen        idle connections to Postgres go silent, new ones work
    python3 benches/drills/cluster.py inflight        the same with a statement under way
    python3 benches/drills/cluster.py pgdown          Postgres stopped, then frozen
    python3 benches/drills/cluster.py flap            many short jobs while Postgres stops and starts
    python3 benches/drills/cluster.py keys            ten `limpid keys add` at once, thirty times
    python3 benches/drills/cluster.py batch           a run of `limpid denoise` over a folder, begun again

Needs Debian's package postgresql. PROGRAM names a limpid that is built already. Each line is ok, BAD or note; the exit code is 1
if there is a BAD.
"""
import argparse, http.client, json, math, os, random, re, select, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time, zlib

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
T0 = time.time()
passed = failed = 0


def say(kind, text):
    global passed, failed
    passed += kind == "ok"
    failed += kind == "BAD"
    print(f"[{time.time() - T0:6.1f}] {kind:4} {text}", flush=True)


def check(is_ok, text):
    say("ok" if is_ok else "BAD", text)
    return is_ok


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Pg:
    """A Postgres of its own on a TCP port of loopback."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.bin = sorted(p for p in os.listdir("/usr/lib/postgresql"))[-1]
        self.bin = f"/usr/lib/postgresql/{self.bin}/bin"
        os.makedirs(folder)
        self.as_ = []
        if os.getuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
            self.as_ = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        self.run("initdb", "-D", f"{folder}/db", "-U", "limpid", "--auth=trust", "--no-sync")
        self.start()

    def run(self, tool, *rest):
        out = subprocess.run([*self.as_, f"{self.bin}/{tool}", *rest], cwd=self.folder, capture_output=True, text=True)
        if out.returncode:
            raise RuntimeError(f"{tool}: {out.stdout}{out.stderr}")
        return out.stdout

    def start(self):
        opts = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='{self.folder}' -c fsync=off"
        log = open(f"{self.folder}/ctl.log", "a")
        done = subprocess.run([*self.as_, f"{self.bin}/pg_ctl", "-D", f"{self.folder}/db", "-w", "-l", f"{self.folder}/db.log",
                               "-o", opts, "start"], cwd=self.folder, stdout=log, stderr=log)
        assert done.returncode == 0, open(f"{self.folder}/db.log").read()

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-D", f"{self.folder}/db", "-m", mode, "-w", "stop")

    def pids(self):
        first = int(open(f"{self.folder}/db/postmaster.pid").readline())
        kids = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True).stdout.split()
        return [first, *map(int, kids)]

    def freeze(self, is_frozen):
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP if is_frozen else signal.SIGCONT)

    def sql(self, text):
        out = subprocess.run([f"{self.bin}/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "limpid", "-d", "postgres",
                              "-qAtF", "|", "-c", text], capture_output=True, text=True, timeout=20)
        if out.returncode:
            raise RuntimeError(out.stderr)
        return [line.split("|") for line in out.stdout.splitlines()]

    def url(self, port=None):
        return f"postgres://limpid@127.0.0.1:{port or self.port}/postgres?sslmode=disable"


class Proxy:
    """Between a process and Postgres. mode: pass | hang (old connections get nothing more, new ones work) |
    losecommit (the answer to the COMMIT of a transaction that inserted a version is lost, once)."""

    def __init__(self, pg):
        self.pg, self.port, self.mode, self.lost = pg, free_port(), "pass", 0
        self.epoch, self.conns = 0, []
        self.server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.server.accept()
            try:
                up = socket.create_connection(("127.0.0.1", self.pg.port), 5)
            except OSError:
                client.close()
                continue
            threading.Thread(target=self.serve, args=(client, up, self.epoch), daemon=True).start()

    def hang(self):
        """What is connected now hangs for good, without FIN or RST; what comes new is served."""
        self.epoch += 1

    def hang_in_flight(self):
        """The same, from the moment at which a statement was sent and is not answered."""
        self.mode, self.caught = "inflight", None

    def serve(self, client, up, epoch):
        has_version = False
        try:
            while True:
                ready, _, _ = select.select([client, up], [], [], 1)
                if epoch != self.epoch:
                    time.sleep(3600)  # neither reads nor writes nor closes
                for side in ready:
                    data = side.recv(1 << 16)
                    if not data:
                        return
                    if side is client:
                        if b"INSERT INTO versions" in data:
                            has_version = True
                        if self.mode == "inflight" and data[:1] in b"BPQ" and b"ping" not in data.lower():
                            self.mode, self.caught = "pass", data[:80]
                            self.epoch += 1
                            time.sleep(3600)
                        if self.mode == "losecommit" and has_version and b"COMMIT" in data:
                            self.mode = "pass"
                            self.lost += 1
                            up.sendall(data)
                            time.sleep(0.03)  # Postgres has committed by now; its answer goes nowhere
                            return
                        up.sendall(data)
                    else:
                        client.sendall(data)
        except OSError:
            pass
        finally:
            for s in (client, up):
                try:
                    s.close()
                except OSError:
                    pass


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


def commitlost():
    house = House(1, 1, via=["w0"])
    a, = house.servers
    try:
        bad = []
        for i in range(10):
            house.proxies["w0"].mode = "losecommit"
            id = a.submit(f"m{i}", steps=500)
            left = house.wait([id], 60)
            time.sleep(1)
            job, answer = a.job(id), a.denoise(f"m{i}")
            if job.get("status") == "succeeded" and answer != f"m{i}@1":
                bad.append((i, answer))
                if len(bad) == 1:
                    say("note", f"job {json.dumps({k: job.get(k) for k in ('status', 'error')})}, result version {job['result']['version']} promoted {job['result']['promoted']}")
                    say("note", f"row {house.pg.sql(f'SELECT version, state, staged FROM versions WHERE name={chr(39)}m{i}{chr(39)}')}; files {os.listdir(f'{house.root}/data/models/m{i}')}; "
                        f"checkpoint there: {os.path.exists(f'{house.root}/data/checkpoints/jobs/{id}.safetensors')}")
        say("note", f"answers to COMMIT lost: {house.proxies['w0'].lost}")
        check(not bad, f"a job that succeeded has a model that serves: not so {len(bad)} of 10 times: {bad[:1]}")
        say("note", f"damaged: {a.get('/models')['damaged'][:2]}")
        say("note", "worker's log: " + " / ".join(l[-230:] for l in house.workers[0].log().splitlines() if "Fault" in l)[:300])
        a.kill(); a.start(); a.wait_ready(); time.sleep(1)
        if bad:
            say("note", f"after a restart of the server: {a.denoise(f'm{bad[0][0]}')}")
    finally:
        house.end()


def stale():
    house = House(2, 1)
    a, b = house.servers
    try:
        for v in (1, 2):
            id = a.submit("m", seed=v, steps=200, more={"promote": "always"})
            house.wait([id], 100)
        time.sleep(1)
        check(b.denoise("m") == "m@2", f"the other server serves version 2: {b.denoise('m')}")
        times, wrong = [], 0
        for i in range(args.moves):
            version = 1 + i % 2
            status, _, _ = a.call("PUT", "/models/m/default", json.dumps({"version": version}), {"Content-Type": "application/json"})
            begun = time.time()
            wrong += a.denoise("m") != f"m@{version}"
            while b.denoise("m") != f"m@{version}" and time.time() - begun < 10:
                time.sleep(0.01)
            times.append(time.time() - begun)
            time.sleep(random.uniform(0, 0.5))
        times.sort()
        check(times[-1] < 2, f"default moved on s0, served by s1 after: median {times[len(times)//2]*1e3:.0f} ms, most {times[-1]*1e3:.0f} ms "
              f"({args.moves} moves); s0 itself wrong {wrong} times")
        # a client that reads its own writes through a balancer
        # concurrent moves with If-Match through both
        etags = [s.call("GET", "/models/m")[1]["etag"] for s in house.servers]
        got = []
        def move(s, v, tag):
            got.append(s.call("PUT", "/models/m/default", json.dumps({"version": v}), {"Content-Type": "application/json", "If-Match": tag})[0])
        rounds = []
        for _ in range(10):
            time.sleep(0.7)
            etags = [s.call("GET", "/models/m")[1]["etag"] for s in house.servers]
            got.clear()
            ts = [threading.Thread(target=move, args=(s, v, t)) for s, v, t in zip(house.servers, (1, 2), etags)]
            [t.start() for t in ts]; [t.join() for t in ts]
            rounds.append(tuple(sorted(got)))
        check(all(r == (200, 412) for r in rounds), f"two moves at once with one ETag, through both servers: {sorted(set(rounds))} in 10 rounds")
        # deletes
        seen = []
        for i in range(6):
            id = a.submit("d", seed=i, steps=200, more={"promote": "always"})
            house.wait([id], 100)
            v = a.job(id)["result"]["version"]
            while b.denoise(f"d@{v}") != f"d@{v}":
                time.sleep(0.05)
            status = a.call("DELETE", f"/models/d/{v}")[0]
            begun, answers = time.time(), []
            while time.time() - begun < 3:
                answer = b.denoise(f"d@{v}")
                if answer != f"d@{v}":
                    break
                time.sleep(0.01)
            seen.append((status, round((time.time() - begun) * 1e3), answer[:70]))
        check(all(s[0] == 204 and s[1] < 2000 for s in seen), f"deleted on s0, gone on s1 (loaded there): {seen}")
        # deleted, and asked for at once where it is not loaded
        odd = []
        for i in range(8):
            id = a.submit("e", seed=i, steps=200, more={"promote": "never"})
            house.wait([id], 100)
            v = a.job(id)["result"]["version"]
            time.sleep(0.8)  # s1 knows of it, has not loaded it
            a.call("DELETE", f"/models/e/{v}")
            answer = b.denoise(f"e@{v}")
            odd.append(answer[:110])
        say("note", f"deleted on s0, asked for at once on s1 (not loaded there): {sorted(set(odd))}")
        wrong = [o for o in odd if not o.startswith(("404", "e@"))]
        check(not wrong, f"... which should be 404: {len(wrong)} of 8 were not")
        say("note", f"what s1 lists as damaged then: {b.get('/models')['damaged'][:2]}")
        time.sleep(1)
        say("note", f"... and a second later: {b.get('/models')['damaged'][:2]}")
        errors = [l for l in b.log().splitlines() if "quarantined" in l]
        say("note", f"s1's log says 'quarantined' {len(errors)} times: {errors[:1]}")
    finally:
        house.end()


def late():
    """A shared folder that shows new files late, as NFS with cached look-ups, a synced folder or a bucket mounted by FUSE does (here: copied 2 s later)."""
    house = House(1, 1)
    a = house.servers[0]
    os.makedirs(f"{house.root}/data-s1/models")
    shutil.copy(f"{house.root}/data/models/store-id", f"{house.root}/data-s1/models/store-id")
    b = Proc(house, "serve", "s1", f"{house.root}/data-s1", house.pg.url()).wait_ready()
    house.servers.append(b)
    src, dst = f"{house.root}/data/models", f"{house.root}/data-s1/models"
    is_over = []
    def copy():
        while not is_over:
            for root, folders, files in os.walk(src):
                for f in folders:
                    p = f"{root}/{f}"
                    q = p.replace(src, dst)
                    if f.isdigit() and time.time() - os.stat(p).st_ctime > 2 and not os.path.exists(q):
                        shutil.copytree(p, q + ".part", dirs_exist_ok=True)
                        os.makedirs(os.path.dirname(q), exist_ok=True)
                        os.rename(q + ".part", q)
            time.sleep(0.2)
    threading.Thread(target=copy, daemon=True).start()
    try:
        id = a.submit("m", steps=200)
        house.wait([id], 60)
        begun, answer = time.time(), ""
        while time.time() - begun < 30 and answer != "m@1":
            answer = b.denoise("m")
            time.sleep(0.1)
        check(answer == "m@1", f"the other server serves it once its files are there (2 s late): {answer} after {time.time() - begun:.0f} s; files there: {os.path.exists(dst + '/m/1')}")
        say("note", f"damaged: {b.get('/models')['damaged']}; /readyz {b.call('GET', '/readyz')[0]}")
        id = a.submit("other", steps=200)
        house.wait([id], 60)
        time.sleep(1)
        say("note", f"after any other change of the registry: {b.denoise('m')}")
        # what a client meets that is sent to the other server right after its job succeeded
        is_over.append(1)
    finally:
        house.end()


def balanced():
    """A client behind a balancer: job watched on one server, the model asked for on the other, at once."""
    house = House(2, 1)
    a, b = house.servers
    try:
        seen = []
        for i in range(10):
            id = a.submit(f"m{i}", steps=200)
            while a.job(id).get("status") != "succeeded":
                time.sleep(0.01)
            begun, first = time.time(), b.denoise(f"m{i}")
            answer = first
            while answer != f"m{i}@1" and time.time() - begun < 5:
                time.sleep(0.01)
                answer = b.denoise(f"m{i}")
            seen.append((first[:20], round((time.time() - begun) * 1e3)))
        bad = [s for s in seen if s[0].startswith("404")]
        check(not bad, f"a job said 'succeeded' on s0, its model asked for on s1 at once: 404 in {len(bad)} of 10, served there after at most {max(s[1] for s in seen)} ms")
    finally:
        house.end()


def separate():
    house = House(1, 0)
    a, = house.servers
    try:
        for kind, name in (("serve", "s1"), ("worker", "w1")):
            other = Proc(house, kind, name, f"{house.root}/data-{name}", house.pg.url())
            try:
                code = other.child.wait(20)
            except subprocess.TimeoutExpired:
                code = None
            last = other.log().strip().splitlines()[-1]
            check(code == 2 and "store-id" in last, f"{kind} on a folder of its own ends with 2 and says so: {code}, {last[-230:]}")
        # The folder is lost under a worker that runs.
        worker = Proc(house, "worker", "w0", f"{house.root}/data", house.pg.url())
        check(not house.wait([a.submit("before", steps=200)], 60), "a worker on the shared folder works")
        marker = f"{house.root}/data/models/store-id"
        os.rename(marker, marker + ".away")
        time.sleep(3)
        id = a.submit("during", steps=200)
        time.sleep(3)
        state, ready = a.job(id).get("status"), a.call("GET", "/readyz")
        check(state == "queued", f"without the marker it takes no job: {state}")
        check(ready[0] == 503 and b"store-id" in ready[2], f"and readiness of the server says so: {ready[0]} {ready[2][:200]}")
        os.rename(marker + ".away", marker)
        check(not house.wait([id], 60), "with it, the job is done")
    finally:
        house.end()


def halfopen():
    house = House(2, 2, via=["w0", "s1"])
    a, b = house.servers
    try:
        house.workers[1].kill()
        id = a.submit("m", steps=2_000_000)
        while (a.job(id).get("progress") or {}).get("step", 0) < 1000:
            time.sleep(0.1)
        say("note", "w0's connections to Postgres hang from now on; new ones would work")
        house.proxies["w0"].hang()
        house.workers[1].start()
        begun = time.time()
        while house.pg.sql("SELECT attempt FROM jobs")[0][0] == "1" and time.time() - begun < 30:
            time.sleep(0.1)
        took = time.time() - begun
        check(took < 10, f"another worker took the job after {took:.1f} s (lease 3 s)")
        # does w0 come back? cancel, give it new work while w1 is gone
        a.call("POST", f"/train/{id}/cancel")
        time.sleep(2)
        house.workers[1].kill()
        id2 = a.submit("n", steps=500)
        begun = time.time()
        while a.job(id2).get("status") != "succeeded" and time.time() - begun < 75:
            time.sleep(0.2)
        took = time.time() - begun
        check(a.job(id2).get("status") == "succeeded", f"w0 works again within 75 s of the hang: {a.job(id2).get('status')} after {took:.0f} s")
        say("note", "w0's last lines: " + " / ".join(l[-150:] for l in house.workers[0].log().splitlines()[-3:]))
        # a server
        house.workers[1].start()
        house.wait([id2], 60)
        time.sleep(1)
        say("note", f"s1 serves n: {b.denoise('n')}; now s1's connections hang")
        house.proxies["s1"].hang()
        time.sleep(1)
        id3 = a.submit("n", steps=500, seed=9, more={"promote": "always"})
        house.wait([id3], 60)
        begun = time.time()
        while b.denoise("n") != "n@2" and time.time() - begun < 75:
            time.sleep(0.2)
        check(b.denoise("n") == "n@2", f"s1 serves the new default within 75 s: {b.denoise('n')} after {time.time()-begun:.0f} s")
        begun = time.time()
        status = b.call("GET", f"/train/{id3}", timeout=30)
        say("note", f"s1 GET /train/id: {status[0]} after {time.time()-begun:.1f} s; /readyz {b.call('GET', '/readyz')[0]}")
        begun = time.time()
        status = b.call("GET", "/metrics", timeout=30)
        say("note", f"s1 GET /metrics: {status[0]} after {time.time()-begun:.1f} s")
    finally:
        house.end()


def inflight():
    house = House(2, 2, via=["w0", "s1"])
    a, b = house.servers
    try:
        house.workers[1].kill()
        id = a.submit("m", steps=2_000_000)
        while (a.job(id).get("progress") or {}).get("step", 0) < 1000:
            time.sleep(0.1)
        say("note", "w0's connections to Postgres hang from now on; new ones would work")
        house.proxies["w0"].hang_in_flight()
        house.workers[1].start()
        begun = time.time()
        while house.pg.sql("SELECT attempt FROM jobs")[0][0] == "1" and time.time() - begun < 30:
            time.sleep(0.1)
        took = time.time() - begun
        check(took < 10, f"another worker took the job after {took:.1f} s (lease 3 s)")
        # does w0 come back? cancel, give it new work while w1 is gone
        a.call("POST", f"/train/{id}/cancel")
        time.sleep(2)
        house.workers[1].kill()
        id2 = a.submit("n", steps=500)
        begun = time.time()
        while a.job(id2).get("status") != "succeeded" and time.time() - begun < 120:
            time.sleep(0.2)
        took = time.time() - begun
        check(a.job(id2).get("status") == "succeeded", f"w0 works again within 120 s of the hang: {a.job(id2).get('status')} after {took:.0f} s")
        say("note", "w0's last lines: " + " / ".join(l[-150:] for l in house.workers[0].log().splitlines()[-3:]))
        # a server
        house.workers[1].start()
        house.wait([id2], 60)
        time.sleep(1)
        say("note", f"s1 serves n: {b.denoise('n')}; now s1's connections hang")
        house.proxies["s1"].hang_in_flight()
        time.sleep(1)
        id3 = a.submit("n", steps=500, seed=9, more={"promote": "always"})
        house.wait([id3], 60)
        begun = time.time()
        while b.denoise("n") != "n@2" and time.time() - begun < 120:
            time.sleep(0.2)
        check(b.denoise("n") == "n@2", f"s1 serves the new default within 120 s: {b.denoise('n')} after {time.time()-begun:.0f} s")
        begun = time.time()
        status = b.call("GET", f"/train/{id3}", timeout=30)
        say("note", f"s1 GET /train/id: {status[0]} after {time.time()-begun:.1f} s; /readyz {b.call('GET', '/readyz')[0]}")
        begun = time.time()
        status = b.call("GET", "/metrics", timeout=30)
        say("note", f"s1 GET /metrics: {status[0]} after {time.time()-begun:.1f} s")
    finally:
        house.end()


def pgdown():
    house = House(1, 1)
    a, = house.servers
    try:
        id = a.submit("m", steps=300)
        house.wait([id], 60)
        time.sleep(1)
        def tour(title):
            for method, path, body in [("POST", "/denoise", "m"), ("GET", "/readyz", None), ("GET", "/livez", None), ("GET", "/models", None),
                                       ("GET", "/train", None), ("GET", "/metrics", None), ("POST", "/train", "x")]:
                begun = time.time()
                if body == "m":
                    answer = a.denoise("m", timeout=40)
                elif body == "x":
                    answer = a.submit("x") and "202" or "refused"
                else:
                    answer = a.call(method, path, timeout=40)[0]
                took = time.time() - begun
                say("BAD" if took > 3 else "ok", f"{title}: {method} {path}: {answer} after {took:.2f} s")
        house.pg.stop()
        time.sleep(1)
        tour("Postgres stopped")
        # a server that starts now
        s = Proc(house, "serve", "s9", f"{house.root}/data", house.pg.url())
        deadline = time.time() + 30
        while s.denoise("m") != "m@1" and time.time() < deadline and s.child.poll() is None:
            time.sleep(0.2)
        ready = s.call("GET", "/readyz")
        check(s.denoise("m") == "m@1", f"a server that starts now serves what is in its folder: {s.denoise('m')}; /readyz {ready[0]} {ready[2][:120]}")
        strict = Proc(house, "serve", "s8", f"{house.root}/data", house.pg.url(), {"DATABASE__REQUIRED": "true"})
        check(strict.child.wait(30) == 1, f"with database.required it ends: {strict.log().strip().splitlines()[-1][-160:]}")
        house.pg.start()
        deadline = time.time() + 30
        while s.call("GET", "/readyz")[0] != 204 and time.time() < deadline:
            time.sleep(0.1)
        check(s.submit("late") is not None, "it takes jobs once Postgres is there")
        s.kill()
        begun = time.time()
        while not a.submit("y", steps=100):
            time.sleep(0.1)
        say("ok", f"jobs are taken again {time.time()-begun:.1f} s after Postgres is back")
        time.sleep(2)
        house.pg.freeze(True)
        try:
            tour("Postgres frozen (no answer, no RST)")
        finally:
            house.pg.freeze(False)
    finally:
        house.end()


def flap():
    """Many short jobs while Postgres is stopped at once (-m immediate) and started, again and again: how often F1 happens by itself."""
    house = House(1, 2)
    pg, a = house.pg, house.servers[0]
    try:
        ids, n, end, flaps = {}, 0, time.time() + 75, 0
        rng = random.Random(args.seed)
        while time.time() < end:
            for _ in range(4):
                id = a.submit(f"f{n}", key=f"f{n}", steps=30, seed=n)
                if id:
                    ids[f"f{n}"] = id
                n += 1
            time.sleep(rng.uniform(0.3, 1.2))
            pg.stop(); flaps += 1
            pg.start()
        left = house.wait(list(ids.values()), 120)
        for w in house.workers:
            if w.child.poll() is not None:
                say("note", f"{w.name} ended by itself: {w.log().strip().splitlines()[-1][-200:]}")
        time.sleep(2)
        gone = [d for d in a.get("/models")["damaged"]]
        say("note", f"Postgres stopped {flaps} times; {len(ids)} jobs; states {pg.sql('SELECT status, COUNT(*), MAX(attempt) FROM jobs GROUP BY status')}")
        check(not left, f"all jobs came to an end: {list(left.values())[:3]}")
        check(not gone, f"versions that are gone: {len(gone)}")
    finally:
        house.end()


def keys():
    root = f"{args.root}/keys"
    lost = []
    for turn in range(30):
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root)
        add = lambda i: subprocess.Popen([args.limpid, "keys", "add", f"k{i}", "--data-dir", root], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        good = sum(child.wait() == 0 for child in [add(i) for i in range(10)])
        kept = len(open(f"{root}/keys.jsonl").read().splitlines())
        if (good, kept) != (10, 10):
            lost.append((turn, good, kept))
    check(not lost, f"ten `limpid keys add` at once, 30 rounds: not all ten made and kept in {lost}")


def batch():
    """A run of `limpid denoise` over a folder that is begun again."""
    root = f"{args.root}/batch"
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(f"{root}/in")
    def png(i, side):
        rng = random.Random(i)
        raw = b"".join(b"\0" + bytes(rng.randrange(256) for _ in range(side)) for _ in range(side))
        chunk = lambda k, d: struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b"")
    def run(folder, *more):
        begun = time.time()
        p = subprocess.run([args.limpid, "denoise", f"{root}/{folder}", "-o", f"{root}/out-{folder}", "--model", "photo-gray", "--models", f"{ROOT}/models", *more],
                           capture_output=True, text=True, cwd=root, env={**os.environ, "NO_COLOR": "1"})
        return time.time() - begun, p.returncode, p.stderr.strip().splitlines()[-1:]
    for i in range(24):
        open(f"{root}/in/{i:04}.png", "wb").write(png(i, 192))
    first, again, over = run("in"), run("in"), run("in", "--overwrite")
    say("note", f"24 images of 192x192: first {first[0]:.2f} s rc {first[1]}; again {again[0]:.2f} s rc {again[1]} {again[2]}; --overwrite {over[0]:.2f} s")
    check(again[0] < first[0] / 3, f"a run that is begun again does not compute what is there: {again[0] / first[0]:.2f} of the first run's time")
    for n in (500, 1000, 2000):
        os.makedirs(f"{root}/n{n}/a/b/c")
        small = [png(i, 16) for i in range(20)]
        for i in range(n):
            open(f"{root}/n{n}/a/b/c/{i:05}.png", "wb").write(small[i % 20])
        first, over = run(f"n{n}"), run(f"n{n}", "--overwrite")
        say("note", f"{n} images of 16x16: first {first[0]:.2f} s, --overwrite {over[0]:.2f} s ({over[0] / first[0]:.2f})")


try:
    {f.__name__: f for f in (commitlost, stale, late, balanced, separate, halfopen, inflight, pgdown, flap, keys, batch)}[args.what]()
finally:
    print(f"{passed} passed, {failed} failed")
sys.exit(bool(failed))
