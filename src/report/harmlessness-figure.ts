// The paper's figure of harmlessness: a panel a model, its mean over tasks at 0, 1 and 5 shots, before and after, as SVG.

import { escaped, round, text } from './bar-chart.ts';
import { type HarmlessnessReport, type ModelTable, SHOTS } from './harmlessness.ts';

const COLUMNS = { adapter: 5, sft_chat: 4 } as const;
const [WIDTH, HEIGHT] = [230, 220];
/** Within a panel: where the plot stands. */
const PLOT = { left: 48, top: 34, width: 168, height: 140 };
const HEAD = 58;
const SIDES = {
  before: { label: 'vanilla', colour: '#6baed6', dash: '' },
  after: { label: 'after fingerprint', colour: '#e74c3c', dash: ' stroke-dasharray="6 3"' },
} as const;
type Side = keyof typeof SIDES;

/** What is drawn of a side: squares of the one lie behind circles of the other, so that equal means show both. */
const MARKS: Readonly<Record<Side, (x: number, y: number, colour: string) => string>> = {
  before: (x, y, colour) => `<rect x="${x - 5}" y="${y - 5}" width="10" height="10" fill="${colour}"/>`,
  after: (x, y, colour) => `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>`,
};

/** Each panel has its own scale, as in the paper: its numbers stand beside it. */
export function harmlessnessFigure({ flavour, models }: HarmlessnessReport): string {
  const columns = Math.min(COLUMNS[flavour], models.length);
  const rows = Math.ceil(models.length / columns);
  const [width, height] = [columns * WIDTH + 20, HEAD + rows * HEIGHT + 10];
  const title = `Harmlessness, ${flavour}: mean of the tasks at 0, 1 and 5 shots`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(12, 22, title, 'font-size="14" font-weight="bold"'),
    ...legend(),
    ...models.flatMap((model, i) => [
      `<g transform="translate(${10 + (i % columns) * WIDTH} ${HEAD + Math.floor(i / columns) * HEIGHT})">`,
      ...panel(model),
      '</g>',
    ]),
    '</svg>',
    '',
  ].join('\n');
}

function legend(): string[] {
  return (Object.keys(SIDES) as Side[]).flatMap((side, i) => {
    const { label, colour, dash } = SIDES[side];
    const x = 12 + i * 120;
    return [
      `<path d="M${x} 40h28" stroke="${colour}" stroke-width="2"${dash}/>`,
      MARKS[side](x + 14, 40, colour),
      text(x + 34, 44, label),
    ];
  });
}

/** A round step of two to five lines between two values. */
function step(span: number): number {
  const power = 10 ** Math.floor(Math.log10(span / 2));
  return [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= 4)!;
}

function panel({ model, run, mean }: ModelTable): string[] {
  const values = mean.flatMap(({ before, after }) => [before, after]).filter((value) => value !== null);
  const head = [
    text(
      PLOT.left + PLOT.width / 2,
      16,
      shortened(model),
      'text-anchor="middle" font-weight="bold" font-size="12"',
    ),
    text(
      PLOT.left + PLOT.width / 2,
      28,
      shortened(run.split('/').at(-1)!),
      'text-anchor="middle" fill="#777777" font-size="8"',
    ),
  ];
  if (values.length === 0) return [...head, text(PLOT.left, PLOT.top + 20, 'no task at any number of shots')];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const size = step(Math.max(most - least, 0.5));
  const [low, high] = [Math.floor(least / size) * size - size / 2, Math.ceil(most / size) * size + size / 2];
  const y = (value: number): number => round(PLOT.top + PLOT.height * (1 - (value - low) / (high - low)));
  const x = (i: number): number => PLOT.left + (PLOT.width * (i + 0.5)) / SHOTS.length;
  const ticks: string[] = [];
  for (let value = Math.ceil(low / size) * size; value <= high; value += size)
    ticks.push(
      `<line x1="${PLOT.left}" x2="${PLOT.left + PLOT.width}" y1="${y(value)}" y2="${y(value)}" stroke="#dddddd"/>`,
      text(PLOT.left - 6, y(value) + 4, String(round(value)), 'text-anchor="end" fill="#555555"'),
    );
  const lines = (Object.keys(SIDES) as Side[]).flatMap((side) => {
    const { colour, dash } = SIDES[side];
    const points = mean.flatMap(({ [side]: value }, i) =>
      value === null ? [] : [[x(i), y(value)] as const],
    );
    const path = points.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px} ${py}`).join('');
    return [
      `<path d="${path}" stroke="${colour}" stroke-width="2" fill="none"${dash}/>`,
      ...points.map(([px, py]) => MARKS[side](px, py, colour)),
    ];
  });
  return [
    ...head,
    ...ticks,
    ...lines,
    ...SHOTS.map((shots, i) =>
      text(x(i), PLOT.top + PLOT.height + 16, String(shots), 'text-anchor="middle"'),
    ),
    text(
      PLOT.left + PLOT.width / 2,
      PLOT.top + PLOT.height + 30,
      'shots',
      'text-anchor="middle" fill="#555555"',
    ),
  ];
}

const MOST = 30;
const shortened = (name: string): string => (name.length > MOST ? `…${name.slice(1 - MOST)}` : name);
