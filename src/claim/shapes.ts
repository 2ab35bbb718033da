// Fields that several schemas of a claim have.

import { z } from 'zod';

export const hex256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
export const index = z.int().min(0).max(0x7fffffff);
