"""Reads answers that are known beforehand with the official Python SDKs, and tells what the SDK made of each.

    exchanges.py SDK DIALECT ADDRESS

Jobs come in, one JSON line each; what came of them goes out the same way (`tests/e2e/tests/exchanges` sends and reads them).
An answer that is marked `check` is also validated by the published schema of its dialect and by the SDK's own types
without their leniency. A fault that `native` answers, recorded at the company that made the dialect, have as well is none.
"""

import importlib
import json
import sys

import exchanges_schema

READERS = {
    "openai.chat": "exchanges_openai.Chat",
    "openai.responses": "exchanges_openai.Responses",
    "openai.completions": "exchanges_openai.Completions",
    "anthropic.messages": "exchanges_anthropic.Messages",
    "gemini.generateContent": "exchanges_google.Gemini",
}


def outcome(reader, checker, job):
    """What is told of a job."""
    if job["native"]:
        checker.learn(job)
        return {"key": job["key"]}
    told = {"key": job["key"]}
    seen = {"text": "", "refusal": "", "calls": [], "finish": None, "usage": None}
    try:
        (reader.stream if job["stream"] else reader.whole)(job, seen)
    except Exception as error:  # noqa: BLE001 - an SDK may raise anything; all of it is a result
        told["error"] = reader.raised(error) or {"class": type(error).__name__, "message": str(error)}
    told["seen"] = seen
    if job["check"]:
        told["faults"] = checker.faults(job)
    return told


def main():
    _, _, dialect, address = sys.argv
    module, name = READERS[dialect].split(".")
    reader = getattr(importlib.import_module(module), name)(address)
    checker = exchanges_schema.Checker(dialect, address, reader)
    print(json.dumps({"version": reader.VERSION}))
    for line in sys.stdin:
        print(json.dumps(outcome(reader, checker, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
