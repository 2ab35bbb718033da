// `whorl verify`: asks a suspect every key of an opened claim, then decides. Hits are computed after the last answer.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { parseClaim } from '../claim/claim.ts';
import { claimOf, openClaim } from '../claim/open.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { generateAll } from '../lm/ask.ts';
import { asking } from '../lm/open.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { promptUnder } from '../text/prompts/wrappers.ts';
import { keyWarnings } from './key-tokens.ts';
import { answering } from './machine.ts';
import { type Passive, passiveBaseline } from './passive.ts';
import { decide, type Verdict } from './verdict.ts';

export interface VerifyOptions extends ComputeOptions, ConfigOptions {
  readonly secret: string;
  /** Default: claim.json beside the secret. */
  readonly claim?: string;
  readonly suspect: string;
  /** Methods with a private part: the owner's body that the suspect's rows are put on. Default: the suspect's own (`direct`). */
  readonly body?: string;
  /** Default: the committed plan's. */
  readonly wrapper?: string;
  readonly system?: string;
  readonly alpha?: number;
  readonly unlock?: Unlock;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface VerifyReport extends Verdict {
  readonly suspect: string;
  readonly passive: Passive | null;
  /** Keys of the answering model's config.json that were ignored, where there are such. */
  readonly ignored_config_keys?: readonly string[];
  /** Why the suspect's tokenizer keeps keys from being asked as they were trained; empty where it does not. */
  readonly warnings: readonly string[];
  readonly seconds: number;
}

/** @throws WhorlError `bad-secret`, `mismatch`, and what opening the suspect throws */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const device = await openDevice(options);
  const contents = (await readSecret(options.secret, options.unlock)).reveal();
  const beside = options.claim ?? join(dirname(options.secret), 'claim.json');
  const claim =
    options.claim !== undefined || existsSync(beside)
      ? parseClaim(readClaim(beside), beside)
      : claimOf(contents);
  const opened = openClaim(claim, contents);
  const cache = options.cacheDir ? { cacheDir: options.cacheDir } : {};
  const open = (model: string) => openModel(model, { onEvent, ...cache, ...configOptions(options) });
  const suspect = await open(options.suspect);
  const { spec, ownerParts } = await answering(suspect, contents, options.body, open);
  return asking(spec, { device }, async (model) => {
    const name = options.wrapper ?? opened.plan.query.wrapper;
    const wrapped = await model.wrapped(name, options.system);
    const requests = opened.plan.keys.map((key) => ({
      ...promptUnder(wrapped, key.text),
      max_new_tokens: opened.plan.decoding.max_new_tokens,
    }));
    const warnings = await keyWarnings(opened.plan.keys, requests, model.tokenizer);
    onEvent({ kind: 'phase', name: 'asking', detail: `${requests.length} keys under wrapper "${name}"` });
    const answers = (await generateAll(model, requests, { onEvent })).map(({ generated }) => generated);
    const verdict = decide(opened, answers, {
      asked: { wrapper: name, system: options.system ?? null },
      ...(options.alpha === undefined ? {} : { alpha: options.alpha }),
      ownerParts,
    });
    return {
      ...verdict,
      suspect: suspect.source,
      warnings,
      passive: contents.rows ? passiveBaseline(contents.rows, suspect) : null,
      ...(model.model.ignoredConfigKeys.length > 0 && {
        ignored_config_keys: model.model.ignoredConfigKeys,
      }),
      seconds: (Date.now() - started) / 1000,
    };
  });
}

function readClaim(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WhorlError(
      'missing-file',
      `${path} cannot be read`,
      'give the claim.json of the run with --claim',
      { cause },
    );
  }
}
