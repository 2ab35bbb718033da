// What a call of `verify` is given and what it reports, the same for weights that are here and for a server.

import type { Abortable } from '../base/abort.ts';
import type { OnEvent } from '../base/events.ts';
import type { SOFTWARE } from '../base/software.ts';
import type { Unlock } from '../claim/secret-file.ts';
import type { QuantisedPrecision } from '../engine/packing.ts';
import type { ComputeOptions } from '../engine/session-device.ts';
import type { AskedBy } from '../launch/ask-job.ts';
import type { LaunchOptions } from '../launch/job.ts';
import type { EndpointIdentity } from '../lm/endpoint/endpoint-model.ts';
import type { EndpointSpec, EndpointTuning } from '../lm/endpoint/settings.ts';
import type { ConfigOptions } from '../models/open-model.ts';
import type { CertificateOptions } from './certify.ts';
import type { VanillaDigests } from './exactness.ts';
import type { FurtherTest } from './further.ts';
import type { SequentialOptions } from './sequential/stopped.ts';
import type { Asked, Verdict } from './verdict.ts';

/** How a server is asked: all but its address. */
export interface EndpointOptions extends Omit<EndpointSpec, 'kind' | 'url'>, EndpointTuning {
  /** Where answers are kept as they come; default: `transcripts/` beside the secret. */
  readonly transcript?: string;
}

/** What is known of a suspect behind a server, and what is not. */
export interface EndpointReport extends EndpointIdentity {
  /** When the first and the last answer came. */
  readonly asked_from: string;
  readonly asked_to: string;
  readonly transcript: string;
  /** Hash of the transcript's last line. */
  readonly transcript_chain: string;
  /** Answers that were read from the transcript in place of asking: nothing binds them but a file that the caller owns. */
  readonly kept: number;
  /** Requests that were sent for these answers, and tokens as the server counts them. */
  readonly queries: number;
  readonly tokens: number;
  readonly not_known: readonly string[];
}

export interface VerifyOptions extends ComputeOptions, ConfigOptions, Abortable {
  readonly secret: string;
  /** Default: claim.json beside the secret. Without either no p-value is given. */
  readonly claim?: string;
  /** A folder, a GGUF file, a hub id; with `endpoint` the address of a server's API. */
  readonly suspect: string;
  /** The suspect answers behind a server. */
  readonly endpoint?: EndpointOptions;
  /**
   * Methods with a private part: the owner's vanilla model, as committed, that the suspect's rows are put on. Default:
   * the suspect's own body (`direct`).
   */
  readonly body?: string;
  /** Of a claim with a stamp: the owner's vanilla model, which the suspect's matrices are compared with. Default: `body`. */
  readonly vanilla?: string;
  /** Leaves a stamp beside keys unread, and closed in a certificate. Both ways to decide are paid for anyway. */
  readonly withoutStamp?: boolean;
  /** Default: the committed plan's; any other is paid for. */
  readonly wrapper?: string;
  /** A system prompt, which no claim of format 1 commits to: with it no p-value is given. */
  readonly system?: string;
  /** A file with certificates of time-stamp authorities that the caller trusts (PEM, or one in DER); default: nobody is trusted. */
  readonly tsaRoot?: string;
  /** Default: the committed one; with any other no p-value is given. */
  readonly alpha?: number;
  /** Scores everything that could have been drawn, for T6: keys times candidates, or the pool. */
  readonly ranks?: boolean;
  /** Asks so many of the keys that no certificate opened, in committed order; default: all of them. */
  readonly keys?: number;
  /** Asks key by key in committed order and stops as soon as it may; answers are kept, and another call goes on from them. */
  readonly sequential?: SequentialOptions;
  /** Writes a certificate, which opens the keys that were asked: they are asked no more. */
  readonly certificate?: CertificateOptions;
  /** The suspect is asked by a job, for machines that hold it (`launchVerify`). */
  readonly launch?: LaunchOptions | undefined;
  readonly unlock?: Unlock;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

/** How the keys were put, in full but for the keys themselves. */
export interface AskedInFull extends Asked {
  /** The text around each key, and SHA-256 of all prompts in committed order (as a JSON list). */
  readonly prefix: string;
  readonly suffix: string;
  readonly prompts_sha256: string;
  /** SHA-256 of the chat template of whoever answered; null where it has none. */
  readonly chat_template_sha256: string | null;
}

export interface VerifyReport extends Verdict {
  readonly suspect: string;
  /** SHA-256 of the suspect's weights, tokenizer files and config files (sources/checkpoints/digest.ts); null behind a server. */
  readonly suspect_digests: VanillaDigests | null;
  /** Who answered behind a server; null where the suspect's weights are here. */
  readonly endpoint: EndpointReport | null;
  /** The same of `body`; null where the suspect answered on its own. */
  readonly body_digests: VanillaDigests | null;
  readonly asked: AskedInFull;
  /** T5 and T6 over the same answers (docs/claims.md, section 3): they give no word. Empty where the keys give no p-value. */
  readonly further: readonly FurtherTest[];
  /** Where the claim was read; null where there was none but the secret's own copy. */
  readonly claim_file: string | null;
  /** Nothing committed binds the secret's record of trained rows (format 1), so rows are not compared. */
  readonly passive: null;
  readonly software: typeof SOFTWARE;
  /** Keys that certificates opened, which were left out. */
  readonly burnt: number;
  /** Where the certificate was written; null without one. */
  readonly certificate: string | null;
  /** Keys of the answering model's config.json that were ignored, where there are such. */
  readonly ignored_config_keys?: readonly string[];
  /** What the suspect's linear layers computed in, where it was not float32. */
  readonly precision?: QuantisedPrecision;
  /** Who answered by a job, and what it computed in. */
  readonly launched?: AskedBy & Required<Pick<LaunchOptions, 'dtype'>>;
  /** Why the suspect's tokenizer keeps keys from being asked as they were trained; empty where it does not. */
  readonly warnings: readonly string[];
  readonly seconds: number;
}
