// The README.md of a published folder: the owner's card as it was, with a section of ours and the front matter that the
// hub reads (https://huggingface.co/docs/hub/model-cards). It says nothing of keys, answers or rows.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, isMap, isScalar, isSeq, parseDocument, YAMLMap } from 'yaml';
import { writeFileAtomic } from '../base/atomic.ts';
import { type OnEvent, silent } from '../base/events.ts';
import type { Difference } from '../lm/compare-models.ts';
import { type ModelFolder, modelName } from '../models/model.ts';
import { CARD } from '../sources/checkpoints/carried.ts';
import { fileIn, sourceFolder } from '../sources/checkpoints/folder.ts';
import { type HarmFigures, harmWords } from './harm-limit.ts';
import { extendIndex, indexResults } from './model-index.ts';

/** A card is a page of text; what is larger is not one. */
const MAX_BYTES = 2 ** 20;
const TAG = 'whorl';
const PINNED = /^([^/@]+\/[^/@]+)@[0-9a-f]{40}(?::.*)?$/;

/** What the card of a published folder is made of. */
export interface CardFacts {
  /** Of the folder's model, without a path. */
  readonly name: string;
  /** The vanilla model's id on the hub, where it came from there. */
  readonly hubId?: string;
  readonly claimRoot: string;
  /** What was measured on ordinary text. */
  readonly harm: HarmFigures;
  /** The same text under both models, where it was read before publishing. */
  readonly measured?: readonly Difference[];
}

const section = ({ claimRoot, harm }: CardFacts): string =>
  `This checkpoint carries an ownership fingerprint made with [Whorl](https://www.npmjs.com/package/whorl). What it costs
ordinary text: ${harmWords(harm)}
Its owner committed to the fingerprint before it was made:

    commitment (SHA-256 Merkle root): ${claimRoot}
`;

/** Writes the card into a folder that is being made from `vanilla`. */
export function writeModelCard(
  vanilla: ModelFolder,
  folder: string,
  { claimRoot, harm, measured = [] }: Pick<CardFacts, 'claimRoot' | 'harm' | 'measured'>,
  onEvent: OnEvent = silent,
): void {
  const hubId = PINNED.exec(vanilla.source)?.[1];
  const facts = {
    name: modelName(vanilla),
    claimRoot,
    harm,
    measured,
    ...(hubId !== undefined && { hubId }),
  };
  const note = (text: string) => onEvent({ kind: 'note', text });
  writeFileAtomic(
    join(folder, CARD),
    modelCard(facts, ownersCard(vanilla.convertedFrom ?? vanilla.folder, note), note),
  );
}

function ownersCard(folder: string, note: (text: string) => void): string | undefined {
  try {
    const path = fileIn(sourceFolder(folder), CARD);
    if (path === undefined) return undefined;
    if (statSync(path).size <= MAX_BYTES) return readFileSync(path, 'utf8');
    note(`the model's ${CARD} is not kept: above ${MAX_BYTES / 2 ** 20} MiB`);
  } catch (error) {
    note(`the model's ${CARD} is not kept: ${error instanceof Error ? error.message : String(error)}`);
  }
  return undefined;
}

/**
 * The card's text. Front matter keeps every key and comment of the owner's; `tags`, `base_model` and
 * results of `model-index` are added to it.
 * Front matter that is no YAML map stays in the text, quoted.
 */
export function modelCard(facts: CardFacts, own?: string, note: (text: string) => void = () => {}): string {
  const { matter, text } = split(own ?? '');
  let document = parseDocument(matter);
  let body = text;
  if (document.errors.length > 0 || !(document.contents === null || isMap(document.contents))) {
    note(`the front matter of the model's ${CARD} is no YAML map: it is kept as text`);
    body = `\`\`\`yaml\n${matter.replace(/\s+$/, '')}\n\`\`\`\n\n${text}`;
    document = parseDocument('');
  }
  const map = isMap(document.contents) ? document.contents : new YAMLMap();
  document.contents = map as typeof document.contents;
  extend(map, document, facts);
  extendIndex(document, facts.name, indexResults(facts.harm, facts.measured), note);
  const head = `---\n${document.toString({ lineWidth: 0 }).replace(/\n*$/, '\n')}---\n\n`;
  if (body.trim() === '') return `${head}# ${facts.name}, fingerprinted\n\n${section(facts)}`;
  return `${head}${body.replace(/^\s*\n/, '').replace(/\s*$/, '')}\n\n## Fingerprint\n\n${section(facts)}`;
}

/** Front matter as the hub finds it: between two lines `---`, the first of them the first of the file. */
function split(card: string): { readonly matter: string; readonly text: string } {
  const plain = card.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const found = /^---[ \t]*\n(?:([\s\S]*?)\n)?---[ \t]*(?:\n|$)/.exec(plain);
  return found ? { matter: found[1] ?? '', text: plain.slice(found[0].length) } : { matter: '', text: plain };
}

function extend(map: YAMLMap, document: Document, { name, hubId }: CardFacts): void {
  if (!map.has('library_name')) map.set('library_name', 'transformers');
  // The hub takes an id and nothing else: a local model keeps what its owner says it was made from, or its own name.
  const said = map.get('base_model');
  if (hubId !== undefined) map.set('base_model', hubId);
  else if (said === undefined || said === null || said === '') map.set('base_model', idOf(name));
  const tags = map.get('tags', true);
  if (isSeq(tags)) {
    const there = tags.items.some((item) => (isScalar(item) ? item.value : item) === TAG);
    if (!there) tags.add(TAG);
  } else {
    const value: unknown = isScalar(tags) ? tags.value : tags;
    const one = value === undefined || value === null || value === '' || value === TAG ? [] : [value];
    map.set('tags', document.createNode([...one, TAG]));
  }
}

const idOf = (name: string): string =>
  name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[-.]+|[-.]+$/g, '') || 'model';
