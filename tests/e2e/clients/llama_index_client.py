"""llama-index: its model for servers that are like OpenAI's."""

import contract
from contract import check, equal

import openai
import pydantic
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

client = contract.Client("llama-index", "llama-index-llms-openai-like")


def model(name=contract.MODEL, key=contract.API_KEY):
    return OpenAILike(
        model=name,
        api_base=contract.BASE_URL,
        api_key=key,
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
    )


def says(text):
    return [ChatMessage(role="user", content=text)]


def get_weather(city: str) -> str:
    """The present weather of a city."""
    return f"{contract.WEATHER_RESULT} in {city}"


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    """A weather forecast."""

    city: str
    days: list[Day]


@client.case
def chat():
    answer = model(contract.ECHO_MODEL).chat(says(contract.TRICKY_TEXT))
    equal(answer.message.content, contract.TRICKY_TEXT, "echo")
    usage = answer.raw.usage
    contract.check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    return f"echo exact, usage {usage.total_tokens} tokens"


@client.case
def stream():
    pieces = [piece.delta or "" for piece in model(contract.ECHO_MODEL).stream_chat(says(contract.TRICKY_TEXT))]
    equal("".join(pieces), contract.TRICKY_TEXT, "echo")
    return f"{len(pieces)} pieces, echo exact"


@client.case
def tools():
    """Its own loop: the call's result goes back and is in the final text."""
    weather = FunctionTool.from_defaults(get_weather)
    answer = model().predict_and_call([weather], contract.ASK_WEATHER)
    check(contract.WEATHER_MARK in str(answer), f"answer is {answer}")
    return str(answer)[:120]


@client.case
def tools_stream():
    weather = FunctionTool.from_defaults(get_weather)
    last = None
    for last in model().stream_chat_with_tools([weather], contract.ASK_WEATHER):
        pass
    calls = model().get_tool_calls_from_response(last)
    equal([call.tool_name for call in calls], ["get_weather"], "tools called")
    equal(set(calls[0].tool_kwargs), {"city"}, "argument names")
    return f"called with {calls[0].tool_kwargs}"


@client.case
def structured():
    forecast = model().as_structured_llm(Forecast).chat(says("Make up a forecast for Oslo")).raw
    check(isinstance(forecast, Forecast), f"got {forecast!r}")
    return forecast.model_dump_json()


@client.case
def error_auth():
    wrong = model(key=contract.WRONG_KEY)
    error = contract.raises(openai.AuthenticationError, lambda: wrong.chat(says("hello")))
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    return type(error).__name__


@client.case
def error_unknown_model():
    unknown = model(contract.UNKNOWN_MODEL)
    return type(contract.raises(openai.NotFoundError, lambda: unknown.chat(says("hello")))).__name__


@client.case
def error_mid_stream():
    told = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        pieces = model(contract.fault(name)).stream_chat(says("hello"))
        told.append(f"{name}: {type(contract.raises(Exception, lambda: list(pieces))).__name__}")
    return "; ".join(told)


@client.case
async def async_client():
    answer = await model(contract.ECHO_MODEL).achat(says(contract.TRICKY_TEXT))
    equal(answer.message.content, contract.TRICKY_TEXT, "echo")
    return "echo exact"


if __name__ == "__main__":
    client.main()
