// The program of the child process in which a suspect's tokenizer and chat template run; sandbox.ts starts and ends it.
// usage: sandbox-child MEMORY_MB, requests as lines on stdin, replies as lines on stdout (sandbox-protocol.ts)

import { createInterface } from 'node:readline';
import { assert, WhorlError } from '../base/error.ts';
import { promptOfTurns, templateOf, wrapperNamed } from './prompts/wrappers.ts';
import type { Described, Reply, Request } from './sandbox-protocol.ts';
import { openTokenizer, type Tokenizer } from './tokenizer.ts';

const WATCH_MS = 50;
const memory = Number(process.argv[2]) * 2 ** 20;
const die = () => process.kill(process.pid, 'SIGKILL');
setInterval(() => {
  if (process.memoryUsage.rss() > memory) die();
}, WATCH_MS).unref();

let tokenizer: Tokenizer | undefined;

async function answer(request: Request): Promise<unknown> {
  if (request.op === 'open') {
    tokenizer = await openTokenizer(request.folder, request.own);
    return describe(tokenizer);
  }
  assert(tokenizer !== undefined, 'the tokenizer is not open');
  switch (request.op) {
    case 'encode':
      return tokenizer.encodeBatch(request.texts, {
        addSpecialTokens: request.special,
        continued: request.continued,
      });
    case 'decode':
      return tokenizer.decodeBatch(request.ids, { skipSpecialTokens: request.skip });
    case 'wrap':
      return wrapperNamed(request.name, {
        ...templateOf(tokenizer),
        system: request.system,
        now: new Date(),
      });
    case 'turns':
      return promptOfTurns(request.messages, { ...templateOf(tokenizer), now: new Date() });
  }
}

function describe(opened: Tokenizer): Described {
  return {
    tokens: Array.from({ length: opened.vocab_size }, (_, id) => opened.tokenOf(id) ?? null),
    specialIds: [...opened.specialIds],
    addedIds: [...opened.addedIds],
    bosId: opened.bosId ?? null,
    padId: opened.padId ?? null,
    eosId: opened.eosId ?? null,
    eosIds: opened.eosIds,
    specialTokens: opened.specialTokens,
    chatTemplate: opened.chatTemplate ?? null,
    chatTemplates: opened.chatTemplates,
    spelling: opened.spelling,
    notes: opened.notes,
  };
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, request } = JSON.parse(line) as { id: number; request: Request };
  const send = (reply: Omit<Reply, 'id'>) => process.stdout.write(`${JSON.stringify({ id, ...reply })}\n`);
  answer(request).then(
    (value) => send({ value }),
    (error: unknown) =>
      send({
        error: {
          code: error instanceof WhorlError ? error.code : 'internal',
          message: error instanceof Error ? error.message : String(error),
        },
      }),
  );
});
// The parent is gone, or done: a native call that hangs must not outlive it.
lines.on('close', die);
