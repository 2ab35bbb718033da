// Settings of generation_config.json by which transformers' `generate` changes even greedy text (goldens/config/generation.json).
// Whorl answers with the most probable token and says so where a folder asks for another one.

type Json = Readonly<Record<string, unknown>>;

const above = (neutral: number) => (value: unknown) => typeof value === 'number' && value > neutral;
const otherThan = (neutral: number) => (value: unknown) => typeof value === 'number' && value !== neutral;
const some = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length > 0;

/** Whether a value says that it is used. */
const CHANGES: Readonly<Record<string, (value: unknown) => boolean>> = {
  repetition_penalty: otherThan(1),
  no_repeat_ngram_size: above(0),
  suppress_tokens: some,
  begin_suppress_tokens: some,
  bad_words_ids: some,
  sequence_bias: some,
  min_length: above(0),
  min_new_tokens: above(0),
  num_beams: above(1),
  exponential_decay_length_penalty: some,
  guidance_scale: otherThan(1),
};

/** In words; none for nearly every folder. */
export function generationNotes(settings: Json): readonly string[] {
  const used = Object.entries(CHANGES).filter(([key, isUsed]) => isUsed(settings[key]));
  if (used.length === 0) return [];
  const list = used.map(([key]) => `${key} = ${(JSON.stringify(settings[key]) ?? '').slice(0, 40)}`);
  return [
    `generation_config.json has ${list.join(', ')}, by which transformers' generate changes greedy text too; answers here are the model's most probable tokens without`,
  ];
}
