"""boto3: Amazon's own SDK with `bedrock-runtime`, Converse and ConverseStream in Amazon's event framing."""

import concurrent.futures
import json
import os
import time

import contract
from contract import check, equal

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

client = contract.Client("boto3", "boto3")

# None of the user's files are read.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.environ["AWS_CONFIG_FILE"] = os.devnull


def runtime(key=contract.API_KEY):
    # Over HTTPS the key is the SDK's own `AWS_BEARER_TOKEN_BEDROCK`; over plain HTTP the SDK refuses to send that, so here
    # nothing is signed, and the key goes in a header.
    config = Config(
        signature_version=UNSIGNED,
        retries={"total_max_attempts": 1},
        max_pool_connections=contract.CONCURRENT_STREAMS,
    )
    sdk = boto3.client("bedrock-runtime", endpoint_url=contract.ORIGIN, region_name="eu-central-1", config=config)
    sdk.meta.events.register("before-call.bedrock-runtime", lambda params, **_: params["headers"].update({"x-api-key": key}))
    return sdk


SDK = runtime()


def says(text):
    return [{"role": "user", "content": [{"text": text}]}]


def ask(text, model=contract.MODEL, sdk=SDK, **options):
    return sdk.converse(modelId=model, messages=says(text), **options)


def streamed(messages, model=contract.MODEL, **options):
    """The text, the calls (name and input), why it ended, and the usage of a streamed answer."""
    text, calls, stop, usage = "", {}, None, None
    for event in SDK.converse_stream(modelId=model, messages=messages, **options)["stream"]:
        if start := event.get("contentBlockStart"):
            if "toolUse" in start["start"]:
                calls[start["contentBlockIndex"]] = [start["start"]["toolUse"]["name"], ""]
        elif delta := event.get("contentBlockDelta"):
            text += delta["delta"].get("text", "")
            if "toolUse" in delta["delta"]:
                calls[delta["contentBlockIndex"]][1] += delta["delta"]["toolUse"]["input"]
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
    return text, [(name, json.loads(given)) for name, given in calls.values()], stop, usage


def tool_config(*declared):
    specs = [
        {
            "toolSpec": {
                "name": each["function"]["name"],
                "description": each["function"]["description"],
                "inputSchema": {"json": contract.parameters(each)},
            }
        }
        for each in declared
    ]
    return {"tools": specs}


def calls_in(answer):
    return [block["toolUse"] for block in answer["output"]["message"]["content"] if "toolUse" in block]


def check_sum(usage):
    contract.check_usage(usage["inputTokens"], usage["outputTokens"], usage["totalTokens"])


@client.case
def chat():
    answer = ask(contract.TRICKY_TEXT, contract.ECHO_MODEL)
    equal(answer["output"]["message"]["content"], [{"text": contract.TRICKY_TEXT}], "echo")
    equal(answer["stopReason"], "end_turn", "stopReason")
    check_sum(answer["usage"])
    return f"echo exact, usage {answer['usage']['totalTokens']} tokens"


@client.case
def stream():
    text, _, stop, usage = streamed(says(contract.TRICKY_TEXT), contract.ECHO_MODEL)
    equal(text, contract.TRICKY_TEXT, "echo")
    equal(stop, "end_turn", "stopReason")
    check_sum(usage)
    return f"echo exact, usage {usage['totalTokens']} tokens"


@client.case
def length():
    answer = ask("one two three four five six", contract.ECHO_MODEL, inferenceConfig={"maxTokens": 2})
    equal(answer["stopReason"], "max_tokens", "stopReason")
    return "max_tokens"


@client.case
def tools():
    config = tool_config(contract.WEATHER_TOOL, contract.TIME_TOOL)
    answer = ask(contract.ASK_WEATHER, toolConfig=config)
    equal(answer["stopReason"], "tool_use", "stopReason")
    (call,) = calls_in(answer)
    equal(call["name"], "get_weather", "tool called")
    contract.check_weather_arguments(call["input"])
    forced = ask("hello", toolConfig={**config, "toolChoice": {"tool": {"name": "get_time"}}})
    equal([call["name"] for call in calls_in(forced)], ["get_time"], "forced tool")
    return f"chosen and forced; {call['input']}"


@client.case
def tools_stream():
    _, calls, stop, _ = streamed(says(contract.ASK_WEATHER), toolConfig=tool_config(contract.WEATHER_TOOL))
    equal(stop, "tool_use", "stopReason")
    equal([name for name, _ in calls], ["get_weather"], "tools called")
    contract.check_weather_arguments(calls[0][1])
    return f"called with {calls[0][1]}"


@client.case
def parallel_tools():
    config = tool_config(contract.WEATHER_TOOL, contract.TIME_TOOL)
    whole = [call["name"] for call in calls_in(ask(contract.ASK_BOTH, toolConfig=config))]
    _, calls, _, _ = streamed(says(contract.ASK_BOTH), toolConfig=config)
    equal(sorted(whole), ["get_time", "get_weather"], "tools called")
    equal(sorted(name for name, _ in calls), ["get_time", "get_weather"], "tools called in a stream")
    return "two calls, whole and streamed"


@client.case
def multi_turn():
    config = tool_config(contract.WEATHER_TOOL)
    answer = ask(contract.ASK_WEATHER, toolConfig=config)
    results = [
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": contract.WEATHER_RESULT}]}}
        for call in calls_in(answer)
    ]
    messages = [*says(contract.ASK_WEATHER), answer["output"]["message"], {"role": "user", "content": results}]
    final = SDK.converse(modelId=contract.MODEL, messages=messages, toolConfig=config)
    text = final["output"]["message"]["content"][0]["text"]
    check(contract.WEATHER_MARK in text, f"answer is {text!r}")
    check(contract.WEATHER_MARK in streamed(messages, toolConfig=config)[0], "the streamed answer lacks the result")
    return "tool result is in the final text, whole and streamed"


def refused(status, model=contract.MODEL, sdk=SDK):
    error = contract.raises(ClientError, lambda: ask("hello", model, sdk))
    equal(error.response["ResponseMetadata"]["HTTPStatusCode"], status, "status")
    check(contract.WRONG_KEY not in str(error), "the error repeats the key")
    return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"


@client.case
def error_auth():
    return refused(401, sdk=runtime(contract.WRONG_KEY))


@client.case
def error_unknown_model():
    return refused(404, contract.UNKNOWN_MODEL)


@client.case
def error_bad_request():
    return refused(400, contract.fault(contract.CONTEXT_LENGTH))


@client.case
def error_rate_limit():
    return refused(429, contract.fault(contract.RATE_LIMIT))


@client.case
def error_mid_stream():
    told = []
    for name in (contract.ERROR_EVENT, contract.CUT_STREAM):
        error = contract.raises(Exception, lambda: streamed(says("hello"), contract.fault(name)))
        told.append(f"{name}: {type(error).__name__}")
        # An error that comes together with the first content is one of the call, as the client has seen nothing yet.
        known = name != contract.ERROR_EVENT or isinstance(error, ClientError)
        check(known, f"an error event is told as {told[-1]}")
    return "; ".join(told)


@client.case
def cancellation():
    events = SDK.converse_stream(modelId=contract.fault(contract.ENDLESS), messages=says("hello"))["stream"]
    for _ in range(3):
        next(iter(events))
    started = time.monotonic()
    events.close()
    return contract.quick(started, "endless stream closed")


@client.case
def concurrent_streams():
    texts = [f"stream number {n} " + "word " * n + contract.TRICKY_TEXT for n in range(contract.CONCURRENT_STREAMS)]
    with concurrent.futures.ThreadPoolExecutor(len(texts)) as pool:
        for text, (said, *_) in zip(texts, pool.map(lambda t: streamed(says(t), contract.ECHO_MODEL), texts)):
            equal(said, text, "echo")
    return f"{len(texts)} streams at once, each with its own text"


if __name__ == "__main__":
    client.main()
