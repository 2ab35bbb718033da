// What the tensor engine of this machine is, for `whorl doctor`. Beside session.ts the only file that asks it.

import ort from 'onnxruntime-node';

export interface EngineInfo {
  readonly name: string;
  readonly version: string;
  /** Providers whose libraries are in the package; whether a device answers, only a session shows. */
  readonly providers: readonly string[];
}

export function engineInfo(): EngineInfo {
  const backends = ort.listSupportedBackends() as readonly { name: string; bundled: boolean }[];
  return {
    name: 'ONNX Runtime',
    version: ort.env.versions.node ?? ort.env.versions.common,
    providers: backends.filter(({ bundled }) => bundled).map(({ name }) => name),
  };
}
