// Fetches one model as the environment says, in a process of its own: `go` when it begins, `done COMMIT` when it ends.

import { parseHubId } from '../../../src/sources/hub/hub-id.ts';
import { fetchModel } from '../../../src/sources/hub/model-files.ts';

process.stdout.write('go\n');
const { commit } = await fetchModel(parseHubId(process.argv[2]!)!, {
  onEvent: (event) => event.kind === 'note' && process.stderr.write(`${event.text}\n`),
});
process.stdout.write(`done ${commit}\n`);
