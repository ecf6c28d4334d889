#!/usr/bin/env python3
"""The console in a real Chromium: from the first login to the first proxied call, every page in both themes and languages,
requests from other sites, and a hundred texts that would run a script.

    python3 -m venv DIR && DIR/bin/pip install -r tests/console-browser/requirements.txt
    DIR/bin/python tests/console-browser/run.py --bin target/debug/tollgate    # `tollgate demo`, on a port of its own
    DIR/bin/python tests/console-browser/run.py --mock                         # the pages alone, with made-up contents
    BASE_URL=http://127.0.0.1:3000 ADMIN_PASSWORD=… DIR/bin/python tests/console-browser/run.py

Needs a console that nobody has logged in to yet. Ends with a line 'N passed, N failed', and with status 1 if something failed.
"""
import argparse
import os
import sys
import time
import traceback
from pathlib import Path

from attacks import attacks
from browser import Browser
from started import Started, free_port
from tabs import tabs
from walks import walks

HERE = Path(__file__).resolve().parent
MOCK = HERE.parent.parent / "plugins" / "console" / "web" / "mock" / "server.mjs"
PATIENCE_S = 60


def wait_for(base):
    from urllib.request import urlopen

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return urlopen(f"{base}/console/", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", help="the tollgate to start: `tollgate demo`")
    parser.add_argument("--mock", action="store_true", help="start the mock of the API instead (needs node)")
    parser.add_argument("--base", default=os.environ.get("BASE_URL"), help="a console that runs already")
    parser.add_argument("--name", default="admin")
    parser.add_argument("--password", default=os.environ.get("ADMIN_PASSWORD"))
    parser.add_argument("--model", default="demo-gpt")
    parser.add_argument("--chromium", default=os.environ.get("CHROMIUM"))
    parser.add_argument("--only", default="", help="only the steps whose names have this in them; the first two always")
    parser.add_argument("--shots", help="a folder for a picture of every page")
    parser.add_argument("--count", type=int, default=100, help="of the texts that would run a script")
    parser.add_argument("--people", type=int, default=100, help="of them become names of people; a password takes its time")
    return parser.parse_args()


def main():
    run, started = arguments(), None
    if run.bin or run.mock:
        port = free_port()
        run.base = f"http://127.0.0.1:{port}"
        command = ["node", str(MOCK), "--port", str(port)] if run.mock else [run.bin, "demo", "--listen", f"127.0.0.1:{port}"]
        started = Started(command)
        run.password = started.password
    if not run.base or not run.password:
        raise SystemExit("say --bin, --mock, or both BASE_URL and ADMIN_PASSWORD")
    run.base = run.base.rstrip("/")
    run.state, run.record, run.is_mock = None, "/logs", run.mock
    passed, failed = 0, []
    try:
        wait_for(run.base)
        with Browser(run.base, run.chromium) as run.browser:
            steps = [*walks(run), *tabs(run), *attacks(run)]
            for at, (name, act) in enumerate(steps):
                if at > 1 and run.only not in name:
                    continue
                start = time.monotonic()
                try:
                    act(run)
                    passed += 1
                    print(f"ok      {name} ({time.monotonic() - start:.1f} s)", flush=True)
                except Exception:  # noqa: BLE001: every failure is told
                    failed.append(name)
                    print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    finally:
        if started:
            started.stop()
    print(f"{passed} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
