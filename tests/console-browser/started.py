"""A gateway that a suite starts for itself."""
import re
import socket
import subprocess
import threading

# As the gateway makes passwords up; nothing else that it prints looks so.
PASSWORD = re.compile(r"(?<![\w-])[a-km-z2-9]{32}(?![\w-])")
PATIENCE_S = 60


class Started:
    """A process that prints the first admin's password."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self.is_said = [], threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        if not self.is_said.wait(PATIENCE_S):
            self.stop()
            raise SystemExit("no password was printed:\n" + "".join(self.lines))

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if found := PASSWORD.search(line):
                self.password = found.group()
                self.is_said.set()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
