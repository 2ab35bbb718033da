// A chart of horizontal bars in percent with interval whiskers, as SVG; as PNG where the optional renderer is there.

import { WhorlError } from '../base/error.ts';

export interface Bar {
  /** Bars of one group stand together under its name. */
  readonly group: string;
  readonly label: string;
  readonly percent: number;
  readonly low: number;
  readonly high: number;
}

const ROW = 20;
const HEAD = 28; // above a group's first bar, for its name
const LEFT = 260;
const PLOT = 420;
const WIDTH = LEFT + PLOT + 70;

export function barChart(title: string, bars: readonly Bar[]): string {
  const parts: string[] = [text(12, 24, title, 'font-size="15" font-weight="bold"')];
  let y = 36;
  let group: string | undefined;
  for (const bar of bars) {
    if (bar.group !== group) {
      y += HEAD;
      group = bar.group;
      parts.push(text(12, y - 8, bar.group, 'font-weight="bold"'));
    }
    parts.push(...drawn(bar, y));
    y += ROW;
  }
  const bottom = y + 6;
  const ticks = [0, 25, 50, 75, 100].flatMap((percent) => [
    `<line x1="${at(percent)}" y1="44" x2="${at(percent)}" y2="${bottom}" stroke="#dddddd"/>`,
    text(at(percent), bottom + 16, `${percent} %`, 'text-anchor="middle" fill="#555555"'),
  ]);
  const height = bottom + 28;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...ticks,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** A share above 100 (the paper's divisors allow one) ends at the edge; the number beside it is the true one. */
const at = (percent: number): number => round(LEFT + (PLOT * Math.min(100, percent)) / 100);
/** To hundredths. */
export const round = (value: number): number => Math.round(value * 100) / 100;

function drawn({ label, percent, low, high }: Bar, y: number): string[] {
  const middle = y + ROW / 2;
  const whisker = [low, high].every(Number.isFinite)
    ? [
        `<path d="M${at(low)} ${middle}H${at(high)}M${at(low)} ${middle - 4}v8M${at(high)} ${middle - 4}v8" stroke="#222222" fill="none"/>`,
      ]
    : [];
  return [
    text(LEFT - 8, middle + 4, label, 'text-anchor="end"'),
    `<rect x="${LEFT}" y="${y + 3}" width="${round(at(percent) - LEFT)}" height="${ROW - 6}" fill="#4e79a7"/>`,
    ...whisker,
    text(LEFT + PLOT + 10, middle + 4, String(round(percent))),
  ];
}

export const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${x}" y="${y}"${attributes === '' ? '' : ` ${attributes}`}>${escaped(content)}</text>`;

/** Names come from folders: what XML does not allow at all is left out, the rest escaped. */
export const escaped = (content: string): string =>
  content
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

/** Needs the optional package @resvg/resvg-js. Throws `unsupported` where it is not installed. */
export async function svgToPng(svg: string): Promise<Uint8Array> {
  let renderer: typeof import('@resvg/resvg-js');
  try {
    renderer = await import('@resvg/resvg-js');
  } catch (cause) {
    throw new WhorlError(
      'unsupported',
      'PNG needs the package @resvg/resvg-js',
      'install it, or ask for .svg',
      {
        cause,
      },
    );
  }
  return new renderer.Resvg(svg).render().asPng();
}
