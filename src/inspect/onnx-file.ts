// What an .onnx file says of itself: graph, nodes by type, inputs, outputs, initialisers. Lengths are checked, bytes left alone.

import { readFileSync, statSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';

export interface OnnxReport {
  kind: 'onnx';
  path: string;
  bytes: number;
  ir_version: number;
  producer: string;
  graph: string;
  /** ONNX nodes of the main graph by type. */
  nodes: Record<string, number>;
  inputs: string[];
  outputs: string[];
  initializers: { count: number; external: number };
}

const MAX_BYTES = 2 ** 31; // protobuf's own limit

/** A field as it stands: a number, or the bytes of a string or message. */
type Field = readonly [number: number, value: number | Buffer];

/** Throws `bad-file` where a length leaves its message. */
export function examineOnnx(path: string): OnnxReport {
  const { size } = statSync(path);
  const bad = (what: string): never => {
    throw new WhorlError('bad-file', `${path} is no whole ONNX model (${what})`, 'export it again');
  };
  if (size > MAX_BYTES) bad(`${size} bytes`);
  const model = [...fields(readFileSync(path), bad)];
  const graph = bytesOf(model, 7)[0];
  if (!graph) return bad('no graph');
  const parts = [...fields(graph, bad)];
  const text = (message: Buffer, field: number) =>
    bytesOf([...fields(message, bad)], field)[0]?.toString() ?? '';
  const nodes: Record<string, number> = {};
  for (const node of bytesOf(parts, 1)) {
    const type = text(node, 4);
    nodes[type] = (Object.hasOwn(nodes, type) ? nodes[type]! : 0) + 1;
  }
  const initializers = bytesOf(parts, 5);
  const external = initializers.filter((tensor) =>
    [...fields(tensor, bad)].some(([field, value]) => field === 14 && value === 1),
  );
  return {
    kind: 'onnx',
    path,
    bytes: size,
    ir_version: Number(model.find(([field]) => field === 1)?.[1] ?? 0),
    producer: bytesOf(model, 2)[0]?.toString() ?? '',
    graph: bytesOf(parts, 2)[0]?.toString() ?? '',
    nodes,
    inputs: bytesOf(parts, 11).map((value) => text(value, 1)),
    outputs: bytesOf(parts, 12).map((value) => text(value, 1)),
    initializers: { count: initializers.length, external: external.length },
  };
}

const bytesOf = (all: readonly Field[], field: number): Buffer[] =>
  all.flatMap(([number, value]) => (number === field && typeof value !== 'number' ? [value] : []));

function* fields(bytes: Buffer, bad: (what: string) => never): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      if (at >= bytes.length || shift > 2 ** 63) bad('a number that does not end');
      const byte = bytes[at++]!;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) yield [field, varint()];
    else {
      const length = wire === 2 ? varint() : wire === 5 ? 4 : wire === 1 ? 8 : bad(`wire type ${wire}`);
      if (length > bytes.length - at) bad(`a field of ${length} bytes where ${bytes.length - at} are left`);
      yield [field, bytes.subarray(at, (at += length))];
    }
  }
}
