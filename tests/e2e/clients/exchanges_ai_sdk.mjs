// The Vercel AI SDK as a reader of known answers. It checks every answer and every event against a schema of its own.

import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, jsonSchema, streamText, tool } from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false;

const FINISH = { stop: "stop", length: "length", "tool-calls": "calls", "content-filter": "filter", other: "other" };
const anything = tool({ inputSchema: jsonSchema({ type: "object" }) });

function reader(name, model) {
  const asked = (job) => ({
    model,
    prompt: "hi",
    maxRetries: 0,
    headers: { "x-exchange": String(job.key) },
    // What is called must be known.
    tools: Object.fromEntries(job.tools.map((name) => [name, anything])),
  });
  const see = (seen, text, calls, reason, usage) => {
    seen.text = text;
    seen.calls = calls.map(({ toolName, input }) => ({ name: toolName, input }));
    seen.finish = FINISH[reason] ?? reason;
    if (usage.inputTokens !== undefined) seen.usage = [usage.inputTokens, usage.outputTokens];
  };
  return {
    package: name,
    raised: (error) => {
      if (!APICallError.isInstance(error)) return undefined;
      return { class: error.name, status: error.statusCode, message: error.message };
    },
    async whole(job, seen) {
      const answer = await generateText(asked(job));
      see(seen, answer.text, answer.toolCalls, answer.finishReason, answer.totalUsage);
    },
    async stream(job, seen) {
      const calls = [];
      let end;
      for await (const part of streamText({ ...asked(job), onError() {} }).fullStream) {
        if (part.type === "text-delta") seen.text += part.text;
        if (part.type === "tool-call") calls.push(part);
        if (part.type === "error") throw part.error;
        if (part.type === "finish") end = part;
      }
      assert.ok(end, "no finish");
      see(seen, seen.text, calls, end.finishReason, end.totalUsage);
    },
  };
}

export const readers = {
  "openai.chat": (address) =>
    reader("@ai-sdk/openai", createOpenAI({ baseURL: `${address}/v1`, apiKey: "any" }).chat("m")),
  "openai.responses": (address) =>
    reader("@ai-sdk/openai", createOpenAI({ baseURL: `${address}/v1`, apiKey: "any" }).responses("m")),
  "anthropic.messages": (address) =>
    reader("@ai-sdk/anthropic", createAnthropic({ baseURL: `${address}/v1`, apiKey: "any" })("m")),
  "gemini.generateContent": (address) =>
    reader("@ai-sdk/google", createGoogleGenerativeAI({ baseURL: `${address}/v1beta`, apiKey: "any" })("m")),
};
