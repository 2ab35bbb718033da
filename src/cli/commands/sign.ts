// `whorl sign`: a published folder signed as OpenSSF's model-signing does, or such a signature checked.

import { Command } from 'commander';
import { WhorlError } from '../../base/error.ts';
import { DRY_RUN, type Given, given, JSON_LINE, required, text, toggle, withOptions } from '../options.ts';
import { countText, paint, print, printJson, shownText } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';

const OPTIONS = {
  key: required(
    text(
      '<file>',
      'the key (PEM, EC on P-256, P-384 or P-521); made where there is none, with its public half beside it (.pub). With --check the public key',
    ),
  ),
  signature: text('<file>', 'default: model.sig in the folder'),
};
const OWN = { check: toggle('check the signature instead of making one'), ...DRY_RUN, ...JSON_LINE };

export function signCommand(): Command {
  return withOptions(new Command('sign'), { ...OPTIONS, ...OWN })
    .description(
      "Signs every file of a published folder with a key of yours, as OpenSSF's model-signing 1.0 does; its tool checks ours, and --check its. Says who published a folder, not whence a model comes.",
    )
    .argument('<folder>', 'published/ of a run, or any model folder')
    .action((model: string, _, called: Command) =>
      runSign(model, given(called, OPTIONS), given(called, OWN)),
    );
}

async function runSign(
  model: string,
  options: Given<typeof OPTIONS>,
  { check, dryRun, json }: Given<typeof OWN>,
): Promise<void> {
  const { checkModelSignature, signModel } = await import('../../proof/model-signature.ts');
  if (dryRun && check) throw new WhorlError('usage', '--check writes nothing', 'leave --dry-run out');
  if (dryRun)
    return showPlan(await withProgress((onEvent) => signModel({ ...options, model, onEvent, dryRun })), json);
  const call = check ? checkModelSignature : signModel;
  const report = await withProgress((onEvent) => call({ ...options, model, onEvent }));
  if (json) return printJson(report);
  const done = check ? 'as it was signed' : 'signed';
  print(
    `${paint.bold(paint.green(done))}  ${countText(report.files.length)} files of ${shownText(report.model)}`,
  );
  print(`  digest     ${report.digest}`);
  print(`  key        ${report.key_sha256} (SHA-256 of the public key in PEM)`);
  print(`  signature  ${shownText(report.signature)}`);
}
