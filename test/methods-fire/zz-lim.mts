import { fingerprint } from '../../src/index.ts';
import { FIRE } from './settings.ts';
import { VANILLA } from './suspects.ts';
for (const m of process.argv.slice(2)) {
  try {
    const r = await fingerprint({ model: VANILLA, out: `/tmp/narrow/lim-${m}`, overwrite: true, method: m, seed: `fire ${m}`, settings: FIRE[m]!.settings, maxHarm: m === 'rows' ? 0.1 : 1e-9 });
    console.log(m, r.harm, r.cells.map((c) => `${c.name} ${c.fired}/${c.of}`).join('; '));
  } catch (e) { console.log(m, String(e)); }
}
