#!/usr/bin/env python3
"""Bills of the built-in prices, worked out twice: by `tollgate price explain`, and by the Python package genai-prices in its
own decimal arithmetic. They agree to the nano-USD, or the difference is listed. Ends with 0 and says so where the package is
not installed; with 1 where bills differ."""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path

try:
    from genai_prices import Usage, calc_price
except ImportError:
    print("skipped: the Python package genai-prices is not installed")
    sys.exit(0)

# The package's provider for a row of ours, and the makers whose rows name no provider, in the order of the generator.
RENAMED = {"azure-openai": "azure", "zhipu": "zhipuai"}
MAKERS = ["openai", "anthropic", "google", "deepseek", "mistral", "x-ai", "moonshotai", "zai", "minimax", "cohere",
          "perplexity", "voyageai", "meta"]
# Rows that are written by hand: the package knows nothing of them.
BY_HAND = {"qwen", "siliconflow"}
MOMENT = "2026-11-25T12:00:00Z"

# What `price explain` is given, and the same for the package.
CASES = {
    "plain": (["--input", "1001", "--output", "333"], dict(input_tokens=1001, output_tokens=333)),
    "cached": (["--input", "1003", "--cached", "607", "--output", "7"],
               dict(input_tokens=1003, cache_read_tokens=607, output_tokens=7)),
    "written": (["--input", "5003", "--cached", "607", "--cache-write", "1009", "--output", "1"],
                dict(input_tokens=5003, cache_read_tokens=607, cache_write_tokens=1009, output_tokens=1)),
    "long": (["--input", "300007", "--cached", "100003", "--output", "4099"],
             dict(input_tokens=300007, cache_read_tokens=100003, output_tokens=4099)),
}


def theirs(seller, model, usage):
    """Nano-USD, rounded up; None: not known there."""
    moment = datetime.fromisoformat(MOMENT.replace("Z", "+00:00"))
    try:
        price = calc_price(Usage(**usage), model, provider_id=seller, genai_request_timestamp=moment).total_price
    except LookupError:
        return None
    return math.ceil(Decimal(price) * 10**9)


def seller_of(row):
    """The package's provider of a row; None: it has none."""
    provider = row["provider"]
    if provider in BY_HAND:
        return None
    if provider:
        return RENAMED.get(provider, provider)
    usage = CASES["plain"][1]
    return next((maker for maker in MAKERS if theirs(maker, row["model"], usage) is not None), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="the tollgate to ask")
    parser.add_argument("--every", type=int, default=1, help="take only each so many-th row")
    arguments = parser.parse_args()
    binary = str(Path(arguments.bin).resolve())
    prices = Path(__file__).resolve().parents[2] / "pricing.toml"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "tollgate.toml"
        config.write_text(f"[pricing]\nfile = {json.dumps(str(prices))}\n")

        def ask(*words):
            run = subprocess.run([binary, "price", *words, "--json", "-c", str(config)], capture_output=True, text=True)
            if run.returncode != 0:
                sys.exit(f"{words}: {run.stderr}")
            return [json.loads(line) for line in run.stdout.splitlines()]

        def bills(row):
            found = []
            seller = seller_of(row)
            for name, (words, usage) in CASES.items() if seller else ():
                expected = theirs(seller, row["model"], usage)
                if expected is None:
                    found.append(("unknown there", row, name, 0, 0))
                    continue
                at = ["--provider", row["provider"]] if row["provider"] else []
                ours = ask("explain", row["model"], *words, *at, "--at", MOMENT)[-1]["cost_nanos"]
                found.append(("agrees" if ours == expected else "differs", row, name, ours, expected))
            return found or [("no such provider there", row, "", 0, 0)]

        rows = ask("list")[:: arguments.every]
        with ThreadPoolExecutor(2) as pool:
            results = [bill for found in pool.map(bills, rows) for bill in found]
    for kind, row, name, ours, expected in results:
        if kind == "differs":
            print(f"{row['provider'] or 'all'}/{row['model']} {name}: {ours} here, {expected} there")
    counts = Counter(kind for kind, *_ in results)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    sys.exit(1 if counts["differs"] else 0)


main()
