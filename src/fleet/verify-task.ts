// One suspect of a fleet asked as `whorl verify` asks it; what its verdict is bound to beside the suspect.

import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import { apiKeyFrom, type EndpointSpec } from '../lm/endpoint/settings.ts';
import { decidingOn, openedClaim } from '../verify/opened-claim.ts';
import type { VerifyOptions } from '../verify/report.ts';
import { checkGiven, verify } from '../verify/verify.ts';
import { digestOrName } from './digests.ts';
import { modelOf, type Task, type TaskRun, transcriptFile } from './task.ts';

/** What all suspects are asked with, and what the verdict depends on. */
export type Asked = Pick<
  VerifyOptions,
  | 'wrapper'
  | 'system'
  | 'alpha'
  | 'keys'
  | 'ranks'
  | 'withoutStamp'
  | 'device'
  | 'precision'
  | 'ignoreConfigKeys'
>;
/** What of a server may be used for one suspect. */
export type Allowed = Pick<
  EndpointSpec,
  'concurrency' | 'timeout' | 'max_queries' | 'max_tokens_total' | 'max_cost' | 'price'
>;
/** Files of the owner. */
export type OwnerFiles = Pick<VerifyOptions, 'secret' | 'claim' | 'tsaRoot' | 'body' | 'vanilla'>;

/**
 * Claim, keys that are left, and everything that a verdict takes beside the answers: level, evidence beside the claim, looks.
 * @throws WhorlError what opening secret and claim throws, `usage` for what goes with a channel that the claim does not have
 */
export async function boundToClaim(
  options: OwnerFiles & Asked & Pick<VerifyOptions, 'unlock'>,
): Promise<Readonly<Record<string, string>>> {
  const claim = await openedClaim(options);
  checkGiven(options, claim.hasKeys, claim.opened.stamp !== undefined);
  const { body, vanilla, alpha } = options;
  return {
    claim: claim.opened.claim.root,
    keys: `${claim.range.from}..${claim.range.to}`,
    evidence: sha256Hex(JSON.stringify(decidingOn(claim, alpha))),
    ...(body !== undefined && { body: digestOrName(body) }),
    ...(vanilla !== undefined && { vanilla: digestOrName(vanilla) }),
  };
}

export async function verifyTask(task: Task, run: TaskRun): Promise<object> {
  const { who, settings } = task;
  const { cacheDir, ...allowed } = settings as Allowed & { readonly cacheDir?: string };
  const { unlock, threads, onEvent } = run;
  const files = { ...(task.files as OwnerFiles), ...run.files };
  const options = {
    ...(task.options as Asked),
    ...files,
    ...(unlock && { unlock }),
  };
  const bound = await boundToClaim(options);
  for (const [name, digest] of Object.entries(task.bound))
    if (bound[name] !== digest)
      throw new WhorlError(
        'mismatch',
        `the ${name} is not what this task was written for`,
        'repeat the command that wrote it with what is there now, into another folder',
      );
  // Of a list some may be servers: their stamp is not read, with the vanilla model or without.
  const { vanilla: _, ...ofServer } = options;
  return verify({
    ...(who.kind === 'endpoint' ? ofServer : options),
    suspect: modelOf(who),
    ...(threads !== undefined && { threads }),
    ...(cacheDir !== undefined && { cacheDir }),
    ...(who.kind === 'endpoint' && {
      endpoint: {
        ...allowed,
        model_name: who.model_name,
        ...(who.endpoint_kind && { endpoint_kind: who.endpoint_kind }),
        ...(who.api_key_env !== undefined && { apiKey: apiKeyFrom(who.api_key_env) }),
        transcript: transcriptFile(run.folder),
      },
    }),
    onEvent,
  });
}
