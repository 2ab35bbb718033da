// `whorl pipeline` as a process of its own that is killed after a while, and what its folder holds in the end.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** When a process is killed: after so many milliseconds, or when a text stands on stderr. Neither: never. */
export interface Until {
  readonly ms?: number;
  readonly text?: string;
}

/** Runs to the end, or is killed by SIGKILL: then the code is null. */
export function runPipeline(
  command: readonly string[],
  root: string,
  until: Until = {},
): Promise<{ code: number | null; ms: number; err: string }> {
  return new Promise((resolve) => {
    const started = Date.now();
    const [program, ...args] = [...command, '--root', root];
    const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let err = '';
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
      if (until.text !== undefined && err.includes(until.text)) child.kill('SIGKILL');
    });
    const timer = until.ms === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), until.ms);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ms: Date.now() - started, err });
    });
  });
}

/** Names below `root` → SHA-256 of each file; run.json, which has times in it, by its settings and cells alone. */
export function contentsOf(root: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    let bytes: Buffer | string = readFileSync(path);
    if (entry.name === 'run.json') {
      const { settings, cells, claim_root } = JSON.parse(bytes.toString()) as Record<string, unknown>;
      bytes = JSON.stringify([settings, cells, claim_root]);
    }
    if (entry.name.endsWith('_verdict.json')) bytes = bytes.toString().replaceAll(root, '');
    if (entry.name === 'pipeline.json') bytes = withoutVerdicts(bytes.toString());
    out[path.slice(root.length + 1)] = createHash('sha256').update(bytes).digest('hex');
  }
  return Object.fromEntries(Object.entries(out).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A verdict names its suspect's path, so its digest is another in another folder. */
function withoutVerdicts(text: string): string {
  const { files } = JSON.parse(text) as { files: Record<string, unknown> };
  return JSON.stringify(Object.entries(files).filter(([name]) => !name.endsWith('_verdict.json')));
}

/** What a kill in the middle of a write leaves beside the final name; what stands under a final name is whole. */
export const isLeftOver = (name: string): boolean => /(^|\/)\.[^/]*\.tmp-/.test(name);
