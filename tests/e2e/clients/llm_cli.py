"""llm: the command line program, configured as its documentation says, run as a user runs it."""

import json
import pathlib
import re
import signal
import tempfile
import time

import contract
import program
from contract import check, equal

client = contract.Client("llm", "llm")

LLM = program.beside_python("llm")
MODELS = {
    "gw-chat": contract.MODEL,
    "gw-echo": contract.ECHO_MODEL,
    "gw-unknown": contract.UNKNOWN_MODEL,
    "gw-limited": contract.fault(contract.RATE_LIMIT),
    "gw-too-long": contract.fault(contract.CONTEXT_LENGTH),
    "gw-error-event": contract.fault(contract.ERROR_EVENT),
    "gw-cut": contract.fault(contract.CUT_STREAM),
    "gw-endless": contract.fault(contract.ENDLESS),
}
WEATHER_FUNCTION = f'''
def get_weather(city: str) -> str:
    "The present weather of a city."
    return "{contract.WEATHER_RESULT}"
'''


class Home:
    """A scratch home with the models and the key in the files where `llm` looks for them."""

    def __init__(self, path, key):
        self.path = pathlib.Path(path)
        models = [
            {
                "model_id": name,
                "model_name": model,
                "api_base": contract.BASE_URL,
                "api_key_name": "gateway",
                "supports_tools": True,
                "supports_schema": True,
            }
            for name, model in MODELS.items()
        ]
        # JSON is YAML, and needs no library to write.
        (self.path / "extra-openai-models.yaml").write_text(json.dumps(models))
        (self.path / "keys.json").write_text(json.dumps({"gateway": key}))

    def variables(self):
        return program.surroundings(self.path, LLM_USER_PATH=str(self.path))

    def run(self, *arguments):
        return program.run([LLM, *arguments], self.variables(), self.path)

    def good(self, *arguments):
        """Runs `llm`, which must succeed; returns stdout and stderr."""
        code, out, err = self.run(*arguments)
        equal(code, 0, f"exit code (stderr {err[-300:]!r})")
        return out, err

    def bad(self, *arguments):
        """Runs `llm`, which must fail with an error a person can read; returns that error."""
        code, out, err = self.run(*arguments)
        check(code != 0, f"exit code 0; stdout {out[-300:]!r}")
        return (err or out).strip().splitlines()[-1]


def with_home(function):
    """Registers a case that gets a scratch home."""

    def case():
        with tempfile.TemporaryDirectory() as path:
            return function(Home(path, contract.API_KEY))

    case.__name__ = function.__name__
    return client.case(case)


@with_home
def chat(home):
    out, _ = home.good("-m", "gw-echo", "--no-stream", contract.TRICKY_TEXT)
    equal(out, contract.TRICKY_TEXT + "\n", "echo")
    return "echo exact"


@with_home
def stream(home):
    out, _ = home.good("-m", "gw-echo", contract.TRICKY_TEXT)
    equal(out, contract.TRICKY_TEXT + "\n", "echo")
    return "echo exact"


@with_home
def stream_usage(home):
    _, streamed = home.good("-m", "gw-echo", "-u", "hello there")
    _, whole = home.good("-m", "gw-echo", "-u", "--no-stream", "hello there")
    counts = [re.search(r"(\d[\d,]*) input, (\d[\d,]*) output", err) for err in (streamed, whole)]
    check(all(counts), f"usage lines are {streamed!r} and {whole!r}")
    equal(counts[0].group(0), counts[1].group(0), "usage of the stream and of the whole answer")
    return counts[0].group(0)


@with_home
def tools(home):
    arguments = ("-m", "gw-chat", "--functions", WEATHER_FUNCTION, "--td", contract.ASK_WEATHER)
    for mode in ([], ["--no-stream"]):
        out, err = home.good(*arguments, *mode)
        check("get_weather" in err, f"the tool was not called: {err!r}")
        check(contract.WEATHER_MARK in out, f"answer is {out!r}")
    return "its own tool loop, streamed and whole: tool result is in the final text"


@with_home
def structured(home):
    seen = []
    for mode in ([], ["--no-stream"]):
        out, _ = home.good("-m", "gw-chat", "--schema", "name, age int, tame bool", "Invent a dog", *mode)
        dog = json.loads(out)
        kinds = {name: type(value) for name, value in dog.items()}
        equal(kinds, {"name": str, "age": int, "tame": bool}, "fields")
        seen.append(dog)
    return json.dumps(seen[0])


@with_home
def multi_turn(home):
    home.good("-m", "gw-echo", "the first turn")
    out, _ = home.good("-c", "the second turn")
    equal(out.strip(), "the second turn", "echo")
    logs = json.loads(home.good("logs", "--json", "-n", "0")[0])
    equal(len({entry["conversation_id"] for entry in logs}), 1, "number of conversations")
    inputs = sorted(entry["input_tokens"] for entry in logs)
    check(inputs[0] < inputs[1], f"the second turn did not carry the first: input tokens {inputs}")
    return f"one conversation, input tokens {inputs}"


@with_home
def error_auth(_):
    with tempfile.TemporaryDirectory() as path:
        error = Home(path, contract.WRONG_KEY).bad("-m", "gw-chat", "hello")
    check(contract.WRONG_KEY not in error, "the error repeats the key")
    check("401" in error, f"error is {error!r}")
    return error


@with_home
def error_unknown_model(home):
    error = home.bad("-m", "gw-unknown", "hello")
    check("404" in error, f"error is {error!r}")
    return error


@with_home
def error_bad_request(home):
    error = home.bad("-m", "gw-too-long", "hello")
    check("400" in error, f"error is {error!r}")
    return error


@with_home
def error_mid_stream(home):
    return "; ".join(f"{model}: {home.bad('-m', model, 'hello')}" for model in ("gw-error-event", "gw-cut"))


@with_home
def cancellation(home):
    process = program.start([LLM, "-m", "gw-endless", "hello"], home.variables(), home.path)
    try:
        check(process.stdout.read(20), "no output before the interrupt")
        started = time.monotonic()
        program.stop(process, signal.SIGINT)
        process.wait(timeout=contract.CANCEL_LIMIT_S)
        return contract.quick(started, "interrupted (Ctrl-C) an endless stream")
    finally:
        program.stop(process)
        process.communicate()


@with_home
def async_client(home):
    out, _ = home.good("-m", "gw-echo", "--async", contract.TRICKY_TEXT)
    equal(out, contract.TRICKY_TEXT + "\n", "echo")
    return "echo exact"


if __name__ == "__main__":
    client.main()
