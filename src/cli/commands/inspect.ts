// `whorl inspect`: what a file or folder holds, told by its first bytes, never by its name; a secret without its secrets.

import { Command } from 'commander';
import { type Given, given, JSON_LINE, toggle, withOptions } from '../options.ts';
import { printJson } from '../output.ts';
import { UNLOCK, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';

const OPTIONS = { tensors: toggle('every tensor with dtype and shape'), ...UNLOCK, ...JSON_LINE };

export function inspectCommand(): Command {
  return withOptions(new Command('inspect'), OPTIONS)
    .description(
      'What a model, run, import or data folder, weights, rows, .onnx, config.json, tokenizer.json, verdict, pipeline.json, claim or secret holds. A secret is shown without its secrets.',
    )
    .argument('<path>', 'a file, a folder or a hub id')
    .action((path: string, _, called: Command) => runInspect(path, given(called, OPTIONS)));
}

async function runInspect(path: string, flags: Given<typeof OPTIONS>): Promise<void> {
  const [{ inspect }, { show }] = await Promise.all([
    import('../../inspect/inspect.ts'),
    import('../inspect/show.ts'),
  ]);
  // Without a key an encrypted secret is described from outside: nobody is asked for a passphrase unless they said so.
  const opens = flags.passphrase || flags.passphraseFile !== undefined || flags.identity !== undefined;
  const report = await withProgress((onEvent) =>
    inspect({ path, onEvent, ...(opens && { unlock: (secret: string) => unlockFor(secret, flags) }) }),
  );
  if (flags.json) printJson(report);
  else show(report, flags.tensors ?? false);
}
