"""Conversations over a WebSocket, both ends: `serve` is a provider whose lines are written here, anything else are cases
of clients, OpenAI's SDK among them. Run by `tests/realtime.rs`."""

import json
import sys
import threading

from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.sync.client import connect
from websockets.sync.server import serve

BIG = "grüße " * 200_000
USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 54, "audio_tokens": 10},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def provider(key):
    def check(connection, request):
        wrong = []
        if not request.path.startswith("/openai/v1/realtime?model="):
            wrong.append(request.path)
        if request.headers.get("authorization") != f"Bearer {key}":
            wrong.append("key")
        if "lg-" in repr(request.headers) or request.headers.get("sec-websocket-extensions"):
            wrong.append(repr(request.headers))
        if "no-such-model" in request.path:
            wrong.append("model")
        if wrong:
            told = {"error": {"message": f"wrong: {wrong}", "type": "invalid_request_error", "code": "model_not_found"}}
            body = json.dumps(told).encode()
            headers = Headers({"content-type": "application/json", "content-length": str(len(body))})
            return Response(404, "Not Found", headers, body)
        return None

    def talk(connection):
        connection.send(json.dumps({"type": "session.created", "event_id": "e", "session": {"model": connection.request.path}}))
        for message in connection:
            if isinstance(message, bytes):
                connection.send(message[::-1])
                continue
            event = json.loads(message)
            if event["type"] == "response.create":
                connection.send(json.dumps({"type": "response.created", "event_id": "c", "response": {"usage": None}}))
                connection.send(json.dumps({"type": "response.output_text.delta", "delta": "hello", "event_id": "d"}))
                done = {"object": "realtime.response", "id": "r", "status": "completed", "output": [], "usage": USAGE}
                # In two frames: what is cut must be heard too.
                text = json.dumps({"type": "response.done", "event_id": "f", "response": done})
                connection.send([text[:40], text[40:]])
            elif event["type"] == "leave":
                connection.close(4001, "as asked")
                return
            else:
                connection.send(message)

    return check, talk


if sys.argv[1:2] == ["serve"]:
    check, talk = provider(sys.argv[2])
    def choose(connection, offered):
        return "realtime" if "realtime" in offered else None

    with serve(talk, "127.0.0.1", 0, process_request=check, select_subprotocol=choose, max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        # It ends with whoever started it.
        threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
        server.serve_forever()
    sys.exit(0)


import contract
from contract import equal

import openai
from websockets.exceptions import ConnectionClosed, InvalidStatus

client = contract.Client("realtime", "openai")
WS = contract.BASE_URL.replace("http", "ws", 1)
MODEL = "openai/gpt-realtime"


def line(key=contract.API_KEY, model=MODEL, **options):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return connect(f"{WS}/realtime?model={model}", additional_headers=headers, max_size=None, **options)


@client.case
def sdk():
    talk = openai.OpenAI(base_url=contract.BASE_URL, websocket_base_url=WS, api_key=contract.API_KEY)
    seen = []
    with talk.realtime.connect(model=MODEL) as connection:
        connection.response.create()
        for event in connection:
            seen.append(event.type)
            if event.type == "response.done":
                equal(event.response.usage.total_tokens, 253, "total")
                break
    equal(seen, ["session.created", "response.created", "response.output_text.delta", "response.done"], "events")
    return "a turn"


@client.case
def both_ways():
    with line() as connection:
        created = json.loads(connection.recv())
        equal(created["session"]["model"], "/openai/v1/realtime?model=gpt-realtime", "path")
        big = json.dumps({"type": "echo", "text": BIG})
        connection.send(big)
        equal(connection.recv(), big, "a large message")
        connection.send(b"\x00\x01\xff")
        equal(connection.recv(), b"\xff\x01\x00", "bytes")
        for _ in range(2):
            connection.send(json.dumps({"type": "response.create"}))
            while json.loads(connection.recv())["type"] != "response.done":
                pass
        connection.ping().wait(10)
        connection.send(json.dumps({"type": "leave"}))
        try:
            connection.recv()
        except ConnectionClosed as closed:
            equal((closed.rcvd.code, closed.rcvd.reason), (4001, "as asked"), "end")
    return f"{len(big)} characters, two turns"


@client.case
def browser():
    with line(None, subprotocols=["realtime", f"openai-insecure-api-key.{contract.API_KEY}"]) as connection:
        equal(connection.subprotocol, "realtime", "protocol")
        connection.recv()
    return "a key among protocols"


@client.case
def refused():
    for options, status in [
        ({"key": contract.WRONG_KEY}, 401),
        ({"key": None}, 401),
        ({"model": "nothing-of-this-name"}, 404),
        ({"model": "openai/no-such-model"}, 404),
        ({"model": "anthropic/claude-sonnet-4-5"}, 404),
        ({"model": ""}, 400),
    ]:
        try:
            with line(**options):
                raise AssertionError(f"{options} was let in")
        except InvalidStatus as error:
            equal(error.response.status_code, status, f"status of {options}")
            told = json.loads(error.response.body)
            contract.check(told["error"]["message"], f"{told!r}")
    return "in words"


@client.case
def going_away():
    with line() as connection:
        connection.recv()
        print(json.dumps({"open": True}), flush=True)
        try:
            connection.recv(timeout=25)
        except ConnectionClosed as closed:
            equal(closed.rcvd.code, 1001, "code")
            return "told"
    raise AssertionError("not told")


client.main()
