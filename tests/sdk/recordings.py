#!/usr/bin/env python3
"""Recorded answers of real providers, translated into every other dialect, through the official SDKs.

    python3 -m venv DIR && DIR/bin/pip install -r tests/sdk/requirements.txt
    DIR/bin/python tests/sdk/recordings.py --bin target/debug/tollgate [--recordings DIR] [--only TEXT]

For each recording of a chat answer and each dialect that is not its own: a client's official SDK asks the gateway, whose upstream
answers with the recording, cut into random pieces. The SDK must take every byte of what it gets (its own types, strictly), and
text, thoughts, tool calls, finish reason and usage must be those of the recording; the ledger's counts too. An error answer must
reach the SDK as an error of that status.

The recordings are a folder with a `manifest.jsonl` (--recordings, TOLLGATE_RECORDINGS, or `../shared/recordings` beside the
checkout); without one there is nothing to do, and that is said. Ends with a line 'N passed, N failed', and with status 1 if
something failed.
"""
import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import strict
from gateway import Gateway, Tally, until
from replay import Recording, Replay
from said import READERS, values_of

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "recordings"
DIALECT_OF = {
    "chat_completions": "openai", "openai_compat": "openai", "compatible_chat": "openai", "responses": "openai-responses",
    "messages": "anthropic", "anthropic_rawPredict": "anthropic", "anthropic_streamRawPredict": "anthropic",
    "generateContent": "gemini", "streamGenerateContent": "gemini",
}
# The rows of providers.toml whose answers count in a way of their own. All other upstreams are a row that speaks the
# recording's dialect alone, so that every client's request is translated.
COUNTS_OF_ITS_OWN = {("openai", "xai"): "xai", ("openai", "vercel_gateway"): "vercel", ("openai", "gemini"): "gemini-openai",
                     ("openai", "mistral"): "mistral"}
ALONE = {"openai": "nvidia", "openai-responses": "openai-responses", "anthropic": "anthropic", "gemini": "gemini"}
# Vendors whose row speaks Responses too: a client of that dialect passes through.
PASSES_THROUGH = {"xai", "vercel"}
# What cannot be the same, and why.
KNOWN = {
    ("anthropic/messages/edge-two-message-starts.sse", None):
        "two streams, one behind the other in the middle of a call: translated, it is no answer, and the next upstream's turn",
    ("openai/chat_completions/audio-output_gpt-audio_8942.json", "anthropic"):
        "Anthropic's answers have no sound: it stands in the text, as a link",
}
COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")


class Case:
    """One recording."""

    def __init__(self, number, folder, row):
        self.row, self.file = row, row["file"]
        self.dialect = DIALECT_OF[row["api"]]
        self.body = (folder / self.file).read_bytes()
        self.is_error = row["status"] != 200
        self.stream = row["streaming"]
        self.values = None if self.is_error else values_of(self.body, self.file.endswith(".sse"))
        self.provider = COUNTS_OF_ITS_OWN.get((self.dialect, row["provider"]), ALONE[self.dialect])
        self.name = f"case-{number}"

    def recording(self):
        kind = "text/event-stream" if self.file.endswith(".sse") else "application/json"
        return Recording(self.name, self.body, self.row["status"], kind, self.stream)

    def model(self, client):
        return f"{self.name}-{client}"

    def upstreams(self, replay):
        """One for each client: what is wrong with one answer keeps no other from being asked for."""
        suffix = "/v1" if self.dialect.startswith("openai") else ""
        for client in self.clients():
            model = {"name": self.model(client), "upstream_model": self.row["model"] or "m"}
            yield {"name": self.model(client), "provider": self.provider, "base_url": f"{replay.url}/{self.name}{suffix}",
                   "api_key": "provider-key", "models": [model]}

    def clients(self):
        others = [dialect for dialect in READERS if dialect != self.dialect]
        return [d for d in others if d != "openai-responses" or self.provider not in PASSES_THROUGH]


def load(folder, only):
    rows = map(json.loads, (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    return [Case(number, folder, row) for number, row in enumerate(rows) if row["api"] in DIALECT_OF and only in row["file"]]


def differences(case, client, got):
    """What is not as the recording has it."""
    if case.is_error:
        return [] if got.said.failed and got.status == case.row["status"] else [f"status {got.status}, not {case.row['status']}"]
    wrong = list(got.faults[:strict.FAULTS_SHOWN])
    said = READERS[case.dialect](case.values, case.stream)
    if said.failed:
        return wrong + ([] if got.said.failed else ["an error in mid-stream is none to the client"])
    if got.said.failed:
        return wrong + [f"the SDK says: {got.said.text[:300]}"]
    for name in ("text", "reasoning", "calls"):
        wanted, found = getattr(said, name), getattr(got.said, name)
        if name == "reasoning":
            # Parts of thoughts are parts of a dialect's, with nothing or a blank line between them.
            wanted, found = "".join(wanted.split()), "".join(found.split())
        if wanted != found:
            wrong.append(f"{name}: {str(found)[:160]!r}, not {str(wanted)[:160]!r}")
    # What one provider alone has a word for is something else elsewhere.
    if said.finish != "other" and (said.finish or "stop") != got.said.finish:
        wrong.append(f"finish: {got.said.finish}, not {said.finish}")
    return wrong + count_differences(case, "the SDK", got.counts)


def count_differences(case, who, counts):
    """Counts that are not those of the manifest; what one of them does not tell is not compared."""
    if not case.row["usage_reported"]:
        return []
    wanted = [case.row["expected"][name] for name in COUNTS]
    pairs = zip(COUNTS, counts, wanted)
    return [f"{name}: {who} has {found}, not {count}" for name, found, count in pairs
            if found is not None and count is not None and found != count]


def run(tally, gateway, cases, key):
    failures, answers = Counter(), {}
    for case in cases:
        for client in case.clients():
            name = f"{case.file} -> {client}"
            known = KNOWN.get((case.file, None)) or KNOWN.get((case.file, client))
            if known:
                print(f"known {name}: {known}")
                continue
            def check():
                got = strict.ask(client, gateway.url, key, case.model(client), case.stream)
                answers[got.request_id] = (name, case)
                wrong = differences(case, client, got)
                assert not wrong, "\n     ".join(wrong)
            before = tally.failed
            tally.run(name, check)
            failures[f"{case.dialect} -> {client}"] += tally.failed - before
    rows = until("the ledger's records", lambda: whole_ledger(gateway, len(answers)))
    for row in rows:
        name, case = answers[row["request_id"]]
        wrong = [] if case.is_error else count_differences(case, "the record", [row[name] for name in COUNTS])
        if wrong:
            tally.add(f"the record of {name}", "; ".join(wrong))
            failures["the ledger"] += 1
    return failures


def whole_ledger(gateway, number):
    rows = gateway.new_records()
    return rows if len(rows) >= number else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", type=os.path.abspath, required=True, help="the built gateway")
    arguments.add_argument("--recordings", type=Path, default=Path(os.environ.get("TOLLGATE_RECORDINGS", BESIDE)))
    arguments.add_argument("--only", default="", help="only recordings whose name contains this")
    arguments.add_argument("--quiet", action="store_true", help="name only what failed")
    chosen = arguments.parse_args()
    if not (chosen.recordings / "manifest.jsonl").is_file():
        print(f"skipped: no recordings in {chosen.recordings}")
        return 0
    cases, tally = load(chosen.recordings, chosen.only), Tally(None, chosen.quiet)
    with tempfile.TemporaryDirectory() as folder, Replay([case.recording() for case in cases]) as replay:
        upstreams = [upstream for case in cases for upstream in case.upstreams(replay)]
        settings = '[pricing]\nunknown_model = "allow"\n[routing]\nattempts_max = 1\n'
        gateway = Gateway(chosen.bin, folder, upstreams, "", settings)
        try:
            key = gateway.key("recordings")
            failures = run(tally, gateway.serve(), cases, key)
        finally:
            gateway.stop()
    print(f"{len(cases)} recordings; failures: " + (", ".join(f"{pair}: {n}" for pair, n in failures.items() if n) or "none"))
    return tally.verdict()


if __name__ == "__main__":
    sys.exit(main())
