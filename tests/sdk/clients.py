#!/usr/bin/env python3
"""Real coding agents (Claude Code, Codex, Gemini CLI) with every upstream's dialect.

    npm install --prefix DIR @anthropic-ai/claude-code @openai/codex @google/gemini-cli
    DIR/bin/python tests/sdk/clients.py --bin target/debug/tollgate --clients DIR/node_modules/.bin

Each is given a prompt, without a terminal. The simulated provider calls tools of the agent's, the agent runs them and asks again,
and must end with the provider's answer; no request of it may be refused. An agent that is not installed is passed over, and that
is said. They get the gateway's address and a key of its own, and a home of their own.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gateway import PATIENCE_S, Tally
from pairs import MODELS, Pairs

AGENT_PATIENCE_S = 6 * PATIENCE_S
PROMPT = "Please use `Bash` and `Glob` and `exec_command` and `view_image` and `list_directory` and `glob` on Paris"
EXPECTED = "simulated answer"
CODEX = """model = "{model}"
model_provider = "tollgate"
model_reasoning_effort = "high"
model_reasoning_summary = "auto"
[model_providers.tollgate]
name = "tollgate"
base_url = "{url}/v1"
env_key = "TOLLGATE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
GEMINI = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}


def claude(pairs, model, _home):
    models = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")
    environment = {name: model for name in models} | {
        "ANTHROPIC_BASE_URL": pairs.url, "ANTHROPIC_API_KEY": pairs.key, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return ["-p", PROMPT, "--output-format", "json", "--max-turns", "6"], environment


def codex(pairs, model, home):
    (home / "config.toml").write_text(CODEX.format(model=model, url=pairs.url))
    return ["exec", "--skip-git-repo-check", "--json", PROMPT], {"CODEX_HOME": str(home), "TOLLGATE_KEY": pairs.key}


def gemini(pairs, model, home):
    (home / ".gemini").mkdir(exist_ok=True)
    (home / ".gemini" / "settings.json").write_text(json.dumps(GEMINI))
    environment = {"GOOGLE_GEMINI_BASE_URL": pairs.url, "GEMINI_API_KEY": pairs.key, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return ["-m", model, "-p", PROMPT, "--output-format", "json"], environment


AGENTS = [claude, codex, gemini]


def check(pairs, program, agent, model, folder):
    home, work = Path(folder) / "home", Path(folder) / "work"
    for made in (home, work):
        made.mkdir(exist_ok=True)
    arguments, environment = agent(pairs, model, home)
    environment |= {"PATH": os.environ["PATH"], "HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run([program, *arguments], cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=AGENT_PATIENCE_S, check=False)
    records = pairs.gateway.new_records()
    pairs.gateway.seen.update(record["request_id"] for record in records)
    assert done.returncode == 0 and EXPECTED in done.stdout, f"{done.stdout[-800:]} {done.stderr[-800:]}"
    assert len(records) >= 2, f"{len(records)} requests: no tool was called"
    failed = [(record["status"], record["error_code"]) for record in records if record["outcome"] != "ok"]
    assert not failed, failed


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", type=os.path.abspath, required=True, help="the built gateway")
    arguments.add_argument("--clients", type=os.path.abspath, required=True, help="the folder with the agents' programs")
    arguments.add_argument("--only", help="only what contains this")
    chosen = arguments.parse_args()
    tally = Tally(chosen.only)
    with tempfile.TemporaryDirectory() as folder, Pairs(chosen.bin, folder) as pairs:
        for agent in AGENTS:
            program = os.path.join(chosen.clients, agent.__name__)
            if not os.path.exists(program):
                print(f"skipped: {agent.__name__} is not installed")
                continue
            for model in MODELS:
                tally.run(f"{agent.__name__} -> {model}", lambda: check(pairs, program, agent, model, folder))
    return tally.verdict()


if __name__ == "__main__":
    sys.exit(main())
