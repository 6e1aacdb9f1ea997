// openai-node: the SDK of most JavaScript applications.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import * as contract from "./contract.mjs";

const { MODEL, ECHO_MODEL, TRICKY_TEXT } = contract;

const sdk = (apiKey = contract.API_KEY) => new OpenAI({ baseURL: contract.BASE_URL, apiKey, maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const ask = (content, fields = {}, options = {}) =>
  sdk().chat.completions.create({ model: MODEL, messages: user(content), ...fields }, options);
const askFault = (name, fields = {}, options = {}) =>
  ask("hello", { model: contract.fault(name), ...fields }, options);

const functionTool = (name, properties) => ({
  type: "function",
  function: {
    name,
    parameters: { type: "object", properties, required: Object.keys(properties), additionalProperties: false },
  },
});
const WEATHER_TOOL = functionTool("get_weather", {
  city: { type: "string" },
  unit: { type: "string", enum: ["celsius", "fahrenheit"] },
});
const TIME_TOOL = functionTool("get_time", { city: { type: "string" } });

const Forecast = z.object({
  city: z.string(),
  days: z.array(z.object({ weekday: z.string(), degrees: z.number().int(), sky: z.enum(["clear", "cloudy"]) })),
  warning: z.string().nullable(),
});

/** The text, finish reason and chunks of a stream. */
async function collect(stream) {
  const seen = { text: "", finish: null, chunks: [] };
  for await (const chunk of stream) {
    seen.chunks.push(chunk);
    for (const choice of chunk.choices) {
      seen.text += choice.delta.content ?? "";
      seen.finish = choice.finish_reason ?? seen.finish;
    }
  }
  return seen;
}

async function streamEcho(text) {
  const { text: got, finish, chunks } = await collect(await ask(text, { model: ECHO_MODEL, stream: true }));
  assert.equal(got, text);
  assert.equal(finish, "stop");
  return chunks;
}

const names = (message) => message.tool_calls.map((call) => call.function.name).sort();
// A cut that reaches the client as a cut is told by fetch (a TypeError); an error event is told by the SDK.
const isStreamError = (error) => error instanceof OpenAI.APIError || error instanceof TypeError;

const allOk = await contract.run("openai-node", ["openai"], {
  async chat() {
    const answer = await ask(TRICKY_TEXT, { model: ECHO_MODEL });
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.equal(answer.choices[0].message.content, TRICKY_TEXT);
    assert.equal(answer.choices[0].finish_reason, "stop");
    const { usage } = answer;
    contract.checkUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens);
    return `echo exact, usage ${usage.total_tokens} tokens`;
  },

  async stream() {
    const chunks = await streamEcho(TRICKY_TEXT);
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1, "number of different ids");
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.ok(chunks.length > 5, `only ${chunks.length} chunks`);
    return `${chunks.length} chunks, echo exact`;
  },

  async stream_usage() {
    const asked = await collect(
      await ask("hello there", { model: ECHO_MODEL, stream: true, stream_options: { include_usage: true } }),
    );
    assert.equal(asked.chunks.filter((chunk) => chunk.usage).length, 1, "chunks with usage");
    const last = asked.chunks.at(-1);
    assert.deepEqual(last.choices, []);
    contract.checkUsage(last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens);

    const chunks = await streamEcho("hello there");
    assert.ok(!chunks.some((chunk) => chunk.usage), "usage that nobody asked for");
    assert.ok(
      chunks.every((chunk) => chunk.choices.length > 0),
      "a chunk without choices that nobody asked for",
    );
    return `asked: last chunk, ${last.usage.total_tokens} tokens; not asked: none`;
  },

  async tools() {
    const [choice] = (await ask(contract.ASK_WEATHER, { tools: [WEATHER_TOOL, TIME_TOOL] })).choices;
    assert.equal(choice.finish_reason, "tool_calls");
    assert.deepEqual(names(choice.message), ["get_weather"]);
    contract.checkWeatherArguments(JSON.parse(choice.message.tool_calls[0].function.arguments));
    return choice.message.tool_calls[0].function.arguments;
  },

  async tools_parsed() {
    const tool = zodFunction({ name: "GetWeather", parameters: z.object({ city: z.string() }) });
    const answer = await sdk().chat.completions.parse({
      model: MODEL,
      messages: user("Use GetWeather for Paris"),
      tools: [tool],
    });
    const parsed = answer.choices[0].message.tool_calls[0].function.parsed_arguments;
    assert.equal(typeof parsed.city, "string");
    return `arguments parsed as ${JSON.stringify(parsed)}`;
  },

  async tools_stream() {
    const stream = sdk().chat.completions.stream({
      model: MODEL,
      messages: user(contract.ASK_WEATHER),
      tools: [WEATHER_TOOL],
    });
    let pieces = 0;
    stream.on("tool_calls.function.arguments.delta", () => {
      pieces += 1;
    });
    const [choice] = (await stream.finalChatCompletion()).choices;
    assert.equal(choice.finish_reason, "tool_calls");
    assert.deepEqual(names(choice.message), ["get_weather"]);
    assert.ok(choice.message.tool_calls[0].id, "the call has no id");
    contract.checkWeatherArguments(JSON.parse(choice.message.tool_calls[0].function.arguments));
    return `arguments in ${pieces} pieces: ${choice.message.tool_calls[0].function.arguments}`;
  },

  async parallel_tools() {
    const tools = [WEATHER_TOOL, TIME_TOOL];
    const whole = (await ask(contract.ASK_BOTH, { tools })).choices[0].message;
    assert.deepEqual(names(whole), ["get_time", "get_weather"]);
    assert.equal(new Set(whole.tool_calls.map((call) => call.id)).size, 2, "number of different ids");

    const stream = sdk().chat.completions.stream({ model: MODEL, messages: user(contract.ASK_BOTH), tools });
    const streamed = (await stream.finalChatCompletion()).choices[0].message;
    assert.deepEqual(names(streamed), ["get_time", "get_weather"]);
    for (const call of streamed.tool_calls) JSON.parse(call.function.arguments);

    const single = (await ask(contract.ASK_BOTH, { tools, parallel_tool_calls: false })).choices[0].message;
    assert.equal(single.tool_calls.length, 1, "calls with parallel_tool_calls false");
    return "two calls whole and streamed, one when not allowed";
  },

  async structured() {
    const answer = await sdk().chat.completions.parse({
      model: MODEL,
      messages: user("Make up a forecast for Oslo"),
      response_format: zodResponseFormat(Forecast, "forecast"),
    });
    const { parsed } = answer.choices[0].message;
    Forecast.parse(parsed);
    return `parsed: ${JSON.stringify(parsed)}`;
  },

  async structured_stream() {
    const stream = sdk().chat.completions.stream({
      model: MODEL,
      messages: user("Make up a forecast for Oslo"),
      response_format: zodResponseFormat(Forecast, "forecast"),
    });
    const { parsed } = (await stream.finalChatCompletion()).choices[0].message;
    Forecast.parse(parsed);
    return `parsed: ${JSON.stringify(parsed)}`;
  },

  async multi_turn() {
    const runner = sdk().chat.completions.runTools({
      model: MODEL,
      messages: user(contract.ASK_WEATHER),
      tools: [
        {
          type: "function",
          function: { ...WEATHER_TOOL.function, parse: JSON.parse, function: () => contract.WEATHER_RESULT },
        },
      ],
    });
    const text = await runner.finalContent();
    assert.ok(text.includes(contract.WEATHER_MARK), `answer is ${text}`);
    assert.deepEqual(
      runner.messages.map((message) => message.role),
      ["user", "assistant", "tool", "assistant"],
    );
    return "the SDK's own tool loop: tool result is in the final text";
  },

  async awkward_streams() {
    const lengths = [];
    for (const name of contract.AWKWARD) {
      const { text, finish } = await collect(await askFault(name, { stream: true }));
      assert.equal(finish, "stop", `finish_reason of ${name}`);
      assert.ok(text.length > 10, `${name}: text is ${text}`);
      lengths.push(`${name} ${text.length}`);
    }
    const split = sdk().chat.completions.stream({
      model: contract.fault(contract.SPLIT_ARGUMENTS),
      messages: user(contract.ASK_WEATHER),
      tools: [WEATHER_TOOL],
    });
    const [choice] = (await split.finalChatCompletion()).choices;
    contract.checkWeatherArguments(JSON.parse(choice.message.tool_calls[0].function.arguments));
    return `characters: ${lengths.join(", ")}; split arguments whole`;
  },

  async models_list() {
    const models = [];
    for await (const model of sdk().models.list()) models.push(model.id);
    assert.ok(models.includes(MODEL), `${MODEL} is not among ${models.slice(0, 20)}`);
    return `${models.length} models, ${MODEL} among them`;
  },

  async error_auth() {
    const error = await contract.rejects(
      (error) => error instanceof OpenAI.AuthenticationError,
      () => sdk(contract.WRONG_KEY).chat.completions.create({ model: MODEL, messages: user("hello") }),
    );
    assert.ok(!error.message.includes(contract.WRONG_KEY), "the error repeats the key");
    return `AuthenticationError: ${error.message}`;
  },

  async error_unknown_model() {
    const isNotFound = (error) => error instanceof OpenAI.NotFoundError;
    const error = await contract.rejects(isNotFound, () => ask("hello", { model: contract.UNKNOWN_MODEL }));
    assert.equal(error.code, "model_not_found");
    await contract.rejects(isNotFound, () => ask("hello", { model: contract.UNKNOWN_MODEL, stream: true }));
    return `NotFoundError: ${error.message}`;
  },

  async error_bad_request() {
    const error = await contract.rejects(
      (error) => error instanceof OpenAI.BadRequestError,
      () => ask("", { messages: undefined }),
    );
    assert.equal(error.type, "invalid_request_error");
    return `BadRequestError: ${error.message}`;
  },

  async error_rate_limit() {
    const isRateLimit = (error) => error instanceof OpenAI.RateLimitError;
    const error = await contract.rejects(isRateLimit, () => askFault(contract.RATE_LIMIT));
    const retryAfter = error.headers.get("retry-after");
    assert.ok(retryAfter !== null && Number(retryAfter) >= 0, `retry-after is ${retryAfter}`);
    await contract.rejects(isRateLimit, () => askFault(contract.RATE_LIMIT, { stream: true }));
    return `RateLimitError, retry-after ${retryAfter}`;
  },

  async error_server() {
    const error = await contract.rejects(
      (error) => error instanceof OpenAI.InternalServerError,
      () => askFault(contract.SERVER_ERROR),
    );
    return `InternalServerError ${error.status}: ${error.message}`;
  },

  async error_mid_stream() {
    const seen = [];
    for (const name of [contract.ERROR_EVENT, contract.CUT_STREAM]) {
      const stream = await askFault(name, { stream: true });
      const error = await contract.rejects(isStreamError, () => collect(stream));
      seen.push(`${name}: ${error.constructor.name}`);
    }
    return seen.join("; ");
  },

  async error_no_ending() {
    const stream = await askFault(contract.NO_ENDING, { stream: true });
    let finish;
    try {
      ({ finish } = await collect(stream));
    } catch (error) {
      if (isStreamError(error)) return `threw ${error.constructor.name}`;
      throw error;
    }
    assert.equal(finish, null, "finish_reason of a stream that never ended");
    return "ended without a finish_reason";
  },

  async cancellation() {
    let chunks = 0;
    let started;
    for await (const _ of await askFault(contract.ENDLESS, { stream: true })) {
      chunks += 1;
      if (chunks === 3) {
        started = performance.now();
        break;
      }
    }
    return contract.quick(started, "left an endless stream");
  },

  async abort() {
    const controller = new AbortController();
    const stream = await askFault(contract.STALL, { stream: true }, { signal: controller.signal });
    const reader = collect(stream);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const started = performance.now();
    controller.abort();
    // The SDK ends an aborted iteration quietly; what counts is that it ends, and without a finish.
    const { finish } = await reader;
    assert.equal(finish, null, "finish_reason of an aborted stream");

    const whole = new AbortController();
    const answer = askFault(contract.STALL, {}, { signal: whole.signal });
    setTimeout(() => whole.abort(), 100);
    // Before the headers the SDK tells of the abort; within the body fetch does.
    await contract.rejects(
      (error) => error instanceof OpenAI.APIUserAbortError || error.name === "AbortError",
      () => answer,
    );
    return contract.quick(started, "stalled stream and whole answer aborted");
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
