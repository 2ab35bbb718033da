// Training by another engine: the job is written, waits, or is run here; then its result is taken in as if Whorl had trained.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assert, WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { jsonOrNothing } from '../base/json.ts';
import { SOFTWARE } from '../base/software.ts';
import { elements } from '../tensor/tensor.ts';
import type { TrainState } from '../train/step.ts';
import { answer, type JobLine, jobLines, runHere } from './here.ts';
import type { JobTraining, LaunchOptions, WaitingJob } from './job.ts';
import { checkManifest } from './manifest.ts';
import { type JobOrder, keepOrder } from './order.ts';
import { type JobResult, keptState, otherVersions, readResult } from './result.ts';
import { isEncrypted, keepTicket, planJob, type Ticket, ticketSchema, writeJob } from './write-job.ts';

/** Where a job lies, and the ticket that says which job it must be. */
export interface JobPlace {
  readonly folder: string;
  readonly ticket: string;
  /** The call that it is of, for `whorl resume`; default: only the same call takes the result in. */
  readonly order?: { readonly command: JobOrder['command']; readonly options: JobOrder['options'] };
}

export interface JobEnd<V> {
  readonly kind: 'done';
  readonly state: TrainState;
  readonly tokens: number;
  readonly seconds: number;
  readonly losses: readonly number[];
  /** What was found of the state, which holds. */
  readonly found: V;
  readonly ran: Pick<JobResult, 'torch' | 'transformers' | 'ranks' | 'device'>;
}

/** @param measure what is found of a kept state; one that holds ends the training. @param failed where none does */
export interface JobRule<V> {
  measure(state: TrainState): Promise<V>;
  held(found: V): boolean;
  failed(found: V | undefined, step: number): WhorlError;
}

/** Any state holds: for a training that nothing ends before its last step. */
export const NO_GATE: JobRule<true> = {
  measure: () => Promise.resolve(true as const),
  held: () => true,
  failed: () => assert(false, 'a rule that always holds did not') as never,
};

/**
 * The same call goes on wherever the job stands: not written, waiting, interrupted, done.
 * @throws WhorlError `changed` and `mismatch` for a job or result that is not this one's, `job-failed`, and what the rule fails with
 */
export async function trainByJob<V>(
  training: JobTraining,
  place: JobPlace,
  launch: LaunchOptions,
  rule: JobRule<V>,
  onEvent: OnEvent,
): Promise<JobEnd<V> | WaitingJob> {
  const { shapes } = training.trained;
  const planned = await planJob(training, launch);
  const { folder } = place;
  if (!existsSync(folder)) {
    onEvent({ kind: 'phase', name: 'writing the job', detail: folder });
    const { order } = place;
    if (order) keepOrder(dirname(place.ticket), order.command, order.options, launch);
    keepTicket(place.ticket, { job: await writeJob(folder, planned, launch), asked: planned.asked });
  }
  const { job: id, asked } = readTicket(place);
  if (asked !== planned.asked) throw otherJob(folder);
  checkManifest(folder, id);
  const steps = training.rates.length;
  const resultOf = () => readResult(folder, id, { steps, keep: training.keep });
  const measured = new Set<number>();
  let enough: { found: V; state: TrainState } | undefined;
  let last: V | undefined;
  /** Measures what was kept and not measured yet, in order. */
  const look = async (): Promise<void> => {
    for (const kept of resultOf()?.kept ?? []) {
      if (enough || measured.has(kept.step)) continue;
      const state = keptState(folder, kept, shapes);
      last = await rule.measure(state);
      measured.add(kept.step);
      if (rule.held(last)) enough = { found: last, state };
    }
  };
  if (launch.here && !resultOf()?.done) {
    onEvent({ kind: 'phase', name: 'training', detail: `torchrun, ${launch.nproc ?? 1} ranks` });
    await runHere(folder, launch.python, async (line) => {
      tell(line, steps, onEvent);
      if (line.kind !== 'kept' || line.step >= steps) return;
      await look();
      answer(folder, line.step, enough !== undefined);
    });
  }
  const result = resultOf();
  if (!result?.done) return waiting(place, id, training, jobLines(folder));
  for (const text of otherVersions(result)) onEvent({ kind: 'note', text });
  await look();
  if (!enough) throw rule.failed(last, result.steps);
  const { torch, transformers, ranks, device, seconds, losses } = result;
  return {
    kind: 'done',
    ...enough,
    tokens: planned.batches.tokensOf(enough.state.step),
    seconds,
    losses: losses.slice(0, enough.state.step),
    ran: { torch, transformers, ranks, device },
  };
}

/** A job that this call would not write. */
function otherJob(folder: string): WhorlError {
  const job = join(folder, 'job.json');
  const said = existsSync(job) ? jsonOrNothing(readFileSync(job, 'utf8')) : undefined;
  const version = (said as { software?: { version?: unknown } } | null | undefined)?.software?.version;
  return typeof version === 'string' && /^[\w.+-]{1,40}$/.test(version) && version !== SOFTWARE.version
    ? new WhorlError(
        'mismatch',
        `${folder} was written by ${SOFTWARE.name} ${version}, this is ${SOFTWARE.version}`,
        'take its result in by that version, or remove the folder',
      )
    : new WhorlError(
        'mismatch',
        `${folder} is a job of other examples or settings`,
        'repeat the command that wrote it, or remove the folder',
      );
}

function readTicket({ folder, ticket }: JobPlace): Ticket {
  if (!existsSync(ticket))
    throw new WhorlError(
      'mismatch',
      `nothing tells which job ${folder} is`,
      'remove the folder: the same command then writes the job',
    );
  const found = ticketSchema.safeParse(jsonOrNothing(readFileSync(ticket, 'utf8')));
  if (!found.success)
    throw new WhorlError(
      'bad-file',
      `${ticket} is damaged: nothing tells which job ${folder} is`,
      'restore it, or remove the folder: the same command then writes the job',
    );
  return found.data;
}

function tell(line: JobLine, steps: number, onEvent: OnEvent): void {
  if (line.kind === 'step')
    onEvent({
      kind: 'progress',
      name: 'training by torchrun',
      done: line.step,
      total: steps,
      note: `loss ${line.loss.toFixed(3)}`,
      keeps: true,
    });
  if (line.kind === 'note') onEvent({ kind: 'note', text: line.text });
  if (line.kind === 'started' && line.step > 0)
    onEvent({ kind: 'note', text: `resuming at step ${line.step}` });
}

function waiting(
  { folder }: JobPlace,
  id: string,
  { trained, keep, rates }: JobTraining,
  lines: readonly JobLine[],
): WaitingJob {
  const bytes = [...trained.shapes.values()].reduce((sum, shape) => sum + 4 * elements(shape), 0);
  const done = Math.max(0, ...lines.map((line) => ('step' in line ? line.step : 0)));
  return {
    kind: 'waiting',
    job: folder,
    id,
    done,
    steps: rates.length,
    encrypted: isEncrypted(folder),
    result: { bytes, states: keep.length },
  };
}
