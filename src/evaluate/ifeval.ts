// The verifiable instructions of IFEval (Zhou et al. 2023, arXiv 2311.07911) as its authors check them, and its four scores:
// all instructions of a prompt or each of them, of the answer as it is or of what is left without first or last line or `*`.
// Not exact, because what they rest on is a trained model: language, sentences (english-text.ts, language-of.ts).

import { strip, words } from '../base/python-space.ts';
import { parsePythonJson } from '../sources/rows/python-json.ts';
import type { Row } from '../sources/rows/row.ts';
import { capitalWords, isLower, isUpper, sentenceCount, wordCount } from './english-text.ts';
import { ExpressionError, MissingColumn } from './expression.ts';
import { languageOf } from './language-of.ts';
import type { Item } from './metrics.ts';

/** What stands beside an instruction: `{num_words: 100, relation: "at least"}`; null where another one needs it. */
class Given {
  constructor(
    readonly id: string,
    readonly values: Row,
  ) {}

  #value(name: string): unknown {
    const value = Object.hasOwn(this.values, name) ? this.values[name] : undefined;
    if (value !== undefined && value !== null) return value;
    throw new ExpressionError(`has no ${name} for ${this.id}`);
  }

  text(name: string): string {
    const value = this.#value(name);
    if (typeof value === 'string') return value;
    throw new ExpressionError(`wants a text as ${name} of ${this.id}, not ${JSON.stringify(value)}`);
  }

  texts(name: string): readonly string[] {
    const value = this.#value(name);
    if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value as string[];
    throw new ExpressionError(`wants a list of texts as ${name} of ${this.id}, not ${JSON.stringify(value)}`);
  }

  count(name: string): number {
    const value = Number(this.#value(name));
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new ExpressionError(
      `wants a whole number as ${name} of ${this.id}, not ${JSON.stringify(this.values[name])}`,
    );
  }

  /** Whether a count stands to a number as is asked. */
  compares(counted: number, number: string, relation: string): boolean {
    const relate = this.text(relation);
    if (!Object.hasOwn(RELATIONS, relate))
      throw new ExpressionError(
        `wants ${Object.keys(RELATIONS).join(' or ')} as ${relation} of ${this.id}, not ${JSON.stringify(relate)}`,
      );
    return RELATIONS[relate]!(counted, this.count(number));
  }

  /** A keyword is a regular expression to the authors' code. */
  pattern(source: string, flags = 'gi'): RegExp {
    try {
      return new RegExp(source, flags);
    } catch (cause) {
      throw new ExpressionError(`has a keyword that is no regular expression: ${JSON.stringify(source)}`, {
        cause,
      });
    }
  }
}

const RELATIONS: Readonly<Record<string, (counted: number, number: number) => boolean>> = {
  'less than': (counted, number) => counted < number,
  'at least': (counted, number) => counted >= number,
};

const matches = (text: string, pattern: RegExp): string[] => text.match(pattern) ?? [];
/** White space of Python's regular expressions. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are white space in Python
const S = /(?:(?!\ufeff)\s|[\x1c-\x1f\x85])/.source;
const WORD = '[\\p{L}\\p{N}_]';
/** `\b` of Python, which knows letters of every script. */
const EDGE = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
/** `^` and `$` of Python's MULTILINE: line feeds alone end a line. */
const [START, END] = ['(?<![^\\n])', '(?![^\\n])'];
const BULLETS = [`${START}${S}*\\*[^*][^\\n]*${END}`, `${START}${S}*-[^\\n]*${END}`].map(
  (source) => new RegExp(source, 'g'),
);
const ANSWERS = ['My answer is yes.', 'My answer is no.', 'My answer is maybe.'];
const FENCES = [/^```json/, /^```Json/, /^```JSON/, /^```/, /```$/];
const POSTSCRIPTS: Readonly<Record<string, string>> = {
  'P.P.S': `p\\.${S}?p\\.${S}?s`,
  'P.S.': `p\\.${S}?s\\.`,
};

/** Parts between dividers, where none but the first and the last may be empty. */
function filled(parts: readonly string[]): string[] | undefined {
  const isEmpty = (part: string) => strip(part) === '';
  if (parts.slice(1, -1).some(isEmpty)) return undefined;
  return parts.filter((part) => !isEmpty(part));
}

/** An answer without letters is in any language, as in the authors' code. */
const isIn = (text: string, language: string): boolean => (languageOf(text) ?? language) === language;

type Check = (answer: string, given: Given) => boolean;

const CHECKS: Readonly<Record<string, Check>> = {
  'keywords:existence': (answer, given) =>
    given.texts('keywords').every((keyword) => given.pattern(keyword).test(answer)),
  'keywords:frequency': (answer, given) =>
    given.compares(
      matches(answer, given.pattern(strip(given.text('keyword')))).length,
      'frequency',
      'relation',
    ),
  'keywords:forbidden_words': (answer, given) =>
    !given.texts('forbidden_words').some((word) => given.pattern(`${EDGE}${word}${EDGE}`, 'iu').test(answer)),
  'keywords:letter_frequency'(answer, given) {
    const letter = strip(given.text('letter')).toLowerCase();
    const counted = [...answer.toLowerCase()].filter((char) => char === letter).length;
    return given.compares(counted, 'let_frequency', 'let_relation');
  },
  'language:response_language': (answer, given) => isIn(answer, given.text('language')),
  'length_constraints:number_sentences': (answer, given) =>
    given.compares(sentenceCount(answer), 'num_sentences', 'relation'),
  'length_constraints:number_paragraphs': (answer, given) =>
    filled(answer.split(new RegExp(`${S}?\\*\\*\\*${S}?`)))?.length === given.count('num_paragraphs'),
  'length_constraints:number_words': (answer, given) =>
    given.compares(wordCount(answer), 'num_words', 'relation'),
  'length_constraints:nth_paragraph_first_word'(answer, given) {
    const paragraphs = answer.split('\n\n');
    const count = paragraphs.filter((paragraph) => strip(paragraph) !== '').length;
    const place = given.count('nth_paragraph');
    const [first] = place >= 1 && place <= count ? words(paragraphs[place - 1]!) : [];
    if (first === undefined) return false;
    const word = /^[^.,?!'"]*/.exec(first.replace(/^'+/, '').replace(/^"+/, ''))![0];
    return (
      count === given.count('num_paragraphs') && word.toLowerCase() === given.text('first_word').toLowerCase()
    );
  },
  'detectable_content:number_placeholders': (answer, given) =>
    matches(answer, /\[[^\n]*?\]/g).length >= given.count('num_placeholders'),
  'detectable_content:postscript'(answer, given) {
    const marker = strip(given.text('postscript_marker'));
    const own = Object.hasOwn(POSTSCRIPTS, marker) ? POSTSCRIPTS[marker]! : marker.toLowerCase();
    return given.pattern(own, '').test(answer.toLowerCase());
  },
  'detectable_format:number_bullet_lists': (answer, given) =>
    BULLETS.reduce((sum, pattern) => sum + matches(answer, pattern).length, 0) === given.count('num_bullets'),
  'detectable_format:constrained_response': (answer) => ANSWERS.some((option) => answer.includes(option)),
  'detectable_format:number_highlighted_sections'(answer, given) {
    const single = matches(answer, /\*[^\n*]*\*/g).filter(
      (part) => strip(part.replace(/^\*+|\*+$/g, '')) !== '',
    );
    const double = matches(answer, /\*\*[^\n*]*\*\*/g).filter((part) => strip(part.slice(2, -2)) !== '');
    return single.length + double.length >= given.count('num_highlights');
  },
  'detectable_format:multiple_sections'(answer, given) {
    const mark = given.pattern(`${strip(given.text('section_spliter'))}${S}?\\p{Nd}+`, 'gu');
    return matches(answer, mark).length >= given.count('num_sections');
  },
  'detectable_format:json_format'(answer) {
    const bare = FENCES.reduce((rest, fence) => rest.replace(fence, ''), strip(answer));
    try {
      parsePythonJson(strip(bare));
      return true;
    } catch {
      return false;
    }
  },
  'detectable_format:title': (answer) =>
    matches(answer, /<<[^\n]+>>/g).some((title) => strip(title.replace(/^<+|>+$/g, '')) !== ''),
  'combination:two_responses'(answer) {
    const [first, second, ...more] = filled(answer.split('******')) ?? [];
    return first !== undefined && second !== undefined && more.length === 0 && strip(first) !== strip(second);
  },
  'combination:repeat_prompt': (answer, given) =>
    strip(answer)
      .toLowerCase()
      .startsWith(strip(given.text('prompt_to_repeat')).toLowerCase()),
  'startend:end_checker': (answer, given) =>
    strip(answer)
      .replace(/^"+|"+$/g, '')
      .toLowerCase()
      .endsWith(strip(given.text('end_phrase')).toLowerCase()),
  'startend:quotation'(answer) {
    const bare = strip(answer);
    return bare.length > 1 && bare.startsWith('"') && bare.endsWith('"');
  },
  'change_case:capital_word_frequency': (answer, given) =>
    given.compares(capitalWords(answer), 'capital_frequency', 'capital_relation'),
  'change_case:english_capital': (answer) => isUpper(answer) && isIn(answer, 'en'),
  'change_case:english_lowercase': (answer) => isLower(answer) && isIn(answer, 'en'),
  'punctuation:no_comma': (answer) => !answer.includes(','),
};

/** @returns of each instruction of a row whether one of the answers follows it; an answer of white space follows none */
export function followed(row: Row, answers: readonly string[]): boolean[] {
  const { instruction_id_list: ids, kwargs } = row;
  if (ids === undefined) throw new MissingColumn('instruction_id_list');
  if (kwargs === undefined) throw new MissingColumn('kwargs');
  if (!Array.isArray(ids) || !Array.isArray(kwargs) || ids.length !== kwargs.length)
    throw new ExpressionError('wants as many "kwargs" as there are in "instruction_id_list"');
  const asked = answers.filter((answer) => strip(answer) !== '');
  return ids.map((id: unknown, i) => {
    if (typeof id !== 'string' || !Object.hasOwn(CHECKS, id))
      throw new ExpressionError(`knows no instruction ${JSON.stringify(id)}`);
    const given = new Given(id, (kwargs[i] ?? {}) as Row);
    return asked.some((answer) => CHECKS[id]!(answer, given));
  });
}

/** A row whose instructions cannot be checked is refused before it is asked. */
export function checkedRow(row: Row): Row {
  followed(row, ['x']);
  return row;
}

/** What the loose scores look at: the answer, without its first or last line, and each of these without asterisks. */
function loosened(answer: string): string[] {
  const lines = answer.split('\n');
  const cut = [lines.slice(1), lines.slice(0, -1), lines.slice(1, -1)].map((kept) => strip(kept.join('\n')));
  return [answer, ...cut].flatMap((each) => [each, each.replaceAll('*', '')]);
}

/** The row's four metrics. */
export function ifevalResults(row: Row, answer: string): Readonly<Record<string, Item>> {
  const [strict, loose] = [followed(row, [answer]), followed(row, loosened(answer))];
  const all = (each: readonly boolean[]) => Number(each.every(Boolean));
  return {
    prompt_level_strict_acc: all(strict),
    inst_level_strict_acc: strict.map(Number),
    prompt_level_loose_acc: all(loose),
    inst_level_loose_acc: loose.map(Number),
  };
}
