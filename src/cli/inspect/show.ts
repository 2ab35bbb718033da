// A report of `whorl inspect` for people.

import { type Claim, hasStamp } from '../../claim/claim.ts';
import type { InspectReport as Report } from '../../inspect/inspect.ts';
import { bytesText, countText, largeText, paint, print, shownText, table } from '../output.ts';

type ShowOf = {
  readonly [K in Report['kind']]: (report: Extract<Report, { kind: K }>, tensors: boolean) => void;
};
type Weights = Extract<Report, { parameters: number }>;

/** Prints the report; `tensors` adds a line for each tensor. */
export function show(report: Report, tensors: boolean): void {
  const showKind = SHOW[report.kind] as (report: Report, tensors: boolean) => void;
  showKind(report, tensors);
}

const SHOW: ShowOf = {
  'model-folder'(report, tensors) {
    const { config, files } = report;
    const fact = (key: string) => (Object.hasOwn(config, key) ? shownText(String(config[key]), 40) : '–');
    const facts = [
      ['family', fact('model_type')],
      ['layers', fact('num_hidden_layers')],
      ['hidden size', fact('hidden_size')],
      ['vocabulary', fact('vocab_size')],
      ['tied head', fact('tie_word_embeddings')],
    ];
    title('model folder', report.path);
    lines(facts.map(([name, value]) => [name!, value!]));
    showWeights(report);
    lines(files.map(({ name, size }) => [name, bytesText(size)]));
    if (tensors) showTensors(report);
  },
  safetensors(report, tensors) {
    title('safetensors', report.path);
    showWeights(report);
    showMetadata(report.metadata);
    if (tensors) showTensors(report);
  },
  gguf(report, tensors) {
    title('GGUF', report.path);
    showWeights(report);
    showMetadata(report.metadata);
    if (tensors) showTensors(report);
  },
  claim({ path, claim }) {
    title('claim (public)', path);
    lines([
      ['format', String(claim.version)],
      ['kind', claim.kind],
      ['size', sizeText(claim)],
      ['root', claim.root],
      ['draw', claim.draw.source],
      ['alpha', String(claim.alpha)],
      ['private part', claim.private_part],
      ...(claim.version === 1 ? [['vanilla', claim.vanilla.weights] as const] : []),
      ...(claim.version === 2 ? [['most looks', String(claim.most_looks)] as const] : []),
      ['created', claim.created],
      ['made by', shownText(`${claim.software.name} ${claim.software.version}`)],
    ]);
  },
  secret({ path, secret }) {
    title('secret', path);
    const { inside } = secret;
    lines([
      ['encrypted', secret.encrypted === 'no' ? paint.yellow('no') : `with a ${secret.encrypted}`],
      ['file', `${bytesText(secret.bytes)}, mode ${secret.mode}`],
    ]);
    if (inside === null) return print(paint.dim('  inside: give its passphrase or identity'));
    const adapter =
      inside.adapter &&
      Object.entries(inside.adapter).map(([name, shape]) => `${shownText(name, 30)} [${shape}]`);
    lines([
      ['method', shownText(inside.method)],
      ['created', inside.created],
      ['claim', `${inside.claim.kind}, root ${inside.claim.root}`],
      [
        'rows',
        `${countText(inside.trainable_rows)} may be trained, ${inside.trained_rows === null ? 'none yet' : countText(inside.trained_rows)} changed`,
      ],
      ['adapter', adapter ? adapter.join(', ') : 'none'],
      ['published', inside.published?.weights ?? 'not yet'],
    ]);
    print(paint.dim('  keys, answers and draw: ***'));
  },
  config({ path, family, supported, reason }) {
    title('model config', path);
    lines([
      ['family', shownText(family)],
      ['supported', supported ? 'yes' : paint.yellow(`no: ${shownText(reason!, 300)}`)],
    ]);
  },
  tokenizer({ path, model, vocab_size, merges, added, special, spelling, ...parts }) {
    title('tokenizer', path);
    lines([
      ['model', shownText(model)],
      ['entries', `${countText(vocab_size)}, ${countText(merges)} merges, spelling ${spelling}`],
      ['added', `${countText(added)}, special: ${shownText(special.join(' '), 300)}`],
      ['normalizer', shownText(parts.normalizer)],
      ['pre-tokenizer', shownText(parts.pre_tokenizer)],
      ['decoder', shownText(parts.decoder)],
    ]);
  },
  run({ path, run }) {
    title('run', path);
    showRecord(run);
  },
  verdict: recordAs('verdict'),
  pipeline({ path, record }) {
    const { files, ...rest } = record as Record<string, unknown>;
    title('ledger of a pipeline', path);
    showRecord(rest);
    showRecord(typeof files === 'object' && files !== null ? (files as Record<string, unknown>) : {});
  },
  'imported-adapter': recordAs('imported adapter (private)'),
  'imported-run': recordAs('imported run'),
  'own-adapter': recordAs('adapter of an own loop (private)'),
  checkpoint({ path, bytes, step, tensors }) {
    title('checkpoint of training (private)', path);
    lines([
      ['step', countText(step)],
      ['file', bytesText(bytes)],
    ]);
    lines(tensors.map(({ name, shape }) => [shownText(name, 60), `[${shape.join(', ')}] with its moments`]));
  },
  rows({ path, format, splits, rows, columns }) {
    title(`rows in ${format}`, path);
    lines([['rows', countText(rows)]]);
    if (splits.length > 0) lines([['splits', splits.map((name) => shownText(name, 40)).join(', ')]]);
    lines(Object.entries(columns).map(([name, type]) => [shownText(name, 60), type]));
  },
  onnx({ path, bytes, ir_version, producer, graph, nodes, inputs, outputs, initializers }) {
    title('ONNX model', path);
    const counted = Object.entries(nodes).sort((a, b) => b[1] - a[1]);
    lines([
      [
        'graph',
        `${shownText(graph)}, by ${shownText(producer)}, IR version ${ir_version}, ${bytesText(bytes)}`,
      ],
      [
        'initialisers',
        `${countText(initializers.count)}, ${countText(initializers.external)} in files beside it`,
      ],
      ['inputs', shownText(inputs.join(', '), 300)],
      ['outputs', shownText(outputs.join(', '), 300)],
    ]);
    lines(counted.map(([type, count]) => [shownText(type, 40), countText(count)]));
  },
  'run-folder'({ path, parts }, tensors) {
    title('private run folder', path);
    for (const part of parts) {
      print();
      show(part, tensors);
    }
  },
};

/** Every entry in a line. */
function showRecord(record: Readonly<Record<string, unknown>>): void {
  lines(
    Object.entries(record).map(([name, value]) => [
      shownText(name, 60),
      shownText(typeof value === 'string' ? value : JSON.stringify(value), 200),
    ]),
  );
}

function recordAs(kind: string) {
  return ({ path, record }: { path: string; record: Readonly<Record<string, unknown>> }): void => {
    title(kind, path);
    showRecord(record);
  };
}

function sizeText(claim: Claim): string {
  const keys = {
    'drawn-answers': ({ n, m }: Claim<'drawn-answers'>) => `${n} keys with ${m} candidate answers each`,
    'drawn-membership': ({ n, pool, negatives }: Claim<'drawn-membership'>) =>
      `${n} keys of a pool of ${pool}, ${negatives} trained as negatives`,
    'drawn-direction': () => 'no keys',
  }[claim.kind](claim as never);
  return hasStamp(claim) ? `${keys}, a stamp in weights` : keys;
}

const title = (kind: string, path: string): void => print(`${paint.bold(kind)} ${shownText(path, 200)}`);

const lines = (rows: readonly (readonly [string, string])[]): void => {
  for (const line of table(rows.map(([name, value]) => [paint.dim(name), value]))) print(line);
};

function showWeights({ parameters, dtypes, bytes, tensors }: Weights): void {
  const shares = Object.entries(dtypes).map(([dtype, count]) => `${largeText(count)} ${dtype}`);
  lines([
    [
      'weights',
      `${largeText(parameters)} parameters in ${countText(tensors.length)} tensors (${shares.join(', ')}), ${bytesText(bytes)}`,
    ],
  ]);
}

function showMetadata(metadata: Readonly<Record<string, string>>): void {
  lines(Object.entries(metadata).map(([key, value]) => [shownText(key, 60), shownText(value, 80)]));
}

function showTensors({ tensors }: Weights): void {
  for (const line of table(
    tensors.map(({ name, dtype, shape }) => [shownText(name, 80), dtype, `[${shape.join(', ')}]`]),
  ))
    print(line);
}
