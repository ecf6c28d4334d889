"""What an answer says, in no dialect's words, read from a provider's own bytes without any SDK and without the gateway."""
import json
from dataclasses import dataclass, field


@dataclass
class Said:
    """The first choice of an answer."""
    text: str = ""
    reasoning: str = ""
    # Names and arguments, in the order in which the calls began.
    calls: list = field(default_factory=list)
    # `stop`, `length`, `tool_calls`, `filter`, `other`; None: it does not say.
    finish: str | None = None
    # The answer ended in an error, in mid-stream.
    failed: bool = False

    def call(self, name, arguments):
        self.calls.append((name, arguments))


FINISH = {
    "stop": ("stop", "completed", "end_turn", "stop_sequence", "eos"),
    "length": ("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"),
    "tool_calls": ("tool_calls", "tool_use", "function_call", "tool_call"),
    "filter": ("content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "spii", "language"),
}


def finish_class(word):
    """The kind of a finish reason, whoever says it."""
    if word in (None, "", "null"):
        return None
    return next((kind for kind, words in FINISH.items() if str(word).lower() in words), "other")


def arguments_value(text):
    """Arguments as a value; what is no JSON as it is."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def values_of(body, streaming):
    """The JSON values of an answer: of a stream its events' data."""
    text = body.decode()
    if not streaming:
        value = json.loads(text)
        return value if isinstance(value, list) else [value]
    values = []
    for event in text.replace("\r\n", "\n").split("\n\n"):
        lines = event.split("\n")
        content = "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))
        if not content and lines[0].startswith("{"):
            # Google breaks off a stream with a bare object.
            content = event
        if content and content != "[DONE]":
            values.append(json.loads(content))
    return values


def _texts(content):
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type", "text") in ("text", "output_text"))
    return content or ""


def _thoughts(message):
    """Vendors' names for the same thing; where one says it twice, one of them counts."""
    parts = message.get("content")
    inner = [part["thinking"] for part in parts if part.get("type") == "thinking"] if isinstance(parts, list) else []
    if inner:
        return "".join(_texts(thinking) for thinking in inner)
    return message.get("reasoning_content") or message.get("reasoning") or ""


def read_openai(values, streaming):
    said, calls = Said(), {}
    for value in values:
        said.failed |= "error" in value
        for choice in value.get("choices") or []:
            if choice.get("index"):
                continue
            # One vendor's whole answers have an empty delta too, and its streams the message so far.
            message = choice.get("delta" if streaming else "message") or {}
            audio = message.get("audio") or {}
            said.text += _texts(message.get("content")) + (audio.get("transcript") or "")
            said.reasoning += _thoughts(message)
            # What tools were called before they were called tools.
            legacy = [{"index": 0, "function": message["function_call"]}] if message.get("function_call") else []
            for part in message.get("tool_calls") or legacy:
                index = part.get("index")
                call = calls.setdefault(part.get("id") or len(calls) if index is None else index, ["", ""])
                function = part.get("function") or {}
                call[0] = call[0] or function.get("name") or ""
                arguments = function.get("arguments")
                call[1] += json.dumps(arguments) if isinstance(arguments, dict) else arguments or ""
            said.finish = finish_class(choice.get("finish_reason")) or said.finish
    for name, arguments in calls.values():
        said.call(name, arguments_value(arguments))
    return said


def read_responses(values, _streaming):
    last = values[-1]
    response = last.get("response", last)
    said = Said(failed=response.get("status") == "failed" or last.get("type") == "error")
    # Some vendors' last event has no items: those that were done before are what it says.
    items = response.get("output") or [v["item"] for v in values if v.get("type") == "response.output_item.done"]
    for item in items:
        if item["type"] == "message":
            said.text += "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
        elif item["type"] == "function_call":
            said.call(item["name"], arguments_value(item["arguments"]))
        elif item["type"] == "reasoning":
            said.reasoning += "".join(part["text"] for part in (item.get("summary") or []) + (item.get("content") or []))
    reason = (response.get("incomplete_details") or {}).get("reason")
    said.finish = finish_class(reason) or ("tool_calls" if said.calls else finish_class(response.get("status")))
    return said


def read_anthropic(values, _streaming):
    said, blocks = Said(), {}
    for value in values:
        kind = value.get("type")
        if kind == "message":
            blocks = dict(enumerate(value["content"]))
            said.finish = finish_class(value["stop_reason"])
        elif kind == "error":
            said.failed = True
        elif kind == "content_block_start":
            blocks[len(blocks)] = {"index": value["index"], "json": "", **value["content_block"]}
        elif kind == "content_block_delta":
            delta = value["delta"]
            block = next(block for block in reversed(blocks.values()) if block["index"] == value["index"])
            for name, source in (("text", "text"), ("thinking", "thinking"), ("json", "partial_json")):
                block[name] = block.get(name, "") + delta.get(source, "") if source in delta else block.get(name)
        elif kind == "message_delta":
            said.finish = finish_class(value["delta"].get("stop_reason")) or said.finish
    for block in blocks.values():
        if block["type"] == "tool_use":
            said.call(block["name"], arguments_value(block["json"]) if block.get("json") else block["input"])
        elif block["type"] == "text":
            said.text += block["text"]
        elif block["type"] == "thinking":
            said.reasoning += block["thinking"]
    return said


def read_gemini(values, _streaming):
    said = Said()
    for value in values:
        said.failed |= "error" in value
        if (value.get("promptFeedback") or {}).get("blockReason"):
            said.finish = "filter"
        for candidate in value.get("candidates") or []:
            if candidate.get("index"):
                continue
            for part in (candidate.get("content") or {}).get("parts") or []:
                if call := part.get("functionCall"):
                    said.call(call["name"], call.get("args") or {})
                elif part.get("thought"):
                    said.reasoning += part.get("text") or ""
                else:
                    said.text += part.get("text") or ""
            reason = candidate.get("finishReason")
            said.finish = finish_class("stop" if reason == 1 else reason) or said.finish
    if said.calls and said.finish == "stop":
        said.finish = "tool_calls"
    return said


READERS = {"openai": read_openai, "openai-responses": read_responses, "anthropic": read_anthropic, "gemini": read_gemini}
