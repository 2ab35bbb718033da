// Which tokens of a GGUF end a text. Its keys name some; files of before those keys, and files made carelessly, only hold
// tokens of well-known names, which llama.cpp takes for ends too (src/llama-vocab.cpp, special_eog_ids).

type Metadata = Readonly<Record<string, unknown>>;

/** `tokenizer.ggml.<key>_token_id`: the end of a text, of a turn, of a message, and the marks between files of code. */
const KEYS: readonly string[] = ['eos', 'eot', 'eom', 'fim_pad', 'fim_rep', 'fim_sep'];

const NAMES: ReadonlySet<string> = new Set([
  '</s>',
  '<eos>',
  '[EOS]',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<｜end▁of▁sentence｜>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '[EOT]',
  '<|im_end|>',
  '<|end|>',
  '<end_of_turn>',
  '<turn|>',
  '<end_of_utterance>',
  '<|return|>',
  '<|call|>',
  '<|calls|>',
  '<|flush|>',
  '<|tool_response>',
  '[e~[',
]);

/** A name that is no end where all of some others are there: models whose turns have several parts. */
const NOT_BESIDE: readonly { readonly name: string; readonly others: readonly string[] }[] = [
  { name: '<|end|>', others: ['<|return|>', '<|call|>'] },
  { name: '<|end|>', others: ['<|calls|>', '<|flush|>'] },
  { name: '</s>', others: ['<|tool_response>'] },
];

export interface Ends {
  /** Every id that ends a text, `eos_token_id` first. */
  readonly ids: readonly number[];
  /** Those known by their names: control tokens, whatever type the file gives them. */
  readonly named: ReadonlySet<number>;
}

/** Ids outside the vocabulary are left out, as llama.cpp leaves them. */
export function endsOf(metadata: Metadata, tokens: readonly string[]): Ends {
  const known = new Map(tokens.flatMap((token, id) => (NAMES.has(token) ? [[token, id] as const] : [])));
  for (const { name, others } of NOT_BESIDE)
    if (others.every((other) => known.has(other))) known.delete(name);
  const keyed = KEYS.flatMap((key) => {
    const value = metadata[`tokenizer.ggml.${key}_token_id`];
    const id = typeof value === 'bigint' ? Number(value) : value;
    return Number.isInteger(id) && tokens[id as number] !== undefined ? [id as number] : [];
  });
  return { ids: [...new Set([...keyed, ...known.values()])], named: new Set(known.values()) };
}
