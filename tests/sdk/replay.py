"""A provider that answers with recorded bodies, and keeps what it was asked.

An upstream whose base URL begins with `Replay.url + "/" + name` gets the recording of that name, whatever its path goes on with.
"""
import json
import random
import socketserver
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A stream's pieces: none, a part of a character, of a line, of an event, and several events.
PIECE_BYTES = (1, 2, 3, 7, 16, 61, 256, 1024, 4096)


@dataclass
class Recording:
    """One answer, as it was."""
    name: str
    body: bytes
    status: int = 200
    content_type: str = "application/json"
    streaming: bool = False
    # Path and body of each request that it answered.
    requests: list = field(default_factory=list)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"]))
        recording = self.server.recordings[self.path.split("/")[1]]
        recording.requests.append((self.path, json.loads(asked)))
        self.send_response(recording.status)
        self.send_header("content-type", recording.content_type)
        if not recording.streaming:
            self.send_header("content-length", str(len(recording.body)))
            self.end_headers()
            self.wfile.write(recording.body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        cut, rest = random.Random(recording.name), recording.body
        while rest:
            piece, rest = rest[:(size := cut.choice(PIECE_BYTES))], rest[size:]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Replay(ThreadingHTTPServer):
    """The provider; a context."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, recordings):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.recordings = {recording.name: recording for recording in recordings}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def server_bind(self):
        # Without the host's name: looking it up may take long.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
