"""The four clients' SDKs, asked for one answer: what they make of it, and whether every byte of it is what their own types say.

The SDKs build their objects without checking them. So the body is kept as it came, and checked again with the same types,
strictly: a field that is missing or of another type is a fault, one more than the types know is none (but in Google's, which
refuse it).
"""
import json
from dataclasses import dataclass

import anthropic
import httpx2
import openai
from anthropic.types import Message, RawMessageStreamEvent
from google import genai
from google.genai import errors, types
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from said import Said, arguments_value, finish_class, values_of

PROMPT = "What do you say?"
FAULTS_SHOWN = 3


@dataclass
class Got:
    """What a client got."""
    said: Said
    # Input, output, cached, cache-written, reasoning tokens; None: the dialect does not tell, or the answer does not.
    counts: tuple
    request_id: str
    status: int
    # Where the body is not what the SDK's types say.
    faults: list


class _Kept(httpx2.SyncByteStream):
    """A body that is kept as it passes."""

    def __init__(self, stream, pieces):
        self.stream, self.pieces = stream, pieces

    def __iter__(self):
        for piece in self.stream:
            self.pieces.append(piece)
            yield piece

    def close(self):
        self.stream.close()


class Wiretap(httpx2.HTTPTransport):
    """The usual transport, which keeps the last answer."""

    def handle_request(self, request):
        response = super().handle_request(request)
        self.status, self.headers, self.pieces = response.status_code, response.headers, []
        response.stream = _Kept(response.stream, self.pieces)
        return response

    @property
    def body(self):
        return b"".join(self.pieces)


class Faults:
    """Checks values against an SDK's types."""

    def __init__(self):
        self.found = []

    def check(self, adapter, value):
        try:
            adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            # Of a union's many branches the one of this type counts.
            others = {line["loc"][0] for line in error.errors() if line["loc"][1:] == ("type",)}
            lines = [line for line in error.errors() if line["loc"][0] not in others or len(others) == len(error.errors())]
            for line in [line for line in lines if not self.is_known(line)][:1]:
                where = ".".join(map(str, line["loc"]))
                self.found.append(f"{value.get('type', '')} {where}: {line['msg']}")

    @staticmethod
    def is_known(line):
        """What providers' own answers have too: times (no JSON has them, strictly), and codes that the type does not list."""
        return line["type"] == "datetime_type" and isinstance(line["input"], str) or line["loc"][-2:] == ("error", "code")


def _of(usage, *path):
    for name in path:
        usage = getattr(usage, name, None) if usage is not None else None
    return usage


class OpenAiChat:
    """OpenAI's chat completions."""
    whole, event = TypeAdapter(ChatCompletion), TypeAdapter(ChatCompletionChunk)
    errors = openai.APIError

    def __init__(self, url, key, tap):
        self.sdk = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, http_client=httpx2.Client(transport=tap))

    def ask(self, model, stream):
        asked = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
        if not stream:
            answer = self.sdk.chat.completions.create(**asked)
            return self.said([(choice, choice.message) for choice in answer.choices]), self.counts(answer.usage)
        chunks = self.sdk.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        chunks = list(chunks)
        assert chunks, "an empty stream"
        choices = [(choice, choice.delta) for chunk in chunks for choice in chunk.choices]
        return self.said(choices), self.counts(chunks[-1].usage)

    @staticmethod
    def said(choices):
        said, calls = Said(), {}
        for choice, message in choices:
            if choice.index:
                continue
            said.text += (message.content or "") + (getattr(message, "refusal", None) or "")
            said.reasoning += getattr(message, "reasoning_content", None) or ""
            for place, part in enumerate(message.tool_calls or []):
                call = calls.setdefault(getattr(part, "index", place), ["", ""])
                call[0] += part.function.name or ""
                call[1] += part.function.arguments or ""
            said.finish = finish_class(choice.finish_reason) or said.finish
        for name, arguments in calls.values():
            said.call(name, arguments_value(arguments))
        return said

    @staticmethod
    def counts(usage):
        prompt, completion = _of(usage, "prompt_tokens_details"), _of(usage, "completion_tokens_details")
        return (_of(usage, "prompt_tokens"), _of(usage, "completion_tokens"), _of(prompt, "cached_tokens"),
                _of(prompt, "cache_write_tokens"), _of(completion, "reasoning_tokens"))


class OpenAiResponses:
    """OpenAI's Responses."""
    whole, event = TypeAdapter(Response), TypeAdapter(ResponseStreamEvent)
    errors = openai.APIError

    def __init__(self, url, key, tap):
        self.sdk = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, http_client=httpx2.Client(transport=tap))

    def ask(self, model, stream):
        if not stream:
            return self.read(self.sdk.responses.create(model=model, input=PROMPT))
        with self.sdk.responses.stream(model=model, input=PROMPT) as events:
            # The helper checks the order of the events as it puts them together.
            last = list(events)[-1]
            said, counts = self.read(last.response)
        return said, counts

    def read(self, answer):
        said = Said(failed=answer.status == "failed")
        for item in answer.output:
            if item.type == "message":
                said.text += "".join(getattr(part, "text", None) or getattr(part, "refusal", "") for part in item.content)
            elif item.type == "function_call":
                said.call(item.name, arguments_value(item.arguments))
            elif item.type == "reasoning":
                said.reasoning += "".join(part.text for part in (item.summary or []) + (item.content or []))
        reason = answer.incomplete_details.reason if answer.incomplete_details else None
        said.finish = finish_class(reason) or ("tool_calls" if said.calls else finish_class(answer.status))
        usage = answer.usage
        return said, (_of(usage, "input_tokens"), _of(usage, "output_tokens"),
                      _of(usage, "input_tokens_details", "cached_tokens"),
                      _of(usage, "input_tokens_details", "cache_write_tokens"),
                      _of(usage, "output_tokens_details", "reasoning_tokens"))


class Anthropic:
    """Anthropic's messages."""
    whole, event = TypeAdapter(Message), TypeAdapter(RawMessageStreamEvent)
    errors = anthropic.APIError

    def __init__(self, url, key, tap):
        self.sdk = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=httpx2.Client(transport=tap))

    def ask(self, model, stream):
        asked = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": PROMPT}]}
        if stream:
            with self.sdk.messages.stream(**asked) as events:
                answer = events.get_final_message()
        else:
            answer = self.sdk.messages.create(**asked)
        said = Said(finish=finish_class(answer.stop_reason))
        for block in answer.content:
            if block.type == "text":
                said.text += block.text
            elif block.type == "thinking":
                said.reasoning += block.thinking
            elif block.type == "tool_use":
                said.call(block.name, block.input)
        usage = answer.usage
        read, write = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        return said, (usage.input_tokens + read + write, usage.output_tokens, read, write,
                      _of(usage, "output_tokens_details", "thinking_tokens"))


class Gemini:
    """Google's generateContent."""
    whole = event = TypeAdapter(types.GenerateContentResponse)
    errors = errors.APIError

    def __init__(self, url, key, tap):
        options = types.HttpOptions(base_url=url, httpx_client=httpx2.Client(transport=tap))
        self.sdk = genai.Client(api_key=key, http_options=options)

    def ask(self, model, stream):
        if stream:
            answers = list(self.sdk.models.generate_content_stream(model=model, contents=PROMPT))
            assert answers, "an empty stream"
        else:
            answers = [self.sdk.models.generate_content(model=model, contents=PROMPT)]
        said = Said()
        for answer in answers:
            for candidate in answer.candidates or []:
                if candidate.index:
                    continue
                for part in (candidate.content and candidate.content.parts) or []:
                    if part.function_call:
                        said.call(part.function_call.name, part.function_call.args or {})
                    elif part.thought:
                        said.reasoning += part.text or ""
                    else:
                        said.text += part.text or ""
                said.finish = finish_class(candidate.finish_reason and candidate.finish_reason.value) or said.finish
        if said.calls and said.finish == "stop":
            said.finish = "tool_calls"
        usage = answers[-1].usage_metadata
        thoughts = _of(usage, "thoughts_token_count") or 0
        output = None if usage is None else (usage.candidates_token_count or 0) + thoughts
        tool_prompt = _of(usage, "tool_use_prompt_token_count") or 0
        prompt = None if usage is None else (usage.prompt_token_count or 0) + tool_prompt
        return said, (prompt, output, _of(usage, "cached_content_token_count") or 0, None, thoughts)


CLIENTS = {"openai": OpenAiChat, "openai-responses": OpenAiResponses, "anthropic": Anthropic, "gemini": Gemini}
# Events that no type describes and every SDK passes over or knows by name.
APART = ("ping", "error")


def ask(dialect, url, key, model, stream):
    """Asks with this dialect's SDK."""
    tap, faults = Wiretap(), Faults()
    client = CLIENTS[dialect](url, key, tap)
    try:
        said, counts = client.ask(model, stream)
    except client.errors as error:
        said, counts = Said(failed=True, text=str(getattr(error, "message", error))), (None,) * 5
    if tap.status == 200:
        for value in values_of(tap.body, stream):
            if value.get("type") not in APART and "error" not in value or dialect == "openai-responses":
                faults.check(client.event if stream else client.whole, value)
    return Got(said, counts, tap.headers.get("x-request-id", ""), tap.status, faults.found)
