// The few lines of FlatBuffers that Arrow's messages need. Every read is bounds-checked by DataView, and every
// vector's count is compared with the bytes behind it before anything is allocated.

/** A table: fields by number, as in Arrow's Schema.fbs and Message.fbs. Reads outside the buffer throw RangeError. */
export class Table {
  private constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {}

  static root(bytes: Uint8Array): Table {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Table(view, view.getUint32(0, true));
  }

  u8(field: number, fallback = 0): number {
    const at = this.#field(field);
    return at === undefined ? fallback : this.view.getUint8(at);
  }
  i16(field: number, fallback = 0): number {
    const at = this.#field(field);
    return at === undefined ? fallback : this.view.getInt16(at, true);
  }
  i32(field: number, fallback = 0): number {
    const at = this.#field(field);
    return at === undefined ? fallback : this.view.getInt32(at, true);
  }
  /** An int64 that says a length: negative or beyond 2^53 throws RangeError. */
  size(field: number): number {
    const at = this.#field(field);
    return at === undefined ? 0 : sizeAt(this.view, at);
  }
  i64(field: number): bigint {
    const at = this.#field(field);
    return at === undefined ? 0n : this.view.getBigInt64(at, true);
  }
  table(field: number): Table | undefined {
    const at = this.#field(field);
    return at === undefined ? undefined : new Table(this.view, this.#target(at));
  }
  string(field: number): string {
    const at = this.#field(field);
    if (at === undefined) return '';
    const [start, count] = this.#vector(at, 1);
    return new TextDecoder('utf-8', { fatal: true }).decode(
      new Uint8Array(this.view.buffer, this.view.byteOffset + start, count),
    );
  }
  tables(field: number): Table[] {
    return this.#each(field, 4, (at) => new Table(this.view, this.#target(at)));
  }
  /** A vector of structs of two int64 sizes (Arrow's FieldNode and Buffer). */
  sizePairs(field: number): [number, number][] {
    return this.#each(field, 16, (at) => [sizeAt(this.view, at), sizeAt(this.view, at + 8)]);
  }
  sizes(field: number): number[] {
    return this.#each(field, 8, (at) => sizeAt(this.view, at));
  }

  #field(field: number): number | undefined {
    const vtable = this.at - this.view.getInt32(this.at, true);
    const slot = 4 + 2 * field;
    if (slot >= this.view.getUint16(vtable, true)) return undefined;
    const offset = this.view.getUint16(vtable + slot, true);
    return offset === 0 ? undefined : this.at + offset;
  }
  #target(at: number): number {
    return at + this.view.getUint32(at, true);
  }
  #vector(at: number, stride: number): [start: number, count: number] {
    const target = this.#target(at);
    const count = this.view.getUint32(target, true);
    const start = target + 4;
    if (count * stride > this.view.byteLength - start)
      throw new RangeError(`a vector of ${count} lies outside`);
    return [start, count];
  }
  #each<T>(field: number, stride: number, read: (at: number) => T): T[] {
    const at = this.#field(field);
    if (at === undefined) return [];
    const [start, count] = this.#vector(at, stride);
    return Array.from({ length: count }, (_, i) => read(start + i * stride));
  }
}

function sizeAt(view: DataView, at: number): number {
  const size = view.getBigInt64(at, true);
  if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`a size of ${size}`);
  return Number(size);
}
