"""anthropic-python as a reader of known answers."""

import importlib.metadata

import anthropic
from anthropic.types import Message, RawMessageStreamEvent

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "calls",
    "refusal": "filter",
    "pause_turn": "other",
    "model_context_window_exceeded": "other",
}


class Messages:
    VERSION = importlib.metadata.version("anthropic")
    WHOLE = Message
    EVENT = RawMessageStreamEvent

    def __init__(self, address):
        self.sdk = anthropic.Anthropic(base_url=address, api_key="any", max_retries=0)

    def whole(self, job, seen):
        self._see(self.sdk.messages.create(**self._ask(job)), seen)

    def stream(self, job, seen):
        with self.sdk.messages.stream(**self._ask(job)) as stream:
            for event in stream:
                if event.type == "text":
                    seen["text"] += event.text
            streamed = seen["text"]
            self._see(stream.get_final_message(), seen)
        assert seen["text"] == streamed, "text in pieces and at the end"

    def raised(self, error):
        if not isinstance(error, anthropic.APIError):
            return None
        body = error.body if isinstance(error.body, dict) else {}
        message = (body.get("error") or {}).get("message") or error.message
        return {"class": type(error).__name__, "status": getattr(error, "status_code", None), "message": message}

    def _ask(self, job):
        return {
            "model": "m",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}],
            "extra_headers": {"x-exchange": str(job["key"])},
        }

    def _see(self, answer, seen):
        seen["text"] = "".join(block.text for block in answer.content if block.type == "text")
        seen["calls"] = [
            {"name": block.name, "input": block.input} for block in answer.content if block.type == "tool_use"
        ]
        seen["finish"] = FINISH.get(answer.stop_reason, answer.stop_reason)
        usage = answer.usage
        cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        seen["usage"] = [usage.input_tokens + cached, usage.output_tokens]
