// The examples of every op as JSON, for make.py beside this file to answer: npx tsx goldens/ops/examples.ts

import { OPS } from '../../src/engine/ops.ts';
import { drawn } from '../../test/engine/op-examples.ts';

const examples = Object.entries(OPS).map(([name, op]) => [
  name,
  op.examples.map((example, place) => ({
    attrs: example.attrs ?? {},
    inputs: drawn(example, place).map(({ dtype, shape, data }) => ({ dtype, shape, data })),
  })),
]);
process.stdout.write(JSON.stringify(Object.fromEntries(examples)));
