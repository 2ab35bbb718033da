// A row's request as turns: system instruction and description, examples as questions and answers, the question. As text
// they stand one after the other behind their delimiters; under a model's chat template as lm-evaluation-harness gives them.

import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { sha256Hex } from '../base/sha256.ts';
import { type ChatMessage, renderChat } from '../text/prompts/chat-template.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** One turn, and what follows it where no template says so. */
export interface Turn extends ChatMessage {
  readonly after: string;
}

/** How turns become a request. */
export interface Framing {
  /** Before each task's description. */
  readonly system?: string;
  readonly template?: {
    /** Its source, as results name it. */
    readonly source: string;
    /** Whether examples are turns of their own, or all in what the user says once. */
    readonly multiturn: boolean;
    render(messages: readonly ChatMessage[]): string;
  };
}

export const PLAIN: Framing = {};

export interface FramingOptions {
  /** The model's own, or the one of several that is called so. */
  readonly applyChatTemplate?: boolean | string;
  readonly systemInstruction?: string;
  /** Default: true where the template is applied. */
  readonly fewshotAsMultiturn?: boolean;
}

/** @throws WhorlError `usage` for turns without a template and for a name that no template has, `unsupported` for a model that has none */
export function framingOf(
  { applyChatTemplate = false, systemInstruction, fewshotAsMultiturn }: FramingOptions,
  tokenizer: Pick<Tokenizer, 'chatTemplates' | 'specialTokens'>,
  source: string,
): Framing {
  const system = systemInstruction === undefined ? {} : { system: systemInstruction };
  if (applyChatTemplate === false) {
    if (fewshotAsMultiturn !== true) return system;
    throw new WhorlError(
      'usage',
      '--fewshot-as-multiturn true without --apply-chat-template',
      'give both, or neither',
    );
  }
  const chatTemplate = templateNamed(applyChatTemplate, tokenizer.chatTemplates, source);
  const names = tokenizer.specialTokens;
  const now = new Date();
  return {
    ...system,
    template: {
      source: chatTemplate,
      multiturn: fewshotAsMultiturn ?? true,
      render: (messages) => renderChat(chatTemplate, messages, { addGenerationPrompt: true, names, now }),
    },
  };
}

/** The harness warns and takes the only template where another is named; we take it for `default` and say that there is no other. */
function templateNamed(
  name: true | string,
  templates: Readonly<Record<string, string>>,
  source: string,
): string {
  const names = Object.keys(templates).sort();
  if (names.length === 0)
    throw new WhorlError('unsupported', `${source} has no chat template`, 'leave out --apply-chat-template');
  const wanted = name === true ? 'default' : name;
  if (Object.hasOwn(templates, wanted)) return templates[wanted]!;
  if (name === true)
    throw new WhorlError(
      'usage',
      `${source} has several chat templates, and none is the default`,
      `name one: --apply-chat-template ${names.slice(0, 10).join(', ')}`,
    );
  throw new WhorlError(
    'usage',
    `${source} has no chat template ${JSON.stringify(name)}`,
    nameHint(name, names),
  );
}

/** What results of the same framing must agree in; null: plain text. */
export const framingIdentity = ({ system, template }: Framing): object | null =>
  system === undefined && !template
    ? null
    : {
        template: template ? sha256Hex(template.source) : null,
        multiturn: template?.multiturn ?? null,
        system: system ?? null,
      };

/** The system's turn, where there is anything in it. */
export function systemTurn(system: string | undefined, description: string, delimiter: string): Turn[] {
  const content =
    system && description && !/\s$/.test(system) && !/^\s/.test(description)
      ? system + delimiter + description
      : (system ?? '') + description;
  return content === '' ? [] : [{ role: 'system', content, after: '' }];
}

/** The whole request. @throws WhorlError `unsupported` naming what the template cannot be given */
export function framed({ template }: Framing, turns: readonly Turn[]): string {
  if (!template) return textOf(turns);
  const messages = template.multiturn ? turns : singleTurn(turns);
  const plain = messages.map(({ role, content }) => ({ role, content }));
  try {
    return template.render(plain);
  } catch (cause) {
    // A template without a system role says so by an error of its own: the harness leaves that turn out, then.
    const rest = plain.filter(({ role }) => role !== 'system');
    if (!(cause instanceof WhorlError) || rest.length === plain.length) throw cause;
    if (!cause.message.includes('raise_exception')) throw cause;
    return template.render(rest);
  }
}

const textOf = (turns: readonly Turn[]): string =>
  turns.map(({ content, after }) => content + after).join('');

/** All that is no system's as one user's turn. */
function singleTurn(turns: readonly Turn[]): ChatMessage[] {
  const [system, rest] = turns[0]?.role === 'system' ? [[turns[0]], turns.slice(1)] : [[], turns];
  return [...system, { role: 'user', content: textOf(rest) }];
}
