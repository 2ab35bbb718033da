// Which software made a file: stands in claims, secrets and run records.

import manifest from '../../package.json' with { type: 'json' };

export const SOFTWARE = { name: manifest.name, version: manifest.version } as const;
