#!/usr/bin/env python3
"""Bills of recorded answers, worked out twice: by the gateway, which is given each answer as if its provider gave it, and by the
Python package genai-prices, from the usage that it finds in the same bytes by itself. Every bill that both know agrees to the
nano-USD, or differs for a reason that is written down here. Ends with 0 and says so where the package or the recordings are
missing; with 1 where a difference has no reason."""

import argparse
import json
import math
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import replayer

try:
    from genai_prices import Usage, calc_price, extract_usage
except ImportError:
    print("skipped: the Python package genai-prices is not installed")
    sys.exit(0)

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60
UNKNOWN = "nobody knows why"

# The recording's provider: the row of providers.toml, and the package's provider (None: it sells none of these).
PROVIDERS = {
    "anthropic": ("anthropic", "anthropic"), "azure": ("azure-openai", "azure"), "cerebras": ("cerebras", "cerebras"),
    "dashscope": ("qwen", None), "deepseek": ("deepseek", "deepseek"), "gemini": ("gemini", "google"),
    "groq": ("groq", "groq"), "mistral": ("mistral", "mistral"), "openai": ("openai", "openai"),
    "openrouter": ("openrouter", "openrouter"), "perplexity": ("perplexity", "perplexity"),
    "together": ("together", "together"), "vertex": ("gemini", "google"), "vercel_gateway": ("vercel", None),
    "xai": ("xai", "x-ai"), "zhipu": ("zhipu", "zhipuai"), "ollama": ("ollama", None), "vllm": ("vllm", None),
    "llamacpp": ("llamacpp", None), "voyage": ("openai-compatible", "voyageai"),
}
OTHER = ("openai-compatible", None)
# Those whose rows here name no provider, in the order of the generator.
MAKERS = ["openai", "anthropic", "google", "deepseek", "mistral", "x-ai", "moonshotai", "zai", "minimax", "cohere", "perplexity",
          "voyageai", "meta"]
# The recording's API: the path at the gateway, the body, and the package's names for it, in the order of preference.
MESSAGES = [{"role": "user", "content": "x"}]
CHAT = ("/v1/chat/completions", {"messages": MESSAGES}, ["chat", "default"])
RESPONSES = ("/v1/responses", {"input": "x"}, ["responses"])
CLAUDE = ("/v1/messages", {"messages": MESSAGES, "max_tokens": 100}, ["anthropic", "default"])
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
APIS = {
    "chat_completions": CHAT, "compatible_chat": CHAT, "openai_compat": CHAT,
    "completions": ("/v1/completions", {"prompt": "x"}, ["chat", "default"]),
    "responses": RESPONSES, "responses_compact": ("/v1/responses/compact", {"input": "x"}, ["responses"]),
    "embeddings": ("/v1/embeddings", {"input": "x"}, ["embeddings"]),
    "messages": CLAUDE, "anthropic_rawPredict": CLAUDE, "anthropic_streamRawPredict": CLAUDE,
    "generateContent": ("/v1beta/models/{model}:generateContent", CONTENTS, ["default"]),
    "streamGenerateContent": ("/v1beta/models/{model}:streamGenerateContent", CONTENTS, ["default"]),
}
# Rows of other dialects than their provider's own.
SPOKEN = {"openai_compat": "gemini-openai", "anthropic_rawPredict": "anthropic", "anthropic_streamRawPredict": "anthropic"}
COUNTS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens")
THEIR_COUNTS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


def row_of(case):
    """The row of providers.toml that a recording is played as."""
    provider, api = case.row["provider"], case.row["api"]
    return SPOKEN.get(api) or PROVIDERS.get(provider, OTHER)[0]


def model_of(case):
    return case.row["model"] or "unknown"


def final_value(case):
    """What the package is given: the value that has the usage, put together where it comes in two parts."""
    values = [value for value in case.values() if isinstance(value, dict)]
    if values and values[0].get("type") == "message_start":
        message = values[0]["message"]
        for value in values:
            usage = message["usage"]
            usage.update({name: count for name, count in (value.get("usage") or {}).items() if count is not None})
        return message
    for value in reversed(values):
        value = value.get("response") or value
        if not value.get("usage") and value.get("x_groq"):
            value["usage"] = value["x_groq"].get("usage")
        if value.get("usage") or value.get("usageMetadata"):
            return value
    return None


def found_by_the_package(case, seller):
    """The usage that the package finds in the bytes by itself; None: it finds none, or knows no such answers."""
    value = final_value(case)
    for flavor in APIS[case.row["api"]][2] if value else ():
        try:
            return extract_usage(value, provider_id=seller, api_flavor=flavor).usage
        except (ValueError, LookupError, AttributeError):
            continue
    return None


class Bill:
    """What the package takes for an answer."""

    def __init__(self, case, record, provider, usage, whose):
        self.case, self.record, self.provider, self.usage, self.whose = case, record, provider, usage, whose
        self.moment = datetime.fromisoformat(record["started_at"].replace("Z", "+00:00"))
        self.usd = self.price(usage)
        self.nanos = nanos(self.usd)
        self.counts = tuple(getattr(usage, name) or 0 for name in THEIR_COUNTS)

    def price(self, usage, model=None):
        """In USD, exactly."""
        model = model or model_of(self.case)
        return calc_price(usage, model, provider_id=self.provider, genai_request_timestamp=self.moment).total_price


def nanos(usd):
    return math.ceil(Decimal(usd) * 10**9)


def our_counts(record):
    return Usage(**{theirs: record[ours] for ours, theirs in zip(COUNTS, THEIR_COUNTS)})


def theirs(case, record):
    """The package's bill; None: it has no price."""
    seller = PROVIDERS.get(case.row["provider"], OTHER)[1]
    # A server at home or a reseller: what the maker takes stands in, here and there.
    for provider in [seller] if seller else MAKERS:
        found = found_by_the_package(case, provider)
        for usage, whose in ((found, "its own counts"), (our_counts(record), "our counts")):
            try:
                if usage is not None:
                    return Bill(case, record, provider, usage, whose)
            except (LookupError, ValueError):
                # It does not know the model, or what it found makes no sense to itself.
                continue
    return None


def with_iterations(bill):
    """Runs beside the answer's own, which the counts above them leave out: a compaction, an advisor's."""
    usd = bill.usd
    for run in (final_value(bill.case).get("usage") or {}).get("iterations") or []:
        if run["type"] != "message":
            read, written = run["cache_read_input_tokens"], run["cache_creation_input_tokens"]
            usage = Usage(input_tokens=run["input_tokens"] + read + written, cache_read_tokens=read,
                          cache_write_tokens=written, output_tokens=run["output_tokens"])
            usd += bill.price(usage, run.get("model"))
    return nanos(usd)


def searches_of(bill):
    """How many web searches there were, as their vendors bill them."""
    told = (final_value(bill.case).get("tool_usage") or {}).get("web_search") or {}
    if told:
        return told.get("num_requests", 0)
    # OpenAI: its items, but those that open a page or look into it.
    items = final_value(bill.case).get("output") or []
    calls = [item for item in items if isinstance(item, dict) and item.get("type") == "web_search_call"]
    run = [call for call in calls if (call.get("action") or {}).get("type", "search") == "search"]
    # Google: each query once; up to Gemini 2.5, the prompt.
    values = [value for value in bill.case.values() if isinstance(value, dict)]
    candidates = [candidate for value in values for candidate in value.get("candidates") or []]
    grounds = [candidate.get("groundingMetadata") or {} for candidate in candidates]
    queries = {query for ground in grounds for query in ground.get("webSearchQueries") or [] if query.strip()}
    is_by_prompt = re.match(r"gemini-[12]", model_of(bill.case))
    return len(run) + (min(len(queries), 1) if is_by_prompt else len(queries))


def with_searches(bill):
    """Web searches: the package has their price, and does not look for them in most answers."""
    return nanos(bill.price(bill.usage + Usage(web_searches=searches_of(bill))))


def with_context_size(bill):
    """A request with a search: the package has the dearest size alone, Perplexity's answer says which one it was."""
    told = Decimal(str(final_value(bill.case)["usage"]["cost"]["request_cost"]))
    return nanos(bill.usd - bill.price(Usage()) + told)


def with_hidden_thinking(bill):
    """Thinking that stands in no count of Google's but in the total of Gemini's OpenAI dialect."""
    usage = final_value(bill.case)["usage"]
    hidden = usage["total_tokens"] - usage["prompt_tokens"] - usage["completion_tokens"]
    return nanos(bill.price(Usage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"] + hidden)))


# Why bills differ: each takes the package's bill and adds what the package leaves out. Who comes to our bill by it has the reason.
REASONS = [
    ("runs in `iterations` that the counts above leave out, billed here", with_iterations),
    ("web searches, billed here, not looked for there", with_searches),
    ("searches of a smaller size than the dearest, which is the only one there", with_context_size),
    ("thinking that is only in the total, billed here", with_hidden_thinking),
]


def reason_of(bill):
    for reason, with_it in REASONS:
        try:
            if with_it(bill) == bill.record["cost_nanos"]:
                return reason
        except (LookupError, ValueError, TypeError, AttributeError):
            # The answer has nothing of the kind.
            continue
    return None


class Gateway:
    """A gateway with one upstream, and one model, for each recording."""

    def __init__(self, binary, folder, cases, provider_url):
        self.binary, self.folder = binary, Path(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        prices = json.dumps(str(ROOT / "pricing.toml"))
        text = f'[server]\nlisten = ["127.0.0.1:{self.port}"]\n[pricing]\nfile = {prices}\nunknown_model = "allow"\n'
        for number, case in cases:
            base_url = f"{provider_url}/{number}"
            models = f'[{{ name = "r{number}", upstream_model = {json.dumps(model_of(case))} }}]'
            text += f'[[upstream]]\nname = "u{number}"\nprovider = "{row_of(case)}"\nbase_url = "{base_url}"\n'
            text += f'api_key = "provider-key"\nmodels = {models}\n'
        (self.folder / "tollgate.toml").write_text(text)
        self.key = json.loads(self.run("key", "create", "k", "--json"))["key"]
        self.log = open(self.folder / "serve.log", "wb")
        self.process = subprocess.Popen([binary, "serve", "-c", "tollgate.toml"], cwd=folder, stdout=self.log, stderr=self.log)
        self.until("the gateway", self.healthy)

    def run(self, *arguments):
        done = subprocess.run([self.binary, *arguments, "-c", "tollgate.toml"], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{arguments}: {done.stderr}")
        return done.stdout

    def until(self, what, ask):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if ask():
                return
            time.sleep(0.05)
        sys.exit(f"gave up waiting for {what}:\n" + (self.folder / "serve.log").read_text()[-2000:])

    def healthy(self):
        try:
            return self.open(urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/health")) == 200
        except OSError:
            return False

    @staticmethod
    def open(request):
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as error:
            error.read()
            return error.code

    def ask(self, number, case):
        path, body, _ = APIS[case.row["api"]]
        model = f"r{number}"
        if "{model}" in path:
            path = path.format(model=model) + ("?alt=sse" if case.kind == "sse" else "")
        else:
            body = {"model": model, **body} | ({"stream": True} if case.row["streaming"] else {})
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        self.open(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), headers))

    def records(self):
        rows = [json.loads(line) for line in self.run("log", "list", "--json", "--limit", "100000").splitlines()]
        return {row["model"]: row for row in rows}

    def close(self):
        self.process.terminate()
        if self.process.wait(PATIENCE_S) != 0:
            sys.exit("the gateway did not end well")


def judge(case, record):
    """What came of one recording: the class, and a line about it where it differs."""
    if case.status >= 400:
        return "cannot be priced: the answer is an error", None
    if record is None:
        return "cannot be priced: the gateway has no record", f"{case.row['file']}: no record"
    if record["usage_source"] != "reported":
        return f"cannot be priced: it reports no usage ({record['usage_source']} here)", None
    bill, ours = theirs(case, record), record["cost_nanos"]
    if bill is None:
        return "cannot be priced: the package has no price", f"{case.row['file']}: {ours} here"
    if record["price_missing"]:
        return "cannot be priced: no price here", f"{case.row['file']}: {model_of(case)}: {bill.nanos} there"
    if ours == bill.nanos:
        return f"agree, by {bill.whose}", None
    own = tuple(record[name] for name in COUNTS)
    line = f"{case.row['file']}: {ours} here, {bill.nanos} there; {own} here, {bill.counts} there ({bill.whose})"
    return f"differ: {reason_of(bill) or UNKNOWN}", line


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="the tollgate to ask")
    parser.add_argument("--verbose", action="store_true", help="a line for each bill that differs")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("TOLLGATE_RECORDINGS") or ROOT.parent / "shared" / "recordings")
    if not (folder / "manifest.jsonl").exists():
        print("skipped: there are no recordings (TOLLGATE_RECORDINGS)")
        return 0
    cases = replayer.load(folder)
    spoken = [(number, case) for number, case in enumerate(cases)
              if case.row["api"] in APIS and case.row["provider"] != "bedrock"]
    with tempfile.TemporaryDirectory() as home:
        gateway = Gateway(str(Path(arguments.bin).resolve()), home, spoken, replayer.start(cases))
        try:
            for number, case in spoken:
                gateway.ask(number, case)
            gateway.until("the records", lambda: len(gateway.records()) >= len(spoken))
            records = gateway.records()
        finally:
            gateway.close()
    classes, lines = Counter(), defaultdict(list)
    classes["cannot be priced: an API that is not spoken here"] = len(cases) - len(spoken)
    for number, case in spoken:
        kind, line = judge(case, records.get(f"r{number}"))
        classes[kind] += 1
        lines[kind] += [line] if line else []
    for kind, count in sorted(classes.items()):
        print(f"{count:4} {kind}")
        if arguments.verbose or UNKNOWN in kind:
            print("".join(f"     {line}\n" for line in lines[kind]), end="")
    return 1 if any(UNKNOWN in kind for kind in classes) else 0


sys.exit(main())
