// How many cores this process may use: physical ones that its affinity allows, and no more than a container's CPU quota.
// Linux tells in /proc and /sys; elsewhere undefined, and whoever asks keeps its own default.

import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** The text of a file, undefined where it cannot be read. */
export type ReadText = (path: string) => string | undefined;

const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
};

export interface Cores {
  /** Physical cores of the machine: two hyperthreads count as one, they share what multiplies. */
  readonly physical: number;
  /** Of these, how many this process gets: by affinity and, rounded up, by quota. At least 1. */
  readonly usable: number;
}

export function cores(read: ReadText = readText): Cores | undefined {
  const online = idsOf(read('/sys/devices/system/cpu/online'));
  const allowed = idsOf(/^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status') ?? '')?.[1]);
  const [physical, ours] = [distinct(online, read), distinct(allowed, read)];
  if (physical === 0 || ours === 0) return undefined;
  const quota = cpuQuota(read) ?? Number.POSITIVE_INFINITY;
  return { physical, usable: Math.max(1, Math.min(ours, physical, Math.ceil(quota))) };
}

/** Physical cores among logical ones: hyperthreads of one core name the same siblings. */
const distinct = (ids: readonly number[], read: ReadText): number =>
  new Set(
    ids.map((id) => read(`/sys/devices/system/cpu/cpu${id}/topology/thread_siblings_list`) ?? `cpu ${id}`),
  ).size;

const MOST_CPUS = 8192; // the kernel's own limit (NR_CPUS)

/** The kernel's list format: `0-3,8`. */
function idsOf(list = ''): number[] {
  const ids: number[] = [];
  for (const part of list.split(',')) {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined) continue;
    for (let id = Number(first); id <= Number(last ?? first) && id < MOST_CPUS; id++) ids.push(id);
  }
  return ids;
}

/** The least quota, in cores, of this process's control group and the ones above it; undefined: none is set. */
export function cpuQuota(read: ReadText = readText): number | undefined {
  const quotas: number[] = [];
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    const version = controllers === '' ? V2 : controllers!.split(',').includes('cpu') ? V1 : undefined;
    if (!version) continue;
    // Inside a container the path may be the host's, while the mount shows our own group at its root.
    for (let at = path; ; at = posix.dirname(at)) {
      for (const root of version.roots) {
        const quota = version.quota(posix.join(root, at), read);
        if (quota !== undefined) quotas.push(quota);
      }
      if (at === '/') break;
    }
  }
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}

interface CgroupVersion {
  readonly roots: readonly string[];
  quota(folder: string, read: ReadText): number | undefined;
}

const ratio = (quota: string | undefined, period: string | undefined): number | undefined => {
  const cores = Number(quota) / Number(period);
  return Number.isFinite(cores) && cores > 0 ? cores : undefined; // `max` and −1: no limit
};

const V2: CgroupVersion = {
  roots: ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'],
  quota(folder, read) {
    const [quota, period] = (read(posix.join(folder, 'cpu.max')) ?? '').split(' ');
    return ratio(quota, period);
  },
};

const V1: CgroupVersion = {
  roots: ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct'],
  quota: (folder, read) =>
    ratio(read(posix.join(folder, 'cpu.cfs_quota_us')), read(posix.join(folder, 'cpu.cfs_period_us'))),
};
