// `whorl inspect`: what a file or folder holds, told by its first bytes, never by its name; a secret without its secrets.

import { Command } from 'commander';
import { printJson } from '../output.ts';
import { type UnlockFlags, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';

interface InspectFlags extends UnlockFlags {
  tensors?: boolean;
  json?: boolean;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description(
      'What a model, run, import or data folder, weights, rows, .onnx, config.json, tokenizer.json, verdict, pipeline.json, claim or secret holds. A secret is shown without its secrets.',
    )
    .argument('<path>', 'a file, a folder or a hub id')
    .option('--tensors', 'every tensor with dtype and shape')
    .option('--passphrase', 'ask for the passphrase of a secret, or take WHORL_PASSPHRASE')
    .option('--passphrase-file <file>', 'the passphrase of a secret')
    .option('--identity <file>', 'the age identity a secret was encrypted to')
    .option('--json', 'one JSON line on stdout and nothing else')
    .action((path: string, flags: InspectFlags) => runInspect(path, flags));
}

async function runInspect(path: string, flags: InspectFlags): Promise<void> {
  const [{ inspect }, { show }] = await Promise.all([
    import('../../inspect/inspect.ts'),
    import('../inspect/show.ts'),
  ]);
  // Without a key an encrypted secret is described from outside: nobody is asked for a passphrase unless they said so.
  const given = flags.passphrase || flags.passphraseFile !== undefined || flags.identity !== undefined;
  const report = await withProgress((onEvent) =>
    inspect({ path, onEvent, ...(given && { unlock: (secret: string) => unlockFor(secret, flags) }) }),
  );
  if (flags.json) printJson(report);
  else show(report, flags.tensors ?? false);
}
