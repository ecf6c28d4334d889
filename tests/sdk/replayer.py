"""A provider that answers with recorded answers, byte for byte: the case with the number N answers whatever begins with /N/."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPES = {"sse": "text/event-stream", "ndjson": "application/x-ndjson"}


class Case:
    """One line of the recordings' manifest, with its body."""

    def __init__(self, folder, row):
        self.row = row
        self.body = (folder / row["file"]).read_bytes()
        self.kind = row["file"].rsplit(".", 1)[1]
        self.status = row["status"] or 200

    def values(self):
        """The JSON values of the body, in order: one of a document, those of the events of a stream."""
        text = self.body.decode("utf-8", "replace").lstrip("\ufeff")
        if self.kind != "sse":
            whole = json.loads(text)
            return whole if isinstance(whole, list) else [whole]
        lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
        return [json.loads(line) for line in lines if line.startswith("{")]


def load(folder):
    """Every recording of a folder, in the manifest's order."""
    with open(folder / "manifest.jsonl", encoding="utf-8") as manifest:
        return [Case(folder, json.loads(line)) for line in manifest]


def start(cases):
    """Serves them until the process ends; the address."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            case = cases[int(self.path.split("/")[1])]
            self.send_response(case.status)
            self.send_header("content-type", case.row["content_type"] or TYPES.get(case.kind, "application/json"))
            self.send_header("content-length", str(len(case.body)))
            self.end_headers()
            self.wfile.write(case.body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
