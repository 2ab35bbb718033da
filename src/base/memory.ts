// How much memory this process can still take: the machine's, or what a container leaves it.

import { freemem } from 'node:os';

/** Bytes that are free or can be freed (caches of files), within the control group's limit. */
export const freeMemory = (): number => Math.min(freemem(), process.availableMemory());
