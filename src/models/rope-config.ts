// Rotary positions as config.json says them: transformers 4 (`rope_theta`, `rope_scaling`) and 5 (`rope_parameters`).

import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { ROPE_KINDS } from './blocks/rope-scaling.ts';
import { ROPE_FIELDS } from './config-keys.ts';
import type { Rope, RopeType } from './rope.ts';
import { type RopeFields, SCALINGS } from './rope-fields.ts';

/** Every key of config.json that `readRope` looks at. */
export const ROPE_KEYS = [
  'rope_theta',
  'rope_scaling',
  'rope_parameters',
  'original_max_position_embeddings',
] as const;

/** What a family knows of its rotary positions beside what config.json says of them. */
export interface RopeOptions {
  readonly max_position_embeddings: number;
  readonly head_dim: number;
  /** Of a family that turns a part of a head only: the share where `rope_parameters` has none. */
  readonly partial_rotary_factor?: number;
  /** Of a family whose config says how many elements of a head turn (GPT-J). */
  readonly dim?: number;
  readonly interleaved?: boolean;
  /** Where config.json does not say it; default 10,000. */
  readonly rope_theta?: number;
  /**
   * Of a family whose layers of this type have positions of their own: their entry of `rope_parameters`. The older
   * `rope_scaling` and `rope_theta` are those of full attention.
   */
  readonly kind?: 'full_attention' | 'sliding_attention';
  /** Of a family that calls kinds of scaling otherwise: what it means by each name. */
  readonly aliases?: Readonly<Record<string, RopeType>>;
  /** Of a family that has `original_max_position_embeddings` beside the scaling, which goes first: its default there. */
  readonly original_max_position_embeddings?: number;
  /** Fields of `rope_parameters` that the family itself reads. */
  readonly own?: readonly string[];
}

const DEFAULT_THETA = 10_000;

/** @throws WhorlError `unsupported` for a kind or field that is not handled, `bad-file` for a wrong value; both name it */
export function readRope(json: Readonly<Record<string, unknown>>, where: string, options: RopeOptions): Rope {
  const { max_position_embeddings, head_dim, partial_rotary_factor } = options;
  const { kind } = options;
  const older = kind !== 'sliding_attention';
  const scaling = (older ? json.rope_scaling : undefined) ?? undefined;
  const all = json.rope_parameters ?? undefined;
  const parameters = kind === undefined || all === undefined ? all : entryOf(all, kind, where);
  if (scaling !== undefined && parameters !== undefined)
    throw new WhorlError(
      'unsupported',
      `${where}: both rope_scaling and rope_parameters are given`,
      'keep the one that is meant',
    );
  const key = scaling === undefined ? 'rope_parameters' : 'rope_scaling';
  const given = scaling ?? parameters ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) throw bad(where, key, given, 'an object');
  const fields = given as Readonly<Record<string, unknown>>;
  const written = fields.rope_type ?? fields.type ?? 'default';
  const { aliases = {} } = options;
  const type = typeof written === 'string' && Object.hasOwn(aliases, written) ? aliases[written] : written;
  if (typeof type !== 'string' || !Object.hasOwn(ROPE_KINDS, type))
    throw new WhorlError(
      'unsupported',
      `${where}: RoPE scaling of type ${JSON.stringify(type)} is not handled`,
      nameHint(String(type), Object.keys(ROPE_KINDS)),
    );
  const rope_type = type as RopeType;
  const known: readonly string[] = ROPE_KINDS[rope_type].fields;
  refuseOthers(
    fields,
    [
      'rope_type',
      'type',
      'rope_theta',
      ...(partial_rotary_factor === undefined ? [] : ['partial_rotary_factor']),
      ...(options.own ?? []),
      ...known,
    ],
    `${where}: ${key}`,
    (json.auto_map ?? null) !== null,
  );
  const number = (name: string, fallback?: unknown): number => {
    const value = fields[name] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
      throw bad(where, fields[name] === undefined ? name : `${key}.${name}`, value, 'a positive number');
    return value;
  };
  const field = (name: string, fallback?: unknown): number =>
    known.includes(name) ? number(name, fallback) : 1;
  // Where both are given, transformers takes the one beside max_position_embeddings.
  const outside = json.original_max_position_embeddings ?? options.original_max_position_embeddings;
  const original_max_position_embeddings =
    typeof outside === 'number' && outside > 0
      ? outside
      : field('original_max_position_embeddings', max_position_embeddings);
  const share =
    partial_rotary_factor === undefined ? 1 : number('partial_rotary_factor', partial_rotary_factor);
  const dim = options.dim ?? Math.trunc(head_dim * share);
  const at: RopeFields = {
    fields,
    dim,
    max_position_embeddings,
    original_max_position_embeddings,
    number,
    refuse: (name, wanted) => {
      throw bad(where, `${key}.${name}`, fields[name], wanted);
    },
  };
  const rope_scaling = {
    rope_type,
    original_max_position_embeddings,
    low_freq_factor: field('low_freq_factor'),
    high_freq_factor: field('high_freq_factor'),
    ...(SCALINGS[rope_type]?.(at) ?? { factor: field('factor') }),
  };
  if (rope_type === 'llama3' && rope_scaling.high_freq_factor <= rope_scaling.low_freq_factor)
    throw bad(where, `${key}.high_freq_factor`, rope_scaling.high_freq_factor, 'above low_freq_factor');
  if (dim < 2 || dim % 2 !== 0 || dim > head_dim)
    throw new WhorlError(
      'bad-file',
      `${where}: ${dim} elements of a head of ${head_dim} turn`,
      'rotary positions need pairs',
    );
  return {
    dim,
    interleaved: options.interleaved ?? false,
    rope_theta: number(
      'rope_theta',
      (older ? json.rope_theta : undefined) ?? options.rope_theta ?? DEFAULT_THETA,
    ),
    rope_scaling,
    max_position_embeddings,
  };
}

function entryOf(parameters: unknown, kind: string, where: string): unknown {
  if (typeof parameters !== 'object' || parameters === null || !Object.hasOwn(parameters, kind))
    throw bad(where, `rope_parameters.${kind}`, undefined, 'an object');
  return (parameters as Record<string, unknown>)[kind];
}

/** Of these it counts that they are there: they say which part of a head, or which layers. */
const COUNT_ANYWHERE = ['full_attention', 'partial_rotary_factor', 'sliding_attention'];

/** What belongs to another kind of scaling transformers does not look at (goldens/config/make_rope_fields.py); own code may. */
function refuseOthers(
  fields: Readonly<Record<string, unknown>>,
  known: readonly string[],
  at: string,
  hasOwnCode: boolean,
): void {
  for (const [name, value] of Object.entries(fields)) {
    const harmless = value === null || (name === 'partial_rotary_factor' && value === 1);
    const ofOtherKind = ROPE_FIELDS.has(name) && !COUNT_ANYWHERE.includes(name) && !hasOwnCode;
    if (known.includes(name) || harmless || ofOtherKind) continue;
    const [said, mend] = ROPE_FIELDS.has(name)
      ? ["changes the model's mathematics and is not handled", 'this checkpoint needs a newer whorl']
      : [
          'is not known to Whorl, so it cannot tell whether the model computes something else',
          `if not, say so: --ignore-config-key ${at.slice(at.lastIndexOf(' ') + 1)}.${name}`,
        ];
    throw new WhorlError('unsupported', `${at}.${name} = ${JSON.stringify(value)} ${said}`, mend);
  }
}

const bad = (where: string, name: string, value: unknown, wanted: string): WhorlError =>
  new WhorlError(
    'bad-file',
    `${where}: ${name} is ${JSON.stringify(value ?? null)}, not ${wanted}`,
    'get the checkpoint again',
  );
