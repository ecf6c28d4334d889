"""What the programs here share: a gateway in a folder of its own, and a tally of what passed."""
import json
import os
import socket
import subprocess
import threading
import time
import traceback
import urllib.request
from pathlib import Path

PATIENCE_S = 20


def first_line(process):
    """The first line that a process prints: its address."""
    line = process.stdout.readline().strip()
    if not line.startswith("http://"):
        raise RuntimeError(f"{process.args[0]} printed {line!r} instead of its address")
    return line


def until(what, ask):
    """Asks until there is an answer."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = ask()
        if found is not None:
            return found
        time.sleep(0.03)
    raise RuntimeError(f"gave up waiting: {what}")


class Gateway:
    """A gateway in a folder of its own. `upstreams` are tables of the configuration, as dictionaries; `prices` is the text
    of a price book."""

    def __init__(self, binary, folder, upstreams, prices, settings=""):
        self.binary, self.folder, self.process = binary, Path(folder), None
        port, metrics = self.free_port(), self.free_port()
        self.url = f"http://127.0.0.1:{port}"
        text = f'[server]\nlisten = ["127.0.0.1:{port}"]\nmetrics_listen = "127.0.0.1:{metrics}"\n{settings}'
        for upstream in upstreams:
            # A JSON text, or a list of them, is the same in TOML.
            text += "[[upstream]]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in upstream.items())
        (self.folder / "tollgate.toml").write_text(text)
        (self.folder / "pricing.toml").write_text(prices)
        self.seen = set()

    def serve(self):
        """Starts it, and waits until it is there."""
        self.log = open(self.folder / "serve.log", "wb")
        command = [self.binary, "serve", "-c", "tollgate.toml"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=self.log, stderr=self.log)
        until("the gateway", self.health)
        return self

    @staticmethod
    def free_port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def run(self, *arguments):
        command = [self.binary, *arguments, "-c", "tollgate.toml"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def key(self, name, *arguments):
        return json.loads(self.run("key", "create", name, "--json", *arguments))["key"]

    def health(self):
        if self.process.poll() is not None:
            raise RuntimeError("the gateway ended:\n" + (self.folder / "serve.log").read_text())
        try:
            with urllib.request.urlopen(self.url + "/v1/health", timeout=1) as answer:
                return answer.status
        except OSError:
            return None

    def new_records(self):
        rows = [json.loads(line) for line in self.run("log", "list", "--json", "--limit", "100000").splitlines()]
        return [row for row in rows if row["request_id"] not in self.seen]

    def record(self):
        """The one record that has come since the last call."""
        rows = until("a new ledger record", lambda: self.new_records() or None)
        assert len(rows) == 1, f"{len(rows)} new records"
        self.seen.add(rows[0]["request_id"])
        return rows[0]

    def stop(self):
        """Ends it at once, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def close(self):
        """Ends it as it should end."""
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) == 0, "the gateway did not end well"


def toml(value):
    """A value as TOML has it: texts, numbers, lists, tables in a line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(part)}" for name, part in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


class Tally:
    """What passed and what failed."""

    def __init__(self, only, quiet=False):
        self.only, self.quiet, self.passed, self.failed = only, quiet, 0, 0
        self.lock = threading.Lock()

    def wants(self, name):
        return not self.only or self.only in name

    def add(self, name, wrong):
        with self.lock:
            self.passed, self.failed = self.passed + (not wrong), self.failed + bool(wrong)
        if wrong or not self.quiet:
            print(f"{'FAIL' if wrong else 'ok  '} {name}" + (f"\n     {wrong}" if wrong else ""), flush=True)

    def verdict(self):
        """Says how many there were; the status to end with."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0

    def run(self, name, check):
        if not self.wants(name):
            return
        try:
            check()
        except Exception as error:  # any exception is a failed check
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.add(name, f"{type(error).__name__}: {str(error)[:1500]} ({Path(where.filename).name}:{where.lineno})")
        else:
            self.add(name, None)
