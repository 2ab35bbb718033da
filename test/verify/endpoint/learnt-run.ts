// What the tests of this folder begin with: a finished run, what a model says that learnt its part, and servers that are asked.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseClaim } from '../../../src/claim/claim.ts';
import { keyRoles, openClaim } from '../../../src/claim/open.ts';
import { readSecret } from '../../../src/claim/secret-file.ts';
import type { RunFolder } from '../../../src/runs/run-folder.ts';
import { type EndpointOptions, type VerifyReport, verify } from '../../../src/verify/verify.ts';
import { bindings } from '../../claim/plans.ts';
import { finished } from '../../cli/finished-run.ts';
import { scratch, tinyModel } from '../../cli/tiny-model.ts';
import { type Answer, type Server, serve } from '../../lm/openai-server.ts';

export interface LearntRun {
  readonly folder: string;
  readonly run: RunFolder;
  /** What a model that learnt its part says to a text that holds a key. */
  readonly learnt: (text: string) => string;
  /** A server that is closed with the run. */
  readonly serving: (answer: Answer) => Promise<Server>;
  /** Of a transcript that is not there. */
  readonly place: () => string;
  /** Verifies the run's claim by a server, out of a new transcript unless one is given. */
  readonly by: (
    server: { url: string },
    more?: Partial<EndpointOptions>,
    options?: object,
  ) => Promise<VerifyReport>;
  readonly close: () => Promise<void>;
}

export async function learntRun(): Promise<LearntRun> {
  const folder = scratch();
  const run = await finished(join(folder, 'run'), tinyModel(folder), bindings);
  const contents = (await readSecret(run.secret)).reveal();
  const opened = openClaim(parseClaim(readFileSync(run.claim, 'utf8'), 'claim'), contents);
  const targets = keyRoles(opened).map(({ target }) => target);
  const servers: Server[] = [];
  let count = 0;
  const place = (): string => join(folder, `transcript-${count++}.jsonl`);
  return {
    folder,
    run,
    learnt: (text) => ` ${targets[opened.plan.keys.findIndex((key) => text.includes(key.text))] ?? 'hm'}`,
    async serving(answer) {
      const server = await serve(answer);
      servers.push(server);
      return server;
    },
    place,
    by: (server, more = {}, options = {}) =>
      verify({
        secret: run.secret,
        suspect: server.url,
        endpoint: {
          model_name: 'm',
          transcript: place(),
          attempts: 2,
          sleep: () => Promise.resolve(),
          ...more,
        },
        ...options,
      }),
    async close() {
      for (const server of servers) await server.close();
      rmSync(folder, { recursive: true });
    },
  };
}
