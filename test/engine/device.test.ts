// Which device computes: what `auto` takes of what is found, and what is refused by name.

import ort from 'onnxruntime-node';
import { afterEach, expect, test, vi } from 'vitest';
import * as coresOf from '../../src/base/cores.ts';
import { WhorlError } from '../../src/base/error.ts';
import { measureRate } from '../../src/engine/rate.ts';
import type { Device, Provider } from '../../src/engine/session.ts';
import {
  type ComputeOptions,
  type Found,
  fastestProvider,
  findAccelerators,
  openDevice,
  type Probes,
} from '../../src/engine/session-device.ts';

afterEach(() => vi.restoreAllMocks());

/** A machine whose providers reach these rates; without one, a session does not open. */
function machine(rates: Partial<Record<Provider, number>>, absent: readonly Provider[] = []) {
  const tried: Provider[] = [];
  const probes: Probes = {
    absent: (provider) => (absent.includes(provider) ? { reason: 'not in this box', sure: true } : undefined),
    rate: async ({ provider }) => {
      tried.push(provider);
      const rate = rates[provider];
      if (rate === undefined) throw new Error(`no ${provider}`);
      return rate;
    },
  };
  return { probes, tried };
}

test.each<[string, Partial<Record<Provider, number>>, Provider]>([
  ['nothing but a CPU', { cpu: 1e11 }, 'cpu'],
  ['a graphics card', { cpu: 1e11, webgpu: 4e12 }, 'webgpu'],
  ['both providers on one card: the faster', { cpu: 1e11, webgpu: 4e12, cuda: 2e13 }, 'cuda'],
  ['both, the other way round', { cpu: 1e11, webgpu: 4e12, cuda: 3e12 }, 'webgpu'],
  ['a driver in software (SwiftShader here: 1.6 of 190 GFLOP/s)', { cpu: 1.9e11, webgpu: 1.6e9 }, 'cpu'],
  ['a driver in software that is as good as the CPU itself', { cpu: 1e11, webgpu: 1.1e11 }, 'cpu'],
])('auto: %s', async (_, rates, provider) => {
  expect(await openDevice({ device: 'auto' }, machine(rates).probes)).toEqual({ provider });
});

test('auto tries nothing where nothing can be, and says why', async () => {
  const { probes, tried } = machine({ cpu: 1e11, webgpu: 1e13, cuda: 1e13 }, ['cuda', 'webgpu']);
  expect(await openDevice({ device: 'auto' }, probes)).toEqual({ provider: 'cpu' });
  expect(tried).toEqual([]);
  expect(await findAccelerators(probes)).toEqual([
    { provider: 'cuda', reason: 'not in this box' },
    { provider: 'webgpu', reason: 'not in this box' },
  ]);
});

test('a provider asked for by name is taken untried, unless it cannot be there', async () => {
  const { probes, tried } = machine({ cpu: 1e11 }, ['cuda']);
  expect(await openDevice({ device: 'webgpu', threads: 3, precision: 'stored' }, probes)).toEqual({
    provider: 'webgpu',
    threads: 3,
    precision: 'stored',
  });
  expect(tried).toEqual([]);
  await expect(openDevice({ device: 'cuda' }, probes)).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('not in this box'),
  });
});

test('the default is the CPU; a device that is open already keeps what is not said anew', async () => {
  expect(await openDevice()).toEqual({ provider: 'cpu' });
  const device: Device = { provider: 'cpu', threads: 2, precision: 'stored' };
  expect(await openDevice({ device, threads: 1 })).toEqual({
    provider: 'cpu',
    threads: 1,
    precision: 'stored',
  });
});

test.each<[string, object]>([
  ['--device gpu', { device: 'gpu' }],
  ['--precision float8', { precision: 'float8' }],
  ['--threads 0', { threads: 0 }],
  ['--threads 1.5', { threads: 1.5 }],
])('%s is refused by name', async (named, options) => {
  const error = await openDevice(options as ComputeOptions).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(WhorlError);
  expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(named) });
});

test('fastestProvider takes the fastest of those at least twice as fast as the CPU', () => {
  const found: Found[] = [
    { provider: 'cuda', rate: 19 },
    { provider: 'webgpu', reason: 'none' },
  ];
  expect(fastestProvider(found, 10)).toBe('cpu');
  expect(fastestProvider(found, 9.5)).toBe('cuda');
});

test('a session gets the threads asked for, a quota’s where none are, and else the engine’s own', async () => {
  const create = vi.spyOn(ort.InferenceSession, 'create');
  const threads = async (device: Device, cores: coresOf.Cores | undefined) => {
    vi.spyOn(coresOf, 'cores').mockReturnValue(cores);
    await measureRate(device, 0);
    return (create.mock.lastCall as unknown as [unknown, { intraOpNumThreads?: number }])[1]
      .intraOpNumThreads;
  };
  expect(await threads({ provider: 'cpu', threads: 1 }, { physical: 8, usable: 2 })).toBe(1);
  expect(await threads({ provider: 'cpu' }, { physical: 8, usable: 1 })).toBe(1);
  expect(await threads({ provider: 'cpu' }, { physical: 8, usable: 8 })).toBeUndefined();
  expect(await threads({ provider: 'cpu' }, undefined)).toBeUndefined();
});
