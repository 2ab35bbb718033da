// What `import … from 'whorl'` gives: every command is one of these calls with the same options.

export { type AttackOptions, type AttackReport, attackRun } from './attack/attack-run.ts';
export { ATTACKS, type AttackName } from './attack/attacks.ts';
export type { Abortable } from './base/abort.ts';
export type { CostEstimate, Dry, DryRun, Made, PlannedFile, PlannedModel, Range } from './base/dry-run.ts';
export { assert, type ErrorCode, WhorlError } from './base/error.ts';
export { type OnEvent, type ProgressEvent, silent } from './base/events.ts';
export type { GivenSettings } from './base/given-settings.ts';
export { Secret } from './base/secret.ts';
export { type Claim, claimText, parseClaim } from './claim/claim.ts';
export { inspectSecret, type Lock, readSecret, type SecretInfo, type Unlock } from './claim/secret-file.ts';
export { type ChatOptions, chatDataset } from './datasets/chat.ts';
export { type DownstreamOptions, downstreamDataset } from './datasets/downstream.ts';
export { type MixOptions, mixDataset } from './datasets/mix.ts';
export { type DemoOptions, type DemoReport, runDemo } from './demo/demo.ts';
export { type DoctorOptions, type DoctorReport, doctor } from './doctor/doctor.ts';
export { gradients } from './engine/autodiff.ts';
export { Graph, type Value } from './engine/graph.ts';
export { Program } from './engine/program.ts';
export { measureRate } from './engine/rate.ts';
export { cpu, type Device, type Feed, type Precision, type Provider } from './engine/session.ts';
export {
  type ComputeOptions,
  type DeviceChoice,
  type Found,
  findAccelerators,
  openDevice,
} from './engine/session-device.ts';
export { engineSessions } from './engine/session-info.ts';
export { catalogue } from './evaluate/catalogue.ts';
export { type CompareOptions, type CompareReport, compare } from './evaluate/compare.ts';
export type { EvaluateReport } from './evaluate/evaluate.ts';
export { type EvaluateModelOptions, evaluateModel } from './evaluate/evaluate-model.ts';
export type { ModeName as EvaluationHarness } from './evaluate/modes.ts';
export {
  instructionExamples,
  launchFinetune,
  type UserFinetuneOptions,
  type UserFinetuneReport,
  userFinetune,
} from './finetune/user-finetune.ts';
export {
  type FingerprintOptions,
  type FingerprintReport,
  fingerprint,
  launchFingerprint,
} from './fingerprint/fingerprint.ts';
export {
  type Injected,
  type InjectOptions,
  injectAdapter,
  unwrapAdapter,
} from './fingerprint/own-loop.ts';
export { type ShowBatchOptions, type ShownBatch, showBatch } from './fingerprint/show-batch.ts';
export {
  type CommitReport,
  commitRun,
  type DrawOptions,
  type DrawReport,
  drawRun,
  type ProveOptions,
  type ProveReport,
  proveRun,
} from './fingerprint/steps.ts';
export {
  type EvaluateFleetOptions,
  type EvaluateFleetReport,
  evaluateFleet,
  type FleetResults,
} from './fleet/eval-fleet.ts';
export type { FleetOptions, LaunchName, WaitingFleet } from './fleet/run-fleet.ts';
export { type RunTaskOptions, runTask, type TaskReport } from './fleet/run-task.ts';
export type { FleetVerdict, SuspectVerdict } from './fleet/verdict.ts';
export { type FleetReport, type VerifyFleetOptions, verifyFleet } from './fleet/verify-fleet.ts';
export { type InspectOptions, type InspectReport, inspect } from './inspect/inspect.ts';
export { type AskedBy, type AskJobOptions, type AskJobWaits, askByJob } from './launch/ask-job.ts';
export { isWaiting, type LaunchOptions, type WaitingJob } from './launch/job.ts';
export { type AskOptions, generateAll, generateEach, scoreAll, scoreEach } from './lm/ask.ts';
export { type GenerateOptions, generate, type ModelOptions, type ScoreOptions, score } from './lm/calls.ts';
export type { Difference } from './lm/compare-models.ts';
export type { EndpointIdentity } from './lm/endpoint/endpoint-model.ts';
export { EndpointModel } from './lm/endpoint/endpoint-model.ts';
export type { EndpointKind, EndpointSpec, EndpointTuning } from './lm/endpoint/settings.ts';
export type {
  Conversation,
  GenerateRequest,
  Generation,
  LanguageModel,
  Question,
  Score,
  ScoreRequest,
  TextRequest,
  TokenGeneration,
} from './lm/language-model.ts';
export { LocalModel, type LocalModelOptions } from './lm/local-model.ts';
export {
  type AdapterChoice,
  asking,
  type ModelSpec,
  type OpenOptions,
  openLanguageModel,
  type Spec,
} from './lm/open.ts';
export { type BosSample, type SampleFromBosOptions, sampleFromBos } from './lm/sample-from-bos.ts';
export type { Sampling } from './lm/sampling.ts';
export type { ScoringRules } from './lm/score-tokens.ts';
export { type ConvertOptions, type ConvertReport, convertModel } from './models/convert-to-gguf.ts';
export {
  memoryEstimate,
  modelSize,
  type RunShape,
  trainingCost,
  trainingSeconds,
} from './models/cost.ts';
export type { Example, Label } from './models/example.ts';
export { type MergeOptions, type MergeReport, mergeAdapter } from './models/merge-adapter.ts';
export { bindModel, type ModelFolder } from './models/model.ts';
export { cacheFolder, type OpenModelOptions, openModel } from './models/open-model.ts';
export {
  type LowRankMap,
  type Overlay,
  PUBLISHED,
  PUBLISHED_WITH_ADAPTER,
  VANILLA,
  VANILLA_WITH_ADAPTER,
  type Variant,
} from './models/overlay.ts';
export * as ops from './ops.ts';
export {
  type EvaluateRegisteredOptions,
  evaluateRegistered,
  type RegisteredReport,
  type RegisteredResult,
} from './pipeline/evaluate-registered.ts';
export { type ImportedAdapter, importAdapter } from './pipeline/import/adapter.ts';
export { type HubImport, importFromHub } from './pipeline/import/hub.ts';
export { planImport } from './pipeline/import/plan.ts';
export {
  launchPipeline,
  MODES,
  type Mode,
  type PipelineOptions,
  type PipelineReport,
  pipeline,
} from './pipeline/pipeline.ts';
export {
  checkModelSignature,
  type ModelSignature,
  type SignModelOptions,
  signModel,
} from './proof/model-signature.ts';
export { type FsrOptions, type FsrReport, reportFsr } from './report/fsr.ts';
export { type Resumed, type ResumeJobOptions, resumeJob } from './resume/resume-job.ts';
export { type ImportedRun, type ImportOptions, importOutput } from './runs/import-output.ts';
export { type LowRankPart, type PeftAdapter, readPeftAdapter } from './sources/checkpoints/peft.ts';
export { readRows } from './sources/rows/read.ts';
export type { Row } from './sources/rows/row.ts';
export type { FloatTensor, TensorRef } from './tensor/tensor.ts';
export { openTokenizer, type Tokenizer } from './text/tokenizer.ts';
export {
  FINETUNE,
  type FinetuneOptions,
  type FinetuneSettings,
  finetune,
} from './train/finetune.ts';
export { ADAMW, type AdamW } from './train/optimiser.ts';
export { type AdapterShape, stateFromPeft, writePeftAdapter } from './train/peft.ts';
export { RowsTrainer } from './train/rows.ts';
export { Trainer, type TrainerOptions } from './train/trainer.ts';
export { EMBEDDING, EVERYTHING, lowRank, lowRankEverywhere, type Trains } from './train/trains.ts';
export { promptAndAnswer, type TuningExample } from './train/tuning-examples.ts';
export { type AskAgainOptions, type AskedAgain, askAgain } from './verify/certificate/ask-again.ts';
export { type Checked, type CheckOptions, checkCertificate } from './verify/certificate/check.ts';
export {
  type RivalClaim,
  type RivalMark,
  type RivalOptions,
  type RivalReport,
  type RivalSideReport,
  rival,
} from './verify/rival.ts';
export type { SequentialOptions, SequentialReport } from './verify/sequential/stopped.ts';
export type { Verdict } from './verify/verdict.ts';
export {
  type EndpointOptions,
  type EndpointReport,
  launchVerify,
  type VerifyOptions,
  type VerifyReport,
  verify,
} from './verify/verify.ts';
