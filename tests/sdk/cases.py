"""What is asked with each SDK. A case is a function of a `Clients` that returns (answer, counts):

answer  what must be the same through the gateway as from the provider itself
counts  what the SDK says was used, as `Counts`; None: the answer does not say
"""
import base64
import json
from dataclasses import dataclass

import anthropic
import openai
from google import genai
from google.genai import types

# Differs between any two answers.
VARIABLE = {"id", "created", "created_at", "call_id", "item_id", "response_id", "sdk_http_response", "request_id", "_request_id",
            "tool_use_id", "timings", "system_fingerprint"}


@dataclass(frozen=True)
class Counts:
    """The ledger's five counts."""
    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Case:
    """A case and what its ledger record must say."""
    name: str
    ask: object
    endpoint_model: str
    streams: bool = False
    # The answer does not say what was used, so the record must not either ("reported"), and costs an estimate at most.
    silent: bool = False


class Clients:
    """The three SDKs pointed at one address."""

    def __init__(self, url, key):
        self.openai = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=30)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30)
        self.gemini = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url, timeout=30_000))
        self.gemini_beta = genai.Client(
            api_key=key, http_options=types.HttpOptions(base_url=url, timeout=30_000, api_version="v1beta"))


def plain(value):
    """An SDK's object as plain data, without what differs between any two answers."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items() if name not in VARIABLE}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def chat_counts(usage):
    if usage is None:
        return None
    prompt, completion = usage.prompt_tokens_details, getattr(usage, "completion_tokens_details", None)
    return Counts(usage.prompt_tokens, getattr(usage, "completion_tokens", 0) or 0,
                  (prompt and prompt.cached_tokens) or 0, 0, (completion and completion.reasoning_tokens) or 0)


def responses_counts(usage):
    return Counts(usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens, 0,
                  usage.output_tokens_details.reasoning_tokens)


def message_counts(usage):
    read, write = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    thinking = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else 0
    return Counts(usage.input_tokens + read + write, usage.output_tokens, read, write, thinking)


def gemini_counts(usage):
    thoughts = usage.thoughts_token_count or 0
    return Counts(usage.prompt_token_count, (usage.candidates_token_count or 0) + thoughts,
                  usage.cached_content_token_count or 0, 0, thoughts)


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
           "required": ["city", "days"], "additionalProperties": False}
ASKED = "What will the weather be in Reykjavík this week?"
USER = [{"role": "user", "content": ASKED}]


# --- OpenAI ---

def chat(c, **more):
    answer = c.openai.chat.completions.create(model="demo-gpt", messages=USER, **more)
    return plain(answer), chat_counts(answer.usage)


def chat_stream(c, **more):
    chunks = list(c.openai.chat.completions.create(model="demo-gpt", messages=USER, stream=True, **more))
    return plain(chunks), chat_counts(chunks[-1].usage)


def chat_tools(c, stream=False):
    tools = [{"type": "function", "function": {"name": "forecast", "parameters": WEATHER}}]
    if stream:
        return chat_stream(c, tools=tools, stream_options={"include_usage": True})
    first = c.openai.chat.completions.create(model="demo-gpt", messages=USER, tools=tools)
    assert json.loads(first.choices[0].message.tool_calls[0].function.arguments)["city"] == "Reykjavík"
    return plain(first), chat_counts(first.usage)


def chat_tool_result(c):
    call = {"id": "call_1", "type": "function", "function": {"name": "forecast", "arguments": "{}"}}
    messages = USER + [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "☔"}]
    answer = c.openai.chat.completions.create(model="demo-gpt", messages=messages)
    return plain(answer), chat_counts(answer.usage)


def chat_cached(c):
    messages = [{"role": "system", "content": "Answer in one word. " * 400}] + USER
    answer = c.openai.chat.completions.create(model="demo-gpt", messages=messages)
    assert answer.usage.prompt_tokens_details.cached_tokens > 0
    return plain(answer), chat_counts(answer.usage)


def chat_image(c):
    image = "data:image/png;base64," + base64.b64encode(bytes(200_000)).decode()
    content = [{"type": "text", "text": ASKED}, {"type": "image_url", "image_url": {"url": image}}]
    answer = c.openai.chat.completions.create(model="demo-gpt", messages=[{"role": "user", "content": content}])
    return plain(answer), chat_counts(answer.usage)


def chat_structured(c):
    schema = {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER, "strict": True}}
    answer, counts = chat(c, response_format=schema)
    assert json.loads(answer["choices"][0]["message"]["content"])["days"] == 2
    return answer, counts


def completion(c):
    answer = c.openai.completions.create(model="demo-gpt", prompt="Once upon a time", max_tokens=12)
    return plain(answer), chat_counts(answer.usage)


def completion_stream(c, **more):
    chunks = list(c.openai.completions.create(model="demo-gpt", prompt="Once", max_tokens=12, stream=True, **more))
    return plain(chunks), chat_counts(chunks[-1].usage)


def responses(c, **more):
    answer = c.openai.responses.create(model="demo-gpt", input=ASKED, **more)
    return plain(answer), responses_counts(answer.usage)


def responses_stream(c, **more):
    events = list(c.openai.responses.create(model="demo-gpt", input=ASKED, stream=True, **more))
    return plain(events), responses_counts(events[-1].response.usage)


RESPONSES_TOOLS = [{"type": "function", "name": "forecast", "parameters": WEATHER, "strict": True}]


def embeddings(c, **more):
    answer = c.openai.embeddings.create(model="demo-embed", input=["a river", "two bridges"], **more)
    return plain(answer), Counts(answer.usage.prompt_tokens, 0)


def moderation(c):
    return plain(c.openai.moderations.create(model="demo-moderation", input=["peace", "violence"])), None


def image(c):
    answer = c.openai.images.generate(model="demo-image", prompt="a toll booth", n=2)
    assert base64.b64decode(answer.data[0].b64_json).startswith(b"\x89PNG")
    return plain(answer), Counts(answer.usage.input_tokens, answer.usage.output_tokens)


def image_edit(c):
    answer = c.openai.images.edit(model="demo-image", prompt="at night", image=("a.png", b"\x89PNG" + bytes(50_000), "image/png"))
    return plain(answer), Counts(answer.usage.input_tokens, answer.usage.output_tokens)


def speech(c):
    sound = c.openai.audio.speech.create(model="demo-tts", voice="alloy", input=ASKED).content
    assert sound.startswith(b"RIFF")
    return sound.hex(), None


def speech_events(c):
    raw = c.openai.audio.speech.create(model="demo-tts", voice="alloy", input=ASKED, stream_format="sse").content.decode()
    usage = json.loads(raw.strip().rsplit("data: ", 1)[1])["usage"]
    return raw, Counts(usage["input_tokens"], usage["output_tokens"])


RECORDING = ("a.wav", b"RIFF" + bytes(80_000), "audio/wav")


def transcription(c):
    answer = c.openai.audio.transcriptions.create(model="demo-transcribe", file=RECORDING)
    assert answer.usage.type == "duration"
    return plain(answer), Counts(0, 0)


def transcription_stream(c):
    events = list(c.openai.audio.transcriptions.create(model="demo-transcribe", file=RECORDING, stream=True))
    return plain(events), Counts(0, 0)


# --- Anthropic ---

def message(c, **more):
    answer = c.anthropic.messages.create(model="demo-claude", **{"max_tokens": 2048, "messages": USER, **more})
    return plain(answer), message_counts(answer.usage)


def message_stream(c, **more):
    events = []
    with c.anthropic.messages.stream(model="demo-claude", **{"max_tokens": 2048, "messages": USER, **more}) as stream:
        events.extend(plain(event) for event in stream)
        answer = stream.get_final_message()
    return [events, plain(answer)], message_counts(answer.usage)


THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
MESSAGE_TOOLS = {"tools": [{"name": "forecast", "input_schema": WEATHER}]}


def marked(text, **more):
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **more}}


CACHING = {"system": [marked("You know the weather. " * 50)],
           "messages": [{"role": "user", "content": [{"type": "text", "text": ASKED}, marked("Rain?"), marked("Snow?", ttl="1h")]}]}


def message_count(c):
    return plain(c.anthropic.messages.count_tokens(model="demo-claude", messages=USER)), None


# --- Gemini ---

def generate(c, gemini=None, **config):
    answer = (gemini or c.gemini).models.generate_content(
        model="demo-gemini", contents=ASKED, config=types.GenerateContentConfig(**config))
    return plain(answer), gemini_counts(answer.usage_metadata)


def generate_beta(c):
    return generate(c, c.gemini_beta)


def generate_stream(c, **config):
    events = list(c.gemini.models.generate_content_stream(
        model="demo-gemini", contents=ASKED, config=types.GenerateContentConfig(**config)))
    return plain(events), gemini_counts(events[-1].usage_metadata)


GEMINI_TOOLS = [types.Tool(function_declarations=[types.FunctionDeclaration(name="forecast", parameters_json_schema=WEATHER)])]


def gemini_count(c):
    return plain(c.gemini.models.count_tokens(model="demo-gemini", contents=ASKED)), None


def gemini_embed(c):
    return plain(c.gemini.models.embed_content(model="demo-gemini-embed", contents=["a river", "two bridges"])), None


# --- llama.cpp ---

LLAMA = {"model": "tiny", "messages": [{"role": "user", "content": "Say something"}], "max_tokens": 24, "temperature": 0}


def llama(c):
    answer = c.openai.chat.completions.create(**LLAMA)
    # What it finds in its cache depends on what was asked before: only the counts are compared with the ledger.
    return answer.choices[0].message.content, chat_counts(answer.usage)


def llama_stream(c, **more):
    chunks = list(c.openai.chat.completions.create(**LLAMA, stream=True, **more))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return [len(chunks), text], chat_counts(chunks[-1].usage)


def llama_completion(c):
    answer = c.openai.completions.create(model="tiny", prompt="Once upon", max_tokens=16, temperature=0)
    return answer.choices[0].text, chat_counts(answer.usage)


def of(ask, **arguments):
    return lambda clients: ask(clients, **arguments)


USAGE = {"stream_options": {"include_usage": True}}

CASES = [
    Case("chat", chat, "demo-gpt"),
    Case("chat, several choices, limits", of(chat, n=3, max_completion_tokens=9, stop=["zzz"]), "demo-gpt"),
    Case("chat, reasoning", of(chat, reasoning_effort="low"), "demo-gpt"),
    Case("chat, priority tier", of(chat, service_tier="priority"), "demo-gpt"),
    Case("chat, prompt cache", chat_cached, "demo-gpt"),
    Case("chat, image", chat_image, "demo-gpt"),
    Case("chat, structured", chat_structured, "demo-gpt"),
    Case("chat, tool", chat_tools, "demo-gpt"),
    Case("chat, tool result", chat_tool_result, "demo-gpt"),
    Case("chat stream", chat_stream, "demo-gpt", streams=True),
    Case("chat stream with usage", of(chat_stream, **USAGE), "demo-gpt", streams=True),
    Case("chat stream, several choices", of(chat_stream, n=2, **USAGE), "demo-gpt", streams=True),
    Case("chat stream, tool", of(chat_tools, stream=True), "demo-gpt", streams=True),
    Case("completion", completion, "demo-gpt"),
    Case("completion stream", completion_stream, "demo-gpt", streams=True),
    Case("completion stream with usage", of(completion_stream, **USAGE), "demo-gpt", streams=True),
    Case("responses", responses, "demo-gpt"),
    Case("responses, reasoning", of(responses, reasoning={"effort": "low"}), "demo-gpt"),
    Case("responses, tool", of(responses, tools=RESPONSES_TOOLS), "demo-gpt"),
    Case("responses stream", responses_stream, "demo-gpt", streams=True),
    Case("responses stream, reasoning", of(responses_stream, reasoning={"effort": "low"}), "demo-gpt", streams=True),
    Case("responses stream, cut", of(responses_stream, max_output_tokens=16), "demo-gpt", streams=True),
    Case("responses stream, tool", of(responses_stream, tools=RESPONSES_TOOLS), "demo-gpt", streams=True),
    Case("embeddings", embeddings, "demo-embed"),
    Case("embeddings, floats", of(embeddings, encoding_format="float", dimensions=16), "demo-embed"),
    Case("moderation", moderation, "demo-moderation", silent=True),
    Case("image", image, "demo-image"),
    Case("image edit", image_edit, "demo-image"),
    Case("speech", speech, "demo-tts", silent=True),
    Case("speech events", speech_events, "demo-tts", streams=True),
    Case("transcription", transcription, "demo-transcribe"),
    Case("transcription stream", transcription_stream, "demo-transcribe", streams=True),
    Case("message", message, "demo-claude"),
    Case("message, cut", of(message, max_tokens=5), "demo-claude"),
    Case("message, thinking", of(message, **THINKING), "demo-claude"),
    Case("message, tool", of(message, **MESSAGE_TOOLS), "demo-claude"),
    Case("message, prompt cache", of(message, **CACHING), "demo-claude"),
    Case("message stream", message_stream, "demo-claude", streams=True),
    Case("message stream, thinking", of(message_stream, **THINKING), "demo-claude", streams=True),
    Case("message stream, tool", of(message_stream, **MESSAGE_TOOLS), "demo-claude", streams=True),
    Case("message stream, prompt cache", of(message_stream, **CACHING), "demo-claude", streams=True),
    Case("message count", message_count, "demo-claude", silent=True),
    Case("generate", generate, "demo-gemini"),
    Case("generate, v1beta", generate_beta, "demo-gemini"),
    Case("generate, thinking", of(generate, thinking_config=types.ThinkingConfig(include_thoughts=True)), "demo-gemini"),
    Case("generate, candidates", of(generate, candidate_count=2, max_output_tokens=7), "demo-gemini"),
    Case("generate, tool", of(generate, tools=GEMINI_TOOLS), "demo-gemini"),
    Case("generate, cached content", of(generate, cached_content="cachedContents/1"), "demo-gemini"),
    Case("generate stream", generate_stream, "demo-gemini", streams=True),
    Case("generate stream, thinking", of(generate_stream, thinking_config=types.ThinkingConfig()), "demo-gemini", streams=True),
    Case("generate stream, tool", of(generate_stream, tools=GEMINI_TOOLS), "demo-gemini", streams=True),
    Case("generate count", gemini_count, "demo-gemini", silent=True),
    Case("generate embed", gemini_embed, "demo-gemini-embed", silent=True),
]

LLAMA_CASES = [
    Case("llama.cpp chat", llama, "tiny"),
    Case("llama.cpp stream", llama_stream, "tiny", streams=True),
    Case("llama.cpp stream with usage", of(llama_stream, **USAGE), "tiny", streams=True),
    Case("llama.cpp completion", llama_completion, "tiny"),
]
