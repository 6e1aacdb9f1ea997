"""The order of a stream's events: what begins is ended, indexes count up, and there is exactly one end."""

import json


def faults(dialect, events):
    """What is out of order in the events (name and data) of a stream."""
    found = []

    def check(holds, otherwise):
        if not holds:
            found.append(f"order: {otherwise}")

    parsed = [(name, None if data == "[DONE]" else json.loads(data)) for name, data in events]
    ORDERS[dialect](parsed, check)
    return found


def _broken(parsed):
    """Whether an error ended the stream, which nothing may follow."""
    return bool(parsed) and parsed[-1][1] is not None and (
        "error" in parsed[-1][1] or parsed[-1][1].get("type") in ("error", "response.failed")
    )


def _chat(parsed, check):
    bodies = [event for _, event in parsed if event is not None]
    check(all(name == "" for name, _ in parsed), "a named event")
    if _broken(parsed):
        bodies.pop()
    else:
        check([event for _, event in parsed].count(None) == 1 and parsed[-1][1] is None, "no [DONE] at the end, or two")
    check(len({event["id"] for event in bodies}) <= 1, "several ids")
    reasons = [choice["finish_reason"] for event in bodies for choice in event["choices"] if choice["finish_reason"]]
    check(len(reasons) == (0 if _broken(parsed) else 1), f"finish reasons {reasons}")
    calls = []
    for event in bodies:
        for choice in event["choices"]:
            for call in choice["delta"].get("tool_calls") or []:
                if call["index"] == len(calls):
                    calls.append(call["id"])
                    kind = call["type"]
                    check(call[kind]["name"], "a call without a name")
                check(call["index"] == len(calls) - 1, f"call {call['index']} after {len(calls)}")
    check(len(set(calls)) == len(calls), f"ids of calls {calls}")


def _messages(parsed, check):
    check(all(name == event["type"] for name, event in parsed), "names and types")
    names = [name for name, _ in parsed if name != "ping"]
    check(names[:1] == ["message_start"], f"begins with {names[:1]}")
    if _broken(parsed):
        check("message_delta" not in names and "message_stop" not in names, "an error behind the end")
    else:
        check(names[-2:] == ["message_delta", "message_stop"] and names.count("message_delta") == 1, f"ends {names[-2:]}")
        check(names.count("message_stop") == 1, "more than one end")
    index, is_open = -1, False
    for name, event in parsed:
        if name == "content_block_start":
            check(not is_open and event["index"] == index + 1, f"block {event['index']} after {index}")
            index, is_open = event["index"], True
        elif name in ("content_block_delta", "content_block_stop"):
            check(is_open and event["index"] == index, f"{name} of {event['index']} in {index}")
            is_open = name == "content_block_delta"
    check(not is_open or _broken(parsed), "a block stays open")


def _responses(parsed, check):
    check(all(name == event["type"] for name, event in parsed), "names and types")
    numbers = [event["sequence_number"] for _, event in parsed]
    check(numbers == list(range(len(numbers))) or _broken(parsed), f"sequence numbers {numbers[:4]}")
    names = [name for name, _ in parsed]
    check(names[:2] == ["response.created", "response.in_progress"], f"begins {names[:2]}")
    ends = [name for name in names if name in ("response.completed", "response.incomplete", "response.failed", "error")]
    check(len(ends) == 1 and names[-1] == ends[0], f"ends {ends}")
    items = {}
    for name, event in parsed:
        index = event.get("output_index")
        if name == "response.output_item.added":
            check(index == len(items), f"item {index} after {len(items)}")
            items[index] = False
        elif name == "response.output_item.done":
            check(items.get(index) is False, f"item {index} done")
            items[index] = True
        elif index is not None:
            check(items.get(index) is False, f"{name} of item {index}")
    check(all(items.values()) or _broken(parsed), f"items {items}")
    if ends and ends[0] in ("response.completed", "response.incomplete"):
        done = [event["item"] for name, event in parsed if name == "response.output_item.done"]
        check(done == parsed[-1][1]["response"]["output"], "the last event's items are not those before")


def _gemini(parsed, check):
    bodies = [event for _, event in parsed]
    check(all(name == "" for name, _ in parsed), "a named event")
    reasons = [
        candidate["finishReason"]
        for event in bodies
        for candidate in event.get("candidates", [])
        if "finishReason" in candidate
    ]
    blocked = any("promptFeedback" in event for event in bodies)
    check(len(reasons) == (0 if _broken(parsed) or blocked else 1), f"finish reasons {reasons}")


ORDERS = {
    "openai.chat": _chat,
    "anthropic.messages": _messages,
    "openai.responses": _responses,
    "gemini.generateContent": _gemini,
}
