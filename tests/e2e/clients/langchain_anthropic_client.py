"""langchain-anthropic: chat model, tool loop and structured output of LangChain over Anthropic's dialect."""

import asyncio
import time

import contract
from contract import check, equal

import anthropic
import httpx
import pydantic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_anthropic import ChatAnthropic

client = contract.Client("langchain-anthropic", "langchain-anthropic")


def chat_model(model=contract.MODEL, key=contract.API_KEY, **options):
    return ChatAnthropic(
        base_url=contract.ORIGIN, api_key=key, model=model, max_tokens=1024, max_retries=0, **options
    )


@tool
def get_weather(city: str) -> str:
    """The present weather of a city."""
    return f"{contract.WEATHER_RESULT} in {city}"


@tool
def get_time(city: str) -> str:
    """The local time of a city."""
    return f"noon in {city}"


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    """A weather forecast."""

    city: str
    days: list[Day]


def check_stream(chunks, text):
    """The chunks add up to `text` and to a stop; returns the sum."""
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    equal(total.text, text, "echo")
    equal(total.response_metadata.get("stop_reason"), "end_turn", "stop_reason")
    return total


def check_sum(usage):
    contract.check_usage(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])


@client.case
def chat():
    answer = chat_model(contract.ECHO_MODEL).invoke(contract.TRICKY_TEXT)
    equal(answer.content, contract.TRICKY_TEXT, "echo")
    equal(answer.response_metadata["stop_reason"], "end_turn", "stop_reason")
    check_sum(answer.usage_metadata)
    return f"echo exact, usage {answer.usage_metadata['total_tokens']} tokens"


@client.case
def stream():
    chunks = list(chat_model(contract.ECHO_MODEL).stream(contract.TRICKY_TEXT))
    check_stream(chunks, contract.TRICKY_TEXT)
    check(len(chunks) > 5, f"only {len(chunks)} chunks")
    return f"{len(chunks)} chunks, echo exact"


@client.case
def stream_usage():
    asked = check_stream(chat_model(contract.ECHO_MODEL, stream_usage=True).stream("hello there"), "hello there")
    check_sum(asked.usage_metadata)
    whole = chat_model(contract.ECHO_MODEL).invoke("hello there").usage_metadata
    equal(asked.usage_metadata["total_tokens"], whole["total_tokens"], "usage of the stream and of the whole answer")
    return f"{whole['total_tokens']} tokens, the same whole and streamed"


@client.case
def tools():
    answer = chat_model().bind_tools([get_weather, get_time]).invoke(contract.ASK_WEATHER)
    equal([call["name"] for call in answer.tool_calls], ["get_weather"], "tools called")
    equal(set(answer.tool_calls[0]["args"]), {"city"}, "argument names")
    equal(answer.invalid_tool_calls, [], "invalid calls")
    return f"called with {answer.tool_calls[0]['args']}"


@client.case
def tools_stream():
    total = None
    for chunk in chat_model().bind_tools([get_weather]).stream(contract.ASK_WEATHER):
        total = chunk if total is None else total + chunk
    equal([call["name"] for call in total.tool_calls], ["get_weather"], "tools called")
    equal(set(total.tool_calls[0]["args"]), {"city"}, "argument names")
    equal(total.invalid_tool_calls, [], "invalid calls")
    return f"called with {total.tool_calls[0]['args']}"


@client.case
def parallel_tools():
    answer = chat_model().bind_tools([get_weather, get_time]).invoke(contract.ASK_BOTH)
    equal(sorted(call["name"] for call in answer.tool_calls), ["get_time", "get_weather"], "tools called")
    total = None
    for chunk in chat_model().bind_tools([get_weather, get_time]).stream(contract.ASK_BOTH):
        total = chunk if total is None else total + chunk
    equal(sorted(call["name"] for call in total.tool_calls), ["get_time", "get_weather"], "tools called in a stream")
    return "two calls, whole and streamed"


@client.case
def structured():
    forecasts = {}
    for method in ("json_schema", "function_calling"):
        runnable = chat_model().with_structured_output(Forecast, method=method)
        forecasts[method] = runnable.invoke("Make up a forecast for Oslo")
        check(isinstance(forecasts[method], Forecast), f"{method} gave {forecasts[method]!r}")
    return f"json_schema and function_calling: {forecasts['json_schema'].model_dump_json()}"


@client.case
def multi_turn():
    model = chat_model().bind_tools([get_weather])
    messages = [HumanMessage(contract.ASK_WEATHER)]
    messages.append(model.invoke(messages))
    for call in messages[-1].tool_calls:
        result = get_weather.invoke(call)
        check(isinstance(result, ToolMessage), f"tool gave {result!r}")
        messages.append(result)
    answer = model.invoke(messages)
    check(contract.WEATHER_MARK in answer.content, f"answer is {answer.content!r}")
    return "tool result is in the final text"


@client.case
def error_auth():
    error = contract.raises(anthropic.AuthenticationError, lambda: chat_model(key=contract.WRONG_KEY).invoke("hello"))
    return f"AuthenticationError: {error.body['error']['message']}"


@client.case
def error_unknown_model():
    error = contract.raises(anthropic.NotFoundError, lambda: chat_model(contract.UNKNOWN_MODEL).invoke("hello"))
    return f"NotFoundError: {error.body['error']['message']}"


@client.case
def error_bad_request():
    model = chat_model(contract.fault(contract.CONTEXT_LENGTH))
    error = contract.raises(anthropic.BadRequestError, lambda: model.invoke("hello"))
    check("prompt is too long" in str(error), f"a full context window is told as {error}")
    return f"{type(error).__name__}: {error.body['error']['message']}"


@client.case
def error_rate_limit():
    model = chat_model(contract.fault(contract.RATE_LIMIT))
    error = contract.raises(anthropic.RateLimitError, lambda: model.invoke("hello"))
    check(float(error.response.headers["retry-after"]) >= 0, "no usable retry-after")
    return f"RateLimitError, retry-after {error.response.headers['retry-after']}"


@client.case
def error_mid_stream():
    seen = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        chunks = chat_model(contract.fault(name)).stream("hello")
        error = contract.raises((anthropic.APIError, httpx.TransportError), lambda: list(chunks))
        seen.append(f"{name}: {type(error).__name__}")
    return "; ".join(seen)


@client.case
def cancellation():
    chunks = chat_model(contract.fault(contract.ENDLESS)).stream("hello")
    for _ in range(3):
        next(chunks)
    started = time.monotonic()
    chunks.close()
    return contract.quick(started, "endless stream closed")


@client.case
async def async_client():
    answer = await chat_model(contract.ECHO_MODEL).ainvoke(contract.TRICKY_TEXT)
    equal(answer.content, contract.TRICKY_TEXT, "echo")
    chunks = [chunk async for chunk in chat_model(contract.ECHO_MODEL).astream(contract.TRICKY_TEXT)]
    check_stream(chunks, contract.TRICKY_TEXT)
    return "echo exact, whole and streamed"


@client.case
async def concurrent_streams():
    model = chat_model(contract.ECHO_MODEL)

    async def one(text):
        check_stream([chunk async for chunk in model.astream(text)], text)

    texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
    await asyncio.gather(*(one(text) for text in texts))
    return f"{len(texts)} streams at once, each with its own text"


if __name__ == "__main__":
    client.main()
