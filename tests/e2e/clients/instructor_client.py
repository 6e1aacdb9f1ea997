"""instructor: structured output by tools and by schema, over OpenAI chat completions and Anthropic messages."""

import contract
from contract import check, equal

import anthropic
import instructor
import openai
import pydantic

client = contract.Client("instructor", "instructor")


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    """A weather forecast."""

    city: str
    days: list[Day]


def chat_completions(mode, key=contract.API_KEY):
    sdk = openai.OpenAI(base_url=contract.BASE_URL, api_key=key, max_retries=0)
    return instructor.from_openai(sdk, mode=mode)


def messages(mode, key=contract.API_KEY):
    sdk = anthropic.Anthropic(base_url=contract.ORIGIN, api_key=key, max_retries=0)
    return instructor.from_anthropic(sdk, mode=mode)


def ask(patched, kind=Forecast, model=contract.MODEL, **options):
    prompt = [{"role": "user", "content": "Make up a forecast for Oslo"}]
    return patched.create(model=model, messages=prompt, response_model=kind, max_tokens=1024, max_retries=0, **options)


@client.case
def tools():
    forecast = ask(chat_completions(instructor.Mode.TOOLS))
    check(isinstance(forecast, Forecast), f"got {forecast!r}")
    return forecast.model_dump_json()


@client.case
def structured():
    forecast = ask(chat_completions(instructor.Mode.JSON_SCHEMA))
    check(isinstance(forecast, Forecast), f"got {forecast!r}")
    return forecast.model_dump_json()


@client.case
def structured_stream():
    partials = list(ask(chat_completions(instructor.Mode.TOOLS), instructor.Partial[Forecast], stream=True))
    check(len(partials) > 3, f"{len(partials)} partial objects")
    check(partials[-1].city and partials[-1].days, f"the last is {partials[-1]!r}")
    return f"{len(partials)} partial objects"


@client.case
def anthropic_tools():
    forecast, answer = messages(instructor.Mode.ANTHROPIC_TOOLS).create_with_completion(
        model=contract.MODEL,
        messages=[{"role": "user", "content": "Make up a forecast for Oslo"}],
        response_model=Forecast,
        max_tokens=1024,
        max_retries=0,
    )
    check(isinstance(forecast, Forecast), f"got {forecast!r}")
    equal(answer.stop_reason, "tool_use", "stop_reason")
    return forecast.model_dump_json()


@client.case
def retries():
    """What its validator refuses is asked again, with the refusal in the conversation."""
    seen = []

    class Picky(pydantic.BaseModel):
        city: str

        @pydantic.field_validator("city")
        @classmethod
        def not_at_first(cls, city):
            seen.append(city)
            if len(seen) == 1:
                raise ValueError("another one, please")
            return city

    prompt = [{"role": "user", "content": "Name a city like Oslo"}]
    patched = chat_completions(instructor.Mode.TOOLS)
    answer = patched.create(model=contract.MODEL, messages=prompt, response_model=Picky, max_retries=2)
    equal(len(seen), 2, "times asked")
    return f"{answer.city!r} at the second time"


def refused(status, **options):
    key = options.pop("key", contract.API_KEY)
    error = contract.raises(Exception, lambda: ask(chat_completions(instructor.Mode.TOOLS, key), **options))
    check(str(status) in str(error), f"error is {error}")
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    return type(error).__name__


@client.case
def error_auth():
    return refused(401, key=contract.WRONG_KEY)


@client.case
def error_unknown_model():
    return refused(404, model=contract.UNKNOWN_MODEL)


if __name__ == "__main__":
    client.main()
