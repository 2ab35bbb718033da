// float16 and bfloat16 to float32 and back (round to nearest, ties to even), little-endian.

import { BYTES_PER_ELEMENT, type FloatDtype } from './tensor.ts';

const scratch = new DataView(new ArrayBuffer(4));
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export function bfloat16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) | 0x40) & 0xffff; // a NaN stays a NaN
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function bfloat16Value(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

export function float16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to infinity
  if (magnitude < 0x38800000) {
    // subnormal: a multiple of 2^-24
    scratch.setUint32(0, magnitude);
    const scaled = scratch.getFloat32(0) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    return sign | (rest > 0.5 || (rest === 0.5 && floor & 1) ? floor + 1 : floor);
  }
  const rebased = magnitude - 0x38000000;
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

/** Little-endian bytes of `dtype` to float32. `bytes.length` must be a whole number of elements. */
export function toFloat32(bytes: Uint8Array, dtype: FloatDtype): Float32Array {
  const count = bytes.length / BYTES_PER_ELEMENT[dtype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float32Array(count);
  if (dtype === 'float32' && LITTLE_ENDIAN) new Uint8Array(out.buffer).set(bytes);
  else if (dtype === 'float32') for (let i = 0; i < count; i++) out[i] = view.getFloat32(4 * i, true);
  else if (dtype === 'bfloat16')
    for (let i = 0; i < count; i++) out[i] = bfloat16Value(view.getUint16(2 * i, true));
  else for (let i = 0; i < count; i++) out[i] = float16Value(view.getUint16(2 * i, true));
  return out;
}

/** float32 to little-endian bytes of `dtype`. */
export function fromFloat32(values: Float32Array, dtype: FloatDtype): Uint8Array {
  const out = new Uint8Array(values.length * BYTES_PER_ELEMENT[dtype]);
  const view = new DataView(out.buffer);
  if (dtype === 'float32' && LITTLE_ENDIAN)
    out.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  else if (dtype === 'float32') values.forEach((v, i) => view.setFloat32(4 * i, v, true));
  else if (dtype === 'bfloat16') values.forEach((v, i) => view.setUint16(2 * i, bfloat16Bits(v), true));
  else values.forEach((v, i) => view.setUint16(2 * i, float16Bits(v), true));
  return out;
}
