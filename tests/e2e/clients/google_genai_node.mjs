// google-genai for JavaScript: Google's own SDK.

import assert from "node:assert/strict";
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from "@google/genai";
import { z } from "zod";
import * as contract from "./contract.mjs";

const { MODEL, ECHO_MODEL, TRICKY_TEXT } = contract;

const sdk = (apiKey = contract.API_KEY) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: contract.ORIGIN } });
const params = (contents, { model = MODEL, ...config } = {}) => ({ model, contents, config });
const ask = (contents, options) => sdk().models.generateContent(params(contents, options));
const open = (contents, options) => sdk().models.generateContentStream(params(contents, options));
const askFault = (name) => ask("hello", { model: contract.fault(name) });

const declare = (name, properties) => ({
  name,
  description: `Tells about a city: ${name}.`,
  parametersJsonSchema: { type: "object", properties, required: Object.keys(properties), additionalProperties: false },
});
const WEATHER = declare("get_weather", {
  city: { type: "string" },
  unit: { type: "string", enum: ["celsius", "fahrenheit"] },
});
const TIME = declare("get_time", { city: { type: "string" } });
const weatherOnly = [{ functionDeclarations: [WEATHER] }];
const tools = [{ functionDeclarations: [WEATHER, TIME] }];

const Forecast = z.object({
  city: z.string(),
  days: z.array(z.object({ weekday: z.string(), degrees: z.number().int(), sky: z.enum(["clear", "cloudy"]) })),
  warning: z.string().nullable(),
});

const namesOf = (calls) => (calls ?? []).map((call) => call.name).sort();
const hasStatus = (status) => (error) => error instanceof ApiError && error.status === status;

/** The text, calls, finish reasons and chunks of a stream. */
async function collect(stream) {
  const seen = { text: "", calls: [], finishes: [], chunks: [] };
  for await (const chunk of await stream) {
    seen.chunks.push(chunk);
    for (const part of chunk.candidates?.[0]?.content?.parts ?? []) {
      seen.text += part.text ?? "";
      if (part.functionCall) seen.calls.push(part.functionCall);
    }
    if (chunk.candidates?.[0]?.finishReason) seen.finishes.push(chunk.candidates[0].finishReason);
  }
  return seen;
}

async function streamEcho(text) {
  const seen = await collect(open(text, { model: ECHO_MODEL }));
  assert.equal(seen.text, text);
  assert.deepEqual(seen.finishes, ["STOP"]);
  return seen;
}

const checkCounts = (usage) =>
  contract.checkUsage(usage.promptTokenCount, usage.candidatesTokenCount, usage.totalTokenCount);

const allOk = await contract.run("google-genai-node", ["@google/genai"], {
  async chat() {
    const answer = await ask(TRICKY_TEXT, { model: ECHO_MODEL });
    assert.equal(answer.text, TRICKY_TEXT);
    assert.equal(answer.candidates[0].content.role, "model");
    assert.equal(answer.candidates[0].finishReason, "STOP");
    checkCounts(answer.usageMetadata);
    return `echo exact, usage ${answer.usageMetadata.totalTokenCount} tokens`;
  },

  async length() {
    const answer = await ask("Write a long story about a lighthouse.", { maxOutputTokens: 5 });
    assert.equal(answer.candidates[0].finishReason, "MAX_TOKENS");
    assert.ok(answer.usageMetadata.candidatesTokenCount <= 5, JSON.stringify(answer.usageMetadata));
    return `${answer.usageMetadata.candidatesTokenCount} tokens, finishReason MAX_TOKENS`;
  },

  async stream() {
    const { chunks } = await streamEcho(TRICKY_TEXT);
    assert.ok(chunks.length > 5, `only ${chunks.length} chunks`);
    return `${chunks.length} chunks, echo exact`;
  },

  async stream_usage() {
    const usage = (await streamEcho("hello there")).chunks.at(-1).usageMetadata;
    checkCounts(usage);
    const whole = (await ask("hello there", { model: ECHO_MODEL })).usageMetadata;
    assert.equal(usage.totalTokenCount, whole.totalTokenCount, "usage of the stream and of the whole answer");
    return `last chunk, ${usage.totalTokenCount} tokens`;
  },

  async tools() {
    const { functionCalls } = await ask(contract.ASK_WEATHER, { tools });
    assert.deepEqual(namesOf(functionCalls), ["get_weather"]);
    contract.checkWeatherArguments(functionCalls[0].args);
    const mode = (mode, allowedFunctionNames) => ({ functionCallingConfig: { mode, allowedFunctionNames } });
    const only = mode(FunctionCallingConfigMode.ANY, ["get_time"]);
    const forced = await ask("Hello", { tools, toolConfig: only });
    assert.deepEqual(namesOf(forced.functionCalls), ["get_time"]);
    const none = await ask(contract.ASK_WEATHER, { tools, toolConfig: mode(FunctionCallingConfigMode.NONE) });
    assert.deepEqual(namesOf(none.functionCalls), []);
    return `chosen, forced and forbidden; ${JSON.stringify(functionCalls[0].args)}`;
  },

  async tools_stream() {
    const { calls, finishes } = await collect(open(contract.ASK_WEATHER, { tools: weatherOnly }));
    assert.deepEqual(namesOf(calls), ["get_weather"]);
    contract.checkWeatherArguments(calls[0].args);
    assert.deepEqual(finishes, ["STOP"]);
    return `called with ${JSON.stringify(calls[0].args)}`;
  },

  async parallel_tools() {
    const whole = await ask(contract.ASK_BOTH, { tools });
    assert.deepEqual(namesOf(whole.functionCalls), ["get_time", "get_weather"]);
    const { calls } = await collect(open(contract.ASK_BOTH, { tools }));
    assert.deepEqual(namesOf(calls), ["get_time", "get_weather"]);
    return "two calls, whole and streamed";
  },

  async structured() {
    const config = { responseMimeType: "application/json", responseJsonSchema: z.toJSONSchema(Forecast) };
    const { text } = await ask("Make up a forecast for Oslo", config);
    Forecast.parse(JSON.parse(text));
    const streamed = await collect(open("Make up a forecast for Oslo", config));
    Forecast.parse(JSON.parse(streamed.text));
    return `parsed, whole and streamed: ${text}`;
  },

  async multi_turn() {
    const question = { role: "user", parts: [{ text: contract.ASK_BOTH }] };
    const first = await ask([question], { tools });
    const parts = first.functionCalls.map(({ id, name }) => ({
      functionResponse: { id, name, response: { result: contract.WEATHER_RESULT } },
    }));
    assert.equal(parts.length, 2, "calls to answer");
    const contents = [question, first.candidates[0].content, { role: "user", parts }];
    const whole = (await ask(contents, { tools })).text;
    const streamed = (await collect(open(contents, { tools }))).text;
    for (const text of [whole, streamed]) {
      assert.equal(text.split(contract.WEATHER_MARK).length, 3, `answer is ${text}`);
    }
    return "both tools' results are in the final text, whole and streamed";
  },

  async awkward_streams() {
    const lengths = [];
    for (const name of contract.AWKWARD) {
      const { text, finishes } = await collect(open("Tell me about Grüße", { model: contract.fault(name) }));
      assert.deepEqual(finishes, ["STOP"], `finish reasons of ${name}`);
      assert.ok(text.length > 10, `${name}: text is ${text}`);
      lengths.push(`${name} ${text.length}`);
    }
    const split = { model: contract.fault(contract.SPLIT_ARGUMENTS), tools: weatherOnly };
    const { calls } = await collect(open(contract.ASK_WEATHER, split));
    contract.checkWeatherArguments(calls[0].args);
    return `characters: ${lengths.join(", ")}; split arguments whole`;
  },

  async error_auth() {
    const wrong = sdk(contract.WRONG_KEY);
    const error = await contract.rejects(hasStatus(401), () => wrong.models.generateContent(params("hello")));
    assert.ok(!error.message.includes(contract.WRONG_KEY), "the error repeats the key");
    assert.equal(JSON.parse(error.message).error.status, "UNAUTHENTICATED");
    return `ApiError 401: ${JSON.parse(error.message).error.message}`;
  },

  async error_unknown_model() {
    const unknown = { model: contract.UNKNOWN_MODEL };
    const error = await contract.rejects(hasStatus(404), () => ask("hello", unknown));
    await contract.rejects(hasStatus(404), () => collect(open("hello", unknown)));
    return `ApiError 404: ${JSON.parse(error.message).error.message}`;
  },

  async error_bad_request() {
    const nameless = [{ functionDeclarations: [{ name: "" }] }];
    const error = await contract.rejects(hasStatus(400), () => ask("hello", { tools: nameless }));
    await contract.rejects(hasStatus(400), () => askFault(contract.CONTEXT_LENGTH));
    return `ApiError 400: ${JSON.parse(error.message).error.message}`;
  },

  async error_rate_limit() {
    const error = await contract.rejects(hasStatus(429), () => askFault(contract.RATE_LIMIT));
    assert.equal(JSON.parse(error.message).error.status, "RESOURCE_EXHAUSTED");
    return "ApiError 429, RESOURCE_EXHAUSTED";
  },

  async error_server() {
    const isServers = (error) => error instanceof ApiError && error.status >= 500;
    const error = await contract.rejects(isServers, () => askFault(contract.SERVER_ERROR));
    return `ApiError ${error.status}: ${JSON.parse(error.message).error.message}`;
  },

  async error_mid_stream() {
    const told = [];
    for (const name of [contract.ERROR_EVENT, contract.CUT_STREAM]) {
      const error = await contract.rejects(
        (error) => error instanceof Error,
        () => collect(open("hello", { model: contract.fault(name) })),
      );
      told.push(`${name}: ${error.constructor.name}`);
    }
    return told.join("; ");
  },

  async abort() {
    const controller = new AbortController();
    const stalled = { model: contract.fault(contract.STALL), abortSignal: controller.signal };
    const stream = await open("hello", stalled);
    await stream.next();
    const started = performance.now();
    controller.abort();
    await contract.rejects(
      (error) => error instanceof Error,
      () => collect(stream),
    );
    return contract.quick(started, "stalled stream aborted");
  },

  async concurrent_streams() {
    const texts = Array.from(
      { length: contract.CONCURRENT_STREAMS },
      (_, n) => `stream number ${n} ${"word ".repeat(n)}${TRICKY_TEXT}`,
    );
    await Promise.all(texts.map(streamEcho));
    return `${texts.length} streams at once, each with its own text`;
  },
});
contract.finish(allOk);
