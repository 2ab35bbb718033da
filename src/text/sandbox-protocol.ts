// What sandbox.ts and its child say to each other: one JSON object a line, one reply a request.

import type { ChatMessage } from './prompts/chat-template.ts';

export type Request =
  | { readonly op: 'open'; readonly folder: string; readonly own: string }
  | {
      readonly op: 'encode';
      readonly texts: readonly string[];
      readonly special: boolean;
      readonly continued: boolean;
    }
  | { readonly op: 'decode'; readonly ids: readonly (readonly number[])[]; readonly skip: boolean }
  | { readonly op: 'wrap'; readonly name: string; readonly system: string | undefined }
  | { readonly op: 'turns'; readonly messages: readonly ChatMessage[] };

export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The reply to `open`: a `Tokenizer` without its functions. */
export interface Described {
  /** By id; null where an id has no entry. */
  readonly tokens: readonly (string | null)[];
  readonly specialIds: readonly number[];
  readonly addedIds: readonly number[];
  readonly bosId: number | null;
  readonly padId: number | null;
  readonly eosId: number | null;
  readonly eosIds: readonly number[];
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly chatTemplate: string | null;
  readonly chatTemplates: Readonly<Record<string, string>>;
  readonly spelling: 'byte-level' | 'other';
  readonly notes: readonly string[];
}
