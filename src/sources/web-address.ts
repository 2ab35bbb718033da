// An address of the web where a path or a hub id is asked for: named as that, with the id that it stands for.

import { WhorlError } from '../base/error.ts';

const HUB =
  /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\/(datasets\/)?([\w.-]+\/[\w.-]+)(?:\/(?:tree|blob|resolve)\/([^/?#]+)(?:\/([^?#]*))?)?/i;

/** The error for a name that is an address, or undefined for one that is not. */
export function webAddress(name: string): WhorlError | undefined {
  const hub = HUB.exec(name);
  if (!hub && !/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) return undefined;
  const shown = name.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 200);
  if (!hub) return new WhorlError('usage', `${shown} is a web address`, 'download it and give the path');
  const [, , id, revision, file] = hub;
  const rev = revision === undefined || revision === 'main' ? '' : `@${revision}`;
  const gguf = file?.endsWith('.gguf') ? `:${file}` : '';
  return new WhorlError('usage', `${shown} is a web address`, `give the hub's id: ${id}${rev}${gguf}`);
}
