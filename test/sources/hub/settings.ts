// Settings of the hub client for tests: a fresh cache, a hub on loopback, no waiting between tries.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HubSettings, hubSettings } from '../../../src/sources/hub/settings.ts';
import { type FakeHub, TOKEN } from './server.ts';

export const scratch = (): string => mkdtempSync(join(tmpdir(), 'whorl-hub-'));

export function settingsFor(hub: Pick<FakeHub, 'endpoint'>, change: Partial<HubSettings> = {}): HubSettings {
  return {
    ...hubSettings({ HF_ENDPOINT: hub.endpoint, HF_HOME: scratch(), HF_TOKEN: TOKEN }),
    timeouts: { connect: 2000, headers: 2000, idle: 300 },
    sleep: (ms) => new Promise((done) => setTimeout(done, Math.min(ms, 5))),
    ...change,
  };
}
