// The official Node SDKs as readers of known answers: openai, @anthropic-ai/sdk, @google/genai.

import assert from "node:assert/strict";
import Anthropic, { APIError as AnthropicError } from "@anthropic-ai/sdk";
import { ApiError as GoogleError, GoogleGenAI } from "@google/genai";
import OpenAI, { APIError as OpenAIError } from "openai";

const hi = [{ role: "user", content: "hi" }];
const headers = (job) => ({ "x-exchange": String(job.key) });

class Failed extends Error {}

/** The pieces of a stream must make up its final answer. */
function sameAsStreamed(seen, streamed) {
  for (const member of ["text", "refusal"]) {
    assert.equal(streamed[member], seen[member], `${member} in pieces and at the end`);
  }
}

// === openai ===

const CHAT_FINISH = {
  stop: "stop", length: "length", tool_calls: "calls", function_call: "calls", content_filter: "filter",
};

const openai = (address) => ({
  package: "openai",
  client: new OpenAI({ baseURL: `${address}/v1`, apiKey: "any", maxRetries: 0 }),
  raised: (error) =>
    error instanceof Failed
      ? { class: "Failed", message: error.message }
      : error instanceof OpenAIError
        ? { class: error.constructor.name, status: error.status, message: error.error?.message ?? error.message }
        : undefined,
});

function chat(address) {
  const it = openai(address);
  const asked = { model: "m", messages: hi };
  const see = (answer, seen) => {
    const [{ message, finish_reason: reason }] = answer.choices;
    seen.text = message.content ?? "";
    seen.refusal = message.refusal ?? "";
    seen.finish = CHAT_FINISH[reason] ?? reason;
    seen.calls = (message.tool_calls ?? []).map((call) =>
      call.type === "custom"
        ? { name: call.custom.name, text: call.custom.input }
        : { name: call.function.name, arguments: call.function.arguments },
    );
    if (answer.usage) seen.usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens];
  };
  return {
    ...it,
    async whole(job, seen) {
      see(await it.client.chat.completions.create(asked, { headers: headers(job) }), seen);
    },
    async stream(job, seen) {
      const options = { ...asked, stream_options: { include_usage: true } };
      const stream = it.client.chat.completions.stream(options, { headers: headers(job) });
      stream.on("content", (piece) => (seen.text += piece));
      stream.on("refusal.delta", ({ delta }) => (seen.refusal += delta));
      const answer = await stream.finalChatCompletion();
      const streamed = { ...seen };
      see(answer, seen);
      sameAsStreamed(seen, streamed);
    },
  };
}

function responses(address) {
  const it = openai(address);
  const asked = { model: "m", input: "hi" };
  const see = (answer, seen) => {
    seen.text = answer.output_text;
    seen.refusal = "";
    for (const item of answer.output) {
      if (item.type === "message") {
        for (const part of item.content) seen.refusal += part.type === "refusal" ? part.refusal : "";
      } else if (item.type === "function_call") {
        seen.calls.push({ name: item.name, arguments: item.arguments });
      } else if (item.type === "custom_tool_call") {
        seen.calls.push({ name: item.name, text: item.input });
      }
    }
    const reason = answer.incomplete_details?.reason;
    if (answer.status === "completed") seen.finish = seen.calls.length > 0 ? "calls" : "stop";
    else if (answer.status !== "incomplete") seen.finish = `status ${answer.status}`;
    else seen.finish = { max_output_tokens: "length", content_filter: "filter" }[reason] ?? reason;
    if (answer.usage) seen.usage = [answer.usage.input_tokens, answer.usage.output_tokens];
  };
  return {
    ...it,
    async whole(job, seen) {
      see(await it.client.responses.create(asked, { headers: headers(job) }), seen);
    },
    async stream(job, seen) {
      const stream = it.client.responses.stream(asked, { headers: headers(job) });
      for await (const event of stream) {
        if (event.type === "response.output_text.delta") seen.text += event.delta;
        else if (event.type === "response.refusal.delta") seen.refusal += event.delta;
        else if (event.type === "response.failed") throw new Failed(event.response.error.message);
        else if (event.type === "error") throw new Failed(event.message);
      }
      const answer = await stream.finalResponse();
      const streamed = { ...seen };
      see(answer, seen);
      sameAsStreamed(seen, streamed);
    },
  };
}

// === @anthropic-ai/sdk ===

const MESSAGE_FINISH = {
  end_turn: "stop", stop_sequence: "stop", max_tokens: "length", tool_use: "calls", refusal: "filter",
  pause_turn: "other", model_context_window_exceeded: "other",
};

function messages(address) {
  const client = new Anthropic({ baseURL: address, apiKey: "any", maxRetries: 0 });
  const asked = { model: "m", max_tokens: 9, messages: hi };
  const see = (answer, seen) => {
    seen.text = answer.content.map((block) => (block.type === "text" ? block.text : "")).join("");
    seen.calls = answer.content
      .filter((block) => block.type === "tool_use")
      .map(({ name, input }) => ({ name, input }));
    seen.finish = MESSAGE_FINISH[answer.stop_reason] ?? answer.stop_reason;
    const { input_tokens: fresh, cache_read_input_tokens: read, cache_creation_input_tokens: made } = answer.usage;
    seen.usage = [fresh + (read ?? 0) + (made ?? 0), answer.usage.output_tokens];
  };
  return {
    package: "@anthropic-ai/sdk",
    raised: (error) =>
      error instanceof AnthropicError
        ? { class: error.constructor.name, status: error.status, message: error.error?.error?.message ?? error.message }
        : undefined,
    async whole(job, seen) {
      see(await client.messages.create(asked, { headers: headers(job) }), seen);
    },
    async stream(job, seen) {
      const stream = client.messages.stream(asked, { headers: headers(job) });
      stream.on("text", (piece) => (seen.text += piece));
      const answer = await stream.finalMessage();
      const streamed = { ...seen };
      see(answer, seen);
      sameAsStreamed(seen, streamed);
    },
  };
}

// === @google/genai ===

const GEMINI_FINISH = {
  STOP: "stop", MAX_TOKENS: "length", SAFETY: "filter", RECITATION: "filter", BLOCKLIST: "filter",
  PROHIBITED_CONTENT: "filter", SPII: "filter", LANGUAGE: "other", OTHER: "other", MALFORMED_FUNCTION_CALL: "other",
  UNEXPECTED_TOOL_CALL: "other",
};

function gemini(address) {
  const client = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: address } });
  const asked = (job) => ({ model: "m", contents: "hi", config: { httpOptions: { headers: headers(job) } } });
  const see = (answer, seen) => {
    if (answer.promptFeedback?.blockReason) seen.finish = "filter";
    const candidate = answer.candidates?.[0];
    for (const part of candidate?.content?.parts ?? []) {
      if (part.text && !part.thought) seen.text += part.text;
      if (part.functionCall) seen.calls.push({ name: part.functionCall.name, input: part.functionCall.args ?? {} });
    }
    const reason = candidate?.finishReason;
    if (reason) seen.finish = GEMINI_FINISH[reason] ?? reason;
    const usage = answer.usageMetadata;
    if (usage) {
      seen.usage = [
        (usage.promptTokenCount ?? 0) + (usage.toolUsePromptTokenCount ?? 0),
        (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
      ];
    }
    if (seen.finish === "stop" && seen.calls.length > 0) seen.finish = "calls";
  };
  return {
    package: "@google/genai",
    raised: (error) =>
      error instanceof GoogleError ? { class: "ApiError", status: error.status, message: messageOf(error) } : undefined,
    async whole(job, seen) {
      see(await client.models.generateContent(asked(job)), seen);
    },
    async stream(job, seen) {
      for await (const answer of await client.models.generateContentStream(asked(job))) see(answer, seen);
    },
  };
}

/** This SDK puts the body of an error answer, as text, into the message. */
function messageOf(error) {
  try {
    return JSON.parse(error.message).error.message;
  } catch {
    return error.message;
  }
}

export const readers = {
  "openai.chat": chat,
  "openai.responses": responses,
  "anthropic.messages": messages,
  "gemini.generateContent": gemini,
};
