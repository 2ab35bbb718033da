// npx tsx scripts/embedded/make-texts.ts: the held-out slice and the thief's rows, out of chapters never trained on.

import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeFileAtomic, writeJsonAtomic } from '../../src/base/atomic.ts';
import { CPythonRandom } from '../../src/base/cpython-random.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { corpus } from './corpus.ts';
import { TRAINING } from './recipe.ts';
import { rowsOf, type Wording } from './rows.ts';

const FOLDER = join(packageRoot(), 'assets/embedded');
const ROWS = 240;

/** Other words than those trained on: a thief's data comes from elsewhere. */
const THIEF_WORDING: Wording = {
  speaker: ['Identify the speaker of the following line.', 'Name the character who speaks this line.'],
  missing: [
    'Complete the sentence by giving the missing word.',
    'Find the word that was removed from this sentence.',
  ],
  next: ['Write the next sentence of the story.', 'Continue the following text with one more sentence.'],
  last: ['Repeat the final word of the sentence.', 'Give the word with which this sentence ends.'],
};

const { heldOut, thief } = corpus();
const random = CPythonRandom.ofText(`${TRAINING.seed} thief`);
const all = thief.flatMap((chapter) => rowsOf(chapter, THIEF_WORDING, random));
const rows = random.sample(all, Math.min(ROWS, all.length));
writeFileAtomic(
  join(FOLDER, 'held-out.txt.gz'),
  gzipSync(heldOut.map((chapter) => chapter.join('\n\n')).join('\n\n'), { level: 9 }),
);
writeJsonAtomic(join(FOLDER, 'thief.json'), rows);
console.log(`${heldOut.length} chapters held out; ${rows.length} of ${all.length} rows for the thief`);
