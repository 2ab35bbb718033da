// Cores out of the kernel's files, which are made up here: affinity, hyperthreads, quotas of both kinds of control groups.

import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { cores, cpuQuota, type ReadText } from '../../src/base/cores.ts';

type Files = Readonly<Record<string, string>>;
const reader =
  (files: Files): ReadText =>
  (path) =>
    files[path];

/** Eight logical processors on four physical cores: n and n + 4 are one. */
const MACHINE: Files = {
  '/sys/devices/system/cpu/online': '0-7',
  '/proc/self/status': 'Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n',
  ...Object.fromEntries(
    Array.from({ length: 8 }, (_, n) => [
      `/sys/devices/system/cpu/cpu${n}/topology/thread_siblings_list`,
      `${n % 4},${(n % 4) + 4}`,
    ]),
  ),
};
const allowed = (list: string): Files => ({ '/proc/self/status': `Cpus_allowed_list:\t${list}\n` });

test.each<[string, Files, { physical: number; usable: number }]>([
  ['hyperthreads count once', {}, { physical: 4, usable: 4 }],
  ['affinity to one core’s two threads', allowed('1,5'), { physical: 4, usable: 1 }],
  ['affinity to a range and one more', allowed('0-1,7'), { physical: 4, usable: 3 }],
  [
    'v2: a container’s quota at the root of its mount',
    { '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': '200000 100000' },
    { physical: 4, usable: 2 },
  ],
  [
    'v2: no quota of its own, one above',
    {
      '/proc/self/cgroup': '0::/user.slice/job.scope',
      '/sys/fs/cgroup/user.slice/job.scope/cpu.max': 'max 100000',
      '/sys/fs/cgroup/user.slice/cpu.max': '150000 100000',
    },
    { physical: 4, usable: 2 },
  ],
  [
    'v1, mounted at another place than the path says',
    {
      '/proc/self/cgroup': '4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/system.slice',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '50000',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000',
    },
    { physical: 4, usable: 1 },
  ],
  [
    'v1 without a quota',
    {
      '/proc/self/cgroup': '3:cpu:/',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
    },
    { physical: 4, usable: 4 },
  ],
  [
    'a quota above what is there',
    { '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': '6400000 100000' },
    { physical: 4, usable: 4 },
  ],
])('%s', (_, files, wanted) => {
  expect(cores(reader({ ...MACHINE, ...files }))).toEqual(wanted);
});

test('a system that tells nothing, and one that tells nonsense', () => {
  expect(cores(() => undefined)).toBeUndefined();
  expect(cores(() => '999999999999999999999-')).toBeUndefined();
  expect(cpuQuota(reader({ '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': 'x y' }))).toBeUndefined();
});

test.runIf(process.platform === 'linux')('this machine: no more than Node counts', () => {
  const { physical, usable } = cores()!;
  expect(usable).toBeGreaterThanOrEqual(1);
  expect(usable).toBeLessThanOrEqual(Math.min(physical, availableParallelism()));
});
