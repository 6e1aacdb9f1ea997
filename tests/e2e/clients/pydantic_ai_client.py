"""pydantic-ai: its agents over OpenAI chat completions, OpenAI responses and Gemini.

Over Anthropic messages it fails on its own side with anthropic 2 ("Cannot instantiate typing.Union").
"""

import contract
from contract import check, equal

import pydantic
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

client = contract.Client("pydantic-ai", "pydantic-ai-slim")


def openai(kind):
    return lambda model, key: kind(model, provider=OpenAIProvider(base_url=contract.BASE_URL, api_key=key))


def google(model, key):
    # A name with a slash is taken for a whole resource name, so it must be one.
    return GoogleModel(f"models/{model}", provider=GoogleProvider(base_url=contract.ORIGIN, api_key=key))


DIALECTS = {
    "chat": openai(OpenAIChatModel),
    "responses": openai(OpenAIResponsesModel),
    "google": google,
}


def agent(dialect, model=contract.MODEL, key=contract.API_KEY, **options):
    return Agent(DIALECTS[dialect](model, key), retries=0, **options)


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    """A weather forecast."""

    city: str
    days: list[Day]


def for_each_dialect(function):
    """Registers a case that goes through all dialects; `function` gets the dialect's name and says what it saw."""

    async def case():
        said = [f"{dialect}: {await function(dialect)}" for dialect in DIALECTS]
        return "; ".join(said)

    case.__name__ = function.__name__
    return client.case(case)


@for_each_dialect
async def chat(dialect):
    result = await agent(dialect, contract.ECHO_MODEL).run(contract.TRICKY_TEXT)
    equal(result.output, contract.TRICKY_TEXT, f"{dialect}: echo")
    usage = result.usage() if callable(result.usage) else result.usage
    contract.check_usage(usage.input_tokens, usage.output_tokens, usage.input_tokens + usage.output_tokens)
    return f"{usage.input_tokens} + {usage.output_tokens} tokens"


@for_each_dialect
async def stream(dialect):
    async with agent(dialect, contract.ECHO_MODEL).run_stream(contract.TRICKY_TEXT) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    equal("".join(pieces), contract.TRICKY_TEXT, f"{dialect}: echo")
    return f"{len(pieces)} pieces"


@for_each_dialect
async def tools(dialect):
    """Its own tool loop: the tool is called once, and its result is in the final text."""
    asked = []
    weather = agent(dialect)

    @weather.tool_plain
    def get_weather(city: str) -> str:
        """The present weather of a city."""
        asked.append(city)
        return contract.WEATHER_RESULT

    result = await weather.run(contract.ASK_WEATHER)
    equal(len(asked), 1, f"{dialect}: calls")
    check(contract.WEATHER_MARK in result.output, f"{dialect}: answer is {result.output!r}")
    return asked[0]


@for_each_dialect
async def structured(dialect):
    result = await agent(dialect, output_type=Forecast).run("Make up a forecast for Oslo")
    check(isinstance(result.output, Forecast), f"{dialect}: got {result.output!r}")
    return result.output.model_dump_json()


@for_each_dialect
async def multi_turn(dialect):
    echo = agent(dialect, contract.ECHO_MODEL)
    first = await echo.run("the first turn")
    second = await echo.run("the second turn", message_history=first.all_messages())
    equal(second.output, "the second turn", f"{dialect}: echo")
    return f"{len(second.all_messages())} messages"


async def refused(dialect, status, **options):
    try:
        result = await agent(dialect, **options).run("hello")
    except ModelHTTPError as error:
        equal(error.status_code, status, f"{dialect}: status")
        check(contract.WRONG_KEY not in str(error), f"{dialect}: the error repeats the key")
        return f"{type(error).__name__} {status}"
    raise AssertionError(f"{dialect}: no error, but {result.output!r}")


@for_each_dialect
async def error_auth(dialect):
    return await refused(dialect, 401, key=contract.WRONG_KEY)


@for_each_dialect
async def error_unknown_model(dialect):
    return await refused(dialect, 404, model=contract.UNKNOWN_MODEL)


@for_each_dialect
async def error_bad_request(dialect):
    return await refused(dialect, 400, model=contract.fault(contract.CONTEXT_LENGTH))


if __name__ == "__main__":
    client.main()
