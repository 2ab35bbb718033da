// The only file that knows ONNX Runtime: it turns an emitted model into something that runs.

import ort from 'onnxruntime-node';
import { assert, WhorlError } from '../base/error.ts';
import type { Dtype } from '../tensor/tensor.ts';

export type Data = Float32Array | Int32Array | BigInt64Array | Uint8Array;
export interface Feed {
  readonly data: Data;
  readonly shape: readonly number[];
}

export interface Device {
  readonly provider: 'cpu' | 'webgpu' | 'cuda';
  /** Threads within an operation (CPU); default: the machine's cores. */
  readonly threads?: number;
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

export class Session {
  readonly #session: ort.InferenceSession;
  private constructor(session: ort.InferenceSession) {
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
    const config: Record<string, string> = { disable_prepacking: '1' };
    if (weightsFolder !== undefined) config.model_external_initializers_file_folder_path = weightsFolder;
    try {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: [device.provider],
        graphOptimizationLevel: 'all',
        enableMemPattern: false,
        executionMode: 'sequential',
        ...(device.threads === undefined ? {} : { intraOpNumThreads: device.threads }),
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

  async run(feeds: Readonly<Record<string, Feed & { dtype: Dtype }>>): Promise<Record<string, Feed>> {
    const tensors: Record<string, ort.Tensor> = {};
    for (const [name, { data, shape, dtype }] of Object.entries(feeds)) {
      const type = ORT_TYPE[dtype];
      assert(type, `${name}: JavaScript has no tensors of ${dtype}`);
      tensors[name] = new ort.Tensor(type, data, shape);
    }
    try {
      const results = await this.#session.run(tensors);
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

function explain(cause: unknown, device?: Device): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/bad_alloc|Failed to allocate|out of memory/i.test(text))
    return new WhorlError(
      'out-of-memory',
      'the tensor engine could not allocate memory',
      'close other programs, or lower batch_tokens',
      { cause },
    );
  if (device && device.provider !== 'cpu' && /execution provider|backend/i.test(text))
    return new WhorlError(
      'unsupported',
      `this machine has no ${device.provider} device for the tensor engine`,
      'use --device cpu',
      { cause },
    );
  return cause instanceof Error ? cause : new Error(text);
}
