"""openai-python over the responses API: items and events where chat completions have messages and chunks."""

import asyncio
import json
import time

import contract
from contract import check, equal

import httpx
import openai
import pydantic

client = contract.Client("openai-responses", "openai")


def sdk(key=contract.API_KEY):
    return openai.OpenAI(base_url=contract.BASE_URL, api_key=key, max_retries=0)


def async_sdk():
    return openai.AsyncOpenAI(base_url=contract.BASE_URL, api_key=contract.API_KEY, max_retries=0)


def ask(given, model=contract.MODEL, **fields):
    return sdk().responses.create(model=model, input=given, **fields)


def tool(declared):
    function = declared["function"]
    return {"type": "function", "strict": True, **function}


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


class GetWeather(pydantic.BaseModel):
    """The present weather of a city."""

    city: str


def calls_of(response):
    return [item for item in response.output if item.type == "function_call"]


def names_of(response):
    return sorted(call.name for call in calls_of(response))


def check_order(events):
    """Numbers without a gap, one beginning, one end, items that are added and done in turn, texts that add up."""
    equal([event.sequence_number for event in events], list(range(len(events))), "sequence numbers")
    kinds = [event.type for event in events]
    equal(kinds[0], "response.created", "first event")
    endings = [kind for kind in kinds if kind in ("response.completed", "response.incomplete", "response.failed")]
    equal(endings, [kinds[-1]], "events that end the response")
    added = [event for event in events if event.type == "response.output_item.added"]
    done = [event for event in events if event.type == "response.output_item.done"]
    equal([event.output_index for event in added], list(range(len(added))), "indices of items")
    equal(sorted(event.output_index for event in done), list(range(len(added))), "indices of items that are done")
    final = events[-1].response
    equal([event.item.id for event in added], [item.id for item in final.output], "ids of the items")
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    equal(deltas, final.output_text, "deltas and the text of the final response")
    equal({event.response.id for event in (events[0], events[-1])}, {final.id}, "ids of the response")


def streamed(given, model=contract.MODEL, **fields):
    """The events of a stream, in order as they should be."""
    with ask(given, model, stream=True, **fields) as stream:
        events = list(stream)
    check_order(events)
    return events


def final(given, model=contract.MODEL, **fields):
    """The response that the SDK's stream helper adds up."""
    with sdk().responses.stream(model=model, input=given, **fields) as stream:
        return stream.get_final_response()


def check_counts(usage):
    contract.check_usage(usage.input_tokens, usage.output_tokens, usage.total_tokens)


@client.case
def chat():
    answer = ask(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(answer.object, "response", "object")
    equal(answer.status, "completed", "status")
    equal([item.type for item in answer.output], ["message"], "items")
    equal(answer.output[0].role, "assistant", "role")
    equal(answer.output_text, contract.TRICKY_TEXT, "echo")
    check_counts(answer.usage)
    prose = ask("Say hello in one sentence.", instructions="Be brief.").output_text
    check(len(prose) > 10, f"answer is {prose!r}")
    return f"echo exact, usage {answer.usage.total_tokens} tokens"


@client.case
def length():
    # The least that the API takes.
    answer = ask("Write a long story about a lighthouse.", max_output_tokens=16)
    equal(answer.status, "incomplete", "status")
    equal(answer.incomplete_details.reason, "max_output_tokens", "reason")
    check(answer.usage.output_tokens <= 16, f"{answer.usage.output_tokens} output tokens")
    events = streamed("Write a long story about a lighthouse.", max_output_tokens=16)
    equal(events[-1].type, "response.incomplete", "last event")
    return f"{answer.usage.output_tokens} tokens, incomplete"


@client.case
def stream():
    events = streamed(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    response = events[-1].response
    equal(response.output_text, contract.TRICKY_TEXT, "echo")
    equal(response.status, "completed", "status")
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    check(len(deltas) > 5, f"only {len(deltas)} deltas")
    equal(final(contract.TRICKY_TEXT, contract.ECHO_MODEL).output_text, contract.TRICKY_TEXT, "echo of the helper")
    return f"{len(events)} events in order, echo exact"


@client.case
def stream_usage():
    usage = final("hello there", contract.ECHO_MODEL).usage
    check_counts(usage)
    whole = ask("hello there", contract.ECHO_MODEL).usage
    equal(usage.total_tokens, whole.total_tokens, "usage of the stream and of the whole answer")
    return f"{usage.total_tokens} tokens, the same whole and streamed"


@client.case
def tools():
    answer = ask(contract.ASK_WEATHER, tools=BOTH_TOOLS)
    equal(answer.status, "completed", "status")
    equal(names_of(answer), ["get_weather"], "tools called")
    contract.check_weather_arguments(json.loads(calls_of(answer)[0].arguments))
    check(calls_of(answer)[0].call_id, "the call has no id")

    forced = ask("Hello", tools=BOTH_TOOLS, tool_choice={"type": "function", "name": "get_time"})
    equal(names_of(forced), ["get_time"], "forced tool")
    forbidden = ask(contract.ASK_WEATHER, tools=BOTH_TOOLS, tool_choice="none")
    equal(names_of(forbidden), [], "tool calls with tool_choice none")
    return "chosen, forced and forbidden"


@client.case
def tools_parsed():
    answer = sdk().responses.parse(
        model=contract.MODEL,
        input="Use GetWeather for Paris",
        tools=[openai.pydantic_function_tool(GetWeather)],
    )
    parsed = calls_of(answer)[0].parsed_arguments
    check(isinstance(parsed, GetWeather), f"parsed arguments are {parsed!r}")
    return f"arguments parsed as {parsed!r}"


@client.case
def tools_stream():
    events = streamed(contract.ASK_WEATHER, tools=[WEATHER_TOOL])
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    equal([event.arguments for event in done], ["".join(pieces)], "arguments when done, and their pieces")
    contract.check_weather_arguments(json.loads(done[0].arguments))
    call = calls_of(events[-1].response)[0]
    equal((call.name, call.arguments), ("get_weather", done[0].arguments), "call in the final response")
    return f"arguments in {len(pieces)} pieces: {done[0].arguments}"


@client.case
def parallel_tools():
    whole = ask(contract.ASK_BOTH, tools=BOTH_TOOLS)
    equal(names_of(whole), ["get_time", "get_weather"], "tools called")
    equal(len({call.call_id for call in calls_of(whole)}), 2, "number of different ids")

    streamed(contract.ASK_BOTH, tools=BOTH_TOOLS)
    response = final(contract.ASK_BOTH, tools=BOTH_TOOLS)
    equal(names_of(response), ["get_time", "get_weather"], "tools called in a stream")
    for call in calls_of(response):
        check(isinstance(json.loads(call.arguments), dict), f"arguments are {call.arguments!r}")

    single = ask(contract.ASK_BOTH, tools=BOTH_TOOLS, parallel_tool_calls=False)
    equal(len(calls_of(single)), 1, "calls with parallel_tool_calls false")
    return "two calls whole and streamed, one when not allowed"


@client.case
def structured():
    answer = sdk().responses.parse(model=contract.MODEL, input="Make up a forecast for Oslo", text_format=Forecast)
    forecast = answer.output_parsed
    check(isinstance(forecast, Forecast), f"parsed is {forecast!r}")
    anything = ask("Answer in JSON", text={"format": {"type": "json_object"}}).output_text
    check(isinstance(json.loads(anything), dict), f"json_object gave {anything!r}")
    return f"parsed: {forecast.model_dump_json()}"


@client.case
def structured_stream():
    forecast = final("Make up a forecast for Oslo", text_format=Forecast).output_parsed
    check(isinstance(forecast, Forecast), f"parsed is {forecast!r}")
    return f"parsed: {forecast.model_dump_json()}"


@client.case
def multi_turn():
    for turn in (ask, final):
        items = [{"role": "user", "content": contract.ASK_BOTH}]
        first = turn(items, tools=BOTH_TOOLS)
        items += first.output
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": contract.WEATHER_RESULT}
            for call in calls_of(first)
        ]
        last = turn(items, tools=BOTH_TOOLS)
        equal(last.status, "completed", "status")
        equal(last.output_text.count(contract.WEATHER_MARK), 2, "results that the final text tells")
    return "both tools' results are in the final text, whole and streamed"


@client.case
def awkward_streams():
    lengths = []
    for name in contract.AWKWARD:
        response = streamed("Tell me about Grüße", contract.fault(name))[-1].response
        equal(response.status, "completed", f"status of {name}")
        check(len(response.output_text) > 10, f"{name}: text is {response.output_text!r}")
        lengths.append(f"{name} {len(response.output_text)}")

    split = final(contract.ASK_WEATHER, contract.fault(contract.SPLIT_ARGUMENTS), tools=[WEATHER_TOOL])
    contract.check_weather_arguments(json.loads(calls_of(split)[0].arguments))
    return f"characters: {', '.join(lengths)}; split arguments whole"


@client.case
def error_auth():
    wrong = sdk(contract.WRONG_KEY)
    error = contract.raises(
        openai.AuthenticationError, lambda: wrong.responses.create(model=contract.MODEL, input="hello")
    )
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    return f"AuthenticationError: {error.message}"


@client.case
def error_unknown_model():
    error = contract.raises(openai.NotFoundError, lambda: ask("hello", contract.UNKNOWN_MODEL))
    equal(error.code, "model_not_found", "code")
    contract.raises(openai.NotFoundError, lambda: ask("hello", contract.UNKNOWN_MODEL, stream=True))
    return f"NotFoundError: {error.message}"


@client.case
def error_bad_request():
    nameless = [{"type": "function", "parameters": {}}]
    error = contract.raises(openai.BadRequestError, lambda: ask("hello", tools=nameless))
    check(isinstance(error.body, dict) and error.body.get("message"), f"body is {error.body!r}")
    equal(error.type, "invalid_request_error", "type")
    too_long = contract.raises(openai.BadRequestError, lambda: ask("hello", contract.fault(contract.CONTEXT_LENGTH)))
    check("context length" in too_long.message, f"a full context window is told as {too_long.message!r}")
    return f"BadRequestError: {error.message}"


@client.case
def error_rate_limit():
    limited = contract.fault(contract.RATE_LIMIT)
    error = contract.raises(openai.RateLimitError, lambda: ask("hello", limited))
    check(float(error.response.headers["retry-after"]) >= 0, "no usable retry-after")
    contract.raises(openai.RateLimitError, lambda: ask("hello", limited, stream=True))
    return f"RateLimitError, retry-after {error.response.headers['retry-after']}"


@client.case
def error_server():
    error = contract.raises(openai.InternalServerError, lambda: ask("hello", contract.fault(contract.SERVER_ERROR)))
    return f"InternalServerError {error.status_code}: {error.message}"


@client.case
def error_mid_stream():
    seen = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        seen.append(f"{name}: {broken(contract.fault(name))}")
    return "; ".join(seen)


@client.case
def error_no_ending():
    return broken(contract.fault(contract.NO_ENDING))


def broken(model):
    """How the client learns that a stream went wrong: by an exception, or by an event that says so."""
    kinds = []
    try:
        for event in ask("hello", model, stream=True):
            kinds.append(event.type)
    except (openai.APIError, httpx.TransportError) as error:
        return f"raised {type(error).__name__}"
    check("response.completed" not in kinds, "a stream that broke off looks finished")
    check(kinds[-1] in ("error", "response.failed"), f"the last event of a stream that broke off is {kinds[-1]}")
    return f"told by {kinds[-1]}"


@client.case
def cancellation():
    events = ask("hello", contract.fault(contract.ENDLESS), stream=True)
    received = [next(events) for _ in range(6)]
    equal(len(received), 6, "events before the break")
    started = time.monotonic()
    events.close()
    return contract.quick(started, "endless stream closed")


@client.case
async def async_cancellation():
    reached = asyncio.Event()

    async def read():
        async with async_sdk() as sdk:
            model = contract.fault(contract.STALL)
            async for _ in await sdk.responses.create(model=model, input="hello", stream=True):
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
async def concurrent_streams():
    async def one(text):
        async with sdk.responses.stream(model=contract.ECHO_MODEL, input=text) as events:
            equal((await events.get_final_response()).output_text, text, "streamed echo")

    async with async_sdk() as sdk:
        texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
        await asyncio.gather(*(one(text) for text in texts))
    return f"{len(texts)} streams at once, each with its own text"


if __name__ == "__main__":
    client.main()
