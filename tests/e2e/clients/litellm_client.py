"""litellm as a client library: it has its own reading of every answer, so it is a second opinion."""

import asyncio
import json
import os
import time

import contract
from contract import check, equal

# Otherwise the import waits for a price list from the net.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import pydantic  # noqa: E402

litellm.telemetry = False
litellm.suppress_debug_info = True

client = contract.Client("litellm", "litellm")


def request(text, model, key, fields):
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    base = {"model": f"openai/{model}", "api_base": contract.BASE_URL, "api_key": key, "messages": messages}
    return base | {"max_retries": 0, "num_retries": 0} | fields


def ask(text, model=contract.MODEL, key=contract.API_KEY, **fields):
    return litellm.completion(**request(text, model, key, fields))


async def ask_async(text, model=contract.MODEL, **fields):
    return await litellm.acompletion(**request(text, model, contract.API_KEY, fields))


def check_stream(chunks, text):
    got = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    equal(got, text, "echo")
    equal([finish for finish in finishes if finish], ["stop"], "finish reasons")


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    city: str
    days: list[Day]


@client.case
def chat():
    answer = ask(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(answer.choices[0].message.content, contract.TRICKY_TEXT, "echo")
    equal(answer.choices[0].finish_reason, "stop", "finish_reason")
    contract.check_usage(answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens)
    return f"echo exact, usage {answer.usage.total_tokens} tokens"


@client.case
def stream():
    chunks = list(ask(contract.TRICKY_TEXT, contract.ECHO_MODEL, stream=True))
    check_stream(chunks, contract.TRICKY_TEXT)
    return f"{len(chunks)} chunks, echo exact"


@client.case
def stream_usage():
    chunks = list(ask("hello there", contract.ECHO_MODEL, stream=True, stream_options={"include_usage": True}))
    usage = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None)]
    equal(len(usage), 1, "chunks with usage")
    contract.check_usage(usage[0].prompt_tokens, usage[0].completion_tokens, usage[0].total_tokens)
    whole = ask("hello there", contract.ECHO_MODEL).usage
    # litellm counts by itself when the upstream tells nothing; equality shows that it was told.
    equal(usage[0].total_tokens, whole.total_tokens, "usage of the stream and of the whole answer")
    return f"{usage[0].total_tokens} tokens"


@client.case
def tools():
    choice = ask(contract.ASK_WEATHER, tools=[contract.WEATHER_TOOL, contract.TIME_TOOL]).choices[0]
    equal(choice.finish_reason, "tool_calls", "finish_reason")
    equal([call.function.name for call in choice.message.tool_calls], ["get_weather"], "tools called")
    contract.check_weather_arguments(json.loads(choice.message.tool_calls[0].function.arguments))
    return choice.message.tool_calls[0].function.arguments


@client.case
def tools_stream():
    chunks = list(ask(contract.ASK_WEATHER, tools=[contract.WEATHER_TOOL], stream=True))
    choice = litellm.stream_chunk_builder(chunks).choices[0]
    equal(choice.finish_reason, "tool_calls", "finish_reason")
    equal([call.function.name for call in choice.message.tool_calls], ["get_weather"], "tools called")
    contract.check_weather_arguments(json.loads(choice.message.tool_calls[0].function.arguments))
    return choice.message.tool_calls[0].function.arguments


@client.case
def parallel_tools():
    both = [contract.WEATHER_TOOL, contract.TIME_TOOL]
    whole = ask(contract.ASK_BOTH, tools=both)
    streamed = litellm.stream_chunk_builder(list(ask(contract.ASK_BOTH, tools=both, stream=True)))
    for answer in (whole, streamed):
        calls = answer.choices[0].message.tool_calls
        equal(sorted(call.function.name for call in calls), ["get_time", "get_weather"], "tools called")
        equal([type(json.loads(call.function.arguments)) for call in calls], [dict, dict], "arguments")
    return "two calls, whole and streamed"


@client.case
def structured():
    answer = ask("Make up a forecast for Oslo", response_format=Forecast).choices[0].message.content
    forecast = Forecast.model_validate_json(answer)
    return f"parsed: {forecast.model_dump_json()}"


@client.case
def multi_turn():
    messages = [{"role": "user", "content": contract.ASK_WEATHER}]
    first = ask(messages, tools=[contract.WEATHER_TOOL]).choices[0].message
    messages.append(first.model_dump(exclude_none=True))
    call_id = first.tool_calls[0].id
    messages.append({"role": "tool", "tool_call_id": call_id, "content": contract.WEATHER_RESULT})
    answer = ask(messages, tools=[contract.WEATHER_TOOL]).choices[0].message.content
    check(contract.WEATHER_MARK in answer, f"answer is {answer!r}")
    return "tool result is in the final text"


@client.case
def models_list():
    models = litellm.get_valid_models(
        check_provider_endpoint=True,
        custom_llm_provider="openai",
        api_key=contract.API_KEY,
        api_base=contract.BASE_URL.removesuffix("/v1"),
    )
    check(any(name.endswith(contract.MODEL) for name in models), f"{contract.MODEL} is not among {models[:20]}")
    return f"{len(models)} models, {contract.MODEL} among them"


@client.case
def error_auth():
    error = contract.raises(litellm.AuthenticationError, lambda: ask("hello", key=contract.WRONG_KEY))
    return f"AuthenticationError: {error.message}"


@client.case
def error_unknown_model():
    error = contract.raises(litellm.NotFoundError, lambda: ask("hello", contract.UNKNOWN_MODEL))
    return f"NotFoundError: {error.message}"


@client.case
def error_bad_request():
    # litellm recognises this one by the code and the words of the error, so both must survive.
    model = contract.fault(contract.CONTEXT_LENGTH)
    error = contract.raises(litellm.ContextWindowExceededError, lambda: ask("hello", model))
    return f"ContextWindowExceededError: {error.message}"


@client.case
def error_rate_limit():
    error = contract.raises(litellm.RateLimitError, lambda: ask("hello", contract.fault(contract.RATE_LIMIT)))
    retry_after = error.litellm_response_headers["retry-after"]
    check(float(retry_after) >= 0, f"retry-after is {retry_after!r}")
    return f"RateLimitError, retry-after {retry_after}"


@client.case
def error_mid_stream():
    seen = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        chunks = ask("hello", contract.fault(name), stream=True)
        error = contract.raises(Exception, lambda: list(chunks))
        check(type(error).__module__.startswith("litellm"), f"{name}: not litellm's own error: {error!r}")
        seen.append(f"{name}: {type(error).__name__}")
    return "; ".join(seen)


@client.case
async def cancellation():
    chunks = await ask_async("hello", contract.fault(contract.ENDLESS), stream=True)
    for _ in range(3):
        await anext(chunks)
    started = time.monotonic()
    await chunks.aclose()
    return contract.quick(started, "endless stream closed")


@client.case
async def async_client():
    answer = await ask_async(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(answer.choices[0].message.content, contract.TRICKY_TEXT, "echo")
    chunks = [chunk async for chunk in await ask_async(contract.TRICKY_TEXT, contract.ECHO_MODEL, stream=True)]
    check_stream(chunks, contract.TRICKY_TEXT)
    return "echo exact, whole and streamed"


@client.case
async def concurrent_streams():
    async def one(text):
        chunks = [chunk async for chunk in await ask_async(text, contract.ECHO_MODEL, stream=True)]
        check_stream(chunks, text)

    texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
    await asyncio.gather(*(one(text) for text in texts))
    return f"{len(texts)} streams at once, each with its own text"


if __name__ == "__main__":
    client.main()
