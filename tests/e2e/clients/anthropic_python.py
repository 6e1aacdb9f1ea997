"""anthropic-python: Anthropic's own SDK, blocking and async, with its accumulating stream helper."""

import asyncio
import json
import time

import contract
from contract import check, equal

import anthropic
import httpx
import pydantic

client = contract.Client("anthropic-python", "anthropic")

MAX_TOKENS = 1024


def sdk(key=contract.API_KEY):
    return anthropic.Anthropic(base_url=contract.ORIGIN, api_key=key, max_retries=0)


def async_sdk():
    return anthropic.AsyncAnthropic(base_url=contract.ORIGIN, api_key=contract.API_KEY, max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def fields(text, model=contract.MODEL, **more):
    return {"model": model, "max_tokens": MAX_TOKENS, "messages": user(text), **more}


def ask(text, model=contract.MODEL, **more):
    return sdk().messages.create(**fields(text, model, **more))


def tool(declared):
    function = declared["function"]
    return {
        "name": function["name"],
        "description": function["description"],
        "input_schema": contract.parameters(declared),
    }


WEATHER_TOOL = tool(contract.WEATHER_TOOL)
TIME_TOOL = tool(contract.TIME_TOOL)
BOTH_TOOLS = [WEATHER_TOOL, TIME_TOOL]


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    city: str
    days: list[Day]
    warning: str | None


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message):
    return [block for block in message.content if block.type == "tool_use"]


def names_of(message):
    return sorted(call.name for call in calls_of(message))


def check_order(events):
    """One start, blocks that open and close in turn under indices without a gap, one delta and one stop at the end."""
    kinds = [event.type for event in events if event.type != "ping"]
    equal(kinds[0], "message_start", "first event")
    equal(kinds[-2:], ["message_delta", "message_stop"], "last events")
    for kind in ("message_start", "message_delta", "message_stop"):
        equal(kinds.count(kind), 1, f"number of {kind}")
    open_block, next_index = None, 0
    for event in events:
        if event.type == "content_block_start":
            equal(open_block, None, "block that is still open")
            equal(event.index, next_index, "index of a block")
            open_block, next_index = event.index, next_index + 1
        elif event.type in ("content_block_delta", "content_block_stop"):
            equal(event.index, open_block, f"index of a {event.type}")
            if event.type == "content_block_stop":
                open_block = None
    equal(open_block, None, "block that was not closed")


def streamed(text, model=contract.MODEL, **more):
    """The events of a raw stream, in order as they should be."""
    with ask(text, model, stream=True, **more) as stream:
        events = list(stream)
    check_order(events)
    return events


def final(text, model=contract.MODEL, **more):
    """The message that the stream helper adds up."""
    with sdk().messages.stream(**fields(text, model, **more)) as stream:
        return stream.get_final_message()


def check_counts(usage):
    check(usage.input_tokens > 0, f"input tokens: {usage.input_tokens!r}")
    check(usage.output_tokens > 0, f"output tokens: {usage.output_tokens!r}")


@client.case
def chat():
    answer = ask(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(answer.type, "message", "type")
    equal(answer.role, "assistant", "role")
    equal([block.type for block in answer.content], ["text"], "blocks")
    equal(text_of(answer), contract.TRICKY_TEXT, "echo")
    equal(answer.stop_reason, "end_turn", "stop_reason")
    check(answer.id, "the message has no id")
    check_counts(answer.usage)
    prose = text_of(ask("Say hello in one sentence.", system="Be brief."))
    check(len(prose) > 10, f"answer is {prose!r}")
    return f"echo exact, usage {answer.usage.input_tokens} + {answer.usage.output_tokens} tokens"


@client.case
def length():
    answer = ask("Write a long story about a lighthouse.", max_tokens=5)
    equal(answer.stop_reason, "max_tokens", "stop_reason")
    check(answer.usage.output_tokens <= 5, f"{answer.usage.output_tokens} output tokens")
    return f"{answer.usage.output_tokens} tokens, stop_reason max_tokens"


@client.case
def stream():
    events = streamed(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    equal("".join(delta.text for delta in deltas), contract.TRICKY_TEXT, "echo")
    check(len(deltas) > 5, f"only {len(deltas)} deltas")
    message = final(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(text_of(message), contract.TRICKY_TEXT, "echo of the helper")
    equal(message.stop_reason, "end_turn", "stop_reason")
    return f"{len(events)} events in order, echo exact"


@client.case
def stream_usage():
    message = final("hello there", contract.ECHO_MODEL)
    check_counts(message.usage)
    whole = ask("hello there", contract.ECHO_MODEL).usage
    equal(message.usage.input_tokens, whole.input_tokens, "input tokens of the stream and of the whole answer")
    equal(message.usage.output_tokens, whole.output_tokens, "output tokens of the stream and of the whole answer")
    return f"{whole.input_tokens} + {whole.output_tokens} tokens, the same whole and streamed"


@client.case
def tools():
    answer = ask(contract.ASK_WEATHER, tools=BOTH_TOOLS)
    equal(answer.stop_reason, "tool_use", "stop_reason")
    equal(names_of(answer), ["get_weather"], "tools called")
    contract.check_weather_arguments(calls_of(answer)[0].input)
    check(calls_of(answer)[0].id, "the call has no id")

    forced = ask("Hello", tools=BOTH_TOOLS, tool_choice={"type": "tool", "name": "get_time"})
    equal(names_of(forced), ["get_time"], "forced tool")
    any_tool = ask(contract.ASK_WEATHER, tools=BOTH_TOOLS, tool_choice={"type": "any"})
    equal(names_of(any_tool), ["get_weather"], "tool with tool_choice any")
    forbidden = ask(contract.ASK_WEATHER, tools=BOTH_TOOLS, tool_choice={"type": "none"})
    equal(names_of(forbidden), [], "tool calls with tool_choice none")
    return "chosen, forced and forbidden"


@client.case
def tools_stream():
    events = streamed(contract.ASK_WEATHER, tools=[WEATHER_TOOL])
    starts = [event.content_block for event in events if event.type == "content_block_start"]
    equal([block.name for block in starts if block.type == "tool_use"], ["get_weather"], "tools called")
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    pieces = [delta.partial_json for delta in deltas if delta.type == "input_json_delta"]
    contract.check_weather_arguments(json.loads("".join(pieces)))
    stop = [event.delta.stop_reason for event in events if event.type == "message_delta"]
    equal(stop, ["tool_use"], "stop_reason")
    return f"arguments in {len(pieces)} pieces: {''.join(pieces)}"


@client.case
def parallel_tools():
    whole = ask(contract.ASK_BOTH, tools=BOTH_TOOLS)
    equal(names_of(whole), ["get_time", "get_weather"], "tools called")
    equal(len({call.id for call in calls_of(whole)}), 2, "number of different ids")

    streamed(contract.ASK_BOTH, tools=BOTH_TOOLS)
    message = final(contract.ASK_BOTH, tools=BOTH_TOOLS)
    equal(names_of(message), ["get_time", "get_weather"], "tools called in a stream")
    for call in calls_of(message):
        check(isinstance(call.input, dict) and call.input, f"input is {call.input!r}")

    one = {"type": "auto", "disable_parallel_tool_use": True}
    single = ask(contract.ASK_BOTH, tools=BOTH_TOOLS, tool_choice=one)
    equal(len(calls_of(single)), 1, "calls with disable_parallel_tool_use")
    return "two calls whole and streamed, one when not allowed"


@client.case
def structured():
    answer = sdk().messages.parse(**fields("Make up a forecast for Oslo"), output_format=Forecast)
    forecast = answer.parsed_output
    check(isinstance(forecast, Forecast), f"parsed is {forecast!r}")
    equal(answer.stop_reason, "end_turn", "stop_reason")
    return f"parsed: {forecast.model_dump_json()}"


@client.case
def structured_stream():
    with sdk().messages.stream(**fields("Make up a forecast for Oslo"), output_format=Forecast) as events:
        forecast = events.get_final_message().parsed_output
    check(isinstance(forecast, Forecast), f"parsed is {forecast!r}")
    return f"parsed: {forecast.model_dump_json()}"


@client.case
def multi_turn():
    seen = []
    for turn in (ask, final):
        messages = user(contract.ASK_BOTH)
        first = turn("", messages=messages, tools=BOTH_TOOLS)
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": contract.WEATHER_RESULT}
            for call in calls_of(first)
        ]
        equal(len(results), 2, "calls to answer")
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        last = turn("", messages=messages, tools=BOTH_TOOLS)
        equal(last.stop_reason, "end_turn", "stop_reason")
        equal(text_of(last).count(contract.WEATHER_MARK), 2, "results that the final text tells")
        seen.append(len(text_of(last)))
    return f"both tools' results are in the final text, whole and streamed: {seen} characters"


@client.case
def awkward_streams():
    lengths = []
    for name in contract.AWKWARD:
        streamed("Tell me about Grüße", contract.fault(name))
        message = final("Tell me about Grüße", contract.fault(name))
        equal(message.stop_reason, "end_turn", f"stop_reason of {name}")
        check(len(text_of(message)) > 10, f"{name}: text is {text_of(message)!r}")
        lengths.append(f"{name} {len(text_of(message))}")

    split = final(contract.ASK_WEATHER, contract.fault(contract.SPLIT_ARGUMENTS), tools=[WEATHER_TOOL])
    contract.check_weather_arguments(calls_of(split)[0].input)
    return f"characters: {', '.join(lengths)}; split arguments whole"


@client.case
def models_list():
    models = {model.id for model in sdk().models.list()}
    check(contract.MODEL in models, f"{contract.MODEL} is not among {sorted(models)[:20]}")
    return f"{len(models)} models, {contract.MODEL} among them"


@client.case
def error_auth():
    wrong = sdk(contract.WRONG_KEY)
    error = contract.raises(anthropic.AuthenticationError, lambda: wrong.messages.create(**fields("hello")))
    equal(error.body["error"]["type"], "authentication_error", "type")
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    contract.raises(anthropic.AuthenticationError, lambda: sdk(contract.WRONG_KEY).models.list())
    return f"AuthenticationError: {error.body['error']['message']}"


@client.case
def error_unknown_model():
    error = contract.raises(anthropic.NotFoundError, lambda: ask("hello", contract.UNKNOWN_MODEL))
    equal(error.body["error"]["type"], "not_found_error", "type")
    contract.raises(anthropic.NotFoundError, lambda: ask("hello", contract.UNKNOWN_MODEL, stream=True))
    return f"NotFoundError: {error.body['error']['message']}"


@client.case
def error_bad_request():
    tool_less = {"role": "user", "content": [{"type": "tool_result", "content": "of no call"}]}
    error = contract.raises(anthropic.BadRequestError, lambda: ask("", messages=[tool_less]))
    equal(error.body["type"], "error", "type of the body")
    equal(error.body["error"]["type"], "invalid_request_error", "type")
    too_long = contract.raises(anthropic.BadRequestError, lambda: ask("hello", contract.fault(contract.CONTEXT_LENGTH)))
    check("prompt is too long" in str(too_long), f"a full context window is told as {too_long}")
    return f"BadRequestError: {error.body['error']['message']}"


@client.case
def error_rate_limit():
    limited = contract.fault(contract.RATE_LIMIT)
    error = contract.raises(anthropic.RateLimitError, lambda: ask("hello", limited))
    equal(error.body["error"]["type"], "rate_limit_error", "type")
    check(float(error.response.headers["retry-after"]) >= 0, "no usable retry-after")
    contract.raises(anthropic.RateLimitError, lambda: ask("hello", limited, stream=True))
    return f"RateLimitError, retry-after {error.response.headers['retry-after']}"


@client.case
def error_server():
    error = contract.raises(anthropic.InternalServerError, lambda: ask("hello", contract.fault(contract.SERVER_ERROR)))
    return f"{type(error).__name__} {error.status_code}: {error.body['error']['message']}"


@client.case
def error_mid_stream():
    seen = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        # A cut that reaches the client as a cut is httpx's to tell; an error event is the SDK's.
        model = contract.fault(name)
        error = contract.raises((anthropic.APIError, httpx.TransportError), lambda: final("hello", model))
        seen.append(f"{name}: {type(error).__name__}")
    return "; ".join(seen)


@client.case
def error_no_ending():
    try:
        events = list(ask("hello", contract.fault(contract.NO_ENDING), stream=True))
    except (anthropic.APIError, httpx.TransportError) as error:
        return f"raised {type(error).__name__}"
    check(events[-1].type != "message_stop", "a stream that never ended looks finished")
    return "ended without message_stop"


@client.case
def cancellation():
    events = ask("hello", contract.fault(contract.ENDLESS), stream=True)
    received = [next(events) for _ in range(3)]
    equal(len(received), 3, "events before the break")
    started = time.monotonic()
    events.close()
    return contract.quick(started, "endless stream closed")


@client.case
async def async_cancellation():
    reached = asyncio.Event()

    async def read():
        async with async_sdk() as sdk:
            async with sdk.messages.stream(**fields("hello", contract.fault(contract.STALL))) as events:
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
        answer = await sdk.messages.create(**fields(contract.TRICKY_TEXT, contract.ECHO_MODEL))
        equal(text_of(answer), contract.TRICKY_TEXT, "echo")
        await stream_echo(sdk, contract.TRICKY_TEXT)
    return "echo exact, whole and streamed"


@client.case
async def concurrent_streams():
    async with async_sdk() as sdk:
        texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
        await asyncio.gather(*(stream_echo(sdk, text) for text in texts))
    return f"{len(texts)} streams at once, each with its own text"


async def stream_echo(sdk, text):
    async with sdk.messages.stream(**fields(text, contract.ECHO_MODEL)) as events:
        message = await events.get_final_message()
    equal(text_of(message), text, "streamed echo")
    equal(message.stop_reason, "end_turn", "stop_reason")


if __name__ == "__main__":
    client.main()
