// What the tensor engine of this machine is, for `whorl doctor`. Beside session.ts the only file that asks it.

import { counters } from './session.ts';
import { ort } from './session-engine.ts';

export interface EngineInfo {
  readonly name: string;
  readonly version: string;
  /** Providers whose libraries are in the package; whether a device answers, only a session shows. */
  readonly providers: readonly string[];
}

/** Sessions that this process has compiled: sizes of batches do not cost new ones. */
export const engineSessions = (): number => counters.compiled;

export function engineInfo(): EngineInfo {
  const backends = ort.listSupportedBackends() as readonly { name: string; bundled: boolean }[];
  return {
    name: 'ONNX Runtime',
    version: ort.env.versions.node ?? ort.env.versions.common,
    providers: backends.filter(({ bundled }) => bundled).map(({ name }) => name),
  };
}
