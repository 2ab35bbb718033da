// The only file that knows ONNX Runtime: it turns an emitted model into something that runs.

import type * as Engine from 'onnxruntime-node';
import { cores } from '../base/cores.ts';
import { assert, WhorlError } from '../base/error.ts';
import type { Dtype } from '../tensor/tensor.ts';
import { isQuantised, type QuantisedPrecision } from './packing.ts';
import { ort } from './session-engine.ts';

type Data = Float32Array | Int32Array | BigInt64Array | Uint8Array;
export interface Feed {
  readonly data: Data;
  readonly shape: readonly number[];
}

export type Provider = 'cpu' | 'webgpu' | 'cuda';

/**
 * How decoding holds half-precision weights; products are float32 always, and the results the same bit for bit.
 * `float32`: as float32 copies, made once a run. `stored`: as in the file, each cast when it is used, token by token: a
 * fraction of the memory, several times slower. `auto`: copies where memory has room for them. `int8`, `int4`: linear layers
 * of a model that was quantised, other results; the rest as `auto`.
 */
export type Precision = 'auto' | 'float32' | 'stored' | QuantisedPrecision;

/** What computes, and how. `openDevice` (session-device.ts) makes one out of what a user asks for. */
export interface Device {
  readonly provider: Provider;
  /** Threads within an operation (CPU); default: one a physical core, fewer where a container has a quota. */
  readonly threads?: number;
  /** Default: `auto`. */
  readonly precision?: Precision;
}

export const cpu: Device = { provider: 'cpu' };

/** How many sessions this process has compiled: tests assert that shapes do not cost new ones. */
export const counters = { compiled: 0 };

const ORT_TYPE: Partial<Record<Dtype, 'float32' | 'int32' | 'int64' | 'bool' | 'uint8'>> = {
  float32: 'float32',
  int32: 'int32',
  int64: 'int64',
  bool: 'bool',
  uint8: 'uint8',
};

/** Folding and fusing would copy half-precision weights to float32; sharing equal nodes would undo recomputation. */
const DISABLED_PASSES =
  'ConstantFolding;CommonSubexpressionElimination;FuseFp16InitializerToFp32NodeTransformer';

type Typed = Feed & { readonly dtype: Dtype };

export class Session {
  readonly #session: Engine.InferenceSession;
  private constructor(session: Engine.InferenceSession) {
    this.#session = session;
  }

  /**
   * @param weightsFolder real folder the initialisers' external data lies in
   * @throws WhorlError `unsupported` where the device is not there, `out-of-memory` where the model does not fit
   */
  static async create(
    model: Uint8Array,
    weightsFolder: string | undefined,
    device: Device,
    profilePrefix?: string,
  ): Promise<Session> {
    // Packed weights are laid out anew for their kernel; without that each product would make them float32 first.
    const config: Record<string, string> = { disable_prepacking: isQuantised(device.precision) ? '0' : '1' };
    const threads = device.threads ?? limitedThreads();
    if (weightsFolder !== undefined) config.model_external_initializers_file_folder_path = weightsFolder;
    try {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: [device.provider],
        graphOptimizationLevel: 'all',
        enableMemPattern: false,
        executionMode: 'sequential',
        ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
        logSeverityLevel: 3,
        ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
        extra: { session: config, optimization: { disable_specified_optimizers: DISABLED_PASSES } },
      });
      counters.compiled++;
      return new Session(session);
    } catch (cause) {
      throw explain(cause, device);
    }
  }

  /** @param outputs names of the outputs to bring out, each of which is copied (default: all); or memory for all of them, which may be memory that is fed */
  async run(
    feeds: Readonly<Record<string, Typed>>,
    outputs?: readonly string[] | Readonly<Record<string, Typed>>,
  ): Promise<Record<string, Feed>> {
    const tensors = tensorsOf(feeds);
    try {
      const results = await (outputs === undefined
        ? this.#session.run(tensors)
        : Array.isArray(outputs)
          ? this.#session.run(tensors, outputs as readonly string[])
          : this.#session.run(tensors, tensorsOf(outputs as Readonly<Record<string, Typed>>)));
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => [
          name,
          { data: tensor.data as Data, shape: tensor.dims },
        ]),
      );
    } catch (cause) {
      throw explain(cause);
    }
  }

  /** Writes what was profiled, to a file that begins with the prefix given to `create`. */
  endProfiling(): void {
    this.#session.endProfiling();
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** The engine takes every physical core of the machine; this is fewer where the process may use fewer. */
function limitedThreads(): number | undefined {
  const known = cores();
  return known && known.usable < known.physical ? known.usable : undefined;
}

function tensorsOf(feeds: Readonly<Record<string, Typed>>): Record<string, Engine.Tensor> {
  const tensors: Record<string, Engine.Tensor> = {};
  for (const [name, { data, shape, dtype }] of Object.entries(feeds)) {
    const type = ORT_TYPE[dtype];
    assert(type, `${name}: JavaScript has no tensors of ${dtype}`);
    tensors[name] = new ort.Tensor(type, data, shape);
  }
  return tensors;
}

/** What the providers say where their library, driver or device is missing. */
const NO_DEVICE = /execution ?provider|backend|load (shared )?library|adapter|no CUDA-capable device|vulkan/i;

function explain(cause: unknown, device?: Device): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/bad_alloc|Failed to allocate|out of memory/i.test(text))
    return new WhorlError(
      'out-of-memory',
      'the tensor engine could not allocate memory',
      'close other programs, or lower batch_tokens',
      { cause },
    );
  if (device && device.provider !== 'cpu' && NO_DEVICE.test(text))
    return new WhorlError(
      'unsupported',
      `this machine has no ${device.provider} device for the tensor engine`,
      'use --device cpu; whorl doctor says what is here',
      { cause },
    );
  return cause instanceof Error ? cause : new Error(text);
}
