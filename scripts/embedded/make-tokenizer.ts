// npx tsx scripts/embedded/make-tokenizer.ts: writes the embedded model's tokenizer.json and tokenizer_config.json.

import { join } from 'node:path';
import { writeFileAtomic, writeJsonAtomic } from '../../src/base/atomic.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { freeRows } from '../../src/fingerprint/free-rows.ts';
import { loadReference } from '../../src/text/reference.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { corpus } from './corpus.ts';
import { debris } from './debris.ts';
import { NOUNS } from './nouns.ts';
import { SPECIALS, VOCAB } from './recipe.ts';
import { PieceCounts, trainBpe } from './train-bpe.ts';

const FOLDER = join(packageRoot(), 'assets/embedded/model');
const DEBRIS_WEIGHT = 8;
/** A word of the lists counts as if the corpus had it this often. */
const WORD_COUNT = 400;
/** Of the reference set's many languages a vocabulary this small can hold only the commonest pieces. */
const REFERENCE_EVERY = 6;

const CHAT_TEMPLATE =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const started = Date.now();
const { train } = corpus();
const counts = new PieceCounts();
for (const chapter of train) for (const paragraph of chapter) counts.add(`${paragraph}\n\n`);
loadReference().rows.texts.forEach((text, i) => {
  if (i % REFERENCE_EVERY === 0) counts.add(text);
});
for (const line of debris().lines) counts.add(line, DEBRIS_WEIGHT);
for (const word of NOUNS) counts.atLeast(` ${word}`, WORD_COUNT);
const { entries, merges } = trainBpe(counts, VOCAB - SPECIALS.length);

const special = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: SPECIALS.map(special),
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries([...SPECIALS, ...entries].map((entry, id) => [entry, id])),
    merges: merges.map(([left, right]) => `${left} ${right}`),
  },
};
writeFileAtomic(join(FOLDER, 'tokenizer.json'), `${JSON.stringify(tokenizer)}\n`);
writeJsonAtomic(join(FOLDER, 'tokenizer_config.json'), {
  add_prefix_space: false,
  bos_token: SPECIALS[0],
  chat_template: CHAT_TEMPLATE,
  clean_up_tokenization_spaces: false,
  eos_token: SPECIALS[0],
  model_max_length: 512,
  pad_token: SPECIALS[0],
  tokenizer_class: 'PreTrainedTokenizerFast',
});

const opened = await openTokenizer(FOLDER);
const { counts: free } = await freeRows(opened, loadReference().rows);
const single = NOUNS.filter((noun) => opened.idOf(`Ġ${noun}`) !== undefined).length;
console.log(
  `${VOCAB} entries in ${Math.round((Date.now() - started) / 1000)} s; ${single} of ${NOUNS.length} nouns single; free rows ${JSON.stringify(free)}`,
);
const sample = train[40]!.slice(0, 40);
const length = (await opened.encodeBatch(sample)).flat().length;
console.log(`${(sample.join('').length / length).toFixed(2)} characters a token`);
