// One byte string for one JSON value, so that a hash of it means the value: RFC 8785 (JCS). Keys sorted by
// UTF-16 code unit, no white space, numbers as ECMAScript prints them, UTF-8; lone surrogates are refused.

import { WhorlError } from '../base/error.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonMembers;
/** A member that is undefined is absent, as for JSON.stringify. */
interface JsonMembers {
  readonly [key: string]: Json | undefined;
}

const LONE_SURROGATE = /\p{Surrogate}/u;
export const isWellFormed = (text: string): boolean => !LONE_SURROGATE.test(text);

/** The canonical text of a value. Throws WhorlError 'bad-file' on NaN, infinities, lone surrogates and `__proto__`. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new WhorlError('bad-file', `${value} has no place in a claim`);
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (!isWellFormed(value))
      throw new WhorlError('bad-file', 'a text of the claim holds half a surrogate pair');
    return JSON.stringify(value);
  }
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  // A name by which some languages set something else than a member: no reader of such a text means the same by it.
  if (Object.hasOwn(value, '__proto__'))
    throw new WhorlError('bad-file', 'a member called __proto__ has no place in a claim');
  const members = Object.keys(value)
    .sort()
    .flatMap((key) => {
      const member = value[key];
      return member === undefined ? [] : [`${canonicalJson(key)}:${canonicalJson(member)}`];
    });
  return `{${members.join(',')}}`;
}

const isList = (value: readonly Json[] | JsonMembers): value is readonly Json[] => Array.isArray(value);

export const canonicalBytes = (value: Json): Uint8Array => new TextEncoder().encode(canonicalJson(value));
