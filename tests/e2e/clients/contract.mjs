// The contract of the Node client scripts: settings in, one JSON line per case out. The same as contract.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const CASE_LIMIT_MS = 30_000;
export const CANCEL_LIMIT_MS = 2_000;
export const CONCURRENT_STREAMS = 20;
export const WRONG_KEY = "lg-this-key-was-never-issued";

// Every character that a careless codec gets wrong: escapes, several byte lengths, SSE look-alikes.
export const TRICKY_TEXT =
  'Grüße "quoted" back\\slash / \u2028 tab\tend\n\ndata: [DONE]\n' +
  '東京 🦀👩‍👩‍👧 e\u0301 {"json": [1, null]} \\u0041 <b>&amp;</b> last';

export const ASK_WEATHER = "Use get_weather to look up the weather in Paris";
export const ASK_BOTH = "Use get_weather and get_time, both for the city of Paris";
export const WEATHER_RESULT = "17 degrees and light rain, station 73514";
export const WEATHER_MARK = "73514";

// Faults of the demo upstream that the cases use.
export const RATE_LIMIT = "status-429-retry-after";
export const SERVER_ERROR = "status-500";
export const CONTEXT_LENGTH = "context-length";
export const ERROR_EVENT = "error-event";
export const CUT_STREAM = "close-mid-event";
export const NO_ENDING = "no-finish";
export const ENDLESS = "endless";
export const STALL = "stall";
// Streams that are right although unusual: nothing of this may disturb a client.
export const AWKWARD = ["duplicate-start", "one-byte-chunks", "crlf-comments", "large-event"];
export const SPLIT_ARGUMENTS = "split-arguments";

const setting = (name) => {
  const value = process.env[name];
  if (!value) {
    process.stderr.write(`${name} must be set (README.md lists the settings)\n`);
    process.exit(1);
  }
  return value;
};

export const BASE_URL = setting("BASE_URL").replace(/\/+$/, "");
// For clients that put the version into the path themselves.
export const ORIGIN = BASE_URL.replace(/\/v1$/, "");
export const API_KEY = setting("API_KEY");
export const MODEL = setting("MODEL");
export const ECHO_MODEL = setting("ECHO_MODEL");
export const UNKNOWN_MODEL = setting("UNKNOWN_MODEL");
const FAULT_MODEL_PREFIX = setting("FAULT_MODEL_PREFIX");

// Words of another setting (a real provider's key, a proxy) must not decide a result.
for (const name of Object.keys(process.env)) {
  const stray = /^(OPENAI_|ANTHROPIC_|GOOGLE_|GEMINI_|AI_GATEWAY_)/.test(name);
  if (stray || /^(https?|all)_proxy$/i.test(name)) delete process.env[name];
}

/** The model whose answer is the named fault of the demo upstream. */
export const fault = (name) => FAULT_MODEL_PREFIX + name;

/** Token counts that add up and are not empty. */
export function checkUsage(prompt, completion, total) {
  assert.ok(prompt > 0, `prompt tokens: ${prompt}`);
  assert.ok(completion > 0, `completion tokens: ${completion}`);
  assert.equal(prompt + completion, total, "prompt + completion tokens");
}

/** `value` (parsed arguments) obeys the schema of the weather tool that every script declares. */
export function checkWeatherArguments(value) {
  assert.deepEqual(Object.keys(value).sort(), ["city", "unit"], "argument names");
  assert.equal(typeof value.city, "string", "type of city");
  assert.ok(["celsius", "fahrenheit"].includes(value.unit), `unit is ${value.unit}`);
}

/** Awaits `call`, which must reject with something for which `accept` holds; returns what was thrown. */
export async function rejects(accept, call) {
  let value;
  try {
    value = await call();
  } catch (error) {
    assert.ok(accept(error), `another error than expected: ${error?.constructor?.name}: ${error?.message}`);
    return error;
  }
  return assert.fail(`nothing was thrown; got ${JSON.stringify(value)?.slice(0, 200)}`);
}

/** Fails unless `started` (of `performance.now()`) is less than the cancellation limit ago. */
export function quick(started, what) {
  const elapsed = performance.now() - started;
  assert.ok(elapsed < CANCEL_LIMIT_MS, `${what} took ${elapsed.toFixed(0)} ms, limit ${CANCEL_LIMIT_MS} ms`);
  return `${what} in ${elapsed.toFixed(0)} ms`;
}

const packageVersion = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;

/**
 * Runs the cases that the command line leaves (names to run, `-name` to leave out), prints their lines and returns
 * whether all went well. `packages` are those whose versions are told. `cases` maps a case's name to an async
 * function that throws on the first thing that is not as it should be and returns a short text of what was seen.
 */
export async function run(client, packages, cases) {
  const versions = packages.map(packageVersion);
  const version =
    packages.length === 1 ? versions[0] : packages.map((name, n) => `${name} ${versions[n]}`).join(", ");
  const words = process.argv.slice(2);
  const wanted = words.filter((word) => !word.startsWith("-"));
  const unwanted = words.filter((word) => word.startsWith("-")).map((word) => word.slice(1));
  const strange = [...wanted, ...unwanted].filter((name) => !Object.hasOwn(cases, name));
  if (strange.length > 0) {
    process.stderr.write(`no such case: ${strange.join(", ")}\n`);
    return false;
  }
  let allOk = true;
  for (const [name, body] of Object.entries(cases)) {
    if (unwanted.includes(name) || (wanted.length > 0 && !wanted.includes(name))) continue;
    const { ok, detail } = await outcome(body);
    allOk &&= ok;
    process.stdout.write(`${JSON.stringify({ client, version, case: name, ok, detail })}\n`);
  }
  return allOk;
}

/** Ends the process; a case that hangs leaves sockets behind, and they must not keep it alive. */
export const finish = (allOk) => process.exit(allOk ? 0 : 1);

async function outcome(body) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result within ${CASE_LIMIT_MS / 1000} s`)), CASE_LIMIT_MS);
  });
  try {
    return { ok: true, detail: (await Promise.race([body(), limit])) ?? "" };
  } catch (error) {
    process.stderr.write(`${error?.stack ?? error}\n`);
    return { ok: false, detail: `${error?.name ?? "Error"}: ${error?.message ?? error}`.slice(0, 600) };
  } finally {
    clearTimeout(timer);
  }
}
