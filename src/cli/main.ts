#!/usr/bin/env node
// The `whorl` program as a process: broken pipes, Ctrl-C and the exit code; program.ts does the rest.

import { liveLine, tell } from './output.ts';
import { EXIT, run } from './program.ts';

// A reader that went away (`whorl … | head`) is no error of ours.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });

// Everything on disk is written atomically, so ending here loses only what a resumed run makes again.
process.on('SIGINT', () => {
  liveLine.clear();
  tell('stopped');
  process.exit(EXIT.interrupted);
});

process.exitCode = await run(process.argv.slice(2));
