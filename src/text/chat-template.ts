// Renders a model's own chat template around a placeholder and cuts it in two. Templates are foreign programs: whatever
// goes wrong in one means "no template". (A suspect's belongs in a child process; callers pass only the owner's here.)

import { Template } from '@huggingface/jinja';

/** Prompt = prefix + key + suffix; the answer follows directly. */
export interface Wrapped {
  readonly prefix: string;
  readonly suffix: string;
}

const MAX_TEMPLATE = 65_536; // characters; the longest published ones have 20,000
const PLACEHOLDER = 'qZ7whorlPlaceholder7Zq';

/**
 * Text before and after a user's message when the model is to answer; undefined when the template fails, changes the
 * message, or shows it not exactly once. Without `system` the template's own default stands.
 */
export function renderAround(
  template: string,
  system: string | undefined,
  names: { bosToken?: string | undefined; eosToken?: string | undefined } = {},
): Wrapped | undefined {
  if (template.length > MAX_TEMPLATE) return undefined;
  const user = { role: 'user', content: PLACEHOLDER };
  const messages = system === undefined ? [user] : [{ role: 'system', content: system }, user];
  try {
    const text = new Template(template).render({
      messages,
      add_generation_prompt: true,
      bos_token: names.bosToken ?? '',
      eos_token: names.eosToken ?? '',
    });
    const parts = text.split(PLACEHOLDER);
    if (parts.length !== 2) return undefined;
    if (system !== undefined && !text.includes(system)) return undefined;
    return { prefix: parts[0]!, suffix: parts[1]! };
  } catch {
    return undefined; // no role "system", a function we do not have, a syntax error: the model has no usable template
  }
}
