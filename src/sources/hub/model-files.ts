// Which files of a model's repository are wanted: config, tokenizer and safetensors, or one GGUF. Never a pickle.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import type { OnEvent } from '../../base/events.ts';
import { CARD, isCarriedKind, makesItRun } from '../checkpoints/carried.ts';
import { INDEX, readIndex, SINGLE } from '../checkpoints/checkpoint.ts';
import { fileIn, sourceFolder } from '../checkpoints/folder.ts';
import { ggufPartNames, wholeGgufs } from '../checkpoints/gguf-parts.ts';
import { insteadOfWeights } from '../checkpoints/no-weights.ts';
import { readJsonObject } from '../strict-json.ts';
import { type HubId, hubName } from './hub-id.ts';
import { type HubSettings, hubSettings } from './settings.ts';
import { type Cached, fetchSnapshot, type Selection, type Snapshot } from './snapshot.ts';

export interface HubModel {
  /** The snapshot's folder in the cache, or the GGUF in it. */
  readonly path: string;
  /** `org/name@commit`, with `:file` for a GGUF: what was opened, whatever the branch says later. */
  readonly pinned: string;
  readonly commit: string;
}

const CONFIG = 'config.json';
/** Files beside the weights without which the model is another. */
const isNeeded = (path: string): boolean => path === CONFIG || makesItRun(path);
/** Card, code and pictures: wanted where the repository is fetched, not missed in a cache that somebody else made. */
const isWelcome = (name: string): boolean =>
  !name.includes('/') && !isNeeded(name) && (name === CARD || isCarriedKind(name));
const MAX_LISTED = 5;

export type CheckConfig = (config: Readonly<Record<string, unknown>>, where: string) => void;

/** Brings a model into the hub cache, or finds it there. Throws what the hub gives rise to, naming repository or file. */
export async function fetchModel(
  id: HubId,
  options: {
    readonly settings?: HubSettings;
    readonly onEvent?: OnEvent;
    /** Refuses, by throwing, a config.json before any weights are fetched. */
    readonly checkConfig?: CheckConfig;
  } = {},
): Promise<HubModel> {
  const settings = options.settings ?? hubSettings();
  const { file } = id;
  if (file !== undefined && !file.endsWith('.gguf'))
    throw new WhorlError('usage', `${hubName(id)} names no GGUF`, 'give org/name, or org/name:file.gguf');
  const chosen: Chosen = { gguf: file };
  const { folder, commit } = await fetchSnapshot(
    id,
    modelSelection(id, chosen, options.checkConfig),
    settings,
    options.onEvent,
  );
  const gguf = chosen.gguf;
  const pinned = hubName({
    type: id.type,
    repo: id.repo,
    revision: commit,
    ...(gguf !== undefined && { file: gguf }),
  });
  return { path: gguf === undefined ? folder : join(folder, ...gguf.split('/')), pinned, commit };
}

interface Chosen {
  gguf: string | undefined;
}

/** Weights come last, so that where they all are, everything is. */
const modelSelection = (id: HubId, chosen: Chosen, checkConfig: CheckConfig = () => {}): Selection => ({
  async fetch(snapshot) {
    chosen.gguf ??= onlyGguf(snapshot);
    if (chosen.gguf !== undefined) return snapshot.fetch([...ggufPartNames(chosen.gguf)]);
    const weights = snapshot.files.has(SINGLE) ? SINGLE : INDEX;
    if (!snapshot.files.has(CONFIG) || !snapshot.files.has(weights)) throw noModel(id, snapshot.files.keys());
    await snapshot.fetch([
      CONFIG, // first: by it an unsupported model is refused
      ...[...snapshot.files.keys()].filter(makesItRun).sort(),
      ...[...snapshot.files.keys()].filter(isWelcome).sort(),
      ...(weights === INDEX ? [INDEX] : []),
    ]);
    checkConfig(
      readJsonObject(snapshot.pathOf(CONFIG), `${hubName(id)}/${CONFIG}`),
      `${hubName(id)}/${CONFIG}`,
    );
    await snapshot.fetch(weights === SINGLE ? [SINGLE] : shardsOf(snapshot.folder));
  },
  missing(cached) {
    chosen.gguf ??= cachedGguf(cached);
    if (chosen.gguf !== undefined) return ggufPartNames(chosen.gguf).find((name) => !cached.has(name));
    return missingOfFolder(cached);
  },
});

function missingOfFolder(cached: Cached): string | undefined {
  const known = cached.listing?.filter(isNeeded) ?? [];
  const small = [CONFIG, ...known].find((name) => !cached.has(name));
  if (small !== undefined || cached.has(SINGLE)) return small;
  if (!cached.has(INDEX)) return SINGLE;
  return shardsOf(cached.folder).find((name) => !cached.has(name));
}

/** Names of the shards, as the index in the snapshot gives them. */
function shardsOf(folder: string): string[] {
  const index = fileIn(sourceFolder(folder), INDEX);
  return index === undefined ? [] : [...new Set(readIndex(index, join(folder, INDEX)).values())].sort();
}

/** A repository of nothing but one GGUF needs no file name. */
function onlyGguf({ files, id }: Snapshot): string | undefined {
  if (files.has(CONFIG) && (files.has(SINGLE) || files.has(INDEX))) return undefined;
  const found = wholeGgufs(files.keys());
  if (found.length <= 1) return found[0];
  const some = found.slice(0, MAX_LISTED).join(', ') + (found.length > MAX_LISTED ? ' …' : '');
  throw new WhorlError(
    'missing-file',
    `${hubName(id)} holds ${found.length} GGUF files: ${shownNames(some)}`,
    `name one: ${shownNames(hubName({ ...id, file: found[0]! }))}`,
  );
}

/** What `onlyGguf` found when the snapshot was fetched. */
function cachedGguf(cached: Cached): string | undefined {
  if (cached.has(CONFIG)) return undefined;
  const found = wholeGgufs(existsSync(cached.folder) ? readdirSync(cached.folder) : []);
  return found.length === 1 ? found[0] : undefined;
}

function noModel(id: HubId, names: Iterable<string>): WhorlError {
  const instead = insteadOfWeights([...names], hubName(id));
  if (instead) return instead;
  return new WhorlError(
    'missing-file',
    `${hubName(id)} holds no model: no ${CONFIG} with ${SINGLE}`,
    'check the name',
  );
}

/** Names out of a listing, with nothing in them that a terminal would act on. */
const shownNames = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 300);
