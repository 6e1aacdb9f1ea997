"""langchain-google-genai: chat model, tool loop and structured output of LangChain over Gemini's dialect."""

import asyncio

import contract
from contract import check, equal

import pydantic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError

client = contract.Client("langchain-google", "langchain-google-genai")


def chat_model(model=contract.MODEL, key=contract.API_KEY):
    # A name with a slash is taken for a whole resource name, so it must be one.
    return ChatGoogleGenerativeAI(
        base_url=contract.ORIGIN, google_api_key=key, model=f"models/{model}", max_retries=1
    )


@tool
def get_weather(city: str) -> str:
    """The present weather of a city."""
    return f"{contract.WEATHER_RESULT} in {city}"


@tool
def get_time(city: str) -> str:
    """The local time of a city."""
    return f"noon in {city}"


class Day(pydantic.BaseModel):
    weekday: str
    degrees: int


class Forecast(pydantic.BaseModel):
    """A weather forecast."""

    city: str
    days: list[Day]


def total_of(chunks):
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


def check_sum(usage):
    contract.check_usage(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])


@client.case
def chat():
    answer = chat_model(contract.ECHO_MODEL).invoke(contract.TRICKY_TEXT)
    equal(answer.text, contract.TRICKY_TEXT, "echo")
    equal(answer.response_metadata["finish_reason"], "STOP", "finish_reason")
    check_sum(answer.usage_metadata)
    return f"echo exact, usage {answer.usage_metadata['total_tokens']} tokens"


@client.case
def stream():
    chunks = list(chat_model(contract.ECHO_MODEL).stream(contract.TRICKY_TEXT))
    total = total_of(chunks)
    equal(total.text, contract.TRICKY_TEXT, "echo")
    check(len(chunks) > 5, f"only {len(chunks)} chunks")
    check_sum(total.usage_metadata)
    return f"{len(chunks)} chunks, echo exact"


@client.case
def tools():
    answer = chat_model().bind_tools([get_weather, get_time]).invoke(contract.ASK_WEATHER)
    equal([call["name"] for call in answer.tool_calls], ["get_weather"], "tools called")
    equal(set(answer.tool_calls[0]["args"]), {"city"}, "argument names")
    return f"called with {answer.tool_calls[0]['args']}"


@client.case
def tools_stream():
    total = total_of(chat_model().bind_tools([get_weather]).stream(contract.ASK_WEATHER))
    equal([call["name"] for call in total.tool_calls], ["get_weather"], "tools called")
    equal(set(total.tool_calls[0]["args"]), {"city"}, "argument names")
    return f"called with {total.tool_calls[0]['args']}"


@client.case
def parallel_tools():
    answer = chat_model().bind_tools([get_weather, get_time]).invoke(contract.ASK_BOTH)
    equal(sorted(call["name"] for call in answer.tool_calls), ["get_time", "get_weather"], "tools called")
    return "two calls"


@client.case
def structured():
    forecast = chat_model().with_structured_output(Forecast).invoke("Make up a forecast for Oslo")
    check(isinstance(forecast, Forecast), f"got {forecast!r}")
    return forecast.model_dump_json()


@client.case
def multi_turn():
    model = chat_model().bind_tools([get_weather])
    messages = [HumanMessage(contract.ASK_WEATHER)]
    messages.append(model.invoke(messages))
    for call in messages[-1].tool_calls:
        result = get_weather.invoke(call)
        check(isinstance(result, ToolMessage), f"tool gave {result!r}")
        messages.append(result)
    answer = model.invoke(messages)
    check(contract.WEATHER_MARK in answer.text, f"answer is {answer.text!r}")
    return "tool result is in the final text"


def refused(status, model=contract.MODEL, key=contract.API_KEY):
    error = contract.raises(ChatGoogleGenerativeAIError, lambda: chat_model(model, key).invoke("hello"))
    check(str(status) in str(error), f"error is {error}")
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    return f"{type(error).__name__}: {str(error)[:120]}"


@client.case
def error_auth():
    return refused(401, key=contract.WRONG_KEY)


@client.case
def error_unknown_model():
    return refused(404, model=contract.UNKNOWN_MODEL)


@client.case
def error_bad_request():
    return refused(400, model=contract.fault(contract.CONTEXT_LENGTH))


@client.case
def error_mid_stream():
    told = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        chunks = chat_model(contract.fault(name)).stream("hello")
        told.append(f"{name}: {type(contract.raises(Exception, lambda: list(chunks))).__name__}")
    return "; ".join(told)


@client.case
async def async_client():
    answer = await chat_model(contract.ECHO_MODEL).ainvoke(contract.TRICKY_TEXT)
    equal(answer.text, contract.TRICKY_TEXT, "echo")
    return "echo exact"


@client.case
async def concurrent_streams():
    model = chat_model(contract.ECHO_MODEL)

    async def one(text):
        equal("".join([chunk.text async for chunk in model.astream(text)]), text, "echo")

    texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
    await asyncio.gather(*(one(text) for text in texts))
    return f"{len(texts)} streams at once, each with its own text"


if __name__ == "__main__":
    client.main()
