// What T5 and T6 say of the same answers, as every command that shows a verdict prints it. They give no word.

import type { FurtherTest } from '../verify/further.ts';
import { powerText } from './output.ts';

export const furtherLines = (further: readonly FurtherTest[]): string[] =>
  further.map(({ test, log10_p, log10_p_after_grinding: left, log10_e, decoys: { reached, of } }) => {
    const p =
      log10_p === null ? 'not counted' : `p ≤ ${powerText(log10_p)}, after those draws ${powerText(left!)}`;
    const e = log10_e === null ? '' : `, e = ${powerText(log10_e)}`;
    return `  beside it         ${test}: ${p}${e}; ${reached} of ${of} decoy secrets reach as much`;
  });
