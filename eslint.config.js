import tseslint from 'typescript-eslint';

const RAW_WRITES = [
  'writeFile',
  'writeFileSync',
  'createWriteStream',
  'appendFile',
  'appendFileSync',
  'rename',
  'renameSync',
  'openSync',
  'cpSync',
  'cp',
  'copyFile',
  'copyFileSync',
  'mkdir',
  'mkdirSync',
];

export default tseslint.config(
  {
    ignores: [
      'dist/**',
      'node_modules/**',
      'goldens/**',
      'scripts/**',
      '*.config.*',
      'bench/**',
      'examples/**',
    ],
  },
  {
    files: ['src/**/*.ts', 'test/**/*.ts'],
    languageOptions: { parser: tseslint.parser, parserOptions: { project: './tsconfig.json' } },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }] },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/base/atomic.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: ['fs', 'fs/promises', 'node:fs', 'node:fs/promises'].map((name) => ({
            name,
            importNames: RAW_WRITES,
            message: 'All writing goes through base/atomic.ts.',
          })),
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/cli/**'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'Only cli/ ends the process.' },
      ],
    },
  },
);
