import { defineConfig } from 'tsdown';

export default defineConfig({
  // sandbox-child: started as a process of its own by src/text/sandbox.ts
  entry: { cli: 'src/cli/main.ts', index: 'src/index.ts', 'sandbox-child': 'src/text/sandbox-child.ts' },
  format: 'esm',
  platform: 'node',
  target: 'node20',
  dts: true,
  sourcemap: true,
  outExtensions: () => ({ js: '.js', dts: '.d.ts' }),
});
