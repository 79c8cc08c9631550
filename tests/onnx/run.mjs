// SPDX-License-Identifier: Apache-2.0
// Runs ONNX models with onnxruntime-web and compares what they say with what this project's own code said.
// Usage: run.mjs DIR    (DIR holds NAME.onnx and NAME.acted, a safetensors file: tensors in.INPUT and out.OUTPUT; or, of a policy
//                        with memory, whole episodes: observations [E T, O], rewards, actions and the numbers that begin() reads)
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web";

ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1;

function readSafetensors(path) {
  const raw = readFileSync(path);
  const n = Number(raw.readBigUInt64LE(0));
  const tensors = {};
  for (const [name, t] of Object.entries(JSON.parse(raw.toString("utf8", 8, 8 + n)))) {
    if (name === "__metadata__") continue;
    const bytes = raw.buffer.slice(raw.byteOffset + 8 + n + t.data_offsets[0], raw.byteOffset + 8 + n + t.data_offsets[1]);
    tensors[name] = { dims: t.shape, data: t.dtype === "I64" ? new BigInt64Array(bytes) : new Float32Array(bytes) };
  }
  return tensors;
}

const tensorOf = (data, dims) => new ort.Tensor(data instanceof BigInt64Array ? "int64" : "float32", data, dims);

// The largest |got - told| / max(1, |told|).
function difference(got, told) {
  if (got.length !== told.length) throw new Error(`${got.length} numbers for ${told.length}`);
  let worst = 0;
  for (let i = 0; i < told.length; i++) {
    const off = Math.abs(Number(got[i]) - Number(told[i])) / Math.max(1, Math.abs(Number(told[i])));
    if (!(off <= worst)) worst = off;
  }
  return worst;
}

async function compareBatch(session, acted) {
  const feeds = {}, found = {};
  for (const name of session.inputNames) feeds[name] = tensorOf(acted[`in.${name}`].data, acted[`in.${name}`].dims);
  const outputs = await session.run(feeds);
  for (const name of session.outputNames) {
    const told = acted[`out.${name}`];
    if (String(outputs[name].dims) !== String(told.dims)) throw new Error(`${name} is [${outputs[name].dims}]`);
    found[name] = difference(outputs[name].data, told.data);
  }
  return found;
}

// One row alone gives what it gave among others: the batch is free.
async function compareFirstRow(session, acted) {
  const feeds = {};
  for (const name of session.inputNames) {
    const { data, dims } = acted[`in.${name}`];
    feeds[name] = tensorOf(data.slice(0, data.length / dims[0]), [1, ...dims.slice(1)]);
  }
  const outputs = await session.run(feeds);
  const told = acted["out.actions"];
  return difference(outputs.actions.data, told.data.slice(0, told.data.length / told.dims[0]));
}

// Acts in each episode with a memory of its own, all episodes side by side.
async function playEpisodes(session, acted) {
  const number = (name) => acted[name].data[0];
  const e = number("episodes"), steps = acted.rewards.data.length / e, context = number("context");
  const o = acted.observations.dims[1], discrete = number("discrete") > 0, a = discrete ? 1 : acted.actions.dims[1];
  const Actions = discrete ? BigInt64Array : Float32Array;
  const done = new Actions(e * steps * a).fill(discrete ? -1n : NaN), toGo = new Float32Array(e * steps);
  let worst = 0;
  for (let t = 0; t < steps; t++) {
    const from = Math.max(0, t + 1 - context), n = t + 1 - from;
    for (let i = 0; i < e; i++)
      toGo[i * steps + t] = t ? toGo[i * steps + t - 1] - acted.rewards.data[i * steps + t - 1] : number("target");
    const window = (data, width) => {
      const rows = new data.constructor(e * n * width);
      for (let i = 0; i < e; i++) rows.set(data.subarray((i * steps + from) * width, (i * steps + t + 1) * width), i * n * width);
      return rows;
    };
    const outputs = await session.run({
      returns_to_go: tensorOf(window(toGo, 1), [e, n]),
      observations: tensorOf(window(acted.observations.data, o), [e, n, o]),
      past_actions: tensorOf(window(done, a), discrete ? [e, n] : [e, n, a]),
      timesteps: tensorOf(BigInt64Array.from({ length: e * n }, (_, k) => BigInt(from + (k % n))), [e, n]),
    });
    for (let i = 0; i < e; i++) {
      const at = (i * steps + t) * a;
      done.set(outputs.actions.data.subarray(i * a, (i + 1) * a), at);
      worst = Math.max(worst, difference(done.subarray(at, at + a), acted.actions.data.subarray(at, at + a)));
    }
  }
  return { actions: worst };
}

const folder = process.argv[2], least = Number(process.argv[3]);
let n = 0, failed = false;
for (const file of readdirSync(folder).filter((f) => f.endsWith(".onnx")).sort()) {
  const name = file.slice(0, -5), acted = readSafetensors(join(folder, `${name}.acted`));
  const session = await ort.InferenceSession.create(readFileSync(join(folder, file)));
  const found = acted.episodes ? await playEpisodes(session, acted) : await compareBatch(session, acted);
  if (!acted.episodes) found["a row alone"] = await compareFirstRow(session, acted);
  console.log(`${name}: largest difference`, Object.entries(found).map(([key, value]) => `${key} ${value.toExponential(1)}`).join(", "));
  failed ||= !Object.values(found).every((value) => value <= 1e-5);
  await session.release();
  n++;
}
if (n < least) throw new Error(`${n} models of ${least}`);
process.exit(failed ? 1 : 0);
