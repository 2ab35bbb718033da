// What the hub's refusals and silences mean to a person, in one line. No line holds a token, a query or an answer's body.

import { WhorlError } from '../../base/error.ts';
import { CONNECTION_REASONS, networkToCheck } from '../../base/http.ts';
import type { HubSettings } from './settings.ts';

type Explain = (what: string, code: string, settings: HubSettings) => WhorlError;

const STATUS: ReadonlyMap<number, Explain> = new Map<number, Explain>([
  [401, noAccess],
  [403, noAccess],
  [404, notThere],
  [
    429,
    (what, _, { endpoint, token }) =>
      new WhorlError(
        'unreachable',
        `${what}: ${endpoint.host} has had too many requests from here (429)`,
        token
          ? 'wait some minutes and try again'
          : 'wait some minutes and try again; HF_TOKEN raises the limit',
      ),
  ],
]);

/** `code` is the hub's own X-Error-Code. */
export function statusError(what: string, status: number, code: string, settings: HubSettings): WhorlError {
  const explain = STATUS.get(status);
  if (explain) return explain(what, code, settings);
  const { host } = settings.endpoint;
  if (status >= 500)
    return new WhorlError('unreachable', `${what}: ${host} fails (${status})`, 'try again later');
  return new WhorlError('hub', `${what}: ${host} answers with ${status}`, 'check HF_ENDPOINT');
}

function noAccess(what: string, code: string, { endpoint, token }: HubSettings): WhorlError {
  const gated = code === 'GatedRepo';
  const fix = token
    ? `check HF_TOKEN and whether it may read this${gated ? `: ask for access on ${endpoint.host}` : ''}`
    : gated
      ? `it is gated: ask for access on ${endpoint.host} and set HF_TOKEN`
      : 'it is private, gated or misspelt; set HF_TOKEN if it is yours to read';
  return new WhorlError(
    'hub',
    `${what}: ${endpoint.host} refuses ${token ? 'the token' : 'to show it without a token'}`,
    fix,
  );
}

function notThere(what: string, code: string, { endpoint }: HubSettings): WhorlError {
  if (code === 'RevisionNotFound')
    return new WhorlError(
      'missing-file',
      `${what}: ${endpoint.host} has no such revision`,
      'check what stands after the @',
    );
  return new WhorlError(
    'missing-file',
    `${what} is not on ${endpoint.host} (404)`,
    'check the name, or give a file or folder that exists',
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ...CONNECTION_REASONS,
  UND_ERR_HEADERS_TIMEOUT: 'does not answer',
  UND_ERR_BODY_TIMEOUT: 'stops in the middle of an answer',
  TimeoutError: 'takes too long',
};

/** The connection failed; `cause` says how. */
export function connectionError(
  what: string,
  host: string,
  cause: unknown,
  { env }: Pick<HubSettings, 'env'>,
): WhorlError {
  const { code, name } = cause as NodeJS.ErrnoException;
  const reason = REASONS[code ?? ''] ?? REASONS[name] ?? `cannot be reached (${code ?? name})`;
  return new WhorlError(
    'unreachable',
    `${what}: ${host} ${reason}`,
    `${networkToCheck(env)}; what is in the cache already opens with HF_HUB_OFFLINE=1`,
    { cause },
  );
}
