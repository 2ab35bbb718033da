// HTML to Markdown in the dialect of Python's markdownify, which FastChat's cleaning of ShareGPT is made with: headings
// underlined, `*` and `_` escaped outside code. The HTML itself is parsed by parse5, as browsers parse it.

import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5';

const MAX_DEPTH = 500;
const MAX_TAGS = 20_000; // the parser looks through all open elements at every tag

/** The Markdown, or undefined for HTML with more tags, or more deeply nested ones, than any page has. */
export function htmlToMarkdown(html: string): string | undefined {
  if ((html.match(/<[a-z]/gi)?.length ?? 0) > MAX_TAGS) return undefined;
  // A browser drops the first newline in <pre>; here it is text.
  const root = parseFragment(html.replace(/<pre\b([^<>]*)>\n/gi, '<pre$1>\n\n'));
  const tree: Element = { name: '', attributes: new Map(), children: [], parent: undefined };
  return build(root, tree, 0) ? inside(tree, false) : undefined;
}

interface Element {
  name: string;
  attributes: ReadonlyMap<string, string>;
  children: Node[];
  parent: Element | undefined;
}
/** Text; or a comment, which gives nothing but stands between its neighbours. */
interface Leaf {
  name: undefined;
  text: string | undefined;
}
type Node = Element | Leaf;

/** False where it is too deep. */
function build(from: DefaultTreeAdapterTypes.ParentNode, to: Element, depth: number): boolean {
  if (depth > MAX_DEPTH) return false;
  const parts = 'content' in from ? from.content.childNodes : from.childNodes;
  const isKept = ancestors(to).some(({ name }) => name === 'pre' || name === 'textarea');
  for (const part of parts) {
    if (!('childNodes' in part)) {
      const text = 'value' in part ? part.value : undefined;
      to.children.push({ name: undefined, text: isKept ? text : text?.replace(BLANK, blank) });
      continue;
    }
    const attributes = new Map(part.attrs.map(({ name, value }) => [name, value]));
    const child: Element = { name: part.tagName.toLowerCase(), attributes, children: [], parent: to };
    to.children.push(child);
    if (!build(part, child, depth + 1)) return false;
  }
  if (STRUCTURE.has(to.name)) to.children = to.children.filter((node, i, all) => !isGap(node, i, all));
  return true;
}

// As Beautiful Soup hands it on: text of nothing but white space is one newline, or one space.
const BLANK = /^[ \n\t\f\r]+$/;
const blank = (text: string): string => (text.includes('\n') ? '\n' : ' ');

/** The element and all it stands in. */
function ancestors(element: Element): Element[] {
  const all = [];
  for (let up: Element | undefined = element; up !== undefined; up = up.parent) all.push(up);
  return all;
}

const STRUCTURE = new Set(['ol', 'ul', 'li', 'table', 'thead', 'tbody', 'tfoot', 'tr', 'td', 'th']);

/** White space at the edges of lists and tables and between their parts, which only lays out the source. */
function isGap(node: Node, i: number, all: readonly Node[]): boolean {
  if (node.name !== undefined || node.text === undefined || node.text.trim() !== '') return false;
  const [before, after] = [all[i - 1], all[i + 1]];
  return [before, after].some((one) => one === undefined || STRUCTURE.has(one.name ?? ''));
}

/** `inline`: inside a heading or a cell, which can hold no lines of their own. */
function inside(element: Element, inline: boolean): string {
  return element.children
    .map((node, i) => {
      if (node.name !== undefined) return outside(node, inline, element.children[i + 1]);
      return node.text === undefined ? '' : words(node.text, element, element.children[i + 1]);
    })
    .join('');
}

function words(text: string, parent: Element, next: Node | undefined): string {
  const isCode = parent.name === 'pre' || parent.name === 'code';
  const isKept = parent.name === 'pre' || (parent.name === 'code' && parent.parent?.name === 'pre');
  let shown = isKept ? text : text.replace(/[\t ]+/g, ' ');
  if (!isCode) shown = shown.replace(/[*_]/g, '\\$&');
  const ends = next === undefined || next.name === 'ul' || next.name === 'ol';
  return parent.name === 'li' && ends ? shown.trimEnd() : shown;
}

interface Place {
  element: Element;
  inline: boolean;
  next: Node | undefined;
}
type Rule = (text: string, place: Place) => string;

function outside(element: Element, inline: boolean, next: Node | undefined): string {
  const rule = Object.hasOwn(RULES, element.name) ? RULES[element.name]! : undefined;
  const text = inside(element, inline || /^(h[1-6]|td|th)$/.test(element.name));
  return rule === undefined ? text : rule(text, { element, inline, next });
}

/** A space at either end stays outside the mark. */
const marked = (text: string, mark: (text: string) => string): string => {
  const core = text.trim();
  if (core === '') return '';
  return (text.startsWith(' ') ? ' ' : '') + mark(core) + (text.endsWith(' ') ? ' ' : '');
};
const around =
  (mark: string): Rule =>
  (text) =>
    marked(text, (core) => mark + core + mark);
const atLines = (text: string, mark: string): string => text.replace(/^/gm, mark);

const titled = (title: string | undefined): string => (title ? ` "${title.replaceAll('"', '\\"')}"` : '');

const code: Rule = (text, place) => (place.element.parent?.name === 'pre' ? text : around('`')(text, place));

const heading =
  (level: number): Rule =>
  (text, { inline }) => {
    if (inline) return text;
    const line = text.trimEnd();
    if (level > 2) return `${'#'.repeat(level)} ${line}\n\n`;
    return line === '' ? '' : `${line}\n${(level === 1 ? '=' : '-').repeat([...line].length)}\n\n`;
  };

const list: Rule = (text, { element, next }) => {
  if (ancestors(element).some(({ name }) => name === 'li'))
    return `\n${text === '' ? '' : atLines(text, '\t').trimEnd()}`;
  return text + (next !== undefined && next.name !== 'ul' && next.name !== 'ol' ? '\n' : '');
};

const item: Rule = (text, { element }) => `${bullet(element)} ${text.trim()}\n`;

function bullet(element: Element): string {
  const { parent } = element;
  if (parent?.name === 'ol') {
    const start = /^\s*[+-]?\d{1,9}\s*$/.test(parent.attributes.get('start') ?? '')
      ? Number(parent.attributes.get('start'))
      : 1;
    return `${start + parent.children.indexOf(element)}.`;
  }
  const depth = ancestors(element).filter(({ name }) => name === 'ul').length - 1;
  return '*+-'.at(depth % 3)!;
}

const row: Rule = (text, { element }) => {
  const { parent } = element;
  const cells = cellsOf(element);
  const rule = `| ${cells.map(() => '---').join(' | ')} |\n`;
  const isFirst = parent?.children[0] === element;
  const isHead = cells.every((cell) => cell.name === 'th');
  if (isFirst && isHead) return `|${text}\n${rule}`;
  const opensTable =
    parent?.name === 'table' || (parent?.name === 'tbody' && parent.parent?.children[0] === parent);
  const empty = isFirst && opensTable ? `| ${cells.map(() => '').join(' | ')} |\n${rule}` : '';
  return `${empty}|${text}\n`;
};

const cellsOf = (element: Element): Element[] =>
  element.children.flatMap((node) => {
    if (node.name === undefined) return [];
    return [...(node.name === 'td' || node.name === 'th' ? [node] : []), ...cellsOf(node)];
  });

const cell: Rule = (text) => ` ${text} |`;

const RULES: Readonly<Record<string, Rule>> = {
  a(text, { element }) {
    const [href, title] = [element.attributes.get('href'), element.attributes.get('title')];
    const core = text.trim();
    if (core !== '' && core.replaceAll('\\_', '_') === href && !title) return `<${href}>`;
    if (!href) return core;
    return marked(text, (shown) => `[${shown}](${href}${titled(title)})`);
  },
  b: around('**'),
  blockquote: (text, { inline }) => (inline || text === '' ? text : `\n${atLines(text, '> ')}\n\n`),
  br: (_, { inline }) => (inline ? '' : '  \n'),
  code,
  del: around('~~'),
  em: around('*'),
  h1: heading(1),
  h2: heading(2),
  h3: heading(3),
  h4: heading(4),
  h5: heading(5),
  h6: heading(6),
  hr: () => '\n\n---\n\n',
  i: around('*'),
  img(_, { element, inline }) {
    const [alt = '', src = '', title] = ['alt', 'src', 'title'].map((name) => element.attributes.get(name));
    return inline ? alt : `![${alt}](${src}${titled(title)})`;
  },
  kbd: code,
  li: item,
  ol: list,
  p: (text, { inline }) => (inline || text === '' ? text : `${text}\n\n`),
  pre: (text) => (text === '' ? '' : `\n\`\`\`\n${text}\n\`\`\`\n`),
  s: around('~~'),
  samp: code,
  strong: around('**'),
  sub: around(''),
  sup: around(''),
  table: (text) => `\n\n${text}\n`,
  td: cell,
  th: cell,
  tr: row,
  ul: list,
};
