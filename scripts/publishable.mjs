// Refuses to publish while package.json says where the source lies only by a placeholder: `npm publish` calls it first
// (prepublishOnly). npm's provenance compares `repository` with the repository that builds, and readers follow the rest.
//   node scripts/publishable.mjs [package.json]

import { readFileSync } from 'node:fs';

const path = process.argv[2] ?? new URL('../package.json', import.meta.url);
const { repository, bugs, homepage } = JSON.parse(readFileSync(path, 'utf8'));
const addresses = {
  repository: typeof repository === 'string' ? repository : repository?.url,
  bugs: typeof bugs === 'string' ? bugs : bugs?.url,
  homepage,
};

/** What is wrong with an address, or nothing. `.invalid`, `.example` and the like belong to nobody (RFC 2606). */
function fault(address) {
  if (typeof address !== 'string' || address === '') return 'is not set';
  let url;
  try {
    url = new URL(address.replace(/^git\+/, ''));
  } catch {
    return `is no address (${address})`;
  }
  if (url.protocol !== 'https:') return `is not on https (${address})`;
  if (/(^|\.)(invalid|test|example|localhost|example\.(com|net|org))$/.test(url.hostname))
    return `is a placeholder (${address})`;
  return undefined;
}

const faults = Object.entries(addresses).flatMap(([name, address]) => {
  const wrong = fault(address);
  return wrong === undefined ? [] : [`${name} ${wrong}`];
});
if (faults.length > 0) {
  console.error(
    `package.json: ${faults.join('; ')}: write where this package's source lies before publishing (CONTRIBUTING.md, Publishing)`,
  );
  process.exitCode = 1;
}
