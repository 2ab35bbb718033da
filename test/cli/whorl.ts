// The command line in this process: its exit code and what it wrote to both streams.

import { vi } from 'vitest';
import { run } from '../../src/cli/program.ts';

export async function whorl(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const text = { out: '', err: '' };
  const capture = (key: 'out' | 'err') => (chunk: unknown) => {
    text[key] += String(chunk);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(capture('out'));
  vi.spyOn(process.stderr, 'write').mockImplementation(capture('err'));
  const code = await run(args);
  vi.restoreAllMocks();
  return { code, ...text };
}
