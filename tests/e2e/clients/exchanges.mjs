// Reads answers that are known beforehand with the official Node SDKs and the Vercel AI SDK, and tells what the SDK made of
// each.
//
//     exchanges.mjs SDK DIALECT ADDRESS
//
// Jobs come in, one JSON line each; what came of them goes out the same way (`tests/e2e/tests/exchanges` sends and reads them).

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [sdk, dialect, address] = process.argv.slice(2);
const SDKS = { "ai-sdk": "./exchanges_ai_sdk.mjs" };
// Several at once, as sockets are waited for.
const AT_ONCE = 8;

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;

const { readers } = await import(SDKS[sdk] ?? "./exchanges_official.mjs");
const reader = readers[dialect](address);
process.stdout.write(`${JSON.stringify({ version: versionOf(reader.package) })}\n`);

async function outcome(job) {
  const seen = { text: "", refusal: "", calls: [], finish: null, usage: null };
  const told = { key: job.key, seen };
  try {
    await (job.stream ? reader.stream(job, seen) : reader.whole(job, seen));
  } catch (error) {
    told.error = reader.raised(error) ?? { class: error?.constructor?.name, message: String(error?.message ?? error) };
  }
  return told;
}

const underWay = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const one = outcome(JSON.parse(line)).then((told) => {
    underWay.delete(one);
    process.stdout.write(`${JSON.stringify(told)}\n`);
  });
  underWay.add(one);
  if (underWay.size >= AT_ONCE) await Promise.race(underWay);
}
await Promise.all(underWay);
// Connections that are kept would hold the process.
process.stdout.write("", () => process.exit(0));
