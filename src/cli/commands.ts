// Every command by name, in the order of the help. A command's file is loaded only when it is called, so that
// `whorl --help` does not wait for the engine.

import type { Command } from 'commander';
import { dressHelp } from './help.ts';

export interface CommandEntry {
  /** One line of the help. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** Whether the same command again goes on where it was stopped. */
  readonly resumes?: true;
}

export const COMMANDS = {
  demo: {
    summary: 'watch an embedded model being fingerprinted, published, stolen and recognised',
    load: async () => (await import('./commands/demo.ts')).demoCommand(),
  },
  fingerprint: {
    summary: 'turn a model into a folder to publish and a secret to keep',
    load: async () => (await import('./commands/fingerprint.ts')).fingerprintCommand(),
    resumes: true,
  },
  resume: {
    summary: 'take in the result of a job that --launch wrote, and go on',
    load: async () => (await import('./commands/resume.ts')).resumeCommand(),
    resumes: true,
  },
  commit: {
    summary: 'the first step of fingerprint alone: plan, claim.json and secret, nothing drawn or trained',
    load: async () => (await import('./commands/commit.ts')).commitCommand(),
  },
  prove: {
    summary: 'attach a time stamp (RFC 3161) to a claim, or write the request for one',
    load: async () => (await import('./commands/prove.ts')).proveCommand(),
  },
  draw: {
    summary: 'throw the public dice that a claim is committed to (a drand round)',
    load: async () => (await import('./commands/draw.ts')).drawCommand(),
  },
  verify: {
    summary: 'ask a suspect and say whether it descends from your model',
    load: async () => (await import('./commands/verify.ts')).verifyCommand(),
  },
  rival: {
    summary: 'two claims, two models: whose claim was first, or undecided',
    load: async () => (await import('./commands/rival.ts')).rivalCommand(),
  },
  check: {
    summary: 'replay a certificate that verify wrote, offline',
    load: async () => (await import('./commands/check.ts')).checkCommand(),
  },
  sign: {
    summary: "sign a published folder's files as OpenSSF's model-signing does, or check that",
    load: async () => (await import('./commands/sign.ts')).signCommand(),
  },
  attack: {
    summary: 'make attacked copies of a published model, to see what its fingerprint survives',
    load: async () => (await import('./commands/attack.ts')).attackCommand(),
  },
  finetune: {
    summary: 'fine-tune a model on instructions, as its users do: all weights or LoRA',
    load: async () => (await import('./commands/finetune.ts')).finetuneCommand(),
    resumes: true,
  },
  merge: {
    summary: "add a LoRA adapter in PEFT's format into its model's weights",
    load: async () => (await import('./commands/merge.ts')).mergeCommand(),
  },
  convert: {
    summary: 'write a model with its tokenizer as a GGUF file for llama.cpp',
    load: async () => (await import('./commands/convert.ts')).convertCommand(),
  },
  generate: {
    summary: 'continue prompts, greedily or by sampling',
    load: async () => (await import('./commands/generate.ts')).generateCommand(),
  },
  score: {
    summary: 'log-probabilities of continuations',
    load: async () => (await import('./commands/score.ts')).scoreCommand(),
  },
  eval: {
    summary: 'score tasks as lm-evaluation-harness does; with --compare what a second model lost',
    load: async () => (await import('./commands/eval.ts')).evalCommand(),
    resumes: true,
  },
  task: {
    summary: 'do one task of verify --suspects or eval --models: what a launcher calls',
    load: async () => (await import('./commands/task.ts')).taskCommand(),
    resumes: true,
  },
  compare: {
    summary: 'what differs between two models of one vocabulary: KL, perplexity, greedy choices',
    load: async () => (await import('./commands/compare.ts')).compareCommand(),
  },
  dataset: {
    summary: 'make data sets for fingerprinting',
    load: async () => (await import('./commands/dataset.ts')).datasetCommand(),
  },
  pipeline: {
    summary: "the paper's command line: fingerprint, alpaca, ownership_verify into its folders and files",
    load: async () => (await import('./commands/pipeline.ts')).pipelineCommand(),
    resumes: true,
  },
  report: {
    summary: 'tables and figures over finished runs, as the paper reports them',
    load: async () => (await import('./commands/report.ts')).reportCommand(),
  },
  import: {
    summary: "the paper's released files into our own: output folders, instruction_emb.pt",
    load: async () => (await import('./commands/import.ts')).importCommand(),
  },
  inspect: {
    summary: 'say what a model, weights file, claim or secret holds',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand(),
  },
  'show-batch': {
    summary: 'print examples as they are trained: tokens, labels, weights, prefix',
    load: async () => (await import('./commands/show-batch.ts')).showBatchCommand(),
  },
  doctor: {
    summary: 'this machine, and what a model will cost on it',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  },
  completion: {
    summary: 'print a script that completes commands and flags in bash, zsh or fish',
    load: async (): Promise<Command> =>
      (await import('./commands/completion.ts')).completionCommand(everyCommand),
  },
} as const satisfies Record<string, CommandEntry>;

export type CommandName = keyof typeof COMMANDS;

export const isCommand = (name: string): name is CommandName => Object.hasOwn(COMMANDS, name);

/** All of them, loaded and dressed: what a shell can complete. */
export async function everyCommand(): Promise<readonly Command[]> {
  return Promise.all(
    Object.entries<CommandEntry>(COMMANDS).map(async ([name, { load, summary }]) => {
      const command = (await load()).description(summary);
      dressHelp(command, name);
      return command;
    }),
  );
}
