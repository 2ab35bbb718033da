// Checks a SentencePiece normaliser's compiled map before native code sees it: the library takes the process down where it
// cannot be read, or where a text leads out of its trie. Format: sentencepiece, src/normalizer.cc (a Darts double array).

const LARGEST = 4 * 2 ** 20; // bytes; the largest published one, nmt_nfkc_cf, has 0.3 MB
const BYTES = 256;

/** What is wrong with a `precompiled_charsmap` (base64), in words; undefined where no text can lead out of it. */
export function charsmapFault(encoded: unknown): string | undefined {
  if (typeof encoded !== 'string') return 'is no text';
  if (encoded.length > (LARGEST * 4) / 3) return `has ${encoded.length} characters`;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return 'is no base64';
  if (bytes.length < 4) return 'ends before its size';
  const size = bytes.readUInt32LE(0);
  if (size > bytes.length - 4) return `says a trie of ${size} bytes and has ${bytes.length - 4}`;
  const units = Uint32Array.from({ length: size >>> 2 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
  const texts = bytes.subarray(4 + 4 * units.length);
  if (!isUtf8(texts)) return 'has texts that are not UTF-8';
  return outside(units, texts);
}

const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};

// A unit: bits 0 to 7 its label, 8 whether a text ends here, 9 how its offset is scaled, 10 to 30 the offset; a value has 31 bits.
const offsetOf = (unit: number): number => ((unit >>> 10) << ((unit & (1 << 9)) >>> 6)) >>> 0;
const hasValue = (unit: number): boolean => ((unit >>> 8) & 1) === 1;
const isLabel = (unit: number, byte: number): boolean => (unit & 0x8000_00ff) >>> 0 === byte;

/** Every place that some text leads to: each lies in the trie, and each value at the beginning of a character. */
function outside(units: Uint32Array, texts: Uint8Array): string | undefined {
  if (units.length === 0) return 'has no trie';
  const seen = new Uint8Array(units.length);
  const left = [offsetOf(units[0]!)];
  for (let place = left.pop(); place !== undefined; place = left.pop()) {
    for (let byte = 1; byte < BYTES; byte++) {
      const next = (place ^ byte) >>> 0;
      if (next >= units.length) return 'leads out of its trie';
      const unit = units[next]!;
      if (!isLabel(unit, byte) || seen[next]) continue;
      seen[next] = 1;
      const target = (next ^ offsetOf(unit)) >>> 0;
      if (hasValue(unit)) {
        if (target >= units.length) return 'leads out of its trie';
        const value = units[target]! & 0x7fff_ffff;
        // UTF-8's later bytes are 10xxxxxx.
        if (value > texts.length || (value < texts.length && (texts[value]! & 0xc0) === 0x80))
          return 'leads out of its texts';
      }
      left.push(target);
    }
  }
  return undefined;
}
