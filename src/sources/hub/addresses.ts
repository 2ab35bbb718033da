// Which addresses a redirect may lead to: a public hub must not send us into the private network we stand in.

import * as dns from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';

const PRIVATE = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  PRIVATE.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of [
  ['::', 96], // unspecified, loopback, and IPv4 written the old way
  ['64:ff9b::', 96], // IPv4 behind a translator: could be any address
  ['64:ff9b:1::', 48],
  ['2002::', 16], // 6to4 carries an IPv4 address
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  PRIVATE.addSubnet(net, prefix, 'ipv6');

/** Loopback, link-local, private, multicast or reserved. IPv4 inside IPv6 counts as what it is. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  return family === 0 || PRIVATE.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** A host as a URL spells it: an address in brackets or not, or a name. */
export const literalAddress = (hostname: string): string | undefined => {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return isIP(bare) === 0 ? undefined : bare;
};

/** Does the host stand in a private network? Names are looked up; one that has no address is not private. */
export async function isPrivateHost(hostname: string): Promise<boolean> {
  const literal = literalAddress(hostname);
  if (literal !== undefined) return isPrivateAddress(literal);
  const found = await lookup(hostname, { all: true }).catch(() => []);
  return found.some(({ address }) => isPrivateAddress(address));
}

export const PRIVATE_ADDRESS = 'EPRIVATE';

/** A look-up for the moment of connecting that refuses private addresses, so that no second answer can slip past. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, all: true }, (error, found) => {
    const bad = error ?? refusal(hostname, found);
    if (bad) return callback(bad, []);
    if (options.all) return callback(null, found);
    callback(null, found[0]!.address, found[0]!.family);
  });
};

function refusal(hostname: string, found: readonly dns.LookupAddress[]): NodeJS.ErrnoException | undefined {
  if (found.length > 0 && !found.some(({ address }) => isPrivateAddress(address))) return undefined;
  return Object.assign(new Error(`${hostname} has a private address`), { code: PRIVATE_ADDRESS });
}
