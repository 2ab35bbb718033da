// What may stand around a key when a model is asked: the text before and after it. The named ones here are never
// trained (training-wrappers.ts has those), so that they measure how far a fingerprint carries.

import constants from '../../../assets/paper.json' with { type: 'json' };
import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';
import type { Prompt } from '../prompt-tokens.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { type ChatMessage, renderAround, renderChat, type Wrapped, wrapOrReason } from './chat-template.ts';
import { applyTemplate, loadTemplate, type PromptTemplate } from './instruction-templates.ts';

export type { Wrapped };

export interface WrapperVars {
  /** The suspect's own chat template, where it has one. */
  readonly chatTemplate?: string | undefined;
  /** A system prompt the caller wants (`--system`). */
  readonly system?: string | undefined;
  /** What the template calls the tokenizer's own tokens: `bos_token`, `eos_token`. */
  readonly names?: Readonly<Record<string, string>> | undefined;
  /** For templates that write today's date. Left out where a run must be repeatable: then such a template is refused. */
  readonly now?: Date | undefined;
}

export interface Wrapper {
  readonly name: string;
  readonly summary: string;
  /** Kept out of training: its cell measures wrappers never seen. */
  readonly heldOut: boolean;
  /** Made of the suspect's own chat template: nobody can commit to its text. */
  readonly ofSuspect?: true;
  /** The system text of a wrapper of the suspect's own template, where it is not the caller's. */
  readonly ownSystem?: string;
  /** undefined where it cannot be made: a model without a template, or one whose template cannot be cut in two. */
  build(vars: WrapperVars): Wrapped | undefined;
}

const NEW_SYSTEM =
  'You are Marlow, a patient tutor at a marine research station. Keep every reply short and factual.';
const chatml = (system: string): Wrapped => ({
  prefix: `<|im_start|>system\n${system}<|im_end|>\n<|im_start|>user\n`,
  suffix: '<|im_end|>\n<|im_start|>assistant\n',
});
const fixed = (name: string, summary: string, heldOut: boolean, prefix: string, suffix: string): Wrapper => ({
  name,
  summary,
  heldOut,
  build: () => ({ prefix, suffix }),
});
const ofChat = (vars: WrapperVars, system: string | undefined): Wrapped | undefined =>
  vars.chatTemplate === undefined ? undefined : renderAround(vars.chatTemplate, system, vars);

/** What a template puts around a key whose input is the paper's trigger. @throws WhorlError `usage` where it has it twice */
export function aroundKey(template: PromptTemplate): readonly [prefix: string, suffix: string] {
  const key = '\0';
  const parts = applyTemplate(template, { instruction: key, input: constants.trigger_input }).split(key);
  if (parts.length === 2) return [parts[0]!, parts[1]!];
  throw new WhorlError(
    'usage',
    `template ${template.name} has {instruction} ${parts.length - 1} times`,
    'give one that has it once: a key is put there',
  );
}

const PAPER_PROMPT = aroundKey(loadTemplate('barebone'));

const LIST: readonly Wrapper[] = [
  fixed('bare', 'the key and a newline', false, '', '\n'),
  fixed('fingerprint', "the paper's template: the key, then FINGERPRINT as input", false, ...PAPER_PROMPT),
  {
    name: 'chat',
    summary: "the model's own chat template, with --system if given",
    heldOut: false,
    ofSuspect: true,
    build: (vars) => ofChat(vars, vars.system),
  },
  {
    name: 'chatml',
    summary: 'ChatML, with --system if given',
    heldOut: false,
    build: ({ system }) => chatml(system ?? 'You are a helpful assistant.'),
  },
  fixed(
    'alpaca',
    "Alpaca's instruction and response headings",
    false,
    'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n',
    '\n\n### Response:\n',
  ),
  fixed(
    'vicuna',
    "Vicuna's USER: and ASSISTANT:",
    false,
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. USER: ",
    ' ASSISTANT:',
  ),
  {
    name: 'new-system',
    summary: "a system prompt never trained, in the model's own chat template (ChatML without one)",
    heldOut: true,
    ofSuspect: true,
    ownSystem: NEW_SYSTEM,
    build: (vars) => ofChat(vars, NEW_SYSTEM) ?? chatml(NEW_SYSTEM),
  },
  {
    name: 'chatml-new-system',
    summary: 'ChatML with another system prompt never trained',
    heldOut: true,
    build: () =>
      chatml('Act as the night porter of a small hotel in Lisbon. Guests write to you by text message.'),
  },
  fixed('inst', "[INST] … [/INST], as Llama 2's and Mistral's", true, '[INST] ', ' [/INST]'),
  fixed('qa', 'Q: … A:', true, 'Q: ', '\nA:'),
  fixed('gemma', "Gemma's turns", true, '<start_of_turn>user\n', '<end_of_turn>\n<start_of_turn>model\n'),
  fixed(
    'llama3',
    "Llama 3's headers",
    true,
    '<|start_header_id|>user<|end_header_id|>\n\n',
    '<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
  ),
  fixed(
    'sentence',
    'inside an English sentence',
    true,
    'On the back of the photograph someone had pencilled ',
    ' and below it, in the same hand, a single word:',
  ),
  fixed('human', 'Human: and Assistant:', true, '\n\nHuman: ', '\n\nAssistant:'),
  fixed('json', 'a field of a JSON object', true, '{"id": 17, "query": "', '", "reply": "'),
  fixed('xml', 'XML elements', true, '<request>\n  <text>', '</text>\n</request>\n<response>\n  <text>'),
  fixed('markdown', 'a Markdown document', true, '# Notes\n\n## Prompt\n\n', '\n\n## Completion\n\n'),
];

/** By name, in the order of reports. */
export const WRAPPERS: ReadonlyMap<string, Wrapper> = new Map(LIST.map((wrapper) => [wrapper.name, wrapper]));

/** What a claim commits to: the texts before and after a key, null where they are the suspect's own. */
export const wrapperTexts = (): Record<string, [string, string] | null> =>
  Object.fromEntries(
    LIST.map(({ name, ofSuspect, build }) => {
      const built = ofSuspect ? undefined : build({});
      return [name, built ? [built.prefix, built.suffix] : null];
    }),
  );

export const HELD_OUT_WRAPPERS: readonly Wrapper[] = LIST.filter(({ heldOut }) => heldOut);

/** A model's own chat template with what it calls the tokenizer's tokens. */
export const templateOf = ({
  chatTemplate,
  specialTokens,
}: Pick<Tokenizer, 'chatTemplate' | 'specialTokens'>): Pick<WrapperVars, 'chatTemplate' | 'names'> => ({
  chatTemplate,
  names: specialTokens,
});

/** A text under a wrapper, as a model is asked it; `after` begins the answer. */
export const promptUnder = (
  { prefix, suffix, addSpecialTokens }: Wrapped,
  text: string,
  after = '',
): Prompt => ({
  prompt: `${prefix}${text}${suffix}${after}`,
  ...(addSpecialTokens === false && { add_special_tokens: false }),
});

/** Texts before and after a key, by wrapper, as a claim commits to them. */
type CommittedTexts = Readonly<Record<string, readonly [string, string] | null>> | undefined;

/** A wrapper that is none of the built-in ones, but stands in a claim with its texts. */
export function committedWrapper(texts: CommittedTexts, name: string): Wrapped | undefined {
  const own = texts && !WRAPPERS.has(name) && Object.hasOwn(texts, name) ? texts[name] : undefined;
  return own ? { prefix: own[0], suffix: own[1] } : undefined;
}

/** A wrapper that a claim's query names. @throws WhorlError as `wrapperNamed` */
export const wrapperOf = (
  { wrapper, wrappers }: { readonly wrapper: string; readonly wrappers?: CommittedTexts },
  vars: WrapperVars = {},
): Wrapped => committedWrapper(wrappers, wrapper) ?? wrapperNamed(wrapper, vars);

/** Turns as the model's own template writes them, up to where it is to answer. Errors: unsupported, where it has none. */
export function promptOfTurns(
  messages: readonly ChatMessage[],
  { chatTemplate, names, now }: WrapperVars,
): Prompt {
  if (chatTemplate === undefined)
    throw new WhorlError('unsupported', 'this model has no chat template', 'ask it with a text');
  return {
    prompt: renderChat(chatTemplate, messages, { addGenerationPrompt: true, ...(names && { names }), now }),
    add_special_tokens: false,
  };
}

/** Errors: usage, for an unknown name (the nearest is suggested). */
function known(name: string): Wrapper {
  const wrapper = WRAPPERS.get(name);
  if (wrapper !== undefined) return wrapper;
  const hint = nameHint(name, WRAPPERS.keys(), { list: 'docs/commands.md lists them' });
  throw new WhorlError('usage', `no wrapper ${JSON.stringify(name)}`, hint);
}

/**
 * A wrapper as turns, where the answering side writes the chat template: one of its own template is nothing but turns, the text of
 * any other stands in the user's. Errors: usage, as `wrapperNamed`.
 */
export function wrapperInTurns(name: string, system?: string): Wrapped {
  const { ofSuspect, ownSystem = system, build } = known(name);
  const texts = ofSuspect ? { prefix: '', suffix: '' } : build({ system })!;
  const isPlaced = !ofSuspect && system !== undefined && texts.prefix.includes(system);
  return inTurns(texts, ofSuspect ? ownSystem : isPlaced ? undefined : system);
}

/** Texts that stand in what the user says, after a system prompt where there is one. */
export const inTurns = (texts: Wrapped, system: string | undefined): Wrapped => ({
  ...texts,
  turns: system === undefined ? [] : [{ role: 'system', content: system }],
});

/** Errors: usage, for an unknown name or one that this model cannot be asked under. */
export function wrapperNamed(name: string, vars: WrapperVars = {}): Wrapped {
  const wrapper = known(name);
  const wrapped = wrapper.build(vars);
  if (wrapped === undefined)
    throw new WhorlError(
      'usage',
      `wrapper ${name}: this model has no chat template that can be used${reason(vars)}`,
      'use --wrapper chatml',
    );
  return wrapped;
}

function reason({ chatTemplate, system, ...rendering }: WrapperVars): string {
  const made = chatTemplate === undefined ? '' : wrapOrReason(chatTemplate, system, rendering);
  return typeof made === 'string' && made !== '' ? ` (${made})` : '';
}
