// Vercel AI SDK, with the providers of OpenAI (chat completions and responses), Anthropic, Google, Mistral, Amazon
// Bedrock and OpenRouter, and the OpenAI-compatible one. It checks every chunk against a schema, which makes it the
// strictest reader of streams.

import assert from "node:assert/strict";
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createMistral } from "@ai-sdk/mistral";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import * as contract from "./contract.mjs";

const { MODEL, ECHO_MODEL, TRICKY_TEXT } = contract;

globalThis.AI_SDK_LOG_WARNINGS = false;

const Forecast = z.object({
  city: z.string(),
  days: z.array(z.object({ weekday: z.string(), degrees: z.number().int(), sky: z.enum(["clear", "cloudy"]) })),
  warning: z.string().nullable(),
});

const getWeather = tool({
  description: "The present weather of a city.",
  inputSchema: z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]) }),
});
const getTime = tool({ description: "The local time of a city.", inputSchema: z.object({ city: z.string() }) });

const hasStatus = (status) => (error) => APICallError.isInstance(error) && error.statusCode === status;
const toolNames = (calls) => calls.map((call) => call.toolName).sort();

/** Everything a stream tells; `errors` holds what the SDK would otherwise log. */
async function collect(options) {
  const seen = { text: "", calls: [], inputPieces: 0, errors: [], finish: null, usage: null };
  const stream = streamText({ maxRetries: 0, onError() {}, ...options });
  for await (const part of stream.fullStream) {
    if (part.type === "text-delta") seen.text += part.text;
    if (part.type === "tool-input-delta") seen.inputPieces += 1;
    if (part.type === "tool-call") seen.calls.push(part);
    if (part.type === "error") seen.errors.push(part.error);
    if (part.type === "abort") seen.aborted = true;
    if (part.type === "finish") ({ finishReason: seen.finish, totalUsage: seen.usage } = part);
  }
  return seen;
}

/** `collect` for a stream that must go well. */
async function stream(options) {
  const seen = await collect(options);
  if (seen.errors.length > 0) throw seen.errors[0];
  return seen;
}

/** The cases for a provider. `leastPartials`: how many partial objects of a structured answer it shows at least. */
const casesOf = (provider, leastPartials = 2) => {
  const model = (id = MODEL, apiKey = contract.API_KEY) => provider(apiKey)(id);
  const generate = (options) => generateText({ model: model(), maxRetries: 0, ...options });
  const streamEcho = async (prompt) => {
    const seen = await stream({ model: model(ECHO_MODEL), prompt });
    assert.equal(seen.text, prompt);
    assert.equal(seen.finish, "stop");
    return seen;
  };

  return {
    async chat() {
      const { text, finishReason, usage } = await generate({ model: model(ECHO_MODEL), prompt: TRICKY_TEXT });
      assert.equal(text, TRICKY_TEXT);
      assert.equal(finishReason, "stop");
      contract.checkUsage(usage.inputTokens, usage.outputTokens, usage.totalTokens);
      return `echo exact, usage ${usage.totalTokens} tokens`;
    },

    async stream() {
      await streamEcho(TRICKY_TEXT);
      return "echo exact, every chunk passed the schema";
    },

    async stream_usage() {
      const { usage } = await streamEcho("hello there");
      contract.checkUsage(usage.inputTokens, usage.outputTokens, usage.totalTokens);
      return `${usage.totalTokens} tokens`;
    },

    async tools() {
      const tools = { get_weather: getWeather, get_time: getTime };
      const { toolCalls, finishReason } = await generate({ prompt: contract.ASK_WEATHER, tools });
      assert.equal(finishReason, "tool-calls");
      assert.deepEqual(toolNames(toolCalls), ["get_weather"]);
      assert.ok(!toolCalls[0].invalid, `invalid call: ${toolCalls[0].error}`);
      contract.checkWeatherArguments(toolCalls[0].input);

      const forced = await generate({ prompt: "Hello", tools, toolChoice: { type: "tool", toolName: "get_time" } });
      assert.deepEqual(toolNames(forced.toolCalls), ["get_time"]);
      return `chosen and forced; ${JSON.stringify(toolCalls[0].input)}`;
    },

    async tools_stream() {
      const seen = await stream({ model: model(), prompt: contract.ASK_WEATHER, tools: { get_weather: getWeather } });
      assert.deepEqual(toolNames(seen.calls), ["get_weather"]);
      assert.ok(!seen.calls[0].invalid, `invalid call: ${seen.calls[0].error}`);
      contract.checkWeatherArguments(seen.calls[0].input);
      assert.equal(seen.finish, "tool-calls");
      return `arguments in ${seen.inputPieces} pieces: ${JSON.stringify(seen.calls[0].input)}`;
    },

    async parallel_tools() {
      const tools = { get_weather: getWeather, get_time: getTime };
      const whole = await generate({ prompt: contract.ASK_BOTH, tools });
      assert.deepEqual(toolNames(whole.toolCalls), ["get_time", "get_weather"]);
      const streamed = await stream({ model: model(), prompt: contract.ASK_BOTH, tools });
      assert.deepEqual(toolNames(streamed.calls), ["get_time", "get_weather"]);
      return "two calls, whole and streamed";
    },

    async structured() {
      const output = Output.object({ schema: Forecast });
      const { output: forecast } = await generate({ prompt: "Make up a forecast for Oslo", output });
      Forecast.parse(forecast);
      return JSON.stringify(forecast);
    },

    async structured_stream() {
      const result = streamText({
        model: model(),
        maxRetries: 0,
        onError() {},
        prompt: "Make up a forecast for Oslo",
        output: Output.object({ schema: Forecast }),
      });
      let partials = 0;
      for await (const _ of result.partialOutputStream) partials += 1;
      const forecast = Forecast.parse(await result.output);
      assert.ok(partials >= leastPartials, `${partials} partial objects`);
      return `${partials} partial objects, at last ${JSON.stringify(forecast)}`;
    },

    async multi_turn() {
      const weather = tool({ ...getWeather, execute: async () => contract.WEATHER_RESULT });
      const options = { prompt: contract.ASK_WEATHER, tools: { get_weather: weather }, stopWhen: stepCountIs(3) };
      const { text, steps } = await generate(options);
      assert.ok(text.includes(contract.WEATHER_MARK), `answer is ${text}`);
      assert.equal(steps.length, 2, "steps");
      const streamed = await stream({ model: model(), ...options });
      assert.ok(streamed.text.includes(contract.WEATHER_MARK), `streamed answer is ${streamed.text}`);
      return "the SDK's own tool loop, whole and streamed";
    },

    async awkward_streams() {
      const lengths = [];
      for (const name of contract.AWKWARD) {
        const seen = await stream({ model: model(contract.fault(name)), prompt: "Tell me about Grüße" });
        assert.equal(seen.finish, "stop", `finish of ${name}`);
        assert.ok(seen.text.length > 10, `${name}: text is ${seen.text}`);
        lengths.push(`${name} ${seen.text.length}`);
      }
      const split = model(contract.fault(contract.SPLIT_ARGUMENTS));
      const tools = { get_weather: getWeather };
      const { calls } = await stream({ model: split, prompt: contract.ASK_WEATHER, tools });
      contract.checkWeatherArguments(calls[0].input);
      return `characters: ${lengths.join(", ")}; split arguments whole`;
    },

    async error_auth() {
      const wrong = model(MODEL, contract.WRONG_KEY);
      const error = await contract.rejects(hasStatus(401), () => generate({ model: wrong, prompt: "hello" }));
      assert.ok(!error.message.includes(contract.WRONG_KEY), "the error repeats the key");
      return `APICallError 401: ${error.message}`;
    },

    async error_unknown_model() {
      const unknown = { model: model(contract.UNKNOWN_MODEL), prompt: "hello" };
      const error = await contract.rejects(hasStatus(404), () => generate(unknown));
      const { errors } = await collect(unknown);
      assert.ok(errors.length === 1 && hasStatus(404)(errors[0]), `streamed: ${errors}`);
      return `APICallError 404: ${error.message}`;
    },

    async error_bad_request() {
      const tooLong = { model: model(contract.fault(contract.CONTEXT_LENGTH)), prompt: "hello" };
      const error = await contract.rejects(hasStatus(400), () => generate(tooLong));
      assert.equal(error.isRetryable, false, "isRetryable");
      return `APICallError 400: ${error.message}`;
    },

    async error_rate_limit() {
      const limited = { model: model(contract.fault(contract.RATE_LIMIT)), prompt: "hello" };
      const error = await contract.rejects(hasStatus(429), () => generate(limited));
      assert.equal(error.isRetryable, true, "isRetryable");
      assert.ok(Number(error.responseHeaders["retry-after"]) >= 0, "no usable retry-after");
      return `APICallError 429, retry-after ${error.responseHeaders["retry-after"]}`;
    },

    async error_mid_stream() {
      const told = [];
      for (const name of [contract.ERROR_EVENT, contract.CUT_STREAM]) {
        const options = { model: model(contract.fault(name)), prompt: "hello" };
        let errors;
        try {
          ({ errors } = await collect(options));
        } catch (error) {
          errors = [error];
        }
        assert.ok(errors.length > 0, `${name}: no error was told`);
        told.push(`${name}: ${errors[0]?.name ?? typeof errors[0]}`);
      }
      return told.join("; ");
    },

    async cancellation() {
      // Leaving the loop alone does not end the request: the SDK goes on reading for its other promises.
      const controller = new AbortController();
      const endless = model(contract.fault(contract.ENDLESS));
      const result = streamText({
        model: endless,
        prompt: "hello",
        maxRetries: 0,
        abortSignal: controller.signal,
        onError() {},
      });
      let parts = 0;
      let started;
      for await (const _ of result.textStream) {
        parts += 1;
        if (parts === 3) {
          started = performance.now();
          controller.abort();
        }
      }
      assert.ok(parts >= 3, `${parts} parts`);
      return contract.quick(started, "endless stream aborted");
    },

    async abort() {
      const controller = new AbortController();
      const stalled = model(contract.fault(contract.STALL));
      const reader = collect({ model: stalled, prompt: "hello", abortSignal: controller.signal });
      await new Promise((resolve) => setTimeout(resolve, 200));
      const started = performance.now();
      controller.abort();
      const seen = await reader;
      assert.ok(seen.aborted, "the stream was not aborted");
      assert.equal(seen.finish, null, "finish of an aborted stream");
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
  };
};

const openai = (apiKey) => createOpenAI({ baseURL: contract.BASE_URL, apiKey }).chat;
const responses = (apiKey) => createOpenAI({ baseURL: contract.BASE_URL, apiKey }).responses;
const anthropic = (apiKey) => createAnthropic({ baseURL: contract.BASE_URL, apiKey });
const google = (apiKey) => {
  const models = createGoogleGenerativeAI({ baseURL: `${contract.ORIGIN}/v1beta`, apiKey });
  // A name with a slash is taken for a whole resource name, so it must be one.
  return (id) => models(`models/${id}`);
};
const compatible = (apiKey) =>
  createOpenAICompatible({
    name: "gateway",
    baseURL: contract.BASE_URL,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  }).chatModel;

const mistral = (apiKey) => createMistral({ baseURL: contract.BASE_URL, apiKey });
const bedrock = (apiKey) => createAmazonBedrock({ baseURL: contract.ORIGIN, region: "eu-central-1", apiKey });
const openrouter = (apiKey) => createOpenRouter({ baseURL: contract.BASE_URL, apiKey, compatibility: "strict" }).chat;

/** The same cases without some. */
const without = (cases, ...names) =>
  Object.fromEntries(Object.entries(cases).filter(([name]) => !names.includes(name)));

let allOk = true;
for (const [name, cases, from] of [
  ["openai", casesOf(openai), "@ai-sdk/openai"],
  ["responses", casesOf(responses), "@ai-sdk/openai"],
  ["anthropic", casesOf(anthropic), "@ai-sdk/anthropic"],
  ["google", casesOf(google), "@ai-sdk/google"],
  ["compatible", casesOf(compatible), "@ai-sdk/openai-compatible"],
  // It forces a tool by Mistral's own word ("any"), and counts on usage in streams without asking, as Mistral gives it.
  ["mistral", without(casesOf(mistral), "tools", "stream_usage"), "@ai-sdk/mistral"],
  // It makes structured answers by a tool, and shows them when the tool's input is whole.
  ["bedrock", casesOf(bedrock, 1), "@ai-sdk/amazon-bedrock"],
  ["openrouter", casesOf(openrouter), "@openrouter/ai-sdk-provider"],
]) {
  const ok = await contract.run(`ai-sdk-${name}`, ["ai", from], cases);
  allOk &&= ok;
}
contract.finish(allOk);
