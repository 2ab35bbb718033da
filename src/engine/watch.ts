// Looking at programs while they work (WHORL_DEBUG 2 to 4, WHORL_CHECK). Nothing here runs when neither is set.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../base/atomic.ts';
import { checksFinite, debug, debugFolder, debugLevel, megabytes, rssText } from '../base/debug.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { fedNotFinite, firstNotFinite } from './finite.ts';
import { type Flops, productFlops } from './flops.ts';
import { type Graph, reachable } from './graph.ts';
import { listing } from './listing.ts';
import { FINITE, type Inspection } from './onnx.ts';
import { profileTables } from './profile.ts';
import type { Feed, Session } from './session.ts';

type Results = Record<string, Feed>;
type Sizes = ReadonlyMap<string, number>;

export interface Watch {
  readonly inspection: Inspection;
  /** Where the engine is to write its profile, when it is to. */
  readonly profilePrefix: string | undefined;
  emitted(onnx: Uint8Array): void;
  compiled(nodeCount: number, session: Session): void;
  run(sizes: Sizes, feeds: Readonly<Record<string, Feed>>, call: () => Promise<Results>): Promise<Results>;
  ended(): void;
}

/** Whoever wants every graph that is compiled from now on (listings, tests); each gets it before its session is made. */
export const graphListeners = new Set<(graph: Graph) => void>();

let programs = 0;
const SHOWN = 16;

/** Undefined when nobody wants to look. */
export function watchProgram(graph: Graph): Watch | undefined {
  for (const listen of graphListeners) listen(graph);
  const [level, check] = [debugLevel(), checksFinite()];
  if (level < 2 && !check) return undefined;
  return new ProgramWatch(graph, level, check, ++programs);
}

class ProgramWatch implements Watch {
  readonly inspection: Inspection;
  readonly profilePrefix: string | undefined;
  readonly #started = performance.now();
  readonly #stem: string;
  #session: Session | undefined;
  #runs = 0;

  constructor(
    readonly graph: Graph,
    readonly level: number,
    check: boolean,
    number: number,
  ) {
    this.#stem = `${String(number).padStart(2, '0')}-${graph.name}`;
    this.inspection = { origins: new Map(), ...(check && { probed: [] }) };
    if (level >= 3) makeFolder(debugFolder());
    if (level >= 4) this.profilePrefix = join(debugFolder(), `${this.#stem}.profile`);
  }

  emitted(onnx: Uint8Array): void {
    if (this.level < 3) return;
    const path = join(debugFolder(), this.#stem);
    writeFileAtomic(`${path}.onnx`, onnx);
    writeFileAtomic(`${path}.txt`, listing(this.graph, { names: 'onnx' }));
    debug(`graph ${this.graph.name}: ${path}.onnx and .txt`);
  }

  compiled(nodeCount: number, session: Session): void {
    this.#session = session;
    if (this.level < 2) return;
    const { name, inputs, outputs } = this.graph;
    const nodes = reachable(outputs.map(({ value }) => value));
    const weights = nodes
      .filter(({ op }) => op.name === 'weight')
      .map(({ attrs }) => (attrs as TensorRef).length);
    const bytes = weights.reduce((a, b) => a + b, 0);
    const ms = (performance.now() - this.#started).toFixed(0);
    debug(
      `program ${name}: ${nodes.length} ops as ${nodeCount} nodes, ${weights.length} weights of ${megabytes(bytes)}, compiled in ${ms} ms, ${rssText()}`,
    );
    for (const [what, values] of [
      ['in ', inputs],
      ['out', outputs],
    ] as const) {
      for (const { name, value } of values.slice(0, SHOWN))
        debug(`  ${what} ${name}: ${value.dtype} [${value.shape.join(', ')}]`);
      if (values.length > SHOWN) debug(`  ${what} … ${values.length - SHOWN} more`);
    }
  }

  async run(
    sizes: Sizes,
    feeds: Readonly<Record<string, Feed>>,
    call: () => Promise<Results>,
  ): Promise<Results> {
    const run = ++this.#runs;
    const where = `program ${this.graph.name}, run ${run}`;
    const { probed } = this.inspection;
    if (probed) fedNotFinite(feeds, where);
    const started = performance.now();
    const { [FINITE]: finite, ...results } = await call();
    const ms = performance.now() - started;
    if (this.level >= 2) this.#tell(run, ms, sizes, results);
    if (probed && finite) firstNotFinite(finite.data as Float32Array, probed, where);
    return results;
  }

  #tell(run: number, ms: number, sizes: Sizes, results: Results): void {
    const all = new Map(sizes);
    for (const { name, value } of this.graph.outputs)
      value.shape.forEach((dim, i) => {
        if (typeof dim === 'string') all.set(dim, results[name]!.shape[i]!);
      });
    const shown = [...all].map(([name, size]) => `${name}=${size}`).join(' ');
    debug(
      `run ${run} of ${this.graph.name}: ${shown}, ${ms.toFixed(1)} ms, ${rate(productFlops(this.graph, all), ms)}`,
    );
  }

  /** Before the session is released: the engine writes its profile only then. */
  ended(): void {
    if (this.profilePrefix === undefined || !this.#session) return;
    this.#session.endProfiling();
    const file = readdirSync(debugFolder()).find((name) => name.startsWith(`${this.#stem}.profile_`));
    if (file === undefined) {
      debug(`no profile of ${this.graph.name} was written`);
      return;
    }
    const text = profileTables(
      readFileSync(join(debugFolder(), file), 'utf8'),
      this.inspection.origins,
      `profile of ${this.graph.name}, ${this.#runs} runs`,
    );
    writeFileAtomic(join(debugFolder(), `${this.#stem}.profile.txt`), text.join('\n'));
    for (const line of text) debug(line);
  }
}

const rate = ({ flops, exact }: Flops, ms: number): string =>
  `${exact ? '' : '≥ '}${(flops / 1e9).toPrecision(3)} GFLOP in matrix products, ${exact ? '' : '≥ '}${(flops / 1e6 / ms).toPrecision(3)} GFLOP/s`;
