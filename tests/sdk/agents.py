"""Agents of two frameworks, with tools, by each of the SDKs that they are built on. (LangChain's package for Google's SDK wants
another generation of that SDK than the one that the other programs here are for.)"""
import langchain.agents
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

import helpers


# --- pydantic-ai ---

async def _pydantic(model, settings=None):
    """Tools, then a second question with the whole history, in a stream, then a typed answer."""
    tools = helpers.Tools()
    agent = Agent(model, tools=[tools.get_weather, tools.get_time], instructions="Be brief.", model_settings=settings)
    first = await agent.run(helpers.BOTH)
    tools.check(first.output)
    asked = len(tools.asked)
    async with agent.run_stream(helpers.BOTH, message_history=first.all_messages()) as second:
        said = await second.get_output()
    assert helpers.EXPECTED in said and len(tools.asked) == asked + 2, (said, tools.asked)
    typed = await Agent(model, output_type=helpers.City).run("About Paris")
    assert typed.output.name == "Paris", typed


async def pydantic_ai_chat(sdks, model):
    await _pydantic(OpenAIChatModel(model, provider=OpenAIProvider(base_url=sdks.url + "/v1", api_key=sdks.key)))


async def pydantic_ai_responses(sdks, model):
    settings = OpenAIResponsesModelSettings(openai_reasoning_effort="low", openai_reasoning_summary="auto", openai_store=False)
    provider = OpenAIProvider(base_url=sdks.url + "/v1", api_key=sdks.key)
    await _pydantic(OpenAIResponsesModel(model, provider=provider), settings)


async def pydantic_ai_anthropic(sdks, model):
    settings = AnthropicModelSettings(max_tokens=4000, anthropic_thinking=helpers.THINKING)
    await _pydantic(AnthropicModel(model, provider=AnthropicProvider(base_url=sdks.url, api_key=sdks.key)), settings)


async def pydantic_ai_google(sdks, model):
    await _pydantic(GoogleModel(model, provider=GoogleProvider(base_url=sdks.url, api_key=sdks.key)))


# --- LangChain ---

async def _langchain(model):
    """Tools, then the same conversation again, in a stream, then a typed answer."""
    tools = helpers.Tools()
    agent = langchain.agents.create_agent(model, tools=[tools.get_weather, tools.get_time], system_prompt="Be brief.")
    state = await agent.ainvoke({"messages": [{"role": "user", "content": helpers.BOTH}]})
    tools.check(state["messages"][-1].text)
    again = {"messages": state["messages"] + [{"role": "user", "content": helpers.BOTH}]}
    pieces = [piece.text async for piece, _ in agent.astream(again, stream_mode="messages") if piece.type == "AIMessageChunk"]
    assert helpers.EXPECTED in "".join(pieces) and len(tools.asked) == 4, (pieces, tools.asked)
    typed = await model.with_structured_output(helpers.City).ainvoke("About Paris")
    assert typed.name == "Paris", typed


async def langchain_chat(sdks, model):
    await _langchain(ChatOpenAI(model=model, base_url=sdks.url + "/v1", api_key=sdks.key, max_retries=0))


async def langchain_responses(sdks, model):
    await _langchain(ChatOpenAI(
        model=model, base_url=sdks.url + "/v1", api_key=sdks.key, max_retries=0, use_responses_api=True, store=False,
        include=["reasoning.encrypted_content"], reasoning={"effort": "low", "summary": "auto"}))


async def langchain_anthropic(sdks, model):
    await _langchain(ChatAnthropic(model=model, base_url=sdks.url, api_key=sdks.key, max_retries=0, max_tokens=4000))


AGENTS = [pydantic_ai_chat, pydantic_ai_responses, pydantic_ai_anthropic, pydantic_ai_google,
          langchain_chat, langchain_responses, langchain_anthropic]
