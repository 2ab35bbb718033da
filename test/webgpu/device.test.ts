// `--device auto` beside a driver that computes in software: its sessions open, and it is not taken.

import { expect, test } from 'vitest';
import { findAccelerators, machineProbes, openDevice } from '../../src/engine/session-device.ts';

test.runIf(process.env.VK_ICD_FILENAMES?.includes('swiftshader'))(
  'SwiftShader opens and is not taken',
  async () => {
    const probes = {
      absent: (provider: string) =>
        provider === 'cuda' ? { reason: 'not asked here', sure: true } : undefined,
      rate: machineProbes.rate,
    };
    const webgpu = (await findAccelerators(probes)).find(({ provider }) => provider === 'webgpu');
    expect(webgpu).toHaveProperty('rate');
    expect(await openDevice({ device: 'auto' }, probes)).toEqual({ provider: 'cpu' });
  },
);
