// ONNX Runtime's binding for Node, loaded from where it is: the package brings its own copy (scripts/pack.mjs), because
// the install script of onnxruntime-node fetches CUDA from a host of its own, and ends `npm install` where it cannot.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as Engine from 'onnxruntime-node';
import { WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';

const load = createRequire(import.meta.url);

/**
 * The folder of `onnxruntime-node`. One that somebody installed beside the packed copy is taken if it is the same
 * version: it may hold the CUDA provider, and a process should not load two engines.
 */
function findEngine(packed: string): string {
  let beside: string | undefined;
  try {
    beside = dirname(load.resolve('onnxruntime-node/package.json'));
  } catch {
    beside = undefined; // not installed: the usual case outside a clone
  }
  if (!existsSync(join(packed, 'package.json'))) return beside ?? packed;
  return beside !== undefined && versionOf(beside) === versionOf(packed) ? beside : packed;
}

const versionOf = (folder: string): unknown =>
  (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: unknown }).version;

/**
 * The engine's library keeps an identifier of this machine and events of each session in the user's cache, and sends them to
 * its maker: not from a program that a secret is used in. Whoever wants it sets the variable to 0.
 */
const TELEMETRY_OFF = 'ORT_DISABLE_TELEMETRY';

function loadEngine(folder: string): typeof Engine {
  process.env[TELEMETRY_OFF] ??= '1'; // read when the library is loaded
  try {
    return load(folder) as typeof Engine;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new WhorlError(
      'unsupported',
      `ONNX Runtime cannot be loaded on ${process.platform}/${process.arch}: ${why}`,
      'it has binaries for Linux with glibc, macOS on Apple silicon and Windows; install the package again',
      { cause },
    );
  }
}

/** Where the engine in use lies. */
export const engineFolder = findEngine(join(packageRoot(), 'dist', 'engine', 'onnxruntime-node'));

export const ort = loadEngine(engineFolder);

export const engineVersion = String(versionOf(engineFolder));
