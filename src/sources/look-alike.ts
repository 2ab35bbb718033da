// Files that are something else than their name says: what a download, a clone or a save left in the place of the
// file. Told by their first bytes, and named with the mend.

import { WhorlError } from '../base/error.ts';
import type { BoundedReader } from './bounded-reader.ts';

interface LookAlike {
  readonly what: string;
  readonly mend: string;
  /** The first bytes, one character each. */
  readonly looks: (text: string) => boolean;
}

export const starts =
  (...beginnings: readonly string[]) =>
  (text: string): boolean =>
    beginnings.some((beginning) => text.startsWith(beginning));
const like =
  (pattern: RegExp) =>
  (text: string): boolean =>
    pattern.test(text);

/** Kinds by their first bytes (one character each) that are met in the place of weights and of rows. */
export const LOOKS = {
  zip: starts('PK\x03\x04', 'PK\x05\x06'),
  gzip: starts('\x1f\x8b'),
  zstd: starts('\x28\xb5\x2f\xfd'),
  xz: starts('\xfd7zXZ\0'),
  bzip2: like(/^BZh[1-9]1AY&SY/),
  sevenZip: starts('7z\xbc\xaf\x27\x1c'),
  tar: (text: string): boolean => text.slice(257, 262) === 'ustar',
  pickle: starts('\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05'),
  hdf5: starts('\x89HDF\r\n'),
} as const;

const UNPACK = 'unpack it first';
const AGAIN =
  'fetch the file itself: on a page of the hub its address has /resolve/ where the page has /blob/';

const LOOK_ALIKES: readonly LookAlike[] = [
  {
    what: 'is a Git LFS pointer, which only says which file belongs here',
    mend: 'run `git lfs pull` in its repository, or download the file itself',
    looks: like(/^version https:\/\/(git-lfs\.github\.com|hawser\.github\.com)\/spec\//),
  },
  {
    what: 'is a web page, not the file',
    mend: AGAIN,
    looks: like(/^(\xef\xbb\xbf)?\s*<(!doctype html|html|head)\b/i),
  },
  {
    what: "is an XML document, perhaps a server's error",
    mend: AGAIN,
    looks: like(/^(\xef\xbb\xbf)?\s*<\?xml\b/i),
  },
  {
    what: 'holds an answer of the hub, not the file',
    mend: 'log in if the repository asks for it, check the name, and fetch the file again',
    looks: like(
      /^(Entry not found|Repository not found|Not Found\b|Access to (model|dataset) |Invalid (username|credentials)|Unauthorized\b)/i,
    ),
  },
  {
    what: 'is a zip archive',
    mend: `${UNPACK}; a checkpoint of torch must be saved as safetensors`,
    looks: LOOKS.zip,
  },
  { what: 'is compressed (gzip)', mend: UNPACK, looks: LOOKS.gzip },
  { what: 'is compressed (zstd)', mend: UNPACK, looks: LOOKS.zstd },
  { what: 'is compressed (xz)', mend: UNPACK, looks: LOOKS.xz },
  { what: 'is compressed (bzip2)', mend: UNPACK, looks: LOOKS.bzip2 },
  { what: 'is a 7z archive', mend: UNPACK, looks: LOOKS.sevenZip },
  { what: 'is a tar archive', mend: UNPACK, looks: LOOKS.tar },
  {
    what: "is a pickle, torch's older format, which can run code",
    mend: 'save it with transformers as safetensors',
    looks: LOOKS.pickle,
  },
  {
    what: 'is an HDF5 file, as Keras saves weights',
    mend: 'save the model with transformers as safetensors',
    looks: LOOKS.hdf5,
  },
];

/** Files that are right in their own place: refused only where another kind is read. */
const OTHER_KINDS: readonly LookAlike[] = [
  { what: 'is a GGUF', mend: 'give the .gguf file itself as the model', looks: starts('GGUF') },
  { what: 'is a Parquet file', mend: 'give it where rows are asked for', looks: starts('PAR1') },
  { what: 'is an Arrow file', mend: 'give it where rows are asked for', looks: starts('ARROW1') },
];

/** Enough to tell any of them. */
export const LOOK_BYTES = 512;

/** A length below 4 GiB, then a JSON object. */
export const looksLikeSafetensors = (start: Uint8Array): boolean =>
  start[8] === 0x7b && start.subarray(4, 8).every((byte) => byte === 0);

/** What a file is by its first bytes, if it is one of those; `name` is for the message. */
export function lookAlike(
  start: Uint8Array,
  name: string,
  { anyKind = false }: { anyKind?: boolean } = {},
): WhorlError | undefined {
  if (start.length === 0) return new WhorlError('bad-file', `${name} is empty`, 'fetch it again');
  const text = Buffer.from(start.subarray(0, LOOK_BYTES)).toString('latin1');
  if (looksLikeSafetensors(start)) return undefined; // its length may spell another kind's magic
  const found = [...LOOK_ALIKES, ...(anyKind ? OTHER_KINDS : [])].find(({ looks }) => looks(text));
  return found && new WhorlError('bad-file', `${name} ${found.what}`, found.mend);
}

/** Throws what `lookAlike` finds at the reader's beginning, which must be asked for before anything is read. */
export function refuseLookAlike(reader: BoundedReader, kinds: { readonly anyKind?: boolean } = {}): void {
  const start = new Uint8Array(Math.min(LOOK_BYTES, reader.size));
  reader.readInto(start, 0);
  const found = lookAlike(start, reader.name, kinds);
  if (found) throw found;
}
