#!/usr/bin/env python3
"""The official SDKs against Tollgate: what they get is what the provider gives, and the ledger says what they say.

    python3 -m venv DIR && DIR/bin/pip install -r tests/sdk/requirements.txt
    DIR/bin/python tests/sdk/run.py --bin target/debug/tollgate [--only TEXT]

Starts the simulated provider (`tollgate demo --provider-only`), a llama.cpp server with a tiny random model, and the gateway in
front of both; asks each case once directly and once through the gateway. With --direct URL it asks a provider at that address
alone, without any gateway. Ends with a line 'N passed, N failed', and with status 1 if something failed.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from fractions import Fraction
from math import ceil
from pathlib import Path

import openai

import refusals
from cases import CASES, LLAMA_CASES, Clients
from gateway import Gateway, Tally, first_line

HERE = Path(__file__).resolve().parent
DEMO_PRICES = HERE.parent.parent / "src" / "demo" / "pricing.toml"
TINY_PRICE = '\n[[model]]\nname = "tiny"\ncontext_tokens = 1024\nmax_output_tokens = 256\ninput = 0.1\noutput = 0.2\n'
# A provider's own models, as the demo names them.
OPENAI_MODELS = ["demo-gpt", "demo-embed", "demo-image", "demo-tts", "demo-transcribe", "demo-moderation"]
GEMINI_MODELS = ["demo-gemini", "demo-gemini-embed"]


class DemoGateway(Gateway):
    """In front of the simulated provider and of llama.cpp, with a key of every kind."""

    def __init__(self, binary, folder, provider, llama):
        upstreams = [("openai", provider + "/v1", OPENAI_MODELS + ["free"]), ("anthropic", provider, ["demo-claude"]),
                     ("gemini", provider, GEMINI_MODELS), ("llamacpp", llama + "/v1", ["tiny"])]
        tables = [{"name": vendor, "provider": vendor, "base_url": base_url, "api_key": "provider-key", "models": models}
                  for vendor, base_url, models in upstreams]
        prices = DEMO_PRICES.read_text() + TINY_PRICE
        super().__init__(binary, folder, tables, prices)
        self.prices = {row["name"]: row for row in tomllib.loads(prices)["model"]}
        self.keys = {
            "rich key": self.key("rich", "--quota-usd", "1000"),
            "poor key": self.key("poor", "--quota-usd", "0.000001"),
            "expired key": self.key("expired", "--expires", "2020-01-01T00:00:00Z"),
            "disabled key": self.key("disabled"),
            "limited key": self.key("limited", "--models", "demo-embed"),
            "unknown key": "sk-tg-" + "0" * 43,
        }
        self.run("key", "disable", "disabled")
        self.serve()


def cost_nanos(price, counts):
    """The plain part of the price's arithmetic, done again with exact fractions."""
    usd = lambda name, otherwise: Fraction(str(price.get(name, otherwise)))
    full, out = price["input"], price["output"]
    tokens = [(counts.input - counts.cached - counts.cache_write, usd("input", 0)), (counts.cached, usd("cached_input", full)),
              (counts.cache_write, usd("cache_write", full)), (counts.output - counts.reasoning, usd("output", 0)),
              (counts.reasoning, usd("reasoning", out))]
    return ceil(sum(number * price * 1000 for number, price in tokens))


# Their cost depends on more than the five counts: service tiers, media, what is billed by the piece, cache lifetimes.
COST_BY_MORE = ("tier", "image", "transcription", "speech", "message, prompt cache", "message stream, prompt cache")


def check_record(record, case, counts, price):
    """What the ledger must say about a case."""
    wanted = {"model": case.endpoint_model, "status": 200, "outcome": "ok", "stream": case.streams, "attempts": 1,
              "key_name": "rich", "price_missing": False}
    if counts is not None:
        wanted |= {"input_tokens": counts.input, "cached_input_tokens": counts.cached, "cache_write_tokens": counts.cache_write,
                   "output_tokens": counts.output, "reasoning_tokens": counts.reasoning, "usage_source": "reported"}
        if not any(part in case.name for part in COST_BY_MORE):
            wanted["cost_nanos"] = cost_nanos(price, counts)
    wrong = {name: (record.get(name), value) for name, value in wanted.items() if record.get(name) != value}
    assert not wrong, f"record has (got, expected): {wrong}"
    if case.silent:
        assert record["usage_source"] != "reported", "the answer reported nothing"


def first_difference(one, other, path="$"):
    """Where two plain values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        found = (first_difference(one[name], other[name], f"{path}.{name}") for name in one)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = (first_difference(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(one, other)))
    else:
        return None if one == other else f"{path}: direct {str(one)[:300]!r}, through the gateway {str(other)[:300]!r}"
    return next((difference for difference in found if difference), None)


def compare(gateway, case, direct, through):
    wanted, direct_counts = case.ask(direct)
    got, counts = case.ask(through)
    difference = first_difference(wanted, got)
    assert difference is None, difference
    if counts is None and not case.silent:
        # The SDK was not told; the same case with usage says what it is.
        counts = case_counts(case, direct)
    assert direct_counts is None or counts is not None
    check_record(gateway.record(), case, counts, gateway.prices[case.endpoint_model])


def case_counts(case, direct):
    """The counts of a stream that was asked without usage: those of its sibling with usage."""
    sibling = next(other for other in CASES + LLAMA_CASES if other.name == case.name + " with usage")
    return sibling.ask(direct)[1]


def check_lists(through):
    """Models in each SDK's shape: those of every upstream in OpenAI's, which all clients can ask for."""
    listed = {model.id for model in through.openai.models.list()}
    assert set(OPENAI_MODELS) | {"demo-claude", "demo-gemini", "tiny"} <= listed, listed
    assert through.openai.models.retrieve("demo-gpt").id == "demo-gpt"
    assert "demo-claude" in {model.id for model in through.anthropic.models.list()}
    assert through.anthropic.models.retrieve("demo-claude").id == "demo-claude"
    for client in (through.gemini, through.gemini_beta):
        assert "models/demo-gemini" in {model.name for model in client.models.list()}
        assert client.models.get(model="demo-gemini").name == "models/demo-gemini"


def check_fault(through, direct):
    """A refusal of the provider's own reaches the SDK unchanged."""
    said = []
    for clients in (direct, through):
        try:
            clients.openai.chat.completions.create(model="demo-gpt", messages=[{"role": "user", "content": "x"}], n=99)
        except openai.BadRequestError as error:
            said.append((error.status_code, error.body))
    assert len(said) == 2 and said[0] == said[1], said


def run_all(tally, gateway, direct_url, llama_url):
    key = gateway.keys["rich key"]
    through = Clients(gateway.url, key)
    for cases, url in ((CASES, direct_url), (LLAMA_CASES, llama_url)):
        direct = Clients(url, "provider-key")
        for case in cases:
            tally.run(case.name, lambda: compare(gateway, case, direct, through))
            gateway.seen.update(row["request_id"] for row in gateway.new_records())
    tally.run("lists of models", lambda: check_lists(through))
    tally.run("the provider's own refusal", lambda: check_fault(through, Clients(direct_url, "provider-key")))
    if tally.wants("refusal"):
        for name, wrong in refusals.check(gateway.url, gateway.keys):
            tally.add(f"refusal: {name}", wrong)
    tally.run("ledger verify", lambda: gateway.run("ledger", "verify"))


def run_direct(tally, url):
    """The cases against a provider alone, twice: they must run, and be the same each time."""
    clients = Clients(url, "provider-key")
    for case in CASES:
        def twice():
            (one, counts), (other, _) = case.ask(clients), case.ask(clients)
            difference = first_difference(one, other)
            assert difference is None, difference
            assert counts is None or counts.input > 0, counts
        tally.run(case.name, twice)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", type=os.path.abspath, help="the built gateway")
    arguments.add_argument("--direct", metavar="URL", help="a provider to ask alone, without any gateway")
    arguments.add_argument("--only", help="only cases whose name contains this")
    chosen = arguments.parse_args()
    tally = Tally(chosen.only)
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            if chosen.direct:
                run_direct(tally, chosen.direct)
            else:
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
                processes.append(subprocess.Popen([chosen.bin, "demo", "--provider-only"], **pipes))
                with open(os.path.join(folder, "llama.log"), "wb") as log:
                    llama = [sys.executable, str(HERE / "tiny_llama.py"), folder]
                    processes.append(subprocess.Popen(llama, stderr=log, **pipes))
                provider_url, llama_url = first_line(processes[0]), first_line(processes[1])
                gateway = DemoGateway(chosen.bin, folder, provider_url, llama_url)
                processes.append(gateway.process)
                run_all(tally, gateway, provider_url, llama_url)
                tally.run("the gateway ends well", gateway.close)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return tally.verdict()


if __name__ == "__main__":
    sys.exit(main())
