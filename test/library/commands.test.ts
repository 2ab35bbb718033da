// Every command is a function of the library that takes an AbortSignal: it ends with one clear error, and leaves nothing.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { COMMANDS, type CommandName } from '../../src/cli/commands.ts';
import * as whorl from '../../src/index.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-library-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const model = join(packageRoot(), 'assets/embedded/model');
const data = join(packageRoot(), 'assets/embedded/thief.json');
const LONG = 120_000;

interface Call {
  readonly out: string;
  readonly signal: AbortSignal;
  readonly onEvent?: whorl.OnEvent;
}

async function all(results: AsyncGenerator<unknown, void>): Promise<void> {
  for await (const _ of results);
}

/** Each command as a library's user calls it; the compiler wants every command but a shell's script. */
const CALLS: Readonly<Record<Exclude<CommandName, 'completion'>, (call: Call) => unknown>> = {
  demo: (call) => whorl.runDemo(call),
  fingerprint: (call) => whorl.fingerprint({ model, settings: { trained: 2, lr: 0.01 }, ...call }),
  resume: ({ out, ...call }) => whorl.resumeJob({ job: out, ...call }),
  commit: (call) => whorl.commitRun({ model, settings: { trained: 2 }, ...call }),
  prove: ({ out, ...call }) => whorl.proveRun({ run: out, request: join(out, 'claim.tsq'), ...call }),
  draw: ({ out, ...call }) => whorl.drawRun({ run: out, ...call }),
  verify: ({ out, ...call }) => whorl.verify({ secret: join(out, 'secret.whorl'), suspect: model, ...call }),
  rival: ({ out, ...call }) => {
    const side = { secret: join(out, 'secret.whorl'), model };
    return whorl.rival({ a: side, b: side, ...call });
  },
  check: async ({ signal }) => whorl.checkCertificate('{}', { signal }),
  sign: ({ out, ...call }) =>
    whorl.signModel({ model, key: out, signature: join(out, 'model.sig'), ...call }),
  attack: (call) => whorl.attackRun({ run: join(call.out, 'run'), attacks: ['noise'], ...call }),
  finetune: (call) => whorl.userFinetune({ model, data, settings: { epochs: 1, batch: 16 }, ...call }),
  merge: (call) => whorl.mergeAdapter({ model, adapter: join(call.out, 'adapter'), ...call }),
  convert: (call) => whorl.convertModel({ model, to: 'gguf', type: 'q8_0', ...call }),
  generate: ({ out: _, ...call }) => all(whorl.generate({ model, prompts: ['a', 'b'], ...call })),
  score: ({ out: _, ...call }) =>
    all(whorl.score({ model, rows: [{ context: 'a', continuation: ' b' }], ...call })),
  eval: (call) => whorl.evaluateModel({ model, tasks: ['arc_easy'], data: call.out, ...call }),
  task: ({ out, ...call }) => whorl.runTask({ folder: out, ...call }),
  compare: ({ out, ...call }) => whorl.compare({ model, with: model, out: join(out, 'c.json'), ...call }),
  dataset: (call) => whorl.mixDataset(call),
  pipeline: ({ out, ...call }) =>
    whorl.pipeline({ flavour: 'adapter', modes: ['fingerprint'], base_model: model, root: out, ...call }),
  report: async ({ out, signal }) => whorl.reportFsr({ flavour: 'adapter', paths: [out], signal }),
  import: ({ out, signal }) => whorl.importOutput(out, join(out, 'imported'), { signal }),
  inspect: ({ out: _, ...call }) => whorl.inspect({ path: model, ...call }),
  'show-batch': ({ out: _, ...call }) => whorl.showBatch({ model, ...call }),
  doctor: ({ out: _, ...call }) => whorl.doctor({ model, ...call }),
};

/** Those that need what an earlier command left: they fail of that before their first event. */
const NEED_MORE: ReadonlySet<string> = new Set([
  'resume',
  'prove',
  'draw',
  'verify',
  'rival',
  'check',
  'sign',
  'attack',
  'task',
  'merge',
  'dataset',
  'report',
  'import',
]);

test('the table names every command', () => {
  expect(Object.keys(CALLS).sort()).toEqual(
    Object.keys(COMMANDS)
      .filter((name) => name !== 'completion')
      .sort(),
  );
});

test.each(Object.entries(CALLS))(
  '%s under a signal that has come does nothing and says so',
  async (_name, call) => {
    const out = mkdtempSync(join(scratch, 'none-'));
    const reason = new Error('not now');
    const signal = AbortSignal.abort(reason);
    const error = await Promise.resolve(call({ out: join(out, 'out'), signal })).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(whorl.WhorlError);
    expect(error).toMatchObject({ code: 'aborted', cause: reason });
    expect(readdirSync(out)).toEqual([]);
  },
);

/** Names that a reader could take for something finished, or that nobody would take away. */
const left = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /\.tmp-/.test(path) || /(^|\/)(published|run\.json|config\.json)$/.test(path),
  );

test.each(Object.entries(CALLS).filter(([name]) => !NEED_MORE.has(name) && name !== 'inspect'))(
  '%s is ended at the first event after the signal',
  async (_name, call) => {
    const out = mkdtempSync(join(scratch, 'some-'));
    const control = new AbortController();
    let events = 0;
    const onEvent = (): void => {
      events++;
      control.abort();
    };
    const under = { out: join(out, 'out'), signal: control.signal, onEvent };
    const error = await Promise.resolve(call(under)).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'WhorlError', code: 'aborted' });
    expect(events).toBe(1);
    expect(left(out)).toEqual([]);
  },
  LONG,
);
