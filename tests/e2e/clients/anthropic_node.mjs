// anthropic-node: Anthropic's own SDK for JavaScript, with its accumulating stream helper.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import * as contract from "./contract.mjs";

const { MODEL, ECHO_MODEL, TRICKY_TEXT } = contract;

const sdk = (apiKey = contract.API_KEY) => new Anthropic({ baseURL: contract.ORIGIN, apiKey, maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const fields = (content, more = {}) => ({ model: MODEL, max_tokens: 1024, messages: user(content), ...more });
const ask = (content, more = {}) => sdk().messages.create(fields(content, more));
const askFault = (name, more = {}) => ask("hello", { model: contract.fault(name), ...more });
/** The message that the stream helper adds up. */
const final = (content, more = {}) => sdk().messages.stream(fields(content, more)).finalMessage();

const functionTool = (name, properties) => ({
  name,
  input_schema: { type: "object", properties, required: Object.keys(properties), additionalProperties: false },
});
const WEATHER_TOOL = functionTool("get_weather", {
  city: { type: "string" },
  unit: { type: "string", enum: ["celsius", "fahrenheit"] },
});
const TIME_TOOL = functionTool("get_time", { city: { type: "string" } });
const tools = [WEATHER_TOOL, TIME_TOOL];

const Forecast = z.object({
  city: z.string(),
  days: z.array(z.object({ weekday: z.string(), degrees: z.number().int(), sky: z.enum(["clear", "cloudy"]) })),
  warning: z.string().nullable(),
});

const textOf = (message) =>
  message.content
    .filter((block) => block.type === "text")
    .map((block) => block.text)
    .join("");
const callsOf = (message) => message.content.filter((block) => block.type === "tool_use");
const namesOf = (message) =>
  callsOf(message)
    .map((call) => call.name)
    .sort();

// A cut that reaches the client as a cut is told by fetch (a TypeError); an error event is told by the SDK.
const isStreamError = (error) => error instanceof Anthropic.AnthropicError || error instanceof TypeError;
const hasStatus = (status) => (error) => error instanceof Anthropic.APIError && error.status === status;

async function streamEcho(text) {
  const message = await final(text, { model: ECHO_MODEL });
  assert.equal(textOf(message), text);
  assert.equal(message.stop_reason, "end_turn");
  return message;
}

const allOk = await contract.run("anthropic-node", ["@anthropic-ai/sdk"], {
  async chat() {
    const answer = await ask(TRICKY_TEXT, { model: ECHO_MODEL });
    assert.equal(answer.type, "message");
    assert.equal(answer.role, "assistant");
    assert.equal(textOf(answer), TRICKY_TEXT);
    assert.equal(answer.stop_reason, "end_turn");
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0, JSON.stringify(answer.usage));
    return `echo exact, usage ${answer.usage.input_tokens} + ${answer.usage.output_tokens} tokens`;
  },

  async length() {
    const answer = await ask("Write a long story about a lighthouse.", { max_tokens: 5 });
    assert.equal(answer.stop_reason, "max_tokens");
    assert.ok(answer.usage.output_tokens <= 5, `${answer.usage.output_tokens} output tokens`);
    return `${answer.usage.output_tokens} tokens, stop_reason max_tokens`;
  },

  async stream() {
    let deltas = 0;
    for await (const event of await ask(TRICKY_TEXT, { model: ECHO_MODEL, stream: true })) {
      deltas += event.type === "content_block_delta";
    }
    assert.ok(deltas > 5, `only ${deltas} deltas`);
    await streamEcho(TRICKY_TEXT);
    return `${deltas} deltas, echo exact`;
  },

  async stream_usage() {
    const { usage } = await streamEcho("hello there");
    const whole = (await ask("hello there", { model: ECHO_MODEL })).usage;
    assert.equal(usage.input_tokens, whole.input_tokens, "input tokens");
    assert.equal(usage.output_tokens, whole.output_tokens, "output tokens");
    return `${usage.input_tokens} + ${usage.output_tokens} tokens, the same whole and streamed`;
  },

  async tools() {
    const answer = await ask(contract.ASK_WEATHER, { tools });
    assert.equal(answer.stop_reason, "tool_use");
    assert.deepEqual(namesOf(answer), ["get_weather"]);
    contract.checkWeatherArguments(callsOf(answer)[0].input);
    const forced = await ask("Hello", { tools, tool_choice: { type: "tool", name: "get_time" } });
    assert.deepEqual(namesOf(forced), ["get_time"]);
    return `chosen and forced; ${JSON.stringify(callsOf(answer)[0].input)}`;
  },

  async tools_stream() {
    const stream = sdk().messages.stream(fields(contract.ASK_WEATHER, { tools: [WEATHER_TOOL] }));
    let pieces = 0;
    stream.on("inputJson", () => {
      pieces += 1;
    });
    const message = await stream.finalMessage();
    assert.equal(message.stop_reason, "tool_use");
    assert.deepEqual(namesOf(message), ["get_weather"]);
    contract.checkWeatherArguments(callsOf(message)[0].input);
    return `arguments in ${pieces} pieces: ${JSON.stringify(callsOf(message)[0].input)}`;
  },

  async parallel_tools() {
    const whole = await ask(contract.ASK_BOTH, { tools });
    assert.deepEqual(namesOf(whole), ["get_time", "get_weather"]);
    assert.equal(new Set(callsOf(whole).map((call) => call.id)).size, 2, "number of different ids");
    assert.deepEqual(namesOf(await final(contract.ASK_BOTH, { tools })), ["get_time", "get_weather"]);
    const one = { type: "auto", disable_parallel_tool_use: true };
    const single = await ask(contract.ASK_BOTH, { tools, tool_choice: one });
    assert.equal(callsOf(single).length, 1, "calls with disable_parallel_tool_use");
    return "two calls whole and streamed, one when not allowed";
  },

  async structured() {
    const output_config = { format: zodOutputFormat(Forecast) };
    const answer = await sdk().messages.parse(fields("Make up a forecast for Oslo", { output_config }));
    Forecast.parse(answer.parsed_output);
    return `parsed: ${JSON.stringify(answer.parsed_output)}`;
  },

  async multi_turn() {
    for (const turn of [ask, final]) {
      const first = await turn(contract.ASK_BOTH, { tools });
      const results = callsOf(first).map((call) => ({
        type: "tool_result",
        tool_use_id: call.id,
        content: contract.WEATHER_RESULT,
      }));
      const messages = [
        ...user(contract.ASK_BOTH),
        { role: "assistant", content: first.content },
        { role: "user", content: results },
      ];
      const last = await turn("", { messages, tools });
      assert.equal(last.stop_reason, "end_turn");
      assert.equal(textOf(last).split(contract.WEATHER_MARK).length, 3, `answer is ${textOf(last)}`);
    }
    return "both tools' results are in the final text, whole and streamed";
  },

  async awkward_streams() {
    const lengths = [];
    for (const name of contract.AWKWARD) {
      const message = await final("Tell me about Grüße", { model: contract.fault(name) });
      assert.equal(message.stop_reason, "end_turn", `stop_reason of ${name}`);
      assert.ok(textOf(message).length > 10, `${name}: text is ${textOf(message)}`);
      lengths.push(`${name} ${textOf(message).length}`);
    }
    const model = contract.fault(contract.SPLIT_ARGUMENTS);
    const split = await final(contract.ASK_WEATHER, { model, tools: [WEATHER_TOOL] });
    contract.checkWeatherArguments(callsOf(split)[0].input);
    return `characters: ${lengths.join(", ")}; split arguments whole`;
  },

  async models_list() {
    const ids = [];
    for await (const model of sdk().models.list()) ids.push(model.id);
    assert.ok(ids.includes(MODEL), `${MODEL} is not among ${ids.slice(0, 20)}`);
    return `${ids.length} models, ${MODEL} among them`;
  },

  async error_auth() {
    const wrong = sdk(contract.WRONG_KEY);
    const error = await contract.rejects(
      (error) => error instanceof Anthropic.AuthenticationError,
      () => wrong.messages.create(fields("hello")),
    );
    assert.equal(error.error.error.type, "authentication_error");
    assert.ok(!error.message.includes(contract.WRONG_KEY), "the error repeats the key");
    return `AuthenticationError: ${error.error.error.message}`;
  },

  async error_unknown_model() {
    const unknown = { model: contract.UNKNOWN_MODEL };
    const error = await contract.rejects(hasStatus(404), () => ask("hello", unknown));
    await contract.rejects(hasStatus(404), () => final("hello", unknown));
    return `NotFoundError: ${error.error.error.message}`;
  },

  async error_bad_request() {
    const error = await contract.rejects(hasStatus(400), () => askFault(contract.CONTEXT_LENGTH));
    assert.equal(error.error.error.type, "invalid_request_error");
    assert.ok(error.message.includes("prompt is too long"), `a full context window is told as ${error.message}`);
    return `BadRequestError: ${error.error.error.message}`;
  },

  async error_rate_limit() {
    const error = await contract.rejects(hasStatus(429), () => askFault(contract.RATE_LIMIT));
    const wait = error.headers.get("retry-after");
    assert.ok(wait !== null && Number(wait) >= 0, "no usable retry-after");
    return `RateLimitError, retry-after ${wait}`;
  },

  async error_server() {
    const error = await contract.rejects(
      (error) => error instanceof Anthropic.InternalServerError,
      () => askFault(contract.SERVER_ERROR),
    );
    return `InternalServerError ${error.status}: ${error.error.error.message}`;
  },

  async error_mid_stream() {
    const told = [];
    for (const name of [contract.ERROR_EVENT, contract.CUT_STREAM]) {
      const error = await contract.rejects(isStreamError, () => final("hello", { model: contract.fault(name) }));
      told.push(`${name}: ${error.constructor.name}`);
    }
    return told.join("; ");
  },

  async cancellation() {
    const stream = await askFault(contract.ENDLESS, { stream: true });
    let events = 0;
    let started;
    for await (const _ of stream) {
      events += 1;
      if (events === 3) {
        started = performance.now();
        break;
      }
    }
    assert.equal(events, 3, "events before the break");
    return contract.quick(started, "endless stream left");
  },

  async abort() {
    const stream = sdk().messages.stream(fields("hello", { model: contract.fault(contract.STALL) }));
    await new Promise((resolve) => stream.once("streamEvent", resolve));
    const started = performance.now();
    stream.abort();
    await contract.rejects(
      (error) => error instanceof Anthropic.APIUserAbortError,
      () => stream.finalMessage(),
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
