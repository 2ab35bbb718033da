// What a server's refusals, silences and nonsense mean to a person, in one line. No line holds a key of any kind, a prompt
// or an answer's body: only what we knew before, the status, and error codes from a closed list.

import { WhorlError } from '../../base/error.ts';
import { CONNECTION_REASONS } from '../../base/http.ts';

/**
 * How far a failure reaches: another try may mend it (`wait`: the server said when), this request alone cannot be answered,
 * or no request can.
 */
export type Reach = 'again' | 'request' | 'all';

export class RequestFailure extends Error {
  constructor(
    readonly error: WhorlError,
    readonly reach: Reach,
    /** Milliseconds. */
    readonly wait?: number,
    /** No token was read or written for it. */
    readonly free = false,
    /** Of HTTP, where that is what failed. */
    readonly status?: number,
  ) {
    super(error.message);
  }
}

/** Codes that servers give in `error.code` or `error.type`; any other may be our own prompt, and is not shown. */
const KNOWN_CODES: ReadonlySet<string> = new Set([
  'context_length_exceeded',
  'content_filter',
  'insufficient_quota',
  'invalid_api_key',
  'invalid_request_error',
  'model_not_found',
  'rate_limit_exceeded',
  'server_error',
  'unsupported_parameter',
  'BadRequestError',
  'NotFoundError',
]);

const AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);
/** The server has not got the call, or not this HTTP. */
const NEVER: ReadonlySet<number> = new Set([501, 505]);
/** What one request may have that another has not: it is too long, say, or a filter refuses it. */
const ITS_OWN: ReadonlySet<number> = new Set([400, 413, 422, 451]);

const FIXES: Readonly<Record<number, string>> = {
  400: 'it may not take this request; try the other --endpoint-kind',
  401: 'it wants an API key, or another one: --api-key-env',
  402: 'it wants to be paid',
  403: 'this API key may not ask it',
  404: 'check the path (often /v1), --model-name and --endpoint-kind',
  405: 'try the other --endpoint-kind',
  501: 'try the other --endpoint-kind',
  429: 'wait, lower --concurrency, then run the same command again',
};

export function statusFailure(
  name: string,
  status: number,
  code: string | undefined,
  wait: number | undefined,
): RequestFailure {
  const again = AGAIN.has(status) || (status >= 500 && !NEVER.has(status));
  const known = code !== undefined && KNOWN_CODES.has(code) ? ` ${code}` : '';
  const fix = FIXES[status] ?? (again ? 'run the same command again later' : 'check --suspect');
  const error = new WhorlError(
    again ? 'unreachable' : 'endpoint',
    `${name} answers with ${status}${known}`,
    fix,
  );
  return new RequestFailure(
    error,
    again ? 'again' : ITS_OWN.has(status) ? 'request' : 'all',
    wait,
    status < 500,
    status,
  );
}

/** @param to origin only: the rest of an address may hold anything */
export const redirected = (name: string, status: number, to: string): RequestFailure =>
  new RequestFailure(
    new WhorlError(
      'endpoint',
      `${name} redirects (${status}) ${to}`,
      'nothing was sent there; give the final address',
    ),
    'all',
  );

/** An answer that is none: it counts as a failure of the transport, and is never read as what the model said. */
export const unreadable = (name: string, what: string): RequestFailure =>
  new RequestFailure(
    new WhorlError(
      'endpoint',
      `${name} answers with ${what}`,
      'check that it is an OpenAI-compatible API, then run the same command again',
    ),
    'again',
  );

export const echoesKey = (name: string): RequestFailure =>
  new RequestFailure(
    new WhorlError(
      'endpoint',
      `${name} sends the API key back in its answer`,
      'the answer was thrown away; revoke that key and do not trust this server with another',
    ),
    'all',
  );

const REASONS: Readonly<Record<string, string>> = {
  ...CONNECTION_REASONS,
  UND_ERR_HEADERS_OVERFLOW: 'sends headers without end',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'closes the connection in the middle of an answer',
  TimeoutError: 'takes longer than --timeout',
};
const NOT_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|ALTNAME/;

/** The request did not get through; `cause` says how. */
export function connectionFailure(name: string, cause: unknown): RequestFailure {
  const { code = '', name: kind } = cause as NodeJS.ErrnoException;
  if (CERTIFICATE.test(code))
    return new RequestFailure(
      new WhorlError(
        'endpoint',
        `${name} has a certificate that is not trusted (${code})`,
        'check the address; for an authority of your own set NODE_EXTRA_CA_CERTS',
        { cause },
      ),
      'all',
    );
  const reason =
    REASONS[code] ??
    REASONS[kind] ??
    `cannot be reached (${/^\w{1,40}$/.test(code) ? code : 'no reason given'})`;
  const fix = 'check the address and the network, then run the same command again';
  const error = new WhorlError('unreachable', `${name} ${reason}`, fix, { cause });
  return new RequestFailure(error, 'again', undefined, NOT_SENT.has(code));
}
