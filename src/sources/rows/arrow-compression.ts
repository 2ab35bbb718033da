// Compressed buffers of Arrow record batches (Message.fbs: BodyCompression): each has its unpacked length before it, and
// is an LZ4 frame (Feather 2's default) or a Zstandard one. Sizes are believed only as far as the codec can stretch.

import { decompressZstd } from 'hyparquet-compressors';

/** Unpacks `bytes`, which must be `length` bytes then. Throws for whatever does not hold together. */
export type Unpack = (bytes: Uint8Array, length: number) => Uint8Array;

const MAX_BUFFER = 2 ** 31 - 1; // of one column of one record batch
const LZ4_STRETCH = 255; // a match of any length costs a byte for each 255 it repeats
const ZSTD_STRETCH = 2 ** 15; // a block of one repeated byte: 128 KiB in four bytes
const LZ4_MAGIC = 0x184d2204;
const END_MARK = 0;

/** By the number that BodyCompression has. */
const CODECS: readonly Unpack[] = [unpackLz4Frame, unpackZstd];

/** Throws RangeError for a codec that Arrow's format has not. */
export function codecNumbered(codec: number): Unpack {
  const unpack = CODECS[codec];
  if (unpack === undefined) throw new RangeError(`buffers compressed by codec ${codec}`);
  return (bytes, length) => {
    if (length > MAX_BUFFER) throw new RangeError(`a buffer of ${length} bytes`);
    const out = unpack(bytes, length);
    if (out.length !== length)
      throw new RangeError(`a buffer of ${out.length} bytes where ${length} are promised`);
    return out;
  };
}

/** A buffer as it lies in a compressed body: an int64 length, −1 where what follows was not worth packing. */
export function unpackBuffer(buffer: Uint8Array, unpack: Unpack): Uint8Array {
  if (buffer.length === 0) return buffer;
  const length = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength).getBigInt64(0, true);
  const packed = buffer.subarray(8);
  if (length === -1n) return packed;
  if (length < 0n || length > BigInt(MAX_BUFFER)) throw new RangeError(`a buffer of ${length} bytes`);
  return unpack(packed, Number(length));
}

function unpackZstd(bytes: Uint8Array, length: number): Uint8Array {
  refuseStretch(bytes, length, ZSTD_STRETCH);
  return decompressZstd(bytes, new Uint8Array(length));
}

function refuseStretch(bytes: Uint8Array, length: number, most: number): void {
  if (length > most * bytes.length + 64)
    throw new RangeError(`${length} bytes out of ${bytes.length} packed ones`);
}

/** LZ4's frame format: a descriptor, then blocks that may repeat what stands in earlier ones. Checksums are passed over. */
function unpackLz4Frame(bytes: Uint8Array, length: number): Uint8Array {
  refuseStretch(bytes, length, LZ4_STRETCH);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== LZ4_MAGIC) throw new RangeError('no LZ4 frame');
  const flags = view.getUint8(4);
  if (flags >> 6 !== 1) throw new RangeError('an LZ4 frame of another version');
  const [blockSum, hasSize, hasDictionary] = [flags & 0x10, flags & 0x08, flags & 0x01];
  if (hasDictionary) throw new RangeError('an LZ4 frame with a dictionary');
  let at = 4 + 2 + (hasSize ? 8 : 0) + 1; // magic, descriptor, size, checksum of the descriptor
  const out = new Uint8Array(length);
  let filled = 0;
  for (;;) {
    const word = view.getUint32(at, true);
    at += 4;
    if (word === END_MARK) break;
    const [size, isRaw] = [word & 0x7fffffff, word >>> 31 === 1];
    if (size > bytes.length - at) throw new RangeError('an LZ4 block that ends outside its frame');
    const block = bytes.subarray(at, at + size);
    filled = isRaw ? putRaw(out, filled, block) : putBlock(out, filled, block);
    at += size + (blockSum ? 4 : 0);
  }
  return out.subarray(0, filled);
}

function putRaw(out: Uint8Array, filled: number, block: Uint8Array): number {
  out.set(block, filled); // throws where there is no room
  return filled + block.length;
}

/** One LZ4 block: literals, then a match that may overlap what it makes. */
function putBlock(out: Uint8Array, filled: number, block: Uint8Array): number {
  let at = 0;
  const byte = (): number => {
    const value = block[at++];
    if (value === undefined) throw new RangeError('an LZ4 block that ends too soon');
    return value;
  };
  const extended = (nibble: number): number => {
    let total = nibble;
    for (let more = nibble === 15 ? 255 : 0; more === 255; ) total += more = byte();
    return total;
  };
  while (at < block.length) {
    const token = byte();
    const literals = extended(token >> 4);
    if (literals > block.length - at || literals > out.length - filled)
      throw new RangeError('an LZ4 block with more text than it holds');
    out.set(block.subarray(at, at + literals), filled);
    at += literals;
    filled += literals;
    if (at === block.length) break;
    const offset = byte() | (byte() << 8);
    const match = extended(token & 15) + 4;
    if (offset === 0 || offset > filled || match > out.length - filled)
      throw new RangeError('an LZ4 match outside of what there is');
    for (let i = 0; i < match; i++, filled++) out[filled] = out[filled - offset]!;
  }
  return filled;
}
