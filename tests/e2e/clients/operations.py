"""What is not a chat turn, by the SDKs of OpenAI, Anthropic and Google, against a provider whose answers a test writes.

Run by `tests/operations.rs`, which knows what the answers are and checks what went out; here is checked what an
application gets of them.
"""

import io

import contract
from contract import check, equal

import anthropic
import openai
from google import genai
from google.genai import types

client = contract.Client("operations", "openai")


# One for all cases: each takes half a second to make.
SDK = openai.OpenAI(base_url=contract.BASE_URL, api_key=contract.API_KEY, max_retries=0)


def google():
    options = types.HttpOptions(base_url=contract.ORIGIN, api_version="v1beta")
    return genai.Client(api_key=contract.API_KEY, http_options=options)


GOOGLE = google()


@client.case
def embeddings():
    answer = SDK.embeddings.create(model="openai/text-embedding-3-small", input=["a", "b"])
    equal([item.embedding for item in answer.data], [[1.0, -2.0], [0.5, 0.25]], "vectors")
    equal((answer.usage.prompt_tokens, answer.usage.total_tokens), (9, 9), "usage")
    return "packed vectors unpacked"


@client.case
def embeddings_elsewhere():
    models = ["voyage/voyage-3.5", "cohere/embed-v4.0", "google/gemini-embedding-001", "bedrock/amazon.titan-embed-text-v2:0"]
    for model in models + ["jina/jina-embeddings-v3"]:
        for form in ("float", "base64"):
            answer = SDK.embeddings.create(model=model, input=["a", "b"], encoding_format=form)
            vectors = [item.embedding for item in answer.data]
            if form == "base64":
                check(all(isinstance(vector, str) for vector in vectors), f"{model}: {vectors!r}")
                continue
            equal(vectors, [[1.0, -2.0], [0.5, 0.25]], f"vectors of {model}")
            check(answer.usage.prompt_tokens > 0, f"usage of {model}: {answer.usage!r}")
    return f"{len(models) + 1} providers in one form"


@client.case
def moderations():
    answer = SDK.moderations.create(input="hello")
    check(answer.results[0].flagged is False, f"{answer!r}")
    return answer.model


@client.case
def images():
    answer = SDK.images.generate(model="openai/gpt-image-1", prompt="a red circle")
    equal(answer.data[0].b64_json, "QUJD", "image")
    equal(answer.usage.output_tokens, 4160, "output tokens")
    edited = SDK.images.edit(model="openai/gpt-image-1", image=("a.png", b"\x89PNG\r\n\x1a\n\x00", "image/png"), prompt="blue")
    equal(edited.data[0].b64_json, "QUJD", "edited image")
    return "made and changed"


@client.case
def audio():
    recording = ("a.wav", b"RIFF\r\n--\x00\xff", "audio/wav")
    answer = SDK.audio.transcriptions.create(model="openai/whisper-1", file=recording)
    equal(answer.text, "Grüße", "transcription")
    text = SDK.audio.translations.create(model="openai/whisper-1", file=recording)
    equal(text.text, "Grüße", "translation")
    spoken = SDK.audio.speech.create(model="openai/tts-1", voice="alloy", input="Grüße")
    equal(spoken.read(), b"ID3\x00\xff-first-second", "sound")
    return "sound to text and back"


@client.case
def files():
    keeper = {"x-lockgate-provider": "openai"}
    kept = SDK.files.create(file=("a.jsonl", io.BytesIO(b'{"a":1}\n')), purpose="batch", extra_headers=keeper)
    equal(kept.id, "file-1", "id")
    equal([file.id for file in SDK.files.list(extra_headers=keeper)], ["file-1"], "list")
    equal(SDK.files.content("file-1", extra_headers=keeper).read(), b'{"a":1}\n', "content")
    check(SDK.files.delete("file-1", extra_headers=keeper).deleted, "deleted")
    return "made, listed, read, deleted"


@client.case
def batches():
    keeper = {"x-lockgate-provider": "openai"}
    made = SDK.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h", extra_headers=keeper
    )
    equal((made.id, made.status), ("batch_1", "validating"), "batch")
    equal(SDK.batches.retrieve("batch_1", extra_headers=keeper).id, "batch_1", "batch")
    equal(SDK.batches.cancel("batch_1", extra_headers=keeper).id, "batch_1", "batch")
    return "made, looked at, cancelled"


@client.case
def count_tokens():
    claude = anthropic.Anthropic(base_url=contract.ORIGIN, api_key=contract.API_KEY, max_retries=0)
    hello = [{"role": "user", "content": "hello"}]
    counted = claude.messages.count_tokens(model="anthropic/claude-sonnet-4-5", messages=hello)
    equal(counted.input_tokens, 14, "Anthropic's count")
    estimated = claude.messages.count_tokens(model="openai/gpt-4o", messages=hello)
    check(0 < estimated.input_tokens < 20, f"the gateway's count: {estimated.input_tokens}")
    gemini = GOOGLE.models.count_tokens(model="models/google/gemini-2.5-flash", contents="hello")
    equal(gemini.total_tokens, 31, "Google's count")
    return f"counted 14 and 31, estimated {estimated.input_tokens}"


@client.case
def embed_content():
    answer = GOOGLE.models.embed_content(model="models/google/gemini-embedding-001", contents=["a", "b"])
    equal([item.values for item in answer.embeddings], [[1.0, -2.0], [0.5, 0.25]], "vectors")
    return "two vectors"


@client.case
def errors():
    try:
        SDK.embeddings.create(model="openai/no-such-model", input="a")
    except openai.NotFoundError as error:
        equal(error.code, "model_not_found", "code")
    else:
        raise AssertionError("no error")
    try:
        SDK.embeddings.create(model="openai/text-embedding-3-small", input=None)
    except openai.BadRequestError as error:
        equal(error.param, "input", "param")
    else:
        raise AssertionError("no error")
    claude = anthropic.Anthropic(base_url=contract.ORIGIN, api_key=contract.WRONG_KEY, max_retries=0)
    try:
        claude.messages.count_tokens(model="m", messages=[{"role": "user", "content": "hello"}])
    except anthropic.AuthenticationError as error:
        equal(error.body["error"]["type"], "authentication_error", "type")
    else:
        raise AssertionError("no error")
    return "each in its own words"


client.main()
