// A pickle machine that cannot run code: the opcodes that torch.save writes, and plain data classes for what they
// make. What a global may do stands in `PickleGlobals`; everything else is refused by name, with its byte.

import { WhorlError } from '../../base/error.ts';
import { OPCODE_NAMES } from './pickle-opcodes.ts';
import { shown } from './safetensors.ts';

export class Tuple {
  constructor(readonly items: readonly PickleValue[]) {}
}
export class List {
  readonly items: PickleValue[] = [];
}
export type Key = string | number | boolean;
/** dict and OrderedDict. */
export class Dict {
  readonly entries = new Map<Key, PickleValue>();
}
/** A name that the file asks for; it is never looked up in anything but the list. */
export class Global {
  constructor(
    readonly name: string,
    readonly does: PickleGlobal,
  ) {}
}
/** An object of an allowed class, as plain data. */
export class Instance {
  state: Dict | undefined;
  constructor(readonly type: string) {}
}
/** What a global or a persistent id made: the machine only carries it. */
export abstract class Made {}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Tuple
  | List
  | Dict
  | Global
  | Instance
  | Made;

/** What a file may do with a global. Each throws a plain message (no WhorlError) for wrong arguments. */
export interface PickleGlobal {
  /** REDUCE. */
  readonly call?: (args: readonly PickleValue[]) => PickleValue;
  /** NEWOBJ without arguments, then BUILD: an Instance. */
  readonly instance?: true;
}

export interface PickleRules {
  /** Messages call the file so. */
  readonly name: string;
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  readonly persistent: (id: readonly PickleValue[]) => PickleValue;
}

const MAX_OPCODES = 4_000_000; // an adapter of 50,000 trainable ids takes about 150,000
const MAX_STACK = 1_000_000;
const MAX_NAME = 256;
const BUILDABLE = 'BUILD on something that takes no state';

class Fault extends Error {}
const fault = (message: string): Fault => new Fault(message);
/** For `call` and `persistent`: what is wrong with the arguments. */
export const wrong = fault;

/**
 * The one value of a pickle of protocol 2. Throws `bad-file` for malformed ones and `unsupported` for opcodes and
 * globals that are not allowed; every message has the byte.
 */
export function readPickle(bytes: Uint8Array, rules: PickleRules): PickleValue {
  return run(bytes, rules, true).value;
}

/** The pickle that these bytes begin with, and its length. */
export const readPickleAtStart = (
  bytes: Uint8Array,
  rules: PickleRules,
): { value: PickleValue; length: number } => run(bytes, rules, false);

function run(bytes: Uint8Array, rules: PickleRules, whole: boolean): { value: PickleValue; length: number } {
  const machine = new Unpickler(bytes, rules);
  try {
    const value = machine.run();
    if (whole && machine.at !== bytes.length) throw fault('there are bytes after STOP');
    return { value, length: machine.at };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new WhorlError(
      'bad-file',
      `${rules.name}: byte ${machine.opcodeAt} (${machine.opcodeName}): ${error.message}`,
      'the file is damaged or was made to mislead',
    );
  }
}

class Unpickler {
  opcodeAt = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #rules: PickleRules;
  #at = 0;
  #stack: PickleValue[] = [];
  readonly #marks: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();

  constructor(bytes: Uint8Array, rules: PickleRules) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#rules = rules;
  }

  /** Where the next opcode begins. */
  get at(): number {
    return this.#at;
  }
  get opcodeName(): string {
    const code = this.#bytes[this.opcodeAt];
    return code === undefined ? 'the end' : (OPCODE_NAMES[code] ?? `opcode 0x${code.toString(16)}`);
  }

  run(): PickleValue {
    for (let count = 0; count < MAX_OPCODES; count++) {
      this.opcodeAt = this.#at;
      const code = this.#u8();
      const name = OPCODE_NAMES[code];
      if ((count === 0) !== (name === 'PROTO')) throw fault('PROTO must come first, and only there');
      if (name === 'STOP') return this.#stop();
      if (name === undefined) throw fault('no opcode of pickle');
      const step = Object.hasOwn(STEPS, name) ? STEPS[name] : undefined;
      if (step === undefined)
        throw new WhorlError(
          'unsupported',
          `${this.#rules.name}: byte ${this.opcodeAt}: the opcode ${name} is not allowed`,
          'torch.save does not write it; do not open this file with anything that runs pickles',
        );
      step(this);
      if (this.#stack.length > MAX_STACK || this.#marks.length > MAX_STACK)
        throw fault('the stack grows too high');
    }
    throw fault(`more than ${MAX_OPCODES} opcodes`);
  }

  #stop(): PickleValue {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) throw fault('the stack is not empty at the end');
    return value;
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }
  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined) throw fault('the stack is empty');
    return value;
  }
  top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined) throw fault('the stack is empty');
    return value;
  }
  mark(): void {
    this.#marks.push(this.#stack);
    this.#stack = [];
  }
  popMark(): PickleValue[] {
    const items = this.#stack;
    const below = this.#marks.pop();
    if (below === undefined) throw fault('there is no MARK');
    this.#stack = below;
    return items;
  }
  put(index: number): void {
    if (this.#memo.has(index)) throw fault(`memo ${index} is put twice`);
    this.#memo.set(index, this.top());
  }
  get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw fault(`memo ${index} is read before it is put`);
    this.push(value);
  }
  protocol(): void {
    const version = this.#u8();
    if (version !== 2)
      throw new WhorlError(
        'unsupported',
        `${this.#rules.name}: byte 1: pickle protocol ${version}, where torch.save writes 2`,
      );
  }
  global(): void {
    const name = `${this.#line()}.${this.#line()}`;
    const does = this.#rules.globals.get(name);
    if (does === undefined)
      throw new WhorlError(
        'unsupported',
        `${this.#rules.name}: byte ${this.opcodeAt}: the global ${shown(name)} is not allowed`,
        'an adapter needs none but tensors, dicts and its own class; nothing of the file was run',
      );
    this.push(new Global(name, does));
  }
  reduce(): void {
    const args = this.tuple('REDUCE');
    const called = this.pop();
    if (!(called instanceof Global) || called.does.call === undefined)
      throw fault(`calls ${kindOf(called)}, which may not be called`);
    this.push(called.does.call(args));
  }
  newObject(): void {
    const args = this.tuple('NEWOBJ');
    const type = this.pop();
    if (!(type instanceof Global) || !type.does.instance)
      throw fault(`makes an object of ${kindOf(type)}, which is no class here`);
    if (args.length > 0) throw fault(`${type.name} takes no arguments here`);
    this.push(new Instance(type.name));
  }
  build(): void {
    const state = this.pop();
    const object = this.top();
    if (!(state instanceof Dict)) throw fault(`BUILD with ${kindOf(state)} instead of a dict`);
    if (object instanceof Dict) return; // a state_dict's own attributes (_metadata): of no use here
    if (!(object instanceof Instance)) throw fault(BUILDABLE);
    if (object.state !== undefined) throw fault('BUILD twice on one object');
    object.state = state;
  }
  persistent(): void {
    const id = this.pop();
    if (!(id instanceof Tuple)) throw fault('a persistent id that is no tuple');
    this.push(this.#rules.persistent(id.items));
  }
  append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (!(list instanceof List)) throw fault(`appends to ${kindOf(list)}`);
    for (const item of items) list.items.push(item);
  }
  setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Dict)) throw fault(`sets an item of ${kindOf(dict)}`);
    if (items.length % 2 !== 0) throw fault('a key without a value');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'boolean')
        throw fault(`${kindOf(key)} as key`);
      if (dict.entries.has(key)) throw fault(`the key ${shown(String(key))} is set twice`);
      dict.entries.set(key, items[i + 1]!);
    }
  }
  tuple(what: string): readonly PickleValue[] {
    const value = this.pop();
    if (!(value instanceof Tuple)) throw fault(`${what} with ${kindOf(value)} instead of a tuple`);
    return value.items;
  }
  tupleOf(length: number): void {
    const items = Array.from({ length }, () => this.pop()).reverse();
    this.push(new Tuple(items));
  }

  u(size: 1 | 2 | 4): number {
    const at = this.#take(size);
    return size === 1
      ? this.#view.getUint8(at)
      : size === 2
        ? this.#view.getUint16(at, true)
        : this.#view.getUint32(at, true);
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }
  text(): string {
    const length = this.u(4);
    const at = this.#take(length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#bytes.subarray(at, at + length),
      );
    } catch {
      throw fault('a string that is not UTF-8');
    }
  }
  /** LONG1: little-endian two's complement, at most 8 bytes. */
  long(): number | bigint {
    const length = this.#u8();
    if (length > 8) throw fault(`an integer of ${length} bytes`);
    const at = this.#take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[at + i]!);
    const signed = BigInt.asIntN(8 * length, value);
    return BigInt.asIntN(54, signed) === signed ? Number(signed) : signed;
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0 || end - this.#at > MAX_NAME) throw fault('a name without an end');
    const text = Buffer.from(this.#bytes.subarray(this.#at, end)).toString('latin1');
    this.#at = end + 1;
    if (!/^[\w.]+$/.test(text)) throw fault(`the name ${shown(text)} is no Python name`);
    return text;
  }
  #u8(): number {
    return this.#bytes[this.#take(1)]!;
  }
  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw fault(`the pickle ends at ${this.#bytes.length}`);
    this.#at += length;
    return at;
  }
}

export function kindOf(value: PickleValue): string {
  if (value === null) return 'None';
  if (value instanceof Global) return value.name;
  if (value instanceof Instance) return `an object of ${value.type}`;
  if (typeof value === 'object') return `a ${value.constructor.name.toLowerCase()}`;
  return `a ${typeof value}`;
}

/** The opcodes that torch.save writes, and no others: torch's own restricted reader takes about the same ones. */
const STEPS: Readonly<Record<string, (m: Unpickler) => void>> = {
  PROTO: (m) => m.protocol(),
  MARK: (m) => m.mark(),
  NONE: (m) => m.push(null),
  NEWTRUE: (m) => m.push(true),
  NEWFALSE: (m) => m.push(false),
  BININT: (m) => m.push(m.i32()),
  BININT1: (m) => m.push(m.u(1)),
  BININT2: (m) => m.push(m.u(2)),
  LONG1: (m) => m.push(m.long()),
  BINFLOAT: (m) => m.push(m.f64()),
  BINUNICODE: (m) => m.push(m.text()),
  EMPTY_TUPLE: (m) => m.push(new Tuple([])),
  TUPLE1: (m) => m.tupleOf(1),
  TUPLE2: (m) => m.tupleOf(2),
  TUPLE3: (m) => m.tupleOf(3),
  TUPLE: (m) => m.push(new Tuple(m.popMark())),
  EMPTY_LIST: (m) => m.push(new List()),
  APPEND: (m) => m.append([m.pop()]),
  APPENDS: (m) => m.append(m.popMark()),
  EMPTY_DICT: (m) => m.push(new Dict()),
  SETITEM: (m) => {
    const value = m.pop();
    m.setItems([m.pop(), value]);
  },
  SETITEMS: (m) => m.setItems(m.popMark()),
  BINPUT: (m) => m.put(m.u(1)),
  LONG_BINPUT: (m) => m.put(m.u(4)),
  BINGET: (m) => m.get(m.u(1)),
  LONG_BINGET: (m) => m.get(m.u(4)),
  GLOBAL: (m) => m.global(),
  REDUCE: (m) => m.reduce(),
  NEWOBJ: (m) => m.newObject(),
  BUILD: (m) => m.build(),
  BINPERSID: (m) => m.persistent(),
};
