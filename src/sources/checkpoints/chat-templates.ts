// Chat templates in files of their own, as transformers saves those that have another name than the default one:
// additional_chat_templates/NAME.jinja.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isFolder, type SourceFolder } from './folder.ts';

const FOLDER = 'additional_chat_templates';
const ENDING = '.jinja';
/** No model has so many; more are not read, and so neither copied nor digested. */
const MOST_TEMPLATES = 100;

/** `additional_chat_templates/tool_use.jinja` → `tool_use`; undefined for any other path. */
export function furtherTemplateName(path: string): string | undefined {
  const [folder, file, ...deeper] = path.split('/');
  if (folder !== FOLDER || deeper.length > 0 || !file?.endsWith(ENDING)) return undefined;
  return file.slice(0, -ENDING.length);
}

/** Paths inside the model's folder of all that it has, sorted; `folder` is a path. */
export function furtherTemplates(folder: string): readonly string[] {
  const inner = join(folder, FOLDER);
  if (!isFolder(inner)) return [];
  return readdirSync(inner)
    .filter((name) => name.endsWith(ENDING) && !name.startsWith('.'))
    .sort()
    .slice(0, MOST_TEMPLATES)
    .map((name) => `${FOLDER}/${name}`);
}

/** The folder that they lie in, as one whose files may be opened under the rules of the model's own. */
export const templateFolder = ({ given, path, blobs }: SourceFolder): SourceFolder => ({
  given: join(given, FOLDER),
  path: join(path, FOLDER),
  blobs,
});
