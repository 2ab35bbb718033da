// Renders a model's own chat template as transformers' apply_chat_template does, and cuts it in two around a placeholder.
// Templates are foreign programs: what Python would render otherwise is refused by name. A suspect's runs in sandbox.ts.

import { WhorlError } from '../../base/error.ts';
import { renderTemplate } from '../jinja/evaluate.ts';
import { refusal } from '../jinja/scan.ts';

/** Prompt = prefix + key + suffix; the answer follows directly. */
export interface Wrapped {
  readonly prefix: string;
  readonly suffix: string;
  /** False where the template has written BOS itself, or wants none: the tokenizer adds nothing. Default true. */
  readonly addSpecialTokens?: false;
  /** Turns that go before: prefix, text and suffix are then what a user says, and the answering side writes the template. */
  readonly turns?: readonly ChatMessage[];
}

const MAX_TEMPLATE = 65_536; // characters; the longest published ones have 20,000
const PLACEHOLDER = 'qZ7whorlPlaceholder7Zq';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatOptions {
  /** Ends the text where the assistant's turn begins. Default false, as in transformers. */
  readonly addGenerationPrompt?: boolean;
  /** `bos_token` and the like, as the template names them. */
  readonly names?: Readonly<Record<string, string>>;
  /** What `strftime_now` writes, as local time. Without it a template that asks for today's date is refused. */
  readonly now?: Date | undefined;
}

/** `apply_chat_template(messages, tokenize=False)`. Errors: unsupported, with the construct that is not rendered. */
export function renderChat(
  template: string,
  messages: readonly ChatMessage[],
  { addGenerationPrompt = false, names = {}, now }: ChatOptions = {},
): string {
  if (template.length > MAX_TEMPLATE) throw refusal(`${template.length} characters`);
  const data = { messages, tools: null, documents: null, add_generation_prompt: addGenerationPrompt };
  return renderTemplate(template, { ...names, ...data }, now);
}

interface Rendering {
  /** `bos_token` and the like. Left out, both are empty and the tokenizer adds BOS, where it does. */
  readonly names?: Readonly<Record<string, string>> | undefined;
  readonly now?: Date | undefined;
}
const NO_NAMES = { bos_token: '', eos_token: '' };

/**
 * Text before and after a user's message when the model is to answer; undefined when the template fails, changes the
 * message, or shows it not exactly once. Without `system` the template's own default stands.
 */
export function renderAround(
  template: string,
  system: string | undefined,
  rendering: Rendering = {},
): Wrapped | undefined {
  const made = wrapOrReason(template, system, rendering);
  return typeof made === 'string' ? undefined : made;
}

/** As `renderAround`, with the reason in words where there is no text. */
export function wrapOrReason(
  template: string,
  system: string | undefined,
  { names, now }: Rendering = {},
): Wrapped | string {
  const user = { role: 'user', content: PLACEHOLDER };
  const messages = system === undefined ? [user] : [{ role: 'system', content: system }, user];
  try {
    const text = renderChat(template, messages, {
      addGenerationPrompt: true,
      names: names ?? NO_NAMES,
      now,
    });
    const parts = text.split(PLACEHOLDER);
    if (parts.length !== 2) return `the chat template shows a message ${parts.length - 1} times`;
    if (system !== undefined && !text.includes(system)) return 'the chat template drops the system prompt';
    return {
      prefix: parts[0]!,
      suffix: parts[1]!,
      ...(names !== undefined && { addSpecialTokens: false }),
    };
  } catch (error) {
    // RangeError: a tree too deep to walk. All else a template may do is a refusal.
    if (error instanceof WhorlError) return error.message;
    if (error instanceof RangeError) return 'the chat template is nested too deeply';
    throw error;
  }
}
