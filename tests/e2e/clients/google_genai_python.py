"""google-genai for Python: Google's own SDK, blocking and async, with its automatic function calling."""

import asyncio
import json
import time

import contract
from contract import check, equal

import httpx
import pydantic
from google import genai
from google.genai import errors, types

client = contract.Client("google-genai-python", "google-genai")


def sdk(key=contract.API_KEY, version=None):
    # Without a version the SDK adds its own, which changes from release to release.
    options = types.HttpOptions(base_url=contract.ORIGIN, api_version=version)
    return genai.Client(api_key=key, http_options=options)


# A client that nobody holds closes its connections, even under a stream.
SDK = sdk()


def ask(contents, model=contract.MODEL, **config):
    return SDK.models.generate_content(model=model, contents=contents, config=config)


def chunks_of(contents, model=contract.MODEL, **config):
    return SDK.models.generate_content_stream(model=model, contents=contents, config=config)


def tool(*declared):
    functions = [
        {
            "name": each["function"]["name"],
            "description": each["function"]["description"],
            "parameters_json_schema": contract.parameters(each),
        }
        for each in declared
    ]
    return [{"function_declarations": functions}]


WEATHER_TOOL = tool(contract.WEATHER_TOOL)
BOTH_TOOLS = tool(contract.WEATHER_TOOL, contract.TIME_TOOL)


def mode(name, *allowed):
    return {"function_calling_config": {"mode": name, "allowed_function_names": list(allowed) or None}}


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    city: str
    days: list[Day]
    warning: str | None


def get_weather(city: str) -> str:
    """The present weather of a city."""
    return f"{contract.WEATHER_RESULT} in {city}"


def finish_of(answer):
    reason = answer.candidates[0].finish_reason if answer.candidates else None
    return reason.value if reason else None


def names_of(calls):
    return sorted(call.name for call in calls or [])


def collect(chunks):
    """The text, the calls, the finish reasons and the chunks of a stream."""
    chunks = list(chunks)
    text = "".join(chunk.text or "" for chunk in chunks)
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    finishes = [finish_of(chunk) for chunk in chunks if finish_of(chunk)]
    return text, calls, finishes, chunks


def check_counts(usage):
    contract.check_usage(usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count)


def fails(status, call):
    """Calls `call`, which must raise the SDK's error with this status; returns it."""
    error = contract.raises(errors.APIError, call)
    equal(error.code, status, f"status of {error}")
    return error


@client.case
def chat():
    answer = ask(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(answer.text, contract.TRICKY_TEXT, "echo")
    equal(len(answer.candidates), 1, "candidates")
    equal(answer.candidates[0].content.role, "model", "role")
    equal(finish_of(answer), "STOP", "finish_reason")
    check_counts(answer.usage_metadata)
    for version in ("v1", "v1alpha", "v1beta"):
        versioned = sdk(version=version)
        echo = versioned.models.generate_content(model=contract.ECHO_MODEL, contents=version)
        equal(echo.text, version, "echo under this version")
    prose = ask("Say hello in one sentence.", system_instruction="Be brief.").text
    check(len(prose) > 10, f"answer is {prose!r}")
    return f"echo exact, usage {answer.usage_metadata.total_token_count} tokens"


@client.case
def length():
    answer = ask("Write a long story about a lighthouse.", max_output_tokens=5)
    equal(finish_of(answer), "MAX_TOKENS", "finish_reason")
    count = answer.usage_metadata.candidates_token_count
    check(count <= 5, f"{count} output tokens")
    return f"{count} tokens, finish_reason MAX_TOKENS"


@client.case
def stream():
    text, _, finishes, chunks = collect(chunks_of(contract.TRICKY_TEXT, contract.ECHO_MODEL))
    equal(text, contract.TRICKY_TEXT, "echo")
    equal(finishes, ["STOP"], "finish reasons")
    check(len(chunks) > 5, f"only {len(chunks)} chunks")
    return f"{len(chunks)} chunks, echo exact"


@client.case
def stream_usage():
    *_, chunks = collect(chunks_of("hello there", contract.ECHO_MODEL))
    usage = chunks[-1].usage_metadata
    check_counts(usage)
    whole = ask("hello there", contract.ECHO_MODEL).usage_metadata
    equal(usage.total_token_count, whole.total_token_count, "usage of the stream and of the whole answer")
    return f"last chunk, {usage.total_token_count} tokens"


@client.case
def tools():
    answer = ask(contract.ASK_WEATHER, tools=BOTH_TOOLS)
    equal(names_of(answer.function_calls), ["get_weather"], "tools called")
    contract.check_weather_arguments(answer.function_calls[0].args)
    equal(finish_of(answer), "STOP", "finish_reason")

    forced = ask("Hello", tools=BOTH_TOOLS, tool_config=mode("ANY", "get_time"))
    equal(names_of(forced.function_calls), ["get_time"], "forced tool")
    forbidden = ask(contract.ASK_WEATHER, tools=BOTH_TOOLS, tool_config=mode("NONE"))
    equal(names_of(forbidden.function_calls), [], "tool calls with mode NONE")
    return f"chosen, forced and forbidden; {json.dumps(answer.function_calls[0].args)}"


@client.case
def tools_stream():
    _, calls, finishes, _ = collect(chunks_of(contract.ASK_WEATHER, tools=WEATHER_TOOL))
    equal(names_of(calls), ["get_weather"], "tools called")
    contract.check_weather_arguments(calls[0].args)
    equal(finishes, ["STOP"], "finish reasons")
    return f"called with {json.dumps(calls[0].args)}"


@client.case
def parallel_tools():
    whole = ask(contract.ASK_BOTH, tools=BOTH_TOOLS).function_calls
    equal(names_of(whole), ["get_time", "get_weather"], "tools called")
    _, calls, *_ = collect(chunks_of(contract.ASK_BOTH, tools=BOTH_TOOLS))
    equal(names_of(calls), ["get_time", "get_weather"], "tools called in a stream")
    for call in calls:
        check(isinstance(call.args, dict) and call.args, f"arguments are {call.args!r}")
    return "two calls, whole and streamed"


@client.case
def structured():
    as_json = {"response_mime_type": "application/json"}
    answer = ask("Make up a forecast for Oslo", **as_json, response_schema=Forecast)
    check(isinstance(answer.parsed, Forecast), f"parsed is {answer.parsed!r}")
    by_json_schema = ask("Make up a forecast for Oslo", **as_json, response_json_schema=Forecast.model_json_schema())
    Forecast.model_validate_json(by_json_schema.text)
    anything = ask("Answer in JSON", **as_json).text
    check(isinstance(json.loads(anything), dict), f"a MIME type alone gave {anything!r}")
    return f"parsed: {answer.parsed.model_dump_json()}"


@client.case
def structured_stream():
    config = {"response_mime_type": "application/json", "response_schema": Forecast}
    text, *_ = collect(chunks_of("Make up a forecast for Oslo", **config))
    return f"parsed: {Forecast.model_validate_json(text).model_dump_json()}"


@client.case
def multi_turn():
    contents = [types.UserContent(contract.ASK_BOTH)]
    first = ask(contents, tools=BOTH_TOOLS)
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": contract.WEATHER_RESULT}
            )
        )
        for call in first.function_calls
    ]
    equal(len(results), 2, "calls to answer")
    contents += [first.candidates[0].content, types.Content(role="user", parts=results)]
    last = ask(contents, tools=BOTH_TOOLS)
    equal(last.text.count(contract.WEATHER_MARK), 2, "results that the final text tells")

    # The SDK's own loop: it calls the Python function and sends what it returns.
    looped = ask(contract.ASK_WEATHER, tools=[get_weather])
    check(contract.WEATHER_MARK in looped.text, f"answer is {looped.text!r}")
    chat = SDK.chats.create(model=contract.MODEL, config={"tools": [get_weather]})
    streamed, *_ = collect(chat.send_message_stream(contract.ASK_WEATHER))
    check(contract.WEATHER_MARK in streamed, f"streamed answer is {streamed!r}")
    return "by hand and by the SDK's own loop: tool results are in the final text"


@client.case
def awkward_streams():
    lengths = []
    for name in contract.AWKWARD:
        text, _, finishes, _ = collect(chunks_of("Tell me about Grüße", contract.fault(name)))
        equal(finishes, ["STOP"], f"finish reasons of {name}")
        check(len(text) > 10, f"{name}: text is {text!r}")
        lengths.append(f"{name} {len(text)}")

    split = contract.fault(contract.SPLIT_ARGUMENTS)
    _, calls, *_ = collect(chunks_of(contract.ASK_WEATHER, split, tools=WEATHER_TOOL))
    contract.check_weather_arguments(calls[0].args)
    return f"characters: {', '.join(lengths)}; split arguments whole"


@client.case
def models_list():
    # Under `v1` a list has the form of other clients.
    beta = sdk(version="v1beta")
    models = {model.name for model in beta.models.list()}
    check(f"models/{contract.MODEL}" in models, f"{contract.MODEL} is not among {sorted(models)[:20]}")
    return f"{len(models)} models, {contract.MODEL} among them"


@client.case
def error_auth():
    wrong = sdk(contract.WRONG_KEY)
    error = fails(401, lambda: wrong.models.generate_content(model=contract.MODEL, contents="hello"))
    equal(error.status, "UNAUTHENTICATED", "status")
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    fails(401, lambda: list(wrong.models.list()))
    return f"{type(error).__name__}: {error.message}"


@client.case
def error_unknown_model():
    error = fails(404, lambda: ask("hello", contract.UNKNOWN_MODEL))
    equal(error.status, "NOT_FOUND", "status")
    fails(404, lambda: list(chunks_of("hello", contract.UNKNOWN_MODEL)))
    return f"{type(error).__name__}: {error.message}"


@client.case
def error_bad_request():
    nameless = [{"function_declarations": [{"name": ""}]}]
    error = fails(400, lambda: ask("hello", tools=nameless))
    equal(error.status, "INVALID_ARGUMENT", "status")
    too_long = fails(400, lambda: ask("hello", contract.fault(contract.CONTEXT_LENGTH)))
    equal(too_long.status, "INVALID_ARGUMENT", "status of a full context window")
    return f"{type(error).__name__}: {error.message}"


@client.case
def error_rate_limit():
    limited = contract.fault(contract.RATE_LIMIT)
    error = fails(429, lambda: ask("hello", limited))
    equal(error.status, "RESOURCE_EXHAUSTED", "status")
    check(float(error.response.headers["retry-after"]) >= 0, "no usable retry-after")
    fails(429, lambda: list(chunks_of("hello", limited)))
    return f"{type(error).__name__}, retry-after {error.response.headers['retry-after']}"


@client.case
def error_server():
    error = contract.raises(errors.ServerError, lambda: ask("hello", contract.fault(contract.SERVER_ERROR)))
    return f"ServerError {error.code}: {error.message}"


@client.case
def error_mid_stream():
    seen = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        # A cut that reaches the client as a cut is httpx's to tell; an error in the stream is the SDK's.
        error = contract.raises(
            (errors.APIError, httpx.TransportError), lambda: collect(chunks_of("hello", contract.fault(name)))
        )
        seen.append(f"{name}: {type(error).__name__}")
    return "; ".join(seen)


@client.case
def error_no_ending():
    try:
        _, _, finishes, _ = collect(chunks_of("hello", contract.fault(contract.NO_ENDING)))
    except (errors.APIError, httpx.TransportError) as error:
        return f"raised {type(error).__name__}"
    equal(finishes, [], "finish reasons of a stream that never ended")
    return "ended without a finish_reason"


@client.case
def cancellation():
    chunks = chunks_of("hello", contract.fault(contract.ENDLESS))
    for _ in range(3):
        next(chunks)
    started = time.monotonic()
    chunks.close()
    return contract.quick(started, "endless stream closed")


@client.case
async def async_cancellation():
    reached = asyncio.Event()

    async def read():
        model = contract.fault(contract.STALL)
        async for _ in await SDK.aio.models.generate_content_stream(model=model, contents="hello"):
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
    answer = await SDK.aio.models.generate_content(model=contract.ECHO_MODEL, contents=contract.TRICKY_TEXT)
    equal(answer.text, contract.TRICKY_TEXT, "echo")
    await stream_echo(contract.TRICKY_TEXT)
    return "echo exact, whole and streamed"


@client.case
async def concurrent_streams():
    texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
    await asyncio.gather(*(stream_echo(text) for text in texts))
    return f"{len(texts)} streams at once, each with its own text"


async def stream_echo(text):
    stream = await SDK.aio.models.generate_content_stream(model=contract.ECHO_MODEL, contents=text)
    chunks = [chunk async for chunk in stream]
    equal("".join(chunk.text or "" for chunk in chunks), text, "streamed echo")
    equal(finish_of(chunks[-1]), "STOP", "finish_reason")


if __name__ == "__main__":
    client.main()
