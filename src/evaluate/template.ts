// A template of a task's file: text with `{{expressions}}`, or the bare name of a column, whose value it then is.

import { WhorlError } from '../base/error.ts';
import { ExpressionError, MissingColumn, parseExpression, type Scope, shown } from './expression.ts';

/** The value where the template is one expression alone, or a column; else the text. */
export interface Template {
  value(row: Scope): unknown;
  text(row: Scope): string;
}

/** @throws WhorlError `unsupported` naming `where` for what is beyond the small language */
export function template(source: string, where: string): Template {
  const pieces = reading(source, where);
  const alone = pieces.length === 1 && typeof pieces[0] === 'function' ? pieces[0] : undefined;
  const text = (row: Scope): string =>
    Object.hasOwn(row, source)
      ? shown(row[source])
      : pieces.map((piece) => (typeof piece === 'string' ? piece : shown(piece(row)))).join('');
  return {
    text,
    value: (row) => (Object.hasOwn(row, source) ? row[source] : alone ? alone(row) : text(row)),
  };
}

function reading(source: string, where: string): (string | ((scope: Scope) => unknown))[] {
  if (/\{%|\{#/.test(source))
    throw new WhorlError(
      'unsupported',
      `${where} has a statement or comment of Jinja`,
      'write it with {{…}} alone',
    );
  const out: (string | ((scope: Scope) => unknown))[] = [];
  let at = 0;
  for (const found of source.matchAll(/\{\{([\s\S]*?)\}\}/g)) {
    if (found.index > at) out.push(source.slice(at, found.index));
    try {
      out.push(parseExpression(found[1]!));
    } catch (cause) {
      if (!(cause instanceof ExpressionError)) throw cause;
      throw new WhorlError('unsupported', `${where}: {{${found[1]!.trim()}}} ${cause.message}`, undefined, {
        cause,
      });
    }
    at = found.index + found[0].length;
  }
  if (at < source.length) out.push(source.slice(at));
  return out;
}

/** Calls, and says of what a row lacks where it stands. @param where of the row: file and line */
export function ofRow<T>(where: string, task: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof MissingColumn)
      throw new WhorlError(
        'bad-file',
        `${where} ${cause.message}, which ${task} needs`,
        'give the rows the columns of the hub',
        {
          cause,
        },
      );
    if (cause instanceof ExpressionError)
      throw new WhorlError('bad-file', `${where}: ${task} ${cause.message}`, 'mend the row', { cause });
    throw cause;
  }
}
