"""The console's API against its own description, by schemathesis: no answer is a 5xx, and none has a status, a type or a form that is
not documented.

    python3 -m venv DIR && DIR/bin/pip install -r tests/console-browser/requirements-api.txt
    DIR/bin/python tests/console-browser/api.py --bin target/debug/tollgate [--examples 25]

Starts `tollgate demo` on a port of its own, signs in as the first admin, and ends with schemathesis' own status.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from started import Started, free_port

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# What would end the session that all of it is asked with, and what reads the whole ledger.
LEFT_OUT = ["/console/api/session", "/console/api/session/password", "/console/api/ledger/verify"]


def ask(base, method, path, cookie=None, body=None):
    headers = {"Origin": base, "Content-Type": "application/json"}
    if cookie:
        headers["Cookie"] = cookie
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers, json.load(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="the tollgate to start: `tollgate demo`")
    parser.add_argument("--examples", type=int, default=25, help="requests of each operation")
    run = parser.parse_args()
    base = f"http://127.0.0.1:{free_port()}"
    started = Started([run.bin, "demo", "--listen", base.removeprefix("http://")])
    try:
        admin = {"name": "admin", "password": started.password}
        headers, _ = ask(base, "POST", "/console/api/session", body=admin)
        cookie = headers["Set-Cookie"].split(";")[0]
        _, document = ask(base, "GET", "/console/api/openapi.json", cookie)
        with tempfile.TemporaryDirectory() as folder:
            described = Path(folder, "openapi.json")
            described.write_text(json.dumps(document))
            command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(described), "--url", base]
            command += ["-H", f"Cookie: {cookie}", "-H", f"Origin: {base}", "--checks", CHECKS, "--phases", "fuzzing"]
            command += ["--max-examples", str(run.examples), "--request-timeout", "30"]
            for path in LEFT_OUT:
                command += ["--exclude-path", path]
            return subprocess.run(command, cwd=folder, check=False).returncode
    finally:
        started.stop()


if __name__ == "__main__":
    sys.exit(main())
