// Weights as whole numbers with a scale for each block of a row: what a precision of that kind means.

/** How weights are packed, and how they are multiplied by. */
export interface Packing {
  readonly bits: 4 | 8;
  /** Elements of a row that share a scale; the last block of a row is filled up. */
  readonly block: number;
  /** ONNX Runtime's `accuracy_level`: 1: products in float32; 4: of 8-bit numbers on either side. */
  readonly accuracy: 1 | 4;
}

export const packedBlocks = ({ block }: Packing, width: number): number => Math.ceil(width / block);

/**
 * Products are in float32: then a row's result is the same bits among any others (two at least). At level 4 that holds for
 * blocks of 32 alone, and a product is off by one per cent.
 */
export const PACKINGS = {
  int8: { bits: 8, block: 128, accuracy: 1 },
  int4: { bits: 4, block: 32, accuracy: 1 },
} as const satisfies Readonly<Record<string, Packing>>;

export type QuantisedPrecision = keyof typeof PACKINGS;

export const isQuantised = (precision: string | undefined): precision is QuantisedPrecision =>
  precision !== undefined && Object.hasOwn(PACKINGS, precision);
