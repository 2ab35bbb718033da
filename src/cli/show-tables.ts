// Tables of a report on the terminal.

import type { Table } from '../report/table.ts';
import { paint, print, shownText, table, wrapped } from './output.ts';

export async function showTables(tables: readonly Table[], notes: readonly string[]): Promise<void> {
  const { cellText } = await import('../report/table.ts');
  for (const { title, columns, rows } of tables) {
    print(paint.bold(title));
    const cells = rows.map((row) => row.map((cell) => shownText(cellText(cell), 60)));
    const [head, ...body] = table([columns, ...cells]);
    print(paint.dim(head!));
    for (const line of body) print(line);
    print();
  }
  for (const note of notes) for (const line of wrapped(note)) print(line);
}
