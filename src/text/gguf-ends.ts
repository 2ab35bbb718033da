// Which tokens of a GGUF end a text: those its keys name, and where a key is absent, tokens of the names that llama.cpp
// knows for it (src/llama-vocab.cpp). llama.cpp takes all names always; a file with the key has said what it means.

type Metadata = Readonly<Record<string, unknown>>;

/** By `tokenizer.ggml.<key>_token_id`. Files of before `eot` and `eom`, and those made carelessly, hold the tokens alone. */
const KINDS: readonly { readonly key: string; readonly names: readonly string[] }[] = [
  {
    key: 'eos',
    names: ['</s>', '<eos>', '[EOS]', '<|endoftext|>', '<|end_of_text|>', '<｜end▁of▁sentence｜>', '[e~['],
  },
  {
    key: 'eot',
    names: [
      '<|eot_id|>',
      '<|im_end|>',
      '<|end|>',
      '<end_of_turn>',
      '<turn|>',
      '<EOT>',
      '_<EOT>',
      '[EOT]',
      '<end_of_utterance>',
      '<|return|>',
      '<|call|>',
      '<|calls|>',
      '<|flush|>',
      '<|tool_response>',
    ],
  },
  { key: 'eom', names: ['<|eom_id|>'] },
  // The marks between files of code; their usual names are no ends to a chat model.
  { key: 'fim_pad', names: [] },
  { key: 'fim_rep', names: [] },
  { key: 'fim_sep', names: [] },
];

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
  const places = new Map(tokens.map((token, id) => [token, id]));
  const excepted = new Set(
    NOT_BESIDE.filter(({ others }) => others.every((other) => places.has(other))).map(({ name }) => name),
  );
  const keyed: number[] = [];
  const named: number[] = [];
  for (const { key, names } of KINDS) {
    const value = metadata[`tokenizer.ggml.${key}_token_id`];
    const id = typeof value === 'bigint' ? Number(value) : value;
    if (Number.isInteger(id) && tokens[id as number] !== undefined) keyed.push(id as number);
    else for (const name of names) if (places.has(name) && !excepted.has(name)) named.push(places.get(name)!);
  }
  return { ids: [...new Set([...keyed, ...named])], named: new Set(named) };
}
