#!/usr/bin/env python3
"""The helpers of the official SDKs, and two agent frameworks, with every upstream's dialect.

    DIR/bin/python tests/sdk/helpers.py --bin target/debug/tollgate [--only TEXT]

Each helper is used as its documentation shows, once for each of the four dialects that an upstream can speak: streams that are
put together, parsed answers, loops that call tools until there is an answer. The simulated provider refuses thoughts and calls
whose signatures do not come back to it as it made them. Ends with a line 'N passed, N failed', and with status 1 if something
failed.
"""
import argparse
import asyncio
import json
import os
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
from google import genai
from google.genai import types
from pydantic import BaseModel

from gateway import Tally
from pairs import MODELS, Pairs

# The simulated provider calls the tools that stand in backticks, and takes the last name for an argument.
BOTH = "Please ask `get_weather` and `get_time` about Paris"
EXPECTED = "simulated answer"
# The simulated provider takes its time for every token.
WORKERS = 8


class City(BaseModel):
    """What is asked for as a structured answer."""
    name: str
    inhabitants: int


class Tools:
    """Two tools, and what they were asked."""

    def __init__(self):
        self.asked = []

    def get_weather(self, city: str) -> str:
        """The weather of a city.

        Args:
            city: Its name.
        """
        self.asked.append(("get_weather", city))
        return "18 C"

    def get_time(self, city: str) -> str:
        """The time in a city.

        Args:
            city: Its name.
        """
        self.asked.append(("get_time", city))
        return "noon"

    def check(self, said):
        assert sorted(self.asked) == [("get_time", "Paris"), ("get_weather", "Paris")], self.asked
        assert EXPECTED in said, said


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


class Sdks:
    """The clients, pointed at the gateway."""

    def __init__(self, url, key):
        self.url, self.key = url, key
        self.openai = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        self.gemini = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))


# --- OpenAI ---

def chat_stream(sdks, model):
    with sdks.openai.chat.completions.stream(
            model=model, messages=[{"role": "user", "content": "Hello"}], stream_options={"include_usage": True}) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "content.delta")
        answer = stream.get_final_completion()
    assert EXPECTED in deltas and answer.choices[0].message.content == deltas
    assert answer.choices[0].finish_reason == "stop" and answer.usage.completion_tokens > 0


def chat_stream_parsed(sdks, model):
    with sdks.openai.chat.completions.stream(
            model=model, messages=[{"role": "user", "content": "About Paris"}], response_format=City) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].message.parsed.name == "Paris", answer


def chat_parse(sdks, model):
    answer = sdks.openai.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "About Paris"}], response_format=City)
    assert answer.choices[0].message.parsed.name == "Paris", answer


def chat_stream_tools(sdks, model):
    """Streamed calls, parsed by the helper, until there is an answer."""
    tools, messages = Tools(), [{"role": "user", "content": BOTH}]
    offered = [openai.pydantic_function_tool(WeatherOf, name="get_weather"), openai.pydantic_function_tool(TimeOf, name="get_time")]
    for _ in range(4):
        with sdks.openai.chat.completions.stream(model=model, messages=messages, tools=offered) as stream:
            kinds = {event.type for event in stream}
            message = stream.get_final_completion().choices[0].message
        if not message.tool_calls:
            return tools.check(message.content)
        assert "tool_calls.function.arguments.done" in kinds, kinds
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = getattr(tools, call.function.name)(call.function.parsed_arguments.city)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise AssertionError("the loop does not end")


class WeatherOf(BaseModel):
    """The weather of a city."""
    city: str


class TimeOf(BaseModel):
    """The time in a city."""
    city: str


def responses_stream(sdks, model):
    with sdks.openai.responses.stream(model=model, input="Hello", reasoning={"effort": "low", "summary": "auto"}) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        answer = stream.get_final_response()
    assert EXPECTED in deltas and answer.output_text == deltas and answer.status == "completed"


def responses_parse(sdks, model):
    answer = sdks.openai.responses.parse(model=model, input="About Paris", text_format=City)
    assert answer.output_parsed.name == "Paris", answer


def responses_stream_parsed(sdks, model):
    with sdks.openai.responses.stream(model=model, input="About Paris", text_format=City) as stream:
        answer = stream.get_final_response()
    assert answer.output_parsed.name == "Paris", answer


def responses_loop(sdks, model):
    """Without a store: everything goes back, encrypted thoughts too."""
    tools, items = Tools(), [{"role": "user", "content": BOTH}]
    offered = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": True} for name in ("get_weather", "get_time")]
    for _ in range(4):
        answer = sdks.openai.responses.create(
            model=model, input=items, tools=offered, store=False, include=["reasoning.encrypted_content"],
            reasoning={"effort": "medium", "summary": "auto"})
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            return tools.check(answer.output_text)
        items += [item.model_dump(exclude_none=True) for item in answer.output]
        for call in calls:
            result = getattr(tools, call.name)(json.loads(call.arguments)["city"])
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    raise AssertionError("the loop does not end")


# --- Anthropic ---

THINKING = {"type": "enabled", "budget_tokens": 1024}


def messages_stream(sdks, model):
    with sdks.anthropic.messages.stream(model=model, max_tokens=4000, thinking=THINKING,
                                        messages=[{"role": "user", "content": "Hello"}]) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert EXPECTED in text and answer.stop_reason == "end_turn" and answer.usage.output_tokens > 0
    assert answer.content[-1].type == "text", answer.content


def messages_parse(sdks, model):
    answer = sdks.anthropic.messages.parse(
        model=model, max_tokens=500, messages=[{"role": "user", "content": "About Paris"}], output_format=City)
    assert answer.parsed_output.name == "Paris", answer


def tool_runner(sdks, model, stream=False, **more):
    tools = Tools()
    offered = [anthropic.beta_tool(tools.get_weather), anthropic.beta_tool(tools.get_time)]
    runner = sdks.anthropic.beta.messages.tool_runner(
        model=model, max_tokens=4000, tools=offered, messages=[{"role": "user", "content": BOTH}], stream=stream, **more)
    answer = None
    for turn in runner:
        answer = turn.get_final_message() if stream else turn
    tools.check("".join(block.text for block in answer.content if block.type == "text"))


def tool_runner_stream(sdks, model):
    tool_runner(sdks, model, stream=True, thinking=THINKING)


def tool_runner_thinking(sdks, model):
    tool_runner(sdks, model, thinking=THINKING)


# --- Google ---

def chat_session(sdks, model):
    chat = sdks.gemini.chats.create(model=model, config=types.GenerateContentConfig(system_instruction="Be brief."))
    assert EXPECTED in chat.send_message("Hello").text
    assert EXPECTED in "".join(chunk.text or "" for chunk in chat.send_message_stream("Again"))
    assert EXPECTED in chat.send_message("Thank you").text


def generate_parsed(sdks, model):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    answer = sdks.gemini.models.generate_content(model=model, contents="About Paris", config=config)
    assert answer.parsed.name == "Paris", answer


def automatic_calling(sdks, model):
    tools = Tools()
    config = types.GenerateContentConfig(tools=[tools.get_weather, tools.get_time],
                                         thinking_config=types.ThinkingConfig(include_thoughts=True))
    tools.check(sdks.gemini.models.generate_content(model=model, contents=BOTH, config=config).text)


def automatic_calling_stream(sdks, model):
    tools = Tools()
    config = types.GenerateContentConfig(tools=[tools.get_weather, tools.get_time])
    chat = sdks.gemini.chats.create(model=model, config=config)
    tools.check("".join(chunk.text or "" for chunk in chat.send_message_stream(BOTH)))
    assert EXPECTED in chat.send_message("Thank you").text


HELPERS = [chat_stream, chat_stream_parsed, chat_parse, chat_stream_tools, responses_stream, responses_parse,
           responses_stream_parsed, responses_loop, messages_stream, messages_parse, tool_runner, tool_runner_stream,
           tool_runner_thinking, chat_session, generate_parsed, automatic_calling, automatic_calling_stream]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", type=os.path.abspath, required=True, help="the built gateway")
    arguments.add_argument("--only", help="only what contains this")
    chosen = arguments.parse_args()
    from agents import AGENTS
    tally = Tally(chosen.only)
    with tempfile.TemporaryDirectory() as folder, Pairs(chosen.bin, folder) as pairs, ThreadPoolExecutor(WORKERS) as pool:
        sdks = Sdks(pairs.url, pairs.key)

        def run(pair):
            ask, model = pair
            # The frameworks keep connections that belong to a loop: theirs is one for all.
            finish = in_loop if asyncio.iscoroutinefunction(ask) else lambda done: done
            tally.run(f"{ask.__name__} -> {model}", lambda: finish(ask(sdks, model)))

        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        in_loop = lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result()
        list(pool.map(run, [(ask, model) for ask in HELPERS + AGENTS for model in MODELS]))
    return tally.verdict()


if __name__ == "__main__":
    sys.exit(main())
