#!/usr/bin/env python3
"""The richest requests that coding agents send, translated for every upstream: none is refused, and what reaches the provider is
what that provider's own SDK could have sent.

    DIR/bin/python tests/sdk/agent_requests.py --bin target/debug/tollgate [--also FILE...]

A request is held against the request types of the provider's official SDK: what they do not know, and what is missing or of
another type, is a fault. --also adds requests from files: JSON objects with `path` and `body`. Ends with a line
'N passed, N failed', and with status 1 if something failed.
"""
import argparse
import json
import os
import re
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from anthropic.types.beta import message_create_params as anthropic_params
from google.genai import types
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter, ValidationError

from gateway import Gateway, Tally
from pairs import UPSTREAMS
from replay import Recording, Replay
from rich import REQUESTS

ANSWERS = {
    "chat": {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
    "responses": {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}},
    "messages": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                 "stop_sequence": None, "content": [{"type": "text", "text": "Hi"}],
                 "usage": {"input_tokens": 1, "output_tokens": 1}},
    "generate": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}],
                 "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}},
}


def with_defaults(value):
    """With the detail of images, which OpenAI's reference lets default to `auto`, and its SDK's types do not."""
    if isinstance(value, list):
        return [with_defaults(part) for part in value]
    if isinstance(value, dict):
        value = {name: with_defaults(part) for name, part in value.items()}
        return {"detail": "auto", **value} if value.get("type") == "input_image" else value
    return value


def known_members(body, known, what):
    unknown = set(body) - set(known)
    return [f"{what} has no {', '.join(sorted(unknown))}"] if unknown else []


def typed(adapter, value, where):
    try:
        adapter.validate_json(json.dumps(value))
    except ValidationError as error:
        others = {line["loc"][:-1] for line in error.errors() if line["loc"][-1:] in (("type",), ("role",))}
        lines = [line for line in error.errors() if not any(line["loc"][:len(o)] == o for o in others)] or error.errors()
        return [f"{where}.{'.'.join(map(str, line['loc']))}: {line['msg']} ({str(line['input'])[:60]})" for line in lines[:2]]
    return []


def of_params(params, what):
    adapter, known = TypeAdapter(params), all_members(params)
    return lambda body: known_members(body, known, what) + typed(adapter, body, what)


def all_members(params):
    """Of a TypedDict, those of what it extends too."""
    members = dict(params.__annotations__)
    for base in getattr(params, "__orig_bases__", ()):
        if hasattr(base, "__annotations__") and base is not params:
            members |= all_members(base)
    return members


GENERATE = {"contents": list[types.Content], "systemInstruction": types.Content, "tools": list[types.Tool],
            "toolConfig": types.ToolConfig, "generationConfig": types.GenerationConfig, "safetySettings": list[types.SafetySetting],
            "cachedContent": str, "serviceTier": str, "labels": dict}


def of_generate(body):
    faults = known_members(body, GENERATE, "generateContent")
    for name, value in body.items():
        faults += typed(TypeAdapter(GENERATE[name]), value, name) if name in GENERATE else []
    return faults


# Whose requests pass through as they are.
OWN = {"chat": "chat", "responses": "responses", "messages": "messages", "models": "generate"}
CHECKS = {
    "chat": of_params(chat_params.CompletionCreateParamsNonStreaming, "chat.completions.create"),
    "responses": of_params(response_create_params.ResponseCreateParamsNonStreaming, "responses.create"),
    "messages": of_params(anthropic_params.MessageCreateParamsNonStreaming, "messages.create"),
    "generate": of_generate,
}


def ask(url, key, path, body, model):
    """Posts it, whole; the names that were left out."""
    body = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    if "/models/" in path:
        path = f"/v1beta/models/{model}:generateContent"
    else:
        body["model"] = model
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}
    request = urllib.request.Request(url + path.split("?")[0], json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers.get("x-tollgate-left-out", "")
    except urllib.error.HTTPError as error:
        raise AssertionError(f"refused: {error.code} {error.read().decode()[:500]}") from None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", type=os.path.abspath, required=True, help="the built gateway")
    arguments.add_argument("--also", type=Path, nargs="*", default=[], help="files with further requests")
    chosen = arguments.parse_args()
    requests = dict(REQUESTS)
    for file in chosen.also:
        found = json.loads(file.read_text())
        body = found["body"]
        requests[file.name] = (found["path"], json.loads(body) if isinstance(body, str) else body)
    tally = Tally(None)
    recordings = [Recording(name, json.dumps(answer).encode()) for name, answer in ANSWERS.items()]
    with tempfile.TemporaryDirectory() as folder, Replay(recordings) as provider:
        tables = [{"name": name, "provider": row, "base_url": f"{provider.url}/{name}{suffix}", "api_key": "provider-key",
                   "models": [{"name": name, "upstream_model": model}]} for name, (row, suffix, model) in UPSTREAMS.items()]
        gateway = Gateway(chosen.bin, folder, tables, "", '[pricing]\nunknown_model = "allow"\n')
        try:
            key = gateway.key("requests")
            gateway.serve()
            for name, (path, body) in requests.items():
                for model in [model for model in UPSTREAMS if OWN[re.split("[/?:]", path)[2]] != model]:
                    def check():
                        left_out = ask(gateway.url, key, path, body, model)
                        faults = CHECKS[model](with_defaults(provider.recordings[model].requests[-1][1]))
                        assert not faults, "\n     ".join(faults)
                        print(f"     left out: {left_out}" if left_out else "     whole")
                    tally.run(f"{name} -> {model}", check)
        finally:
            gateway.stop()
    return tally.verdict()


if __name__ == "__main__":
    sys.exit(main())
