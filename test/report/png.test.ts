// Charts as PNG, by the optional package: decoded here by the format's specification (RFC 2083), bars are as long as in the SVG.

import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { barChart, svgToPng } from '../../src/report/bar-chart.ts';

/** Rows of RGBA of an image of eight bits a channel. */
function decoded(png: Buffer): { width: number; height: number; at(x: number, y: number): number[] } {
  expect(png.subarray(0, 8)).toEqual(Buffer.from('89504e470d0a1a0a', 'hex'));
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  expect([...png.subarray(24, 29)]).toEqual([8, 6, 0, 0, 0]); // depth, RGBA, not interlaced
  const raw = inflateSync(Buffer.concat(parts));
  const line = 4 * width;
  expect(raw.length).toBe(height * (line + 1));
  const out = Buffer.alloc(height * line);
  for (let y = 0; y < height; y++)
    for (let i = 0; i < line; i++) {
      const left = i < 4 ? 0 : out[y * line + i - 4]!;
      const up = y === 0 ? 0 : out[(y - 1) * line + i]!;
      const corner = i < 4 || y === 0 ? 0 : out[(y - 1) * line + i - 4]!;
      const guess = [left, up, corner].reduce((best, x) =>
        Math.abs(left + up - corner - x) < Math.abs(left + up - corner - best) ? x : best,
      );
      const predicted = [0, left, up, (left + up) >> 1, guess][raw[y * (line + 1)]!]!;
      out[y * line + i] = raw[y * (line + 1) + 1 + i]! + predicted;
    }
  return { width, height, at: (x, y) => [...out.subarray(y * line + 4 * x, y * line + 4 * x + 3)] };
}

test('bars are as long as their percentages', async () => {
  const bar = (label: string, percent: number) => ({
    ...{ group: 'models', label, percent, low: Number.NaN, high: Number.NaN },
  });
  const svg = barChart('FSR & <names>', [bar('vanilla', 10), bar('published', 90)]);
  const { width, height, at } = decoded(Buffer.from(await svgToPng(svg)));
  expect(svg).toContain(`width="${width}" height="${height}"`);
  const blue = Array.from({ length: height }, (_, y) => {
    const row = Array.from({ length: width }, (_, x) => at(x, y).join());
    return row.filter((colour) => colour === '78,121,167').length; // #4e79a7
  });
  const [short, long] = [...new Set(blue.filter((n) => n > 0))].sort((a, b) => a - b);
  expect(long! / short!).toBeCloseTo(9, 0);
  expect(at(width - 1, height - 1)).toEqual([255, 255, 255]);
});

test('what is no SVG is refused', () => expect(svgToPng('<p>')).rejects.toThrow());
