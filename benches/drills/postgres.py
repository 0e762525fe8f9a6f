"""Postgres of a drill, and a proxy in front of it that loses answers."""
import os, select, shutil, signal, socket, subprocess, threading, time


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
