// How much memory this process can still take: the machine's, or what a container leaves it.

import { freemem, totalmem } from 'node:os';

/** Bytes that are free or can be freed (caches of files), within the control group's limit. */
export const freeMemory = (): number => Math.min(freemem(), process.availableMemory());

/** Bytes that this process could ever take: the machine's, or its control group's limit. */
export const totalMemory = (): number =>
  Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
