// Prompt templates: how instruction and input become one prompt. Two are built in; others are JSON files with
// `prompt_input` and `prompt_no_input`, as in the paper's code and Alpaca-LoRA's.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';
import { readJsonObject } from '../../sources/strict-json.ts';

export interface PromptTemplate {
  name: string;
  /** For rows with an input; holds `{instruction}` and `{input}`. */
  promptInput: string;
  /** For rows without. */
  promptNoInput: string;
}

/** `alpaca` as stanford_alpaca's train.py has it, on which the answer follows without a line break. */
const BUILT_IN: Readonly<Record<string, PromptTemplate>> = {
  barebone: { name: 'barebone', promptInput: '{instruction}\n{input}\n', promptNoInput: '{instruction}\n' },
  alpaca: {
    name: 'alpaca',
    promptInput:
      'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:',
    promptNoInput:
      'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:',
  },
};

const KEYS = ['prompt_input', 'prompt_no_input', 'description', 'response_split', 'name'];

/** By name alone, as the paper's code: `templates/NAME.json` here, else a built-in one. Throws as `loadTemplate`. */
export function templateNamed(name: string): PromptTemplate {
  const file = join('templates', `${name}.json`);
  if (existsSync(file)) return loadTemplate(file);
  if (Object.hasOwn(BUILT_IN, name)) return BUILT_IN[name]!;
  throw new WhorlError(
    'usage',
    `no template ${JSON.stringify(name)}: there is no ${file}`,
    nameHint(name, Object.keys(BUILT_IN), { or: 'write it there (prompt_input, prompt_no_input)' }),
  );
}

/** A built-in template by name, or a JSON file. Throws `usage` for an unknown name, `bad-file` for a bad file. */
export function loadTemplate(nameOrFile: string): PromptTemplate {
  if (Object.hasOwn(BUILT_IN, nameOrFile)) return BUILT_IN[nameOrFile]!;
  if (!nameOrFile.endsWith('.json') && !existsSync(nameOrFile)) {
    const hint = nameHint(nameOrFile, Object.keys(BUILT_IN), { or: 'a JSON file' });
    throw new WhorlError('usage', `no template ${JSON.stringify(nameOrFile)}`, hint);
  }
  const json = readJsonObject(nameOrFile, nameOrFile);
  const unknown = Object.keys(json).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    const hint = nameHint(unknown, KEYS);
    throw new WhorlError('bad-file', `${nameOrFile}: unknown key ${JSON.stringify(unknown)}`, hint);
  }
  const prompt = (key: string, fields: readonly string[]): string => {
    const text = json[key];
    if (typeof text !== 'string')
      throw new WhorlError('bad-file', `${nameOrFile}: ${key} is missing or not text`);
    for (const field of fields)
      if (!text.includes(`{${field}}`))
        throw new WhorlError('bad-file', `${nameOrFile}: ${key} lacks {${field}}`);
    const other = fieldsOf(text).find((field) => !fields.includes(field));
    if (other !== undefined)
      throw new WhorlError(
        'bad-file',
        `${nameOrFile}: ${key} has {${other}}`,
        'only {instruction} and {input} are filled in; write {{ for a brace',
      );
    return text;
  };
  return {
    name: nameOrFile,
    promptInput: prompt('prompt_input', ['instruction', 'input']),
    promptNoInput: prompt('prompt_no_input', ['instruction']),
  };
}

const BRACES = /\{\{|\}\}|\{([^{}]*)\}/g; // as Python's str.format: doubled braces are braces

const fieldsOf = (text: string): string[] =>
  [...text.matchAll(BRACES)].flatMap(([, field]) => (field === undefined ? [] : [field]));

/** The prompt of a row. Filled in one pass, so that a row's own `{input}` stays as it stands. */
export function applyTemplate(
  template: PromptTemplate,
  row: { instruction: string; input?: string },
): string {
  const { instruction, input = '' } = row;
  const text = input === '' ? template.promptNoInput : template.promptInput;
  return text.replace(BRACES, (whole, field: string | undefined) => {
    if (field === undefined) return whole[0]!;
    return field === 'instruction' ? instruction : input;
  });
}
