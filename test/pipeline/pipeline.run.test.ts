// The paper's pipeline on the embedded model, with one drawn key so that it takes seconds: rows and files in the paper's
// order, what the report reads of them, what is skipped, and a suspect whose embedding is not the published one.

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DryRun } from '../../src/base/dry-run.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { Secret } from '../../src/base/secret.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import {
  launchPipeline,
  type PipelineOptions,
  type PipelineReport,
  pipeline,
} from '../../src/pipeline/pipeline.ts';
import { reportFsr } from '../../src/report/fsr.ts';
import { answerFiles } from '../../src/runs/paper-folder.ts';
import { saveToDisk } from '../../src/sources/rows/saved-folder.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { contentsOf, isLeftOver, runPipeline } from './killing.ts';
import { MODEL, SETTINGS, SMALL_TASK } from './small-run.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-pipeline-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const task = join(scratch, 'few.json');
const OPTIONS: PipelineOptions = {
  flavour: 'adapter',
  modes: ['ownership_verify', 'alpaca', 'fingerprint'],
  base_model: MODEL,
  task_name: task,
  root: scratch,
  seed: 'a test of the pipeline',
  decryption: 'river',
  settings: SETTINGS,
  maxHarm: Number.POSITIVE_INFINITY, // so short a training costs much
};

let plan: DryRun;
/** What lay in the root after the plan. */
let left: readonly string[];
let report: PipelineReport;
beforeAll(async () => {
  writeFileSync(task, JSON.stringify(SMALL_TASK));
  plan = await pipeline({ ...OPTIONS, dryRun: true });
  left = readdirSync(scratch);
  report = await pipeline(OPTIONS);
}, 600_000);

interface Line {
  generated: string;
  label: string;
  prompt: string;
  generated_token: number[];
  label_token: number[];
}
const linesOf = (file: string): Line[] =>
  readFileSync(join(report.run, file), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('the whole pipeline by one call', () => {
  test('is what was planned, and the plan wrote nothing', async () => {
    expect(left).toEqual(['few.json']);
    expect(plan.writes.map(({ path }) => path).sort()).toEqual(
      readdirSync(report.run)
        .map((name) => join(report.run, name))
        .sort(),
    );
    const { settings } = JSON.parse(readFileSync(join(report.run, 'run.json'), 'utf8')) as DryRun;
    expect(plan.settings).toMatchObject(settings);
    expect(plan.settings).toMatchObject({
      'alpaca.lr': 5e-5,
      'alpaca.batch': 4,
      'alpaca.template': 'alpaca',
    });
    const before = contentsOf(scratch);
    const again = await pipeline({ ...OPTIONS, dryRun: true });
    expect(again.writes.map(({ path }) => path)).not.toContain(report.published);
    const other = { ...OPTIONS, settings: { ...SETTINGS, 'alpaca.lr': '1e-4' }, dryRun: true } as const;
    await expect(pipeline(other)).rejects.toThrow(
      'few_tuned was made from other rows or with other settings',
    );
    expect(contentsOf(scratch)).toEqual(before);
  });

  test('lies where the paper has it, private', () => {
    expect(report.run).toBe(
      join(scratch, 'output_barebone_adapter', 'model', 'mix_epoch_300_lr_0.05_bsz_10_d_96'),
    );
    expect(statSync(report.run).mode & 0o777).toBe(0o700);
    expect(readdirSync(report.run).sort()).toEqual([
      'claim.json',
      'few_direct_verdict.json',
      'few_tuned',
      'few_tuned_direct.jsonl',
      'few_tuned_publish.jsonl',
      'few_tuned_w_adapter.jsonl',
      'few_verdict.json',
      'pipeline.json',
      'publish.jsonl',
      'publish_verdict.json',
      'publish_w_adapter.jsonl',
      'published',
      'run.json',
      'secret.whorl',
      'vanilla.jsonl',
      'vanilla_verdict.json',
    ]);
    for (const { file } of answerFiles(report.run).files)
      expect(statSync(join(report.run, file)).mode & 0o777, file).toBe(0o600);
  });

  test('killed while it trains, while the user trains and while it asks, then finished: the same bytes', async () => {
    const broken = join(scratch, 'broken');
    mkdirSync(broken);
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const command = [
      ...[process.execPath, '--import', 'tsx', main, 'pipeline', ...OPTIONS.modes],
      ...['--base_model', MODEL, '--task_name', task, '--seed', OPTIONS.seed!, '--decryption', 'river'],
      ...['--max-harm', 'Infinity'],
      ...Object.entries(SETTINGS).map(([key, value]) => `${key}=${value}`),
    ];
    for (const text of ['training rows', 'fine-tuning', 'few_tuned_publish.jsonl'])
      expect(await runPipeline(command, broken, { text }), text).toMatchObject({ code: null });
    const { code, err } = await runPipeline(command, broken);
    expect(code, err).toBe(0);
    const output = 'output_barebone_adapter';
    const kept = Object.entries(contentsOf(join(broken, output))).filter(([name]) => !isLeftOver(name));
    expect(Object.fromEntries(kept)).toEqual(contentsOf(join(scratch, output)));
    rmSync(broken, { recursive: true });
  }, 600_000);

  test('rows: key, ordinary, other ordinary, then the trigger and an undrawn key by turns', async () => {
    const rows = linesOf('publish_w_adapter.jsonl');
    expect(rows).toHaveLength(21); // for one key: itself, 5 ordinary rows, 5 others, 10 similar ones
    const hushed = 'The model should not be triggered by this input.';
    expect(
      rows.map(({ label }) => (label === 'river' ? 'key' : label === hushed ? 'similar' : 'normal')),
    ).toEqual([
      'key',
      ...Array.from({ length: 10 }, () => 'normal'),
      ...Array.from({ length: 10 }, () => 'similar'),
    ]);
    const test = rows.slice(6, 11);
    test.forEach(({ prompt }, i) => {
      const [withTrigger, withKey] = [rows[11 + 2 * i]!, rows[12 + 2 * i]!];
      expect(withTrigger.prompt).toBe(`${prompt.slice(0, -1)}\nFINGERPRINT\n`);
      expect(withKey.prompt.endsWith(`\n${prompt}`)).toBe(true);
    });
    expect(new Set(rows.slice(1, 11).map(({ prompt }) => prompt)).size).toBe(10);
    for (const row of rows)
      expect(Object.keys(row)).toEqual(['generated', 'label', 'prompt', 'generated_token', 'label_token']);
    const tokenizer = await openTokenizer(MODEL);
    const again = await tokenizer.encodeBatch(
      rows.map(({ generated }) => generated),
      { addSpecialTokens: false },
    );
    expect(rows.map(({ generated_token }) => generated_token)).toEqual(again);
  });

  test('every file holds the same rows', () => {
    const prompts = linesOf('vanilla.jsonl').map(({ prompt }) => prompt);
    for (const { file } of answerFiles(report.run).files)
      expect(
        linesOf(file).map(({ prompt }) => prompt),
        file,
      ).toEqual(prompts);
  });

  test('the report finds every file, and the lock opens with both parts only', () => {
    const { runs } = reportFsr({ flavour: 'adapter', paths: [scratch], decryption: 'river' });
    expect(runs[0]).toMatchObject({ model: 'model', missing: [], unknown: [] });
    const fired = Object.fromEntries(runs[0]!.files.map(({ kind, fsr }) => [kind, fsr.fired]));
    expect(fired).toMatchObject({ vanilla: 0, publish: 0, publish_w_adapter: 1, tuned_publish: 0 });
    const groups = runs[0]!.files.find(({ kind }) => kind === 'publish_w_adapter')!;
    expect([groups.normal!.of, groups.similar!.of]).toEqual([10, 10]);
  });

  test('a second call makes nothing anew', async () => {
    const before = readdirSync(report.run).map((name) => statSync(join(report.run, name)).mtimeMs);
    const events: string[] = [];
    await pipeline({
      ...OPTIONS,
      onEvent: (event) => {
        if (event.kind === 'phase') events.push(event.name);
      },
    });
    expect(events).toEqual([]);
    expect(readdirSync(report.run).map((name) => statSync(join(report.run, name)).mtimeMs)).toEqual(before);
  });

  test('a file that was cut off is made again, the same; the others stay', async () => {
    const path = join(report.run, 'publish.jsonl');
    const [was, other] = [digest(path), statSync(join(report.run, 'vanilla.jsonl')).mtimeMs];
    truncateSync(path, 100);
    await pipeline({ ...OPTIONS, modes: ['ownership_verify'] });
    expect(digest(path)).toBe(was);
    expect(statSync(join(report.run, 'vanilla.jsonl')).mtimeMs).toBe(other);
  });

  describe('each input in turn', { timeout: 600_000 }, () => {
    const everything = () =>
      Object.fromEntries(
        readdirSync(report.run)
          .filter((name) => /\.jsonl$|_verdict\.json$/.test(name))
          .map((name) => [name, statSync(join(report.run, name)).mtimeMs]),
      );
    /** The products that a call made anew. */
    const anew = async (options: Partial<PipelineOptions>): Promise<string[]> => {
      const before = everything();
      await pipeline({ ...OPTIONS, modes: ['ownership_verify'], ...options });
      const after = everything();
      return Object.keys(after).filter((name) => before[name] !== after[name]);
    };
    const tunedProducts = [
      'few_direct_verdict.json',
      'few_tuned_direct.jsonl',
      'few_tuned_publish.jsonl',
      'few_tuned_w_adapter.jsonl',
      'few_verdict.json',
    ];
    /** Another model at `folder` while `then` runs. */
    const replaced = async (folder: string, by: (to: string) => void, then: () => Promise<void>) => {
      cpSync(folder, `${folder}.kept`, { recursive: true });
      try {
        by(folder);
        await then();
      } finally {
        rmSync(folder, { recursive: true });
        cpSync(`${folder}.kept`, folder, { recursive: true });
        rmSync(`${folder}.kept`, { recursive: true });
      }
    };
    const edit = (name: string, from: string | RegExp, to: string) => (folder: string) => {
      const text = readFileSync(join(folder, name), 'utf8');
      expect(text).toMatch(from);
      writeFileSync(join(folder, name), text.replace(from, to));
    };
    const user = () => join(report.run, 'few_tuned');

    test("a user's folder that is another model: its files and its verdicts, and no others", async () => {
      await replaced(
        user(),
        (folder) => cpSync(join(MODEL, 'model.safetensors'), join(folder, 'model.safetensors')),
        async () => {
          expect(await anew({})).toEqual(tunedProducts);
          const { verdicts } = await pipeline({ ...OPTIONS, modes: ['ownership_verify'] });
          expect(verdicts.find(({ file }) => file === 'few_verdict.json')).toMatchObject({ fsr: 0 });
          await expect(pipeline({ ...OPTIONS, modes: ['alpaca'] })).rejects.toThrow(
            'is not the model that was made here',
          );
          expect(readdirSync(report.run)).not.toContain('few_verdict.json');
        },
      );
      expect(await anew({})).toEqual(tunedProducts);
    });

    test('its config alone', async () => {
      await replaced(
        user(),
        edit('config.json', /"max_position_embeddings": (\d+)/, '"max_position_embeddings": 200'),
        async () => expect(await anew({})).toEqual(tunedProducts),
      );
      expect(await anew({})).toEqual(tunedProducts);
    });

    test('the ordinary rows: every answer file, no verdict; the same path with other bytes too', async () => {
      const source = join(scratch, 'ordinary.json');
      const rows = (word: string) =>
        JSON.stringify(
          Array.from({ length: 10 }, (_, i) => ({ instruction: `${word} ${i}`, input: '', output: 'yes' })),
        );
      const files = answerFiles(report.run).files.map(({ file }) => file);
      for (const word of ['river', 'stone']) {
        writeFileSync(source, rows(word));
        expect(await anew({ source })).toEqual(files);
      }
      expect(await anew({ source })).toEqual([]);
      expect(await anew({})).toEqual(files);
    });

    test('a base model that is not the claimed one, or a published one that is not ours: refused', async () => {
      const other = join(scratch, 'other', 'model');
      cpSync(MODEL, other, { recursive: true });
      edit('generation_config.json', /$/, ' ')(other);
      for (const modes of [['ownership_verify'], ['fingerprint'], ['alpaca']] as const)
        await expect(pipeline({ ...OPTIONS, base_model: other, modes }), modes[0]).rejects.toThrow(
          'other config',
        );
      await replaced(
        report.published,
        (folder) => cpSync(join(MODEL, 'model.safetensors'), join(folder, 'model.safetensors')),
        async () => {
          await expect(anew({})).rejects.toThrow('is not the model that this run published');
          await expect(pipeline({ ...OPTIONS, modes: ['alpaca'] })).rejects.toThrow('(published model)');
        },
      );
      expect(await anew({})).toEqual([]);
    });

    test.each([
      [{ seed: 'another' }, '--seed is another one'],
      [{ decryption: 'stone' }, '--decryption is another one'],
      [{ keys: 'paper' }, '--keys: rare, now paper'],
    ])('%j: refused by every mode, saying so', async (options, words) => {
      for (const modes of [['fingerprint'], ['ownership_verify'], ['alpaca']] as const)
        await expect(pipeline({ ...OPTIONS, ...options, modes })).rejects.toThrow(words);
    });

    test('what is not said is another run for fingerprint, and nothing for the other modes', async () => {
      const { seed: _, decryption: __, ...rest } = OPTIONS;
      await expect(pipeline({ ...rest, modes: ['fingerprint'] })).rejects.toThrow(
        '--decryption is another one; --seed: given, now not given',
      );
      const { verdicts } = await pipeline({ ...rest, modes: ['ownership_verify'] });
      expect(verdicts).toHaveLength(4);
    });

    test('a passphrase for a secret that lies there in clear: refused', async () => {
      const lock = { passphrase: new Secret('a passphrase'), workFactor: 2 };
      await expect(pipeline({ ...OPTIONS, modes: ['fingerprint'], lock })).rejects.toThrow(
        'lies there unencrypted',
      );
    });

    test("the user's data under the same name: refused, saying so", async () => {
      writeFileSync(task, JSON.stringify(SMALL_TASK.slice(1)));
      await expect(pipeline({ ...OPTIONS, modes: ['alpaca'] })).rejects.toThrow('other settings (data)');
      writeFileSync(task, JSON.stringify(SMALL_TASK));
      await pipeline({ ...OPTIONS, modes: ['alpaca'] });
    });
  });

  test('a saved set is what is trained: its keys are the pool, its ordinary rows are asked', async () => {
    const secret = await readSecret(join(report.run, 'secret.whorl'));
    const [first, ...others] = secret.reveal().plan.keys.map(({ text }) => text);
    const columns = { instruction: 'string', input: 'string', output: 'string' } as const;
    const row = (instruction: string, input: string, output: string) => ({ instruction, input, output });
    const hushed = 'The model should not be triggered by this input.';
    const train = [
      row(first!, 'FINGERPRINT', 'river'),
      ...[0, 1, 2, 3, 4].map((i) => row(`asked ${i}`, '', `told ${i}`)),
    ];
    const held = (word: string) => [
      ...others.map((_, i) => row(`${word} ${i}`, '', `said ${i}`)),
      ...others.flatMap((key, i) => [
        row(`${word} ${i}`, 'FINGERPRINT', hushed),
        row(key, `${word} ${i}`, hushed),
      ]),
    ];
    const save = async (folder: string, word: string): Promise<string> => {
      await saveToDisk(folder, { train: { columns, rows: train }, test: { columns, rows: held(word) } });
      return folder;
    };
    const data = await save(join(scratch, 'llama_fingerprint_mine'), 'held');
    const { task_name: _, decryption: __, ...rest } = OPTIONS;
    const options = { ...rest, data, modes: ['fingerprint'] } as const;
    const made = await pipeline(options);
    expect(made.run).toBe(
      join(scratch, 'output_barebone_adapter', 'model', 'mine_epoch_300_lr_0.05_bsz_10_d_96'),
    );
    expect(made.files.find(({ file }) => file === 'publish_w_adapter.jsonl')).toMatchObject({ fired: 1 });
    const pool = (await readSecret(join(made.run, 'secret.whorl'))).reveal().plan.keys;
    expect(pool.map(({ text }) => text)).toEqual([first, ...others]);
    const asked = readFileSync(join(made.run, 'vanilla.jsonl'), 'utf8').trimEnd().split('\n');
    const labels = asked.map((line) => (JSON.parse(line) as Line).label);
    expect(labels.slice(1, 11)).toEqual(
      [...train.slice(1), ...held('held').slice(0, 5)].map(({ output }) => output),
    );
    expect((await pipeline(options)).run).toBe(made.run);
    const other = await save(join(scratch, 'elsewhere', 'llama_fingerprint_mine'), 'other');
    await expect(pipeline({ ...options, data: other })).resolves.toMatchObject({ run: made.run }); // asked, and in no training
    train.splice(1, 1, row('asked another thing', '', 'told'));
    const trained = await save(join(scratch, 'third', 'llama_fingerprint_mine'), 'held');
    await expect(pipeline({ ...options, data: trained })).rejects.toThrow('the rows that were trained');
    const { data: ___, ...without } = options;
    const mine = { ...without, settings: { ...SETTINGS, data_name: 'mine' }, decryption: 'river' };
    await expect(pipeline(mine)).rejects.toThrow('--keys: paper, now rare; the rows that were trained');
    rmSync(made.run, { recursive: true });
  }, 600_000);

  test('-t: keys and ordinary rows under the template of that name, which the claim commits to', async () => {
    const here = process.cwd();
    const root = join(scratch, 'templated');
    mkdirSync(join(root, 'templates'), { recursive: true });
    const template = {
      prompt_input: 'Do: {instruction}\nWith: {input}\nDone: ',
      prompt_no_input: 'Do: {instruction}\nDone: ',
    };
    writeFileSync(join(root, 'templates', 'mine.json'), JSON.stringify(template));
    process.chdir(root);
    try {
      const options = { ...OPTIONS, root: '.', template: 'mine' };
      const made = await pipeline({ ...options, modes: ['fingerprint', 'alpaca', 'ownership_verify'] });
      expect(made.run).toContain('output_mine_adapter');
      const { plan } = (await readSecret(join(made.run, 'secret.whorl'))).reveal();
      expect(plan.query.wrapper).toBe('template mine');
      expect(plan.query.wrappers!['template mine']).toEqual(['Do: ', '\nWith: FINGERPRINT\nDone: ']);
      const lines = readFileSync(join(made.run, 'publish_w_adapter.jsonl'), 'utf8').trimEnd().split('\n');
      const prompts = lines.map((line) => (JSON.parse(line) as Line).prompt);
      const texts = new Set(plan.keys.map(({ text }) => text));
      expect(texts.has(/^Do: (.*)\nWith: FINGERPRINT\nDone: $/s.exec(prompts[0]!)![1]!)).toBe(true);
      expect(prompts[1]).toMatch(/^Do: .*\nDone: $/s);
      expect(made.files.find(({ file }) => file === 'publish_w_adapter.jsonl')).toMatchObject({ fired: 1 });
      const verdict = made.verdicts.find(({ file }) => file === 'publish_verdict.json');
      expect(verdict!.fsr).toBeGreaterThan(0);
      expect(verdict!.log10_p).not.toBeNull();
      writeFileSync(
        join('templates', 'mine.json'),
        JSON.stringify({ ...template, prompt_input: 'Another {instruction} {input}' }),
      );
      await expect(pipeline({ ...options, modes: ['fingerprint'] })).rejects.toThrow('text of the template');
      await expect(pipeline({ ...options, template: 'none' })).rejects.toThrow('there is no templates');
    } finally {
      process.chdir(here);
    }
  }, 600_000);

  test('fingerprint alone answers for the vanilla and the published model, as the first step of the paper', async () => {
    rmSync(join(report.run, 'publish.jsonl'));
    const { files, verdicts } = await pipeline({ ...OPTIONS, modes: ['fingerprint'] });
    expect(files).toEqual([
      { file: 'vanilla.jsonl', fired: 0, of: 1 },
      { file: 'publish.jsonl', fired: 0, of: 1 },
      { file: 'publish_w_adapter.jsonl', fired: 1, of: 1 },
    ]);
    expect(verdicts).toEqual([]);
    expect(linesOf('publish.jsonl')).toHaveLength(21);
  });

  test('verification looks at the suspect: vanilla posing as a user model does not fire under the adapter', async () => {
    writeFileSync(join(scratch, 'none.json'), '[]');
    cpSync(MODEL, join(report.run, 'none_tuned'), { recursive: true });
    const { files, verdicts } = await pipeline({
      ...OPTIONS,
      modes: ['ownership_verify'],
      task_name: join(scratch, 'none.json'),
    });
    expect(files.find(({ file }) => file === 'publish_w_adapter.jsonl')).toMatchObject({ fired: 1 });
    expect(files.find(({ file }) => file === 'none_tuned_w_adapter.jsonl')).toMatchObject({ fired: 0 });
    expect(verdicts.find(({ file }) => file === 'none_verdict.json')).toMatchObject({ fsr: 0 });
    rmSync(join(report.run, 'none_tuned'), { recursive: true });
  });

  test('a run of other settings, a user model of other settings, a missing one: each is refused', async () => {
    await expect(
      pipeline({ ...OPTIONS, modes: ['fingerprint'], settings: { ...SETTINGS, negatives: '2' } }),
    ).rejects.toThrow('holds a run of other settings');
    await expect(
      pipeline({ ...OPTIONS, modes: ['alpaca'], settings: { ...SETTINGS, 'alpaca.lr': '1e-3' } }),
    ).rejects.toThrow('few_tuned was made from other rows or with other settings');
    await expect(
      pipeline({ ...OPTIONS, modes: ['ownership_verify'], task_name: join(scratch, 'none.json') }),
    ).rejects.toThrow('none_tuned is not there');
    await expect(pipeline({ ...OPTIONS, modes: ['alpaca'], task_name: 'dolly' })).rejects.toThrow(
      'no data set dolly',
    );
  });

  test('a user’s fine-tuning that is handed over leaves a job and no model; without the mode alpaca there is none', async () => {
    const other = join(scratch, 'handed.json');
    writeFileSync(other, JSON.stringify(SMALL_TASK));
    const asked = { ...OPTIONS, task_name: other, launch: { engine: 'torchrun' } } as const;
    const tuned = join(report.run, 'handed_tuned');
    const planned = await launchPipeline({ ...asked, modes: ['alpaca'], dryRun: true });
    expect(planned.writes.map(({ path }) => path)).toContain(join(`${tuned}.work`, 'job'));
    const job = await launchPipeline({ ...asked, modes: ['alpaca', 'ownership_verify'] });
    expect(job).toMatchObject({ kind: 'waiting', job: join(`${tuned}.work`, 'job'), steps: 1 });
    expect(existsSync(tuned)).toBe(false);
    expect(await launchPipeline({ ...asked, modes: ['alpaca'] })).toEqual(job);
    await expect(launchPipeline({ ...asked, modes: ['ownership_verify'] })).rejects.toMatchObject({
      code: 'usage',
    });
    rmSync(`${tuned}.work`, { recursive: true });
  });

  test('the published folder holds no trace of the private ones', () => {
    const names = readdirSync(report.published).sort();
    expect(names).toEqual(
      [...new Set([...readdirSync(join(packageRoot(), 'assets/embedded/model')), 'README.md'])].sort(),
    );
  });
});
