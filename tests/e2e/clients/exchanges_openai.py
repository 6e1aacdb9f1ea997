"""openai-python as a reader of known answers: chat completions and responses."""

import importlib.metadata

import openai
from openai.types import responses
from openai.types.chat import ChatCompletion, ChatCompletionChunk

FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "filter",
}


class OpenAi:
    VERSION = importlib.metadata.version("openai")

    def __init__(self, address):
        self.sdk = openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)

    def raised(self, error):
        if not isinstance(error, openai.APIError):
            return None
        body = error.body if isinstance(error.body, dict) else {}
        return {
            "class": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "message": body.get("message") or error.message,
        }


def headers(job):
    return {"x-exchange": str(job["key"])}


class Chat(OpenAi):
    WHOLE = ChatCompletion
    EVENT = ChatCompletionChunk

    def whole(self, job, seen):
        self._see(self.sdk.chat.completions.create(extra_headers=headers(job), **self._ask()), seen)

    def stream(self, job, seen):
        asked = {"stream_options": {"include_usage": True}, "extra_headers": headers(job), **self._ask()}
        with self.sdk.chat.completions.stream(**asked) as stream:
            for event in stream:
                if event.type == "content.delta":
                    seen["text"] += event.delta
                elif event.type == "refusal.delta":
                    seen["refusal"] += event.delta
            streamed = dict(seen)
            self._see(finished(stream), seen)
            same_as_streamed(seen, streamed)

    def _ask(self):
        return {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

    def _see(self, answer, seen):
        choice = answer.choices[0]
        seen["text"] = choice.message.content or ""
        seen["refusal"] = choice.message.refusal or ""
        seen["finish"] = FINISH.get(choice.finish_reason, choice.finish_reason)
        for call in choice.message.tool_calls or []:
            if call.type == "custom":
                seen["calls"].append({"name": call.custom.name, "text": call.custom.input})
            else:
                seen["calls"].append({"name": call.function.name, "arguments": call.function.arguments})
        if answer.usage:
            seen["usage"] = [answer.usage.prompt_tokens, answer.usage.completion_tokens]


class Responses(OpenAi):
    WHOLE = responses.Response
    EVENT = responses.ResponseStreamEvent

    def whole(self, job, seen):
        self._see(self.sdk.responses.create(model="m", input="hi", extra_headers=headers(job)), seen)

    def stream(self, job, seen):
        final, arguments = None, {}
        with self.sdk.responses.stream(model="m", input="hi", extra_headers=headers(job)) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    seen["text"] += event.delta
                elif event.type == "response.refusal.delta":
                    seen["refusal"] += event.delta
                elif event.type in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
                    arguments[event.output_index] = arguments.get(event.output_index, "") + event.delta
                elif event.type in ("response.completed", "response.incomplete"):
                    assert final is None, "two final events"
                    final = event.response
                elif event.type == "response.failed":
                    raise Failed(event.response.error.code, event.response.error.message)
                elif event.type == "error":
                    raise Failed(event.code, event.message)
        assert final is not None, "no final event"
        streamed = dict(seen)
        self._see(final, seen)
        same_as_streamed(seen, streamed)
        calls = [call.get("arguments", call.get("text")) for call in seen["calls"]]
        assert [text for _, text in sorted(arguments.items())] == [text for text in calls if text], "streamed arguments"

    def raised(self, error):
        if isinstance(error, Failed):
            return {"class": "Failed", "code": error.args[0], "message": error.args[1]}
        return super().raised(error)

    def _see(self, answer, seen):
        seen["text"] = answer.output_text
        seen["refusal"] = ""
        for item in answer.output:
            if item.type == "message":
                seen["refusal"] += "".join(part.refusal for part in item.content if part.type == "refusal")
            elif item.type == "function_call":
                seen["calls"].append({"name": item.name, "arguments": item.arguments})
            elif item.type == "custom_tool_call":
                seen["calls"].append({"name": item.name, "text": item.input})
        if answer.status == "completed":
            seen["finish"] = "calls" if seen["calls"] else "stop"
        elif answer.status == "incomplete":
            reason = answer.incomplete_details.reason
            seen["finish"] = {"max_output_tokens": "length", "content_filter": "filter"}.get(reason, reason)
        else:
            seen["finish"] = f"status {answer.status}"
        if answer.usage:
            seen["usage"] = [answer.usage.input_tokens, answer.usage.output_tokens]


def finished(stream):
    """The whole answer. This SDK parses it, and raises where it was cut off; the answer is in what it raises."""
    try:
        return stream.get_final_completion()
    except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
        return getattr(error, "completion", None) or stream.current_completion_snapshot


class Failed(Exception):
    """An answer that failed in the middle: a code and a message."""


def same_as_streamed(seen, streamed):
    """The pieces of a stream must make up its final answer."""
    for member in ("text", "refusal"):
        assert seen[member] == streamed[member], f"{member} in pieces {streamed[member]!r}, at the end {seen[member]!r}"
