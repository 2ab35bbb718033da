// A graph made runnable. One program serves every size its symbols allow; it owns its session.

import { assert } from '../base/error.ts';
import { elements } from '../tensor/tensor.ts';
import type { Graph } from './graph.ts';
import { Emitter } from './onnx.ts';
import { cpu, type Device, type Feed, Session } from './session.ts';
import { type Watch, watchProgram } from './watch.ts';

export type Results = Record<string, Feed>;

export class Program {
  readonly #graph: Graph;
  readonly #session: Session;
  readonly nodeCount: number;

  readonly #watch: Watch | undefined;

  private constructor(graph: Graph, session: Session, nodeCount: number, watch: Watch | undefined) {
    this.#watch = watch;
    this.#graph = graph;
    this.#session = session;
    this.nodeCount = nodeCount;
  }

  /** @param weightsFolder the checkpoint's real folder, when the graph uses its weights */
  static async compile(graph: Graph, weightsFolder?: string, device: Device = cpu): Promise<Program> {
    const watch = watchProgram(graph); // undefined unless WHORL_DEBUG, WHORL_CHECK or a test asks
    const { bytes, nodeCount } = Emitter.model(graph, weightsFolder, watch?.inspection);
    watch?.emitted(bytes);
    const session = await Session.create(bytes, weightsFolder, device, watch?.profilePrefix);
    watch?.compiled(nodeCount, session);
    return new Program(graph, session, nodeCount, watch);
  }

  /** @param feeds a tensor for each graph input, sizes agreeing wherever they share a symbol */
  async run(feeds: Readonly<Record<string, Feed>>): Promise<Results> {
    const sizes = new Map<string, number>();
    const typed = this.#graph.inputs.map(({ name, value }) => {
      const feed = feeds[name];
      assert(feed, `${this.#graph.name}: nothing fed for ${name}`);
      assert(
        feed.shape.length === value.rank && elements(feed.shape) === feed.data.length,
        `${name}: ${feed.data.length} values as [${feed.shape}]`,
      );
      value.shape.forEach((dim, i) => {
        const size = feed.shape[i]!;
        const expected = typeof dim === 'number' ? dim : (sizes.get(dim) ?? size);
        assert(
          size === expected,
          `${this.#graph.name}: ${name} is [${feed.shape}], not [${value.shape}] with ${dim} = ${expected}`,
        );
        if (typeof dim === 'string') sizes.set(dim, size);
      });
      return [name, { ...feed, dtype: value.dtype }] as const;
    });
    const run = () => this.#session.run(Object.fromEntries(typed));
    return this.#watch ? this.#watch.run(sizes, feeds, run) : run();
  }

  async release(): Promise<void> {
    this.#watch?.ended();
    await this.#session.release();
  }
}
