// The measured harm as the hub reads it from a card: results of a `model-index`
// (https://github.com/huggingface/hub-docs/blob/main/modelcard.md), one a language, beside those that the owner has.

import { type Document, isMap, isSeq } from 'yaml';
import type { Difference } from '../lm/compare-models.ts';
import { loadReference } from '../text/reference.ts';
import type { HarmFigures } from './harm-limit.ts';

const KEY = 'model-index';
/** By it results of ours are known: those of an earlier fingerprint give way. */
const DATASET = 'whorl-reference';

interface Metric {
  readonly type: string;
  readonly value: number;
  readonly name: string;
}

export interface IndexResult {
  readonly task: { readonly type: string; readonly name: string };
  readonly dataset: {
    readonly name: string;
    readonly type: string;
    readonly config: string;
    readonly split: string;
    readonly revision: string;
  };
  readonly metrics: readonly Metric[];
}

const klMetrics = ({ mean, largest }: Pick<Difference, 'mean' | 'largest'>): Metric[] => [
  { type: 'kl_divergence', value: mean, name: 'Mean KL(vanilla ‖ published), nats a token' },
  { type: 'kl_divergence', value: largest, name: 'Largest KL(vanilla ‖ published) at a token, nats' },
];

const perplexityMetrics = (vanilla: number, published: number): Metric[] => [
  { type: 'perplexity', value: published, name: 'Perplexity' },
  { type: 'perplexity', value: vanilla, name: 'Perplexity before the fingerprint' },
];

/** None where nothing was measured, since no logit of ordinary text can have moved. */
export function indexResults(harm: HarmFigures, measured: readonly Difference[] = []): IndexResult[] {
  const byLanguage = new Map<string, Metric[]>();
  const note = (name: string, metrics: readonly Metric[]): void => {
    const kept = metrics.filter(({ value }) => Number.isFinite(value));
    if (kept.length > 0) byLanguage.set(name, [...(byLanguage.get(name) ?? []), ...kept]);
  };
  if (harm.kind === 'kl') for (const each of harm.of) note(each.name, klMetrics(each));
  if (harm.kind === 'perplexity')
    for (const each of harm.of) {
      note(each.name, perplexityMetrics(each.vanilla, each.published));
      for (const own of measured) if (own.name === each.name) note(own.name, klMetrics(own));
    }
  const revision = loadReference().digest;
  return [...byLanguage].map(([name, metrics]) => ({
    task: { type: 'text-generation', name: 'Text Generation' },
    dataset: {
      name: `Reference text of Whorl: ${name}`,
      type: DATASET,
      config: name,
      split: 'held-out',
      revision,
    },
    metrics,
  }));
}

/** Into the front matter. What the owner's index says stays; one that is no list of models stays alone. */
export function extendIndex(
  document: Document,
  name: string,
  results: readonly IndexResult[],
  note: (text: string) => void,
): void {
  if (results.length === 0) return;
  const own: unknown = document.get(KEY);
  if (own === undefined || own === null || (isSeq(own) && own.items.length === 0)) {
    document.set(KEY, document.createNode([{ name, results }]));
    return;
  }
  const model: unknown = isSeq(own) ? own.items[0] : undefined;
  const there: unknown = isMap(model) ? model.get('results') : undefined;
  if (!isSeq(there)) {
    note(
      `the card's ${KEY} is no list of models with results: it is kept as it is, without what was measured`,
    );
    return;
  }
  there.items = there.items.filter((item) => !(isMap(item) && item.getIn(['dataset', 'type']) === DATASET));
  there.flow = false;
  for (const result of results) there.add(document.createNode(result));
}
