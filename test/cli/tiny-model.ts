// A model folder for tests of the command line: a golden's weights with a tokenizer of 93 characters beside them.

import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GOLDEN = new URL('../../goldens/models/llama-tied/', import.meta.url).pathname;
const NAMED = ['<unk>', '<s>', '</s>'];

export const scratch = (): string => mkdtempSync(join(tmpdir(), 'whorl-cli-'));

/** Writes the folder and returns its path. Ids: 3 + a printable character's code − 32. */
export function tinyModel(within: string): string {
  const folder = join(within, 'tiny');
  cpSync(GOLDEN, folder, { recursive: true, filter: (path) => !path.includes('golden.') });
  const characters = Array.from({ length: 93 }, (_, i) => String.fromCharCode(32 + i));
  const vocab = Object.fromEntries([...NAMED, ...characters].map((token, id) => [token, id]));
  const added = NAMED.map((content, id) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'Fuse' },
    model: { type: 'BPE', vocab, merges: [], unk_token: '<unk>' },
  };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }),
  );
  return folder;
}
