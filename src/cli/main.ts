#!/usr/bin/env node
// The `whorl` program as a process: streams that go away, signals and the exit code; program.ts does the rest.

import { delivered, watchStreams } from './output.ts';
import { EXIT, run, stoppedWords } from './program.ts';
import { endOnSignals } from './stopping.ts';

const args = process.argv.slice(2);
watchStreams();
endOnSignals(stoppedWords(args));
const code = await run(args);
// What nobody could read was not done: a verdict that went into a closed pipe must not end like one that was read.
process.exitCode = code === EXIT.done && !(await delivered()) ? EXIT.failed : code;
