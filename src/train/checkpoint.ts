// Training's state in one file: a JSON header, then the float32 tensors. Written atomically, so a run can be killed at any time.

import { AtomicFile } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { withReader } from '../sources/bounded-reader.ts';
import { elements } from '../tensor/tensor.ts';
import type { Slot, TrainState } from './step.ts';

const MAGIC = 'WHORLCK1';

interface Header {
  readonly step: number;
  readonly slots: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** What else the trainer wants back, as JSON. */
  readonly extra: unknown;
}

/** Private: rows in training are secrets until they are published. */
export function saveCheckpoint(path: string, state: TrainState, extra: unknown): void {
  const header: Header = {
    step: state.step,
    slots: [...state.slots].map(([name, { shape }]) => ({ name, shape })),
    extra,
  };
  const json = Buffer.from(JSON.stringify(header));
  const file = new AtomicFile(path, 0o600);
  try {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(json.length);
    file.write(Buffer.concat([Buffer.from(MAGIC), length, json]));
    for (const { value, m, v } of state.slots.values())
      for (const data of [value, m, v])
        file.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    file.commit();
  } finally {
    file.discard();
  }
}

/** @throws WhorlError `bad-file` when the file is not a whole checkpoint */
export function loadCheckpoint(path: string): { state: TrainState; extra: unknown } {
  return withReader(path, (reader) => {
    const bad = () =>
      new WhorlError(
        'bad-file',
        `${path} is not a checkpoint of training`,
        'remove it to start the run again',
      );
    if (reader.size < 12 || Buffer.from(reader.bytes(8, 'magic')).toString('latin1') !== MAGIC) throw bad();
    const length = reader.u32('header length');
    if (length > reader.left) throw bad();
    const header = JSON.parse(Buffer.from(reader.bytes(length, 'header')).toString('utf8')) as Header;
    const expected = header.slots.reduce((sum, { shape }) => sum + 12 * elements(shape), 12 + length);
    if (expected !== reader.size) throw bad();
    let at = 12 + length;
    const take = (shape: readonly number[]): Float32Array => {
      const data = new Float32Array(elements(shape));
      reader.readInto(new Uint8Array(data.buffer), at);
      at += data.byteLength;
      return data;
    };
    const slots = new Map<string, Slot>();
    for (const { name, shape } of header.slots)
      slots.set(name, { shape, value: take(shape), m: take(shape), v: take(shape) });
    return { state: { step: header.step, slots }, extra: header.extra };
  });
}
