"""google-genai for Python as a reader of known answers."""

import importlib.metadata

from google import genai
from google.genai import errors, types

FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
FINISH |= dict.fromkeys(["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"], "filter")
FINISH |= dict.fromkeys(["LANGUAGE", "OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"], "other")


class Gemini:
    VERSION = importlib.metadata.version("google-genai")
    WHOLE = types.GenerateContentResponse
    EVENT = types.GenerateContentResponse

    def __init__(self, address):
        self.sdk = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=address))

    def whole(self, job, seen):
        self._see([self.sdk.models.generate_content(**self._ask(job))], seen)

    def stream(self, job, seen):
        # What was seen before an error counts too.
        self._see(self.sdk.models.generate_content_stream(**self._ask(job)), seen)

    def raised(self, error):
        if not isinstance(error, errors.APIError):
            return None
        return {"class": type(error).__name__, "status": error.code, "message": error.message or str(error)}

    def _ask(self, job):
        headers = {"x-exchange": str(job["key"])}
        config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))
        return {"model": "m", "contents": "hi", "config": config}

    def _see(self, answers, seen):
        for answer in answers:
            if answer.prompt_feedback and answer.prompt_feedback.block_reason:
                seen["finish"] = "filter"
            for candidate in (answer.candidates or [])[:1]:
                for part in (candidate.content and candidate.content.parts) or []:
                    if part.text and not part.thought:
                        seen["text"] += part.text
                    if part.function_call:
                        seen["calls"].append({"name": part.function_call.name, "input": part.function_call.args or {}})
                if candidate.finish_reason:
                    seen["finish"] = FINISH.get(candidate.finish_reason.value, candidate.finish_reason.value)
            usage = answer.usage_metadata
            if usage:
                seen["usage"] = [
                    (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
                    (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
                ]
        if seen["finish"] == "stop" and seen["calls"]:
            seen["finish"] = "calls"
