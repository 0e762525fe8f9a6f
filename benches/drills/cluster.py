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
import json, os, random, shutil, struct, subprocess, threading, time, zlib

from house import ROOT, House, Proc, args
from postgres import Proxy
from report import check, end, say


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
        state, ready = a.job(id).get("status") if id else "refused", a.call("GET", "/readyz")
        check(state in ("queued", "refused"), f"without the marker no job is begun: {state}")
        check(ready[0] == 503 and b"store-id" in ready[2], f"and readiness of the server says so: {ready[0]} {ready[2][:200]}")
        os.rename(marker + ".away", marker)
        time.sleep(3)
        check(not house.wait([id or a.submit("during", steps=200)], 60), "with it, the job is done")
    finally:
        house.end()


def silent(hang, seconds):
    """The connections to Postgres of a worker, then of a server, go silent by `hang`; both work again within so many seconds."""
    house = House(2, 2, via=["w0", "s1"])
    a, b = house.servers
    try:
        house.workers[1].kill()
        id = a.submit("m", steps=2_000_000)
        while (a.job(id).get("progress") or {}).get("step", 0) < 1000:
            time.sleep(0.1)
        say("note", "w0's connections to Postgres hang from now on; new ones would work")
        hang(house.proxies["w0"])
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
        while a.job(id2).get("status") != "succeeded" and time.time() - begun < seconds:
            time.sleep(0.2)
        took = time.time() - begun
        check(a.job(id2).get("status") == "succeeded", f"w0 works again within {seconds} s of the hang: {a.job(id2).get('status')} after {took:.0f} s")
        say("note", "w0's last lines: " + " / ".join(l[-150:] for l in house.workers[0].log().splitlines()[-3:]))
        # a server
        house.workers[1].start()
        house.wait([id2], 60)
        time.sleep(1)
        say("note", f"s1 serves n: {b.denoise('n')}; now s1's connections hang")
        hang(house.proxies["s1"])
        time.sleep(1)
        id3 = a.submit("n", steps=500, seed=9, more={"promote": "always"})
        house.wait([id3], 60)
        begun = time.time()
        while b.denoise("n") != "n@2" and time.time() - begun < seconds:
            time.sleep(0.2)
        check(b.denoise("n") == "n@2", f"s1 serves the new default within {seconds} s: {b.denoise('n')} after {time.time()-begun:.0f} s")
        begun = time.time()
        status = b.call("GET", f"/train/{id3}", timeout=30)
        say("note", f"s1 GET /train/id: {status[0]} after {time.time()-begun:.1f} s; /readyz {b.call('GET', '/readyz')[0]}")
        begun = time.time()
        status = b.call("GET", "/metrics", timeout=30)
        say("note", f"s1 GET /metrics: {status[0]} after {time.time()-begun:.1f} s")
    finally:
        house.end()


def halfopen():
    silent(Proxy.hang, 75)


def inflight():
    silent(Proxy.hang_in_flight, 120)


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


{f.__name__: f for f in (commitlost, stale, late, balanced, separate, halfopen, inflight, pgdown, flap, keys, batch)}[args.what]()
end()
