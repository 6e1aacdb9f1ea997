"""openai-python: the SDK most applications speak, blocking and async."""

import asyncio
import enum
import json
import time

import contract
from contract import check, equal

import httpx
import openai
import pydantic

client = contract.Client("openai-python", "openai")


def sdk(key=contract.API_KEY, **options):
    return openai.OpenAI(base_url=contract.BASE_URL, api_key=key, max_retries=0, **options)


def async_sdk():
    return openai.AsyncOpenAI(base_url=contract.BASE_URL, api_key=contract.API_KEY, max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def ask(text, model=contract.MODEL, **fields):
    return sdk().chat.completions.create(model=model, messages=user(text), **fields)


def collect(chunks):
    """The text and the finish reason of a stream."""
    text, finish = "", None
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish


class Sky(enum.Enum):
    CLEAR = "clear"
    CLOUDY = "cloudy"


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int
    sky: Sky


class Forecast(pydantic.BaseModel):
    city: str
    days: list[Day]
    warning: str | None


class GetWeather(pydantic.BaseModel):
    """The present weather of a city."""

    city: str
    sky: Sky


@client.case
def chat():
    answer = ask(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(answer.object, "chat.completion", "object")
    equal(answer.choices[0].message.role, "assistant", "role")
    equal(answer.choices[0].message.content, contract.TRICKY_TEXT, "echo")
    equal(answer.choices[0].finish_reason, "stop", "finish_reason")
    contract.check_usage(answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens)
    prose = ask("Say hello in one sentence.").choices[0].message.content
    check(len(prose) > 10, f"answer is {prose!r}")
    return f"echo exact, usage {answer.usage.total_tokens} tokens"


@client.case
def length():
    answer = ask("Write a long story about a lighthouse.", max_completion_tokens=5)
    equal(answer.choices[0].finish_reason, "length", "finish_reason")
    check(answer.usage.completion_tokens <= 5, f"{answer.usage.completion_tokens} completion tokens")
    return f"{answer.usage.completion_tokens} tokens, finish_reason length"


@client.case
def stream():
    with ask(contract.TRICKY_TEXT, contract.ECHO_MODEL, stream=True) as answer:
        chunks = list(answer)
    text, finish = collect(chunks)
    equal(text, contract.TRICKY_TEXT, "echo")
    equal(finish, "stop", "finish_reason")
    equal({chunk.object for chunk in chunks}, {"chat.completion.chunk"}, "object")
    equal(len({chunk.id for chunk in chunks}), 1, "number of different ids")
    equal(chunks[0].choices[0].delta.role, "assistant", "role of the first chunk")
    check(len(chunks) > 5, f"only {len(chunks)} chunks")
    return f"{len(chunks)} chunks, echo exact"


@client.case
def stream_usage():
    chunks = list(ask("hello there", contract.ECHO_MODEL, stream=True, stream_options={"include_usage": True}))
    with_usage = [chunk for chunk in chunks if chunk.usage]
    equal(len(with_usage), 1, "chunks with usage")
    check(chunks[-1] is with_usage[0], "usage is not in the last chunk")
    equal(chunks[-1].choices, [], "choices of the usage chunk")
    usage = chunks[-1].usage
    contract.check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    whole = ask("hello there", contract.ECHO_MODEL).usage
    equal(usage.total_tokens, whole.total_tokens, "usage of the stream and of the whole answer")

    chunks = list(ask("hello there", contract.ECHO_MODEL, stream=True))
    check(not any(chunk.usage for chunk in chunks), "usage that nobody asked for")
    check(all(chunk.choices for chunk in chunks), "a chunk without choices that nobody asked for")
    return f"asked: last chunk, {usage.total_tokens} tokens; not asked: none"


@client.case
def tools():
    choice = ask(contract.ASK_WEATHER, tools=[contract.WEATHER_TOOL, contract.TIME_TOOL]).choices[0]
    equal(choice.finish_reason, "tool_calls", "finish_reason")
    equal([call.function.name for call in choice.message.tool_calls], ["get_weather"], "tools called")
    contract.check_weather_arguments(json.loads(choice.message.tool_calls[0].function.arguments))
    check(choice.message.tool_calls[0].id, "the call has no id")

    forced = {"type": "function", "function": {"name": "get_time"}}
    choice = ask("Hello", tools=[contract.WEATHER_TOOL, contract.TIME_TOOL], tool_choice=forced).choices[0]
    equal([call.function.name for call in choice.message.tool_calls], ["get_time"], "forced tool")

    choice = ask(contract.ASK_WEATHER, tools=[contract.WEATHER_TOOL], tool_choice="none").choices[0]
    equal(choice.message.tool_calls, None, "tool calls with tool_choice none")
    return "chosen, forced and forbidden"


@client.case
def tools_parsed():
    tool = openai.pydantic_function_tool(GetWeather)
    answer = sdk().chat.completions.parse(
        model=contract.MODEL, messages=user("Use GetWeather for Paris"), tools=[tool]
    )
    parsed = answer.choices[0].message.tool_calls[0].function.parsed_arguments
    check(isinstance(parsed, GetWeather), f"parsed arguments are {parsed!r}")
    return f"arguments parsed as {parsed!r}"


@client.case
def tools_stream():
    arguments, names, ids, pieces, finish = "", [], [], 0, None
    for chunk in ask(contract.ASK_WEATHER, tools=[contract.WEATHER_TOOL], stream=True):
        choice = chunk.choices[0]
        finish = choice.finish_reason or finish
        for call in choice.delta.tool_calls or []:
            equal(call.index, 0, "index of the call")
            names += [call.function.name] if call.function.name else []
            ids += [call.id] if call.id else []
            arguments += call.function.arguments or ""
            pieces += bool(call.function.arguments)
    equal(names, ["get_weather"], "tools called")
    equal(len(ids), 1, "number of ids")
    equal(finish, "tool_calls", "finish_reason")
    contract.check_weather_arguments(json.loads(arguments))
    return f"arguments in {pieces} pieces: {arguments}"


@client.case
def parallel_tools():
    both = [contract.WEATHER_TOOL, contract.TIME_TOOL]
    calls = ask(contract.ASK_BOTH, tools=both).choices[0].message.tool_calls
    equal(sorted(call.function.name for call in calls), ["get_time", "get_weather"], "tools called")
    equal(len({call.id for call in calls}), 2, "number of different ids")

    with sdk().chat.completions.stream(model=contract.MODEL, messages=user(contract.ASK_BOTH), tools=both) as events:
        done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    equal(sorted(event.name for event in done), ["get_time", "get_weather"], "tools called in a stream")
    equal(sorted(event.index for event in done), [0, 1], "indices in a stream")
    for event in done:
        check(isinstance(json.loads(event.arguments), dict), f"arguments are {event.arguments!r}")

    single = ask(contract.ASK_BOTH, tools=both, parallel_tool_calls=False).choices[0].message.tool_calls
    equal(len(single), 1, "calls with parallel_tool_calls false")
    return "two calls whole and streamed, one when not allowed"


@client.case
def structured():
    question = user("Make up a forecast for Oslo")
    answer = sdk().chat.completions.parse(model=contract.MODEL, messages=question, response_format=Forecast)
    forecast = answer.choices[0].message.parsed
    check(isinstance(forecast, Forecast), f"parsed is {forecast!r}")
    equal(answer.choices[0].finish_reason, "stop", "finish_reason")

    anything = ask("Answer in JSON", response_format={"type": "json_object"}).choices[0].message.content
    check(isinstance(json.loads(anything), dict), f"json_object gave {anything!r}")
    return f"parsed: {forecast.model_dump_json()}"


@client.case
def structured_stream():
    question = user("Make up a forecast for Oslo")
    with sdk().chat.completions.stream(model=contract.MODEL, messages=question, response_format=Forecast) as events:
        for _ in events:
            pass
        forecast = events.get_final_completion().choices[0].message.parsed
    check(isinstance(forecast, Forecast), f"parsed is {forecast!r}")
    return f"parsed: {forecast.model_dump_json()}"


@client.case
def multi_turn():
    messages = user(contract.ASK_WEATHER)
    first = sdk().chat.completions.create(model=contract.MODEL, messages=messages, tools=[contract.WEATHER_TOOL])
    call = first.choices[0].message.tool_calls[0]
    messages.append(first.choices[0].message)
    messages.append({"role": "tool", "tool_call_id": call.id, "content": contract.WEATHER_RESULT})
    last = sdk().chat.completions.create(model=contract.MODEL, messages=messages, tools=[contract.WEATHER_TOOL])
    equal(last.choices[0].finish_reason, "stop", "finish_reason")
    check(contract.WEATHER_MARK in last.choices[0].message.content, f"answer is {last.choices[0].message.content!r}")
    return "tool result is in the final text"


@client.case
def awkward_streams():
    lengths = []
    for name in contract.AWKWARD:
        text, finish = collect(ask("Tell me about Grüße", contract.fault(name), stream=True))
        equal(finish, "stop", f"finish_reason of {name}")
        check(len(text) > 10, f"{name}: text is {text!r}")
        lengths.append(f"{name} {len(text)}")

    arguments = ""
    model = contract.fault(contract.SPLIT_ARGUMENTS)
    for chunk in ask(contract.ASK_WEATHER, model, tools=[contract.WEATHER_TOOL], stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            arguments += call.function.arguments or ""
    contract.check_weather_arguments(json.loads(arguments))
    return f"characters: {', '.join(lengths)}; split arguments whole"


@client.case
def models_list():
    models = {model.id for model in sdk().models.list()}
    check(contract.MODEL in models, f"{contract.MODEL} is not among {sorted(models)[:20]}")
    return f"{len(models)} models, {contract.MODEL} among them"


@client.case
def error_auth():
    def call():
        return sdk(contract.WRONG_KEY).chat.completions.create(model=contract.MODEL, messages=user("hello"))

    error = contract.raises(openai.AuthenticationError, call)
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    contract.raises(openai.AuthenticationError, lambda: sdk(contract.WRONG_KEY).models.list())
    return f"AuthenticationError: {error.message}"


@client.case
def error_unknown_model():
    error = contract.raises(openai.NotFoundError, lambda: ask("hello", contract.UNKNOWN_MODEL))
    equal(error.code, "model_not_found", "code")
    contract.raises(openai.NotFoundError, lambda: ask("hello", contract.UNKNOWN_MODEL, stream=True))
    return f"NotFoundError: {error.message}"


@client.case
def error_bad_request():
    # `omit` is how the SDK itself leaves out a field.
    error = contract.raises(
        openai.BadRequestError,
        lambda: sdk().chat.completions.create(model=contract.MODEL, messages=openai.omit),
    )
    check(isinstance(error.body, dict) and error.body.get("message"), f"body is {error.body!r}")
    equal(error.type, "invalid_request_error", "type")
    return f"BadRequestError: {error.message}"


@client.case
def error_rate_limit():
    error = contract.raises(openai.RateLimitError, lambda: ask("hello", contract.fault(contract.RATE_LIMIT)))
    check(float(error.response.headers["retry-after"]) >= 0, "no usable retry-after")
    contract.raises(openai.RateLimitError, lambda: ask("hello", contract.fault(contract.RATE_LIMIT), stream=True))
    return f"RateLimitError, retry-after {error.response.headers['retry-after']}"


@client.case
def error_server():
    error = contract.raises(openai.InternalServerError, lambda: ask("hello", contract.fault(contract.SERVER_ERROR)))
    return f"InternalServerError {error.status_code}: {error.message}"


@client.case
def error_mid_stream():
    seen = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        events = ask("hello", contract.fault(name), stream=True)
        # A cut that reaches the client as a cut is httpx's to tell; an error event is the SDK's.
        error = contract.raises((openai.APIError, httpx.TransportError), lambda: collect(events))
        seen.append(f"{name}: {type(error).__name__}")
    return "; ".join(seen)


@client.case
def error_no_ending():
    events = ask("hello", contract.fault(contract.NO_ENDING), stream=True)
    try:
        _, finish = collect(events)
    except (openai.APIError, httpx.TransportError) as error:
        return f"raised {type(error).__name__}"
    equal(finish, None, "finish_reason of a stream that never ended")
    return "ended without a finish_reason"


@client.case
def cancellation():
    events = iter(ask("hello", contract.fault(contract.ENDLESS), stream=True))
    received = [next(events) for _ in range(3)]
    equal(len(received), 3, "chunks before the break")
    started = time.monotonic()
    events.close()
    return contract.quick(started, "endless stream closed")


@client.case
async def async_cancellation():
    reached = asyncio.Event()

    async def read():
        async with async_sdk() as sdk:
            events = await sdk.chat.completions.create(
                model=contract.fault(contract.STALL), messages=user("hello"), stream=True
            )
            async for _ in events:
                reached.set()

    reader = asyncio.create_task(read())
    await reached.wait()
    await asyncio.sleep(0.1)
    check(not reader.done(), "the stream did not stall")
    started = time.monotonic()
    reader.cancel()
    try:
        await reader
    except asyncio.CancelledError:
        return contract.quick(started, "stalled stream cancelled")
    raise AssertionError("the reader was not cancelled")


@client.case
async def async_client():
    async with async_sdk() as sdk:
        answer = await sdk.chat.completions.create(model=contract.ECHO_MODEL, messages=user(contract.TRICKY_TEXT))
        equal(answer.choices[0].message.content, contract.TRICKY_TEXT, "echo")
        return "echo exact, " + await stream_echo(sdk, contract.TRICKY_TEXT)


@client.case
async def concurrent_streams():
    async with async_sdk() as sdk:
        texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
        await asyncio.gather(*(stream_echo(sdk, text) for text in texts))
    return f"{len(texts)} streams at once, each with its own text"


async def stream_echo(sdk, text):
    got, finish = "", None
    async for chunk in await sdk.chat.completions.create(model=contract.ECHO_MODEL, messages=user(text), stream=True):
        got += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
    equal(got, text, "streamed echo")
    equal(finish, "stop", "finish_reason")
    return "streamed echo exact"


if __name__ == "__main__":
    client.main()
