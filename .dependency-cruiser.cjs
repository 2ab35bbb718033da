// The layers of ARCHITECTURE.md: an arrow may only point down, and two folders of one row do not know each other.
const ROWS = [
  ['cli'],
  ['demo', 'pipeline', 'fleet', 'resume', 'inspect', 'doctor'],
  ['fingerprint', 'finetune', 'verify', 'evaluate', 'attack', 'report'],
  ['launch'],
  ['datasets', 'train', 'lm', 'claim', 'runs', 'stamp', 'proof'],
  ['models'],
  ['engine', 'text'],
  ['sources'],
  ['tensor'],
  ['base'],
];
const forbidden = [
  {
    name: 'no-cycles',
    severity: 'error',
    from: {},
    to: { circular: true }, // of type-only imports too: tsPreCompilationDeps below
  },
];
ROWS.forEach((row, i) => {
  for (const folder of row) {
    const banned = [...ROWS.slice(0, i).flat(), ...row.filter((other) => other !== folder)];
    if (banned.length === 0) continue;
    forbidden.push({
      name: `layer-${folder}`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: `^src/(${banned.join('|')})/` },
    });
  }
});
for (const folder of ['claim', 'runs', 'proof'])
  forbidden.push({
    name: `${folder}-stands-alone`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: { path: '^src/(models|engine|text|sources)/' },
  });
forbidden.push({
  name: 'report-reads-runs-only',
  severity: 'error',
  from: { path: '^src/report/' },
  to: { path: '^src/', pathNot: '^src/(report|runs|base)/' },
});
forbidden.push({
  name: 'onnxruntime-only-in-session',
  severity: 'error',
  from: { path: '^src/', pathNot: '^src/engine/session' },
  to: { path: 'onnxruntime' },
});
module.exports = {
  forbidden,
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
  },
};
