// The one refusal of a certificate whose parts contradict each other, with the first thing that does.

import { WhorlError } from '../../base/error.ts';

/** @throws WhorlError `mismatch`, always */
export const wrong = (what: string): never => {
  throw new WhorlError('mismatch', `the certificate does not hold: ${what}`, 'do not rely on it');
};
