// A judge who has the certificate alone: what it binds of a suspect that he has not, and how that could be asked again, on the terminal
// and on paper.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ClaimPlan } from '../../../src/claim/plan.ts';
import { askAgain } from '../../../src/verify/certificate/ask-again.ts';
import { askingAgain } from '../../../src/verify/certificate/bound.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import { answersPlan } from '../../claim/plans.ts';
import { whorl } from '../../cli/whorl.ts';
import { CERTIFICATE_KINDS, made } from './made.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-bound-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const file = join(scratch, 'c.json');
const page = join(scratch, 'page.html');

async function shown(text: string): Promise<{ out: string; html: string }> {
  writeFileSync(file, text);
  const { out } = await whorl('check', file, '--html', page);
  return { out: out.replaceAll(/\s+/g, ' '), html: readFileSync(page, 'utf8').replaceAll('&#39;', "'") };
}

describe('what it binds is shown in full', () => {
  test('of weights: their digests, and the command that asks a model with these digests', async () => {
    const { statement, text } = made({ plan: answersPlan(4, 16) as ClaimPlan });
    const { out, html } = await shown(text);
    const { weights, tokenizer, config } = statement.predicate.suspect as Record<string, string>;
    for (const said of [out, html]) {
      for (const digest of [weights!, tokenizer!, config!]) expect(said).toContain(digest);
      expect(said).toContain('another model has other digests');
      expect(said).toContain('any other is refused before a key is put');
    }
    expect(out).toContain('chat template none');
    expect(out).toContain(`whorl check ${file} --suspect MODEL `);
    expect(html).toContain('<code>whorl check CERTIFICATE --suspect MODEL</code>');
  });

  test('of a server: address, names, times, the other end of TLS', async () => {
    const { out, html } = await shown(CERTIFICATE_KINDS.endpoint!().text);
    for (const said of [out, html]) {
      for (const what of [
        'https://host.example/v1',
        'ähnlich-2',
        '1'.repeat(64),
        '2'.repeat(64),
        'b'.repeat(64),
      ])
        expect(said).toContain(what);
      expect(said).toContain('2026-11-27T05:00:00.000Z to 2026-11-27T05:00:01.500Z, as chat');
      expect(said).toContain('not its weights, which it may change');
    }
    expect(out).toContain(`whorl check ${file} --suspect https://host.example/v1 --model-name 'ähnlich' `);
  });

  test('a stamp that was read against the vanilla model needs it again', async () => {
    const { out } = await shown(CERTIFICATE_KINDS.stamp!().text);
    expect(out).toContain(`whorl check ${file} --suspect MODEL --vanilla VANILLA `);
    expect(out).toContain('whose matrices the claim commits to');
  });
});

test('under the owner’s adapter nobody else can ask again: no command is shown, and asking is refused', async () => {
  const { text } = CERTIFICATE_KINDS.adapter!();
  const { out, html } = await shown(text);
  for (const said of [out, html]) {
    expect(said).toContain('only the owner can ask again');
    expect(said).not.toContain('--suspect');
  }
  await expect(askAgain(checkCertificate(text), { suspect: scratch })).rejects.toThrow(/adapter/);
});

test('a command is one that a shell reads back, whatever a server calls its model', () => {
  const checked = checkCertificate(CERTIFICATE_KINDS.endpoint!().text);
  const { predicate } = checked.statement;
  const named = { ...predicate, suspect: { ...predicate.suspect, model_name: "a'b; rm -rf $HOME" } };
  const { command } = askingAgain(
    { ...checked, statement: { ...checked.statement, predicate: named as typeof predicate } },
    'my file.json',
  );
  expect(command).toBe(
    String.raw`whorl check 'my file.json' --suspect https://host.example/v1 --model-name 'a'\''b; rm -rf $HOME'`,
  );
});
