"""The contract of the Python client scripts: settings in, one JSON line per case out.

A script makes a `Client`, registers cases with `@client.case`, and ends with `client.main()`. A case is a
function (or coroutine function) that raises on the first thing that is not as it should be, and returns a
short text that says what was seen. README.md describes the settings and the lines.
"""

import asyncio
import importlib.metadata
import inspect
import json
import os
import sys
import threading
import time
import traceback

CASE_LIMIT_S = 30.0
CANCEL_LIMIT_S = 2.0
CONCURRENT_STREAMS = 20
WRONG_KEY = "lg-this-key-was-never-issued"

# Every character that a careless codec gets wrong: escapes, several byte lengths, SSE look-alikes.
TRICKY_TEXT = (
    'Grüße "quoted" back\\slash / \u2028 tab\tend\n\ndata: [DONE]\n'
    "東京 🦀👩‍👩‍👧 e\u0301 {\"json\": [1, null]} \\u0041 <b>&amp;</b> last"
)

# Faults of the demo upstream that the cases use.
RATE_LIMIT = "status-429-retry-after"
SERVER_ERROR = "status-500"
CONTEXT_LENGTH = "context-length"
ERROR_EVENT = "error-event"
CUT_STREAM = "close-mid-event"
NO_ENDING = "no-finish"
ENDLESS = "endless"
STALL = "stall"
# Streams that are right although unusual: nothing of this may disturb a client.
AWKWARD = ("duplicate-start", "one-byte-chunks", "crlf-comments", "large-event")
SPLIT_ARGUMENTS = "split-arguments"

# Words of another setting (a proxy, a real provider's key, a tracing service) must not decide a result.
STRAY_PREFIXES = (
    "OPENAI_", "AZURE_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "LITELLM_", "LANGCHAIN_", "LANGSMITH_", "AIDER_", "LLM_", "AWS_",
)
STRAY_NAMES = ("http_proxy", "https_proxy", "all_proxy")


def clean_environment():
    """This process' variables without those that could lead a client elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(STRAY_PREFIXES) and name.lower() not in STRAY_NAMES
    }


def _setting(name):
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"{name} must be set (README.md lists the settings)")
    return value


BASE_URL = _setting("BASE_URL").rstrip("/")
# For clients that put the version into the path themselves.
ORIGIN = BASE_URL.removesuffix("/v1")
API_KEY = _setting("API_KEY")
MODEL = _setting("MODEL")
ECHO_MODEL = _setting("ECHO_MODEL")
UNKNOWN_MODEL = _setting("UNKNOWN_MODEL")
_FAULT_MODEL_PREFIX = _setting("FAULT_MODEL_PREFIX")

# Importing this module comes before importing a client, so the client sees the clean environment.
for _name in set(os.environ) - set(clean_environment()):
    del os.environ[_name]


def fault(name):
    """The model whose answer is the named fault of the demo upstream."""
    return _FAULT_MODEL_PREFIX + name


def function_tool(name, description, properties):
    """A function tool in the wire form of chat completions; all properties are required."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        },
    }


def parameters(tool):
    """The JSON schema of the arguments of such a tool; every dialect wraps it in its own way."""
    return tool["function"]["parameters"]


WEATHER_TOOL = function_tool(
    "get_weather",
    "The present weather of a city.",
    {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
)
TIME_TOOL = function_tool("get_time", "The local time of a city.", {"city": {"type": "string"}})
ASK_WEATHER = "Use get_weather to look up the weather in Paris"
ASK_BOTH = "Use get_weather and get_time, both for the city of Paris"
WEATHER_RESULT = "17 degrees and light rain, station 73514"
WEATHER_MARK = "73514"


def check_weather_arguments(arguments):
    """`arguments` (a dict) obeys the schema of `WEATHER_TOOL`."""
    equal(set(arguments), {"city", "unit"}, "argument names")
    check(isinstance(arguments["city"], str), f"city is {arguments['city']!r}")
    check(arguments["unit"] in ("celsius", "fahrenheit"), f"unit is {arguments['unit']!r}")


def check(condition, otherwise):
    """Fails the case with the text `otherwise` unless `condition` holds."""
    if not condition:
        raise AssertionError(otherwise)


def equal(actual, expected, what):
    """Fails the case unless the two are equal; `what` names them."""
    check(actual == expected, f"{what}: got {actual!r}, want {expected!r}")


def check_usage(prompt, completion, total):
    """Token counts that add up and are not empty."""
    check(prompt and prompt > 0, f"prompt tokens: {prompt!r}")
    check(completion and completion > 0, f"completion tokens: {completion!r}")
    equal(prompt + completion, total, "prompt + completion tokens")


def raises(expected, call):
    """Calls `call`, which must raise `expected`; returns the exception."""
    try:
        value = call()
    except expected as error:
        return error
    raise AssertionError(f"no {expected.__name__} was raised; got {value!r}")


def quick(started, what):
    """Fails the case unless `started` (of `time.monotonic()`) is less than the cancellation limit ago."""
    elapsed = time.monotonic() - started
    check(elapsed < CANCEL_LIMIT_S, f"{what} took {elapsed:.2f} s, limit {CANCEL_LIMIT_S} s")
    return f"{what} in {elapsed * 1000:.0f} ms"


class Client:
    """One client program or SDK, and the cases it is put through."""

    def __init__(self, name, distribution):
        self.name = name
        self.version = importlib.metadata.version(distribution)
        self._cases = []

    def case(self, function):
        """Registers a case under the function's name."""
        self._cases.append(function)
        return function

    def main(self, limit_s=CASE_LIMIT_S):
        """Runs the cases that the command line leaves (names to run, `-name` to leave out); ends the process."""
        wanted = {word for word in sys.argv[1:] if not word.startswith("-")}
        unwanted = {word[1:] for word in sys.argv[1:] if word.startswith("-")}
        strange = (wanted | unwanted) - {function.__name__ for function in self._cases}
        if strange:
            sys.exit(f"no such case: {', '.join(sorted(strange))}")
        all_ok = True
        for function in self._cases:
            name = function.__name__
            if name in unwanted or (wanted and name not in wanted):
                continue
            ok, detail = _run(function, limit_s)
            all_ok &= ok
            line = {"client": self.name, "version": self.version, "case": name, "ok": ok, "detail": detail}
            print(json.dumps(line), flush=True)
        sys.stdout.flush()
        # A case that hangs holds its thread for ever; a plain exit would wait for the client's own threads too.
        os._exit(0 if all_ok else 1)


# One loop for all cases: clients keep async connections, which must not outlive the loop that made them.
_LOOP = asyncio.new_event_loop()
threading.Thread(target=_LOOP.run_forever, daemon=True).start()


def _run(function, limit_s):
    result = []

    def body():
        try:
            detail = function()
            if inspect.iscoroutine(detail):
                detail = asyncio.run_coroutine_threadsafe(detail, _LOOP).result()
            result.append((True, detail or ""))
        except BaseException as error:  # noqa: BLE001 - a client may raise anything; all of it is a result
            traceback.print_exc(file=sys.stderr)
            result.append((False, f"{type(error).__name__}: {error}"[:600]))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(limit_s)
    return result[0] if result else (False, f"no result within {limit_s:.0f} s")
