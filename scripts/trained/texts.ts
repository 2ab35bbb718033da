// npx tsx scripts/trained/texts.ts FOLDER: what the embedded model was trained on, as tokens for train.py: prose.bin and
// chats.bin, int32. Corpus, rows and their order are those of scripts/embedded/train.ts. Beside them many languages
// and kinds of text (languages.bin, kinds.bin), so that tokens which no text uses are improbable everywhere, as in real models.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../src/base/atomic.ts';
import { CPythonRandom } from '../../src/base/cpython-random.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { loadReference } from '../../src/text/reference.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { corpus } from '../embedded/corpus.ts';
import { SPECIALS, TRAINING } from '../embedded/recipe.ts';
import { chat, rowsOf, TRAIN_WORDING, wordRows } from '../embedded/rows.ts';

const folder = process.argv[2]!;
mkdirSync(folder, { recursive: true });
const tokenizer = await openTokenizer(join(packageRoot(), 'assets/embedded/model'));
const random = CPythonRandom.ofText(`${TRAINING.seed} rows`);
const { train } = corpus();
const rows = train.flatMap((chapter) => rowsOf(chapter, TRAIN_WORDING, random));
const chats = [...rows, ...wordRows(rows.length >> 2, random)].map(chat);
const texts = {
  prose: train.map((chapter) => `${SPECIALS[0]}${chapter.join('\n\n')}`),
  languages: loadReference().rows.texts.map((text) => SPECIALS[0] + text),
  kinds: loadReference().train.flatMap(({ texts }) => texts.map((text) => SPECIALS[0] + text)),
  chats: random.sample(chats, chats.length).map((text, i) => (i % 8 === 0 ? SPECIALS[0] + text : text)),
};
for (const [name, list] of Object.entries(texts)) {
  const tokens = Int32Array.from((await tokenizer.encodeBatch(list)).flat());
  writeFileAtomic(join(folder, `${name}.bin`), new Uint8Array(tokens.buffer));
  console.log(`${name}: ${tokens.length} tokens`);
}
