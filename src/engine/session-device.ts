// Which device computes: as asked for, or found out by trying. The only place that decides it; `whorl doctor` prints
// what it finds.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { isQuantised } from './packing.ts';
import { measureRate } from './rate.ts';
import { cpu, type Device, type Precision, type Provider } from './session.ts';
import { engineFolder, engineVersion, ort } from './session-engine.ts';

export type DeviceChoice = 'auto' | Provider;

/** The options of every call and command that runs a model. */
export interface ComputeOptions {
  /** `auto`: the fastest provider that opens a session here. Default: `cpu`. Or a device as `openDevice` gives it. */
  readonly device?: DeviceChoice | Device;
  /** Threads within an operation (CPU). Default: one a physical core, fewer where a container has a quota. */
  readonly threads?: number;
  /** How decoding holds half-precision weights. Default: `auto`, by free memory. */
  readonly precision?: Precision;
}

const DEVICE_CHOICES = ['auto', 'cpu', 'webgpu', 'cuda'] as const satisfies readonly DeviceChoice[];
const PRECISIONS = ['auto', 'float32', 'stored', 'int8', 'int4'] as const satisfies readonly Precision[];

/** What came of trying a provider: a rate in FLOP a second, or why there is none. */
export type Found = { readonly provider: Provider } & (
  | { readonly rate: number }
  | { readonly reason: string }
);

/** `sure`: it cannot work, whoever asks for it. Else only nothing is seen that would be worth it. */
interface Absent {
  readonly reason: string;
  readonly sure: boolean;
}

/** Ways to look at the machine; tests give their own. */
export interface Probes {
  /** Why a provider need not be tried: a failing try prints to stderr by itself. */
  absent(provider: Provider): Absent | undefined;
  rate(device: Device): Promise<number>;
}

/** In the order in which they are tried. */
const ACCELERATORS: readonly Provider[] = ['cuda', 'webgpu'];
/** Of the CPU's rate. A driver that computes on the CPU (SwiftShader, llvmpipe) opens sessions too, and is far below 1. */
const WORTH_IT = 2;
const SECONDS = 0.1;

export const machineProbes: Probes = {
  absent: (provider) => ABSENT[provider](),
  rate: (device) => measureRate(device, SECONDS),
};

/** Every provider but the CPU, tried: sessions are opened and products timed. */
export async function findAccelerators(probes: Probes = machineProbes): Promise<Found[]> {
  const found: Found[] = [];
  for (const provider of ACCELERATORS) found.push(await tried(provider, probes));
  return found;
}

async function tried(provider: Provider, probes: Probes): Promise<Found> {
  const absent = probes.absent(provider);
  if (absent) return { provider, reason: absent.reason };
  try {
    return { provider, rate: await probes.rate({ provider }) };
  } catch (error) {
    return { provider, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The fastest of those found that is worth leaving the CPU for, whose rate is `cpuRate`. */
export function fastestProvider(found: readonly Found[], cpuRate: number): Provider {
  let [best, most]: [Provider, number] = ['cpu', WORTH_IT * cpuRate];
  for (const each of found)
    if ('rate' in each && each.rate >= most) [best, most] = [each.provider, each.rate];
  return best;
}

/**
 * @throws WhorlError `usage` for options that no device has, `unsupported` for a provider that this installation lacks;
 *   a driver or device that is missing is said when a session is made
 * @param quantises whether the caller quantises a model where that is asked for
 */
export async function openDevice(
  options: ComputeOptions = {},
  probes: Probes = machineProbes,
  quantises = false,
): Promise<Device> {
  const { device = cpu, threads, precision } = options;
  if (typeof device === 'string') oneOf('--device', device, DEVICE_CHOICES);
  if (precision !== undefined) oneOf('--precision', precision, PRECISIONS);
  const asked = precision ?? (typeof device === 'object' ? device.precision : undefined);
  if (isQuantised(asked) && !quantises)
    throw new WhorlError(
      'usage',
      `--precision ${asked} is for models that are asked`,
      'this call trains or measures in float32: leave it out',
    );
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0))
    throw new WhorlError(
      'usage',
      `--threads ${threads} is no number of threads`,
      'give a whole number from 1',
    );
  const given = typeof device === 'object' ? device : await opened(device, probes);
  return {
    ...given,
    ...(threads !== undefined && { threads }),
    ...(precision !== undefined && { precision }),
  };
}

async function opened(choice: DeviceChoice, probes: Probes): Promise<Device> {
  const provider = choice === 'auto' ? await detected(probes) : choice;
  const absent = probes.absent(provider);
  if (choice !== 'auto' && absent?.sure)
    throw new WhorlError(
      'unsupported',
      `this installation has no ${provider} provider: ${absent.reason}`,
      'use --device cpu',
    );
  return { provider };
}

function oneOf(flag: string, value: string, names: readonly string[]): void {
  if (!names.includes(value))
    throw new WhorlError('usage', `${flag} ${value} is not known`, nameHint(value, names));
}

async function detected(probes: Probes): Promise<Provider> {
  const found = await findAccelerators(probes);
  if (!found.some((each) => 'rate' in each)) return 'cpu';
  return fastestProvider(found, await probes.rate(cpu));
}

const supported = (provider: Provider): boolean =>
  (ort.listSupportedBackends() as readonly { name: string }[]).some(({ name }) => name === provider);

/** What ONNX Runtime's CUDA provider is loaded through; onnxruntime-node's install script fetches it. */
const CUDA_LIBRARY: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libonnxruntime_providers_cuda.so',
  win32: 'onnxruntime_providers_cuda.dll',
};

const sure = (reason: string): Absent => ({ reason, sure: true });

const ABSENT: Readonly<Record<Provider, () => Absent | undefined>> = {
  cpu: () => undefined,
  cuda: () => {
    const name = CUDA_LIBRARY[process.platform];
    if (name === undefined || !supported('cuda')) return sure('the engine has none for this platform');
    const folder = join(engineFolder, 'bin', 'napi-v6', process.platform, process.arch);
    const missing = `onnxruntime-node has no ${name}; \`npm install onnxruntime-node@${engineVersion}\` beside Whorl fetches it`;
    return existsSync(join(folder, name)) ? undefined : sure(missing);
  },
  webgpu: () => {
    if (!supported('webgpu')) return sure('the engine has none for this platform');
    const seen = process.platform !== 'linux' || graphicsDevice();
    return seen ? undefined : { reason: 'no graphics device in /dev', sure: false };
  },
};

/** Whether Linux shows a device that a Vulkan driver could drive. Drivers in software need none, and are not wanted. */
function graphicsDevice(): boolean {
  const render = existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
  return render || ['/dev/nvidiactl', '/dev/dxg'].some((path) => existsSync(path));
}
