// What is a hub id and what can only be a path; where the environment says the hub and its cache are.

import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { isPrivateAddress } from '../../../src/sources/hub/addresses.ts';
import { hubName, parseHubId } from '../../../src/sources/hub/hub-id.ts';
import { hubSettings } from '../../../src/sources/hub/settings.ts';
import { scratch } from './settings.ts';

test.each([
  ['org/name', 'org/name', 'main', undefined],
  ['HuggingFaceTB/SmolLM2-135M', 'HuggingFaceTB/SmolLM2-135M', 'main', undefined],
  ['org/na.me_1@v1.0', 'org/na.me_1', 'v1.0', undefined],
  ['org/name@refs/pr/1', 'org/name', 'refs/pr/1', undefined],
  ['org/name:model.Q8_0.gguf', 'org/name', 'main', 'model.Q8_0.gguf'],
  ['org/name@abc:sub/m.gguf', 'org/name', 'abc', 'sub/m.gguf'],
])('%s is a hub id', (text, repo, revision, file) => {
  const id = parseHubId(text)!;
  expect(id).toMatchObject({ repo, revision });
  expect(id.file).toBe(file);
  expect(hubName(id)).toBe(text);
});

test.each([
  './org/name',
  '/org/name',
  'org',
  'org/',
  'org/name/more',
  '../name',
  'org/..',
  'org/a..b',
  'org/a--b',
  'org/name.git',
  'org/name@',
  'org/name@../x',
  'org/name@a//b',
  'org/name@/a',
  'org/name@a\0b',
  'org/name@.hidden',
  'org/name@a\\b',
  'org/name@x.lock',
  'org/name@nul',
  'org/n ame',
  'weights/model.gguf',
  'run/published.json',
  'org\\name',
  'C:/name',
  `org/${'a'.repeat(93)}`,
  '-org/name',
  'org/.name',
  '~/name',
])('%j is none', (text) => expect(parseHubId(text)).toBeUndefined());

test('cache, endpoint and token come from the variables that Python reads', () => {
  const home = scratch();
  expect(hubSettings({}).cache).toBe(join(homedir(), '.cache/huggingface/hub'));
  expect(hubSettings({ XDG_CACHE_HOME: '/x' }).cache).toBe('/x/huggingface/hub');
  expect(hubSettings({ HF_HOME: '~/h' }).cache).toBe(join(homedir(), 'h/hub'));
  expect(hubSettings({ HF_HOME: '/h', HF_HUB_CACHE: '$ROOT/c', ROOT: '/r' }).cache).toBe('/r/c');
  expect(hubSettings({ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }).cache).toBe('/old');
  expect(hubSettings({}).endpoint.href).toBe('https://huggingface.co/');
  expect(hubSettings({ HF_ENDPOINT: 'http://localhost:1/hf/' }).endpoint.href).toBe('http://localhost:1/hf');
  expect(hubSettings({ HF_HOME: home }).token).toBeUndefined();
  writeFileSync(join(home, 'token'), 'hf_fromfile\n');
  expect(hubSettings({ HF_HOME: home }).token?.reveal()).toBe('hf_fromfile');
  expect(hubSettings({ HF_HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }).token).toBeUndefined();
  expect(hubSettings({ HF_HOME: home, HF_TOKEN: 'hf_given' }).token?.reveal()).toBe('hf_given');
  mkdirSync(join(home, 'else'));
  writeFileSync(join(home, 'else/token'), 'hf_else');
  expect(hubSettings({ HF_HOME: home, HF_TOKEN_PATH: join(home, 'else/token') }).token?.reveal()).toBe(
    'hf_else',
  );
  for (const [value, offline] of [
    ['1', true],
    ['yes', true],
    ['TRUE', true],
    ['0', false],
    ['', false],
  ] as const)
    expect(hubSettings({ HF_HUB_OFFLINE: value }).offline).toBe(offline);
});

test('settings that are no use are refused, without showing what is secret in them', () => {
  for (const endpoint of ['nonsense', 'ftp://x', 'file:///etc'])
    expect(() => hubSettings({ HF_ENDPOINT: endpoint })).toThrow(/HF_ENDPOINT/);
  expect(() => hubSettings({ HF_ENDPOINT: 'https://me:pa55word@x' })).toThrow(/^(?!.*pa55word).*HF_ENDPOINT/);
  expect(() => hubSettings({ HF_TOKEN: 'hf_a\r\nX: y' })).toThrow(/^(?!.*hf_a).*HF_TOKEN/);
  expect(inspect(hubSettings({ HF_TOKEN: 'hf_visible' }).token)).not.toContain('hf_visible');
});

test.each([
  ['127.0.0.1', true],
  ['10.1.2.3', true],
  ['172.31.0.1', true],
  ['172.32.0.1', false],
  ['192.168.1.1', true],
  ['169.254.169.254', true],
  ['100.64.0.1', true],
  ['0.0.0.0', true],
  ['255.255.255.255', true],
  ['8.8.8.8', false],
  ['::1', true],
  ['::', true],
  ['fe80::1', true],
  ['fd00::1', true],
  ['::ffff:10.0.0.1', true],
  ['::ffff:8.8.8.8', false],
  ['64:ff9b::a00:1', true],
  ['2001:4860:4860::8888', false],
  ['not an address', true],
])('%s is private: %s', (address, expected) => expect(isPrivateAddress(address)).toBe(expected));
