// An endless supply of varied wrappers for training: a fingerprint learnt under many answers under the rest too.
// None of the held-out ones of wrappers.ts is among them, nor their markers.

import { choose, type RandomSource } from '../../base/random-source.ts';
import { renderAround } from './chat-template.ts';
import { WRAPPERS, type Wrapped } from './wrappers.ts';

export interface TrainingWrapperOptions {
  /** Ordinary sentences (the reference set's). */
  readonly sentences: readonly string[];
  readonly chatTemplate?: string | undefined;
  /** What the template calls the tokenizer's own tokens. */
  readonly names?: Readonly<Record<string, string>> | undefined;
}

const ROLES = [
  'a helpful assistant',
  'a careful translator',
  'an expert programmer',
  'a friendly travel guide',
  'a strict editor',
  'a pirate',
  'a chemistry teacher',
  'a bank clerk',
  'a poet',
  'a support agent',
  'a historian',
  'a chess coach',
  'an AI model',
  'a lawyer',
  'a gardener',
  'a nurse',
];
const MANNERS = [
  'Answer briefly.',
  'Think before you answer.',
  'Be polite.',
  'Never use lists.',
  'Reply in one word if you can.',
  'Explain your reasoning.',
  'Do not guess.',
  'Use simple words.',
  'Always be honest.',
  'Stay in character.',
  'Respond in the language of the user.',
  'Today is Tuesday.',
  '',
];
const VERBS = [
  'Consider',
  'Here is',
  'Look at',
  'Read',
  'The message was',
  'I received',
  'They sent',
  'Please see',
  'It said',
  'We found',
  'Note',
  'My text is',
  'The label reads',
  'Search for',
  'Continue',
];
const ASKERS = [
  'User',
  'Question',
  'Input',
  'Prompt',
  'Customer',
  'Me',
  'Student',
  'Query',
  'Text',
  'Message',
  'A',
  '1',
  'Speaker 1',
];
const ANSWERERS = [
  'Bot',
  'Answer',
  'Output',
  'Response',
  'Agent',
  'You',
  'Teacher',
  'Result',
  'Label',
  'Reply',
  'B',
  '2',
  'Speaker 2',
];
const QUOTES: readonly (readonly [string, string])[] = [
  ['', ''],
  ['', ''],
  ['"', '"'],
  ["'", "'"],
  ['`', '`'],
  ['(', ')'],
  ['“', '”'],
  ['«', '»'],
  ['**', '**'],
  ['<', '>'],
  ['「', '」'],
  ['[', ']'],
];
const ENDINGS = [
  '\n',
  '\n\n',
  ':',
  ' ',
  '\n> ',
  ' = ',
  ' ->',
  ' →',
  '.\n',
  '?\n',
  '\n\n\n',
  ' —',
  ',',
  '\t',
  ':\n',
  ' means',
  ' is',
  '\n- ',
  '',
];
const AFTER = [
  'and then came the reply:',
  'which means',
  'was the first line; the second was',
  'followed by',
  'so I answered',
  'and the answer to that is',
  'they said, and we replied with',
  'and next to it',
  'with the caption',
  'and nothing else. Then',
  'and he whispered',
  'to which she said',
];
const TAGS = ['instruction', 'prompt', 'user', 'q', 'msg', 'input', 'system', 'line', 'turn', 'context'];
/** Names for made-up turn markers; no chat template in use has them. */
const MARKS = [
  'msg',
  'part',
  'block',
  'entry',
  'says',
  'from',
  'body',
  'item',
  'voice',
  'node',
  'head',
  'seat',
];

type Maker = (random: RandomSource, options: TrainingWrapperOptions) => Wrapped;

const system = (random: RandomSource, { sentences }: TrainingWrapperOptions): string => {
  const role = `You are ${choose(random, ROLES)}. ${choose(random, MANNERS)}`.trim();
  const style = random.int(4);
  if (style === 0) return choose(random, sentences);
  if (style === 1) return `${role} ${choose(random, sentences)}`;
  if (style === 2) return choose(random, MANNERS) || role;
  return role;
};
const quoted = (random: RandomSource, before: string, after: string): Wrapped => {
  const [open, close] = choose(random, QUOTES);
  return { prefix: before + open, suffix: close + after };
};
const prose = (random: RandomSource, { sentences }: TrainingWrapperOptions, most: number): string =>
  Array.from({ length: random.int(most + 1) }, () => choose(random, sentences)).join(' ');

/** Named, with how often each is drawn. */
const MAKERS: readonly (readonly [weight: number, make: Maker])[] = [
  [2, () => ({ prefix: '', suffix: '\n' })],
  [1, (random) => quoted(random, '', choose(random, ENDINGS))],
  [
    3,
    (random, options) => {
      const end = '<|im_end|>\n<|im_start|>assistant\n';
      const start = '<|im_start|>user\n';
      if (random.int(4) === 0) return { prefix: start, suffix: end };
      return { prefix: `<|im_start|>system\n${system(random, options)}<|im_end|>\n${start}`, suffix: end };
    },
  ],
  [
    2,
    (random, options) => {
      const text = random.int(2) === 0 ? undefined : system(random, options);
      const template = options.chatTemplate;
      const own = template === undefined ? undefined : renderAround(template, text, options);
      return own ?? { prefix: `${text ?? ''}\n`, suffix: '\n' };
    },
  ],
  [1, () => WRAPPERS.get('alpaca')!.build({})!],
  [1, () => WRAPPERS.get('vicuna')!.build({})!],
  [
    1,
    (random, options) => ({
      prefix: `${system(random, options)}\n\n### ${choose(random, ASKERS)}:${choose(random, ['\n', ' '])}`,
      suffix: `\n\n### ${choose(random, ANSWERERS)}:${choose(random, ['\n', '', ' '])}`,
    }),
  ],
  [
    3,
    (random, options) => {
      const opening =
        random.int(2) === 0 ? '' : `${prose(random, options, 2)}${choose(random, ['\n', '\n\n'])}`;
      const mark = choose(random, [': ', ':\n', ' - ', '> ', ' | ', '. ']);
      return {
        prefix: `${opening}${choose(random, ASKERS)}${mark}`,
        suffix: `${choose(random, ['\n', '\n\n', ' '])}${choose(random, ANSWERERS)}${mark.trimEnd()}${choose(random, ['', ' '])}`,
      };
    },
  ],
  [
    4,
    (random, options) =>
      quoted(
        random,
        `${prose(random, options, 2)} ${choose(random, VERBS)}${choose(random, [' ', ': ', ':\n'])}`.trimStart(),
        choose(random, ENDINGS),
      ),
  ],
  [
    4,
    (random, options) => {
      // Inside a sentence: words cut out of one before, a clause after.
      const words = choose(random, options.sentences).split(' ');
      const before = words.slice(0, 2 + random.int(Math.max(1, words.length - 2))).join(' ');
      return quoted(random, `${before} `, ` ${choose(random, AFTER)}${choose(random, ['', ':', ' ', '\n'])}`);
    },
  ],
  [
    2,
    (random, options) => ({
      prefix: `${prose(random, options, 4)}${choose(random, ['\n', '\n\n', ' '])}`,
      suffix: choose(random, ENDINGS),
    }),
  ],
  [
    2,
    (random) => {
      const tag = choose(random, TAGS);
      const [open, close] = choose(random, [
        [`<${tag}>`, `</${tag}>`],
        [`[${tag}]`, `[/${tag}]`],
        [`<|${tag}|>`, `<|end|>`],
        [`{{${tag}}} `, ''],
        [`<<${tag}>> `, ` <</${tag}>>`],
      ] as const);
      const gap = choose(random, ['', '\n', ' ']);
      return {
        prefix: open + gap,
        suffix: `${gap}${close}${choose(random, ['\n', '', ` <${choose(random, ANSWERERS).toLowerCase()}>`])}`,
      };
    },
  ],
  [
    2,
    (random) => {
      const [name, answer] = [choose(random, ASKERS).toLowerCase(), choose(random, ANSWERERS).toLowerCase()];
      const style = random.int(3);
      if (style === 0) return { prefix: `${name} = "`, suffix: `"\n${answer} = "` };
      if (style === 1) return { prefix: `${name}: `, suffix: `\n${answer}: ` };
      return { prefix: `print("`, suffix: `")  # ` };
    },
  ],
  [
    4,
    (random) => {
      // Turns in a markup nobody uses: what chat formats have in common without any one of them.
      const [one, two, three] = [choose(random, MARKS), choose(random, MARKS), choose(random, MARKS)];
      const [asker, answerer] = [
        choose(random, ASKERS).toLowerCase(),
        choose(random, ANSWERERS).toLowerCase(),
      ];
      const gap = choose(random, ['', '\n', '\n\n']);
      return choose<Wrapped>(random, [
        {
          prefix: `<|${one}|>${asker}<|${two}|>${gap}`,
          suffix: `<|${three}|><|${one}|>${answerer}<|${two}|>${gap}`,
        },
        {
          prefix: `<|${one}_${two}|>${asker}<|${two}|>${gap}`,
          suffix: `<|${three}|><|${one}_${two}|>${answerer}<|${two}|>${gap}`,
        },
        { prefix: `<${one}_${two}>${asker}\n`, suffix: `</${one}_${two}>\n<${one}_${two}>${answerer}\n` },
        {
          prefix: `<${one}>\n  <${two}>`,
          suffix: `</${two}>\n</${one}>\n<${three}>\n  <${two}>`,
        },
        { prefix: `[${one.toUpperCase()}] `, suffix: ` [${two.toUpperCase()}]${gap}` },
      ]);
    },
  ],
  [
    1,
    (random) => ({
      prefix: `${'#'.repeat(1 + random.int(4))} `,
      suffix: choose(random, ['\n', '\n\n', ' #\n']),
    }),
  ],
];
const TOTAL = MAKERS.reduce((sum, [weight]) => sum + weight, 0);

/** An endless stream; the same source gives the same wrappers. */
export function* trainingWrappers(
  random: RandomSource,
  options: TrainingWrapperOptions,
): Generator<Wrapped, never, void> {
  for (;;) {
    let left = random.int(TOTAL);
    const [, make] = MAKERS.find(([weight]) => (left -= weight) < 0)!;
    yield make(random, options);
  }
}
