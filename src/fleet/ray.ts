// A fleet on a Ray cluster: each task a job of Ray's, which reads and writes the task's folder. What Ray sees and logs is the path of that
// folder; the secret stays in its file.

import { rmSync } from 'node:fs';
import { shellWords } from '../base/shell.ts';
import type { TaskPlace } from './folder.ts';
import type { Launcher } from './launcher.ts';
import { ownProgram } from './program.ts';
import { isOver, RayJobs, type RayOptions } from './ray-http.ts';
import { readResult } from './result.ts';
import { failureFile } from './task.ts';

export interface RayFleet extends RayOptions {
  /** Names this fleet at Ray. */
  readonly run: string;
  /** Jobs that Ray is given at a time; it runs as many of them as it has processors for. */
  readonly jobs?: number | undefined;
  /** Processors of one task, and threads of one operation in it. */
  readonly threads?: number | undefined;
  /** What stands for `whorl` where Ray runs it; default: this program, by its path here. */
  readonly worker?: string | undefined;
}

const JOBS = 64;
/** Runs of one task under one fleet. Past ones keep their names at Ray. */
const MOST_RUNS = 1000;

export function rayOf({ run, jobs = JOBS, threads = 1, worker, ...options }: RayFleet): Launcher {
  const ray = new RayJobs(options);
  const program = worker ?? shellWords(ownProgram());
  /** The first name that Ray does not know as over: of a job that still runs for an earlier call, or of none yet. */
  const nameFor = async ({ task }: TaskPlace): Promise<{ id: string; runs: boolean }> => {
    for (let i = 1; i < MOST_RUNS; i++) {
      const id = `whorl-${run}-${task.id}-${i}`;
      const state = await ray.look(id);
      if (!state || !isOver(state)) return { id, runs: state !== undefined };
    }
    throw new Error(`whorl: internal: ${MOST_RUNS} runs of one task`);
  };
  return {
    jobs,
    check: async () => void (await ray.version()),
    async run(place) {
      const { id, runs } = await nameFor(place);
      if (!runs) {
        // One that ended while it was looked for.
        if (readResult(place.folder, place.task)) return 'is done';
        rmSync(failureFile(place.folder), { force: true });
        const words = shellWords(['task', place.folder, '--threads', String(threads), '--quiet']);
        await ray.submit(id, `exec ${program} ${words}`, threads);
      }
      const { status, message } = await ray.follow(id);
      return `is ${status} at Ray (job ${id})${message === '' ? '' : `: ${oneLine(message)}`}`;
    },
    // Jobs go on without this process: the same command follows them again.
    close: async () => {},
  };
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 200);
