// What stands at a path, as a typed report: one kind for each thing that Whorl reads or writes.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { isThere } from '../base/system-errors.ts';
import type { Claim } from '../claim/claim.ts';
import type { SecretInfo, Unlock } from '../claim/secret-file.ts';
import { withReader } from '../sources/bounded-reader.ts';
import { openCheckpoint } from '../sources/checkpoints/checkpoint.ts';
import { type GgufValue, readGguf } from '../sources/checkpoints/gguf.ts';
import { readSafetensorsHeader } from '../sources/checkpoints/safetensors.ts';
import { parseHubId } from '../sources/hub/hub-id.ts';
import { LOOK_BYTES, lookAlike } from '../sources/look-alike.ts';
import { otherEnding } from '../sources/rows/no-rows.ts';
import { isSavedFolder } from '../sources/rows/saved-folder.ts';
import { readJsonObject } from '../sources/strict-json.ts';
import { webAddress } from '../sources/web-address.ts';
import { elements } from '../tensor/tensor.ts';
import { examineOnnx, type OnnxReport } from './onnx-file.ts';
import { examineCheckpoint, examineJson, examineRows, type OtherReport } from './other-files.ts';

interface TensorLine {
  name: string;
  dtype: string;
  shape: readonly number[];
}

interface Weights {
  path: string;
  bytes: number;
  parameters: number;
  /** Parameters of each dtype. */
  dtypes: Record<string, number>;
  tensors: TensorLine[];
}

export type InspectReport =
  | ({
      kind: 'model-folder';
      config: Readonly<Record<string, unknown>>;
      files: { name: string; size: number }[];
      metadata: Record<string, string>;
    } & Weights)
  | ({ kind: 'safetensors'; metadata: Record<string, string> } & Weights)
  | ({ kind: 'gguf'; metadata: Record<string, string> } & Weights)
  | OtherReport
  | OnnxReport
  | { kind: 'claim'; path: string; claim: Claim }
  | { kind: 'secret'; path: string; secret: SecretInfo }
  | { kind: 'run-folder'; path: string; parts: InspectReport[] };

/** What makes a folder a run's; answer files and verdicts are shown beside them. */
const RUN_FILES = [
  'run.json',
  'claim.json',
  'secret.whorl',
  'published',
  join('work', 'checkpoint'),
  'pipeline.json',
  'adapter.json',
];
const MAX_CLAIM = 1 << 20;

export interface InspectOptions extends Abortable {
  /** A file, a folder or a hub id. */
  readonly path: string;
  /** What opens an encrypted secret, or asks for it once its path is known; default: such a one is shown closed. */
  readonly unlock?: Unlock | ((secret: string) => Promise<Unlock | undefined>);
  readonly onEvent?: OnEvent;
}

/** Throws as the readers do, each naming the file; `unsupported` for what Whorl does not know. */
export function inspect(options: InspectOptions): Promise<InspectReport> {
  return abortable(options, ({ path, unlock, onEvent }) => examine(path, unlock, onEvent));
}

type Opens = InspectOptions['unlock'];

async function examine(name: string, unlock?: Opens, onEvent?: OnEvent): Promise<InspectReport> {
  const path = await located(name, onEvent);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw (
      webAddress(name) ??
      new WhorlError('missing-file', `${path} does not exist`, 'give a file, a folder or a hub id')
    );
  return stats.isDirectory() ? examineFolder(path, unlock) : examineFile(path, stats.size, unlock);
}

/** A hub id that is no path here is fetched. */
async function located(name: string, onEvent: OnEvent | undefined): Promise<string> {
  if (isThere(name) || parseHubId(name) === undefined) return name;
  const { modelPath } = await import('../models/open-model.ts');
  return modelPath(name, onEvent);
}

async function examineFolder(path: string, unlock: Opens): Promise<InspectReport> {
  const parts: InspectReport[] = [];
  const isRun = RUN_FILES.some((name) => isThere(join(path, name)));
  const answers = isRun ? readdirSync(path).filter((name) => /\.jsonl$|_verdict\.json$/.test(name)) : [];
  for (const name of [...RUN_FILES, ...answers.sort()])
    if (statSync(join(path, name), { throwIfNoEntry: false }))
      parts.push(await examine(join(path, name), unlock));
  if (parts.length > 0) return { kind: 'run-folder', path, parts };
  if (isSavedFolder(path)) return examineRows(path, 'a folder of Arrow files', true);
  const { config, files, tensors, metadata } = openCheckpoint(path);
  return {
    kind: 'model-folder',
    config,
    files: files.map(({ name, size }) => ({ name, size })),
    metadata: Object.fromEntries(metadata),
    ...weights(
      path,
      sumOf(files),
      [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    ),
  };
}

async function examineFile(path: string, bytes: number, unlock: Opens): Promise<InspectReport> {
  const start = withReader(path, (reader) =>
    Buffer.from(reader.bytes(Math.min(64, reader.size), 'the first bytes')).toString('latin1'),
  );
  if (start.startsWith('GGUF')) {
    const { metadata, tensors } = readGguf(path, path);
    const lines = [...tensors.values()].map(({ name, type, shape }) => ({
      name,
      dtype: String(type),
      shape,
    }));
    return { kind: 'gguf', metadata: ggufMetadata(metadata), ...weights(path, bytes, lines) };
  }
  if (start.startsWith('age-encryption.org/') || start.startsWith('-----BEGIN AGE'))
    return secretReport(path, unlock);
  if (start.startsWith('WHORLCK1')) return examineCheckpoint(path);
  if (start.startsWith('PAR1')) return examineRows(path, 'Parquet', false);
  if (start.startsWith('ARROW1') || start.startsWith('\xff\xff\xff\xff'))
    return examineRows(path, 'Arrow', false);
  // An ONNX model begins with its IR version, a small number, then its producer or an opset.
  const [field, version, next] = Buffer.from(start, 'latin1');
  if (field === 8 && version! <= 32 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(next!))
    return examineOnnx(path);
  if (/^\s*\[/.test(start) && !start.startsWith('[Adapter]')) return examineRows(path, 'JSON', false);
  if (/^\s*\{/.test(start)) return jsonReport(path, bytes, unlock);
  if (start[8] === '{') {
    const { tensors, metadata } = readSafetensorsHeader(path, path);
    const lines = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    return { kind: 'safetensors', metadata: Object.fromEntries(metadata), ...weights(path, bytes, lines) };
  }
  const first = withReader(path, (reader) =>
    reader.bytes(Math.min(LOOK_BYTES, reader.size), 'the first bytes'),
  );
  throw lookAlike(first, path) ?? otherEnding(path) ?? unknown(path);
}

async function jsonReport(path: string, bytes: number, unlock: Opens): Promise<InspectReport> {
  // A secret may be large, so its format is looked for where our writer puts it: first.
  const start = withReader(path, (reader) =>
    Buffer.from(reader.bytes(Math.min(4096, reader.size), 'the first bytes')).toString('latin1'),
  );
  if (/"format"\s*:\s*"whorl-secret"/.test(start)) return secretReport(path, unlock);
  if (!start.includes('"whorl-claim"')) {
    if (hasLines(path)) return examineRows(path, 'JSON lines', false);
    const report = examineJson(path, readJsonObject(path, path));
    if (report) return report;
    if (!/\n./.test(start)) return examineRows(path, 'JSON lines', false); // one line, and no file that is known: one row
    throw unknown(path);
  }
  if (bytes > MAX_CLAIM) throw unknown(path);
  const { parseClaim } = await import('../claim/claim.ts');
  return { kind: 'claim', path, claim: parseClaim(readFileSync(path, 'utf8'), path) };
}

const LONGEST_LINE = 2 ** 20;

/** Whether the first line is an object to its end and another begins after it, as in no single JSON value. */
function hasLines(path: string): boolean {
  const start = withReader(path, (reader) =>
    Buffer.from(reader.bytes(Math.min(LONGEST_LINE, reader.size), 'the first line')).toString('latin1'),
  );
  return /^\s*\{[^\n]*\}[ \t\r]*\n\s*\{/.test(start);
}

async function secretReport(path: string, unlock: Opens): Promise<InspectReport> {
  const { inspectSecret } = await import('../claim/secret-file.ts');
  const key = typeof unlock === 'function' ? await unlock(path) : unlock;
  return { kind: 'secret', path, secret: await inspectSecret(path, key) };
}

const unknown = (path: string): WhorlError =>
  new WhorlError(
    'unsupported',
    `${path} is nothing Whorl knows`,
    'give a model, run, import or data folder, weights, rows (.json, .jsonl, Parquet, Arrow), .onnx, config.json, tokenizer.json, run.json, pipeline.json, a verdict, claim.json or secret.whorl',
  );

function weights(path: string, bytes: number, tensors: TensorLine[]): Weights {
  const dtypes = new Map<string, number>();
  for (const { dtype, shape } of tensors) dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + elements(shape));
  const parameters = [...dtypes.values()].reduce((a, b) => a + b, 0);
  return { path, bytes, parameters, dtypes: Object.fromEntries(dtypes), tensors };
}

const sumOf = (files: readonly { size: number }[]): number => files.reduce((sum, { size }) => sum + size, 0);

/** Values in a line each; lists by their length. */
const ggufMetadata = (metadata: ReadonlyMap<string, GgufValue>): Record<string, string> =>
  Object.fromEntries(
    [...metadata].map(([key, value]) => [
      key,
      Array.isArray(value) ? `${value.length} values` : String(value as string | number | bigint | boolean),
    ]),
  );
