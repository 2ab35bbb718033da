// What to say about a name that is not there: the nearest one or two, else all of a short list, else where the list is. No
// error prints a wall of names.

/** More names than these, or longer together, are no help in one line. */
const MOST_LISTED = 10;
const MOST_CHARACTERS = 160;
/** Of a long list that stands nowhere else. */
const SOME = 5;
const MOST_SUGGESTED = 2;

/**
 * The names nearest to `name`, the first of `names` first: at most two, all equally near, none where none is near enough to be worth
 * suggesting. Case does not count; two letters that changed places are one edit. A name that holds the given one as a whole
 * word, or is a word of it (`rank`, `lora_rank`), is near too, but less so than any misspelling.
 */
export function nearestNames(name: string, names: Iterable<string>): string[] {
  const wanted = name.toLowerCase();
  const most = wanted.length <= 4 ? 1 : Math.max(2, Math.floor(wanted.length / 3));
  let best: string[] = [];
  let least = most + 1;
  for (const candidate of new Set(names)) {
    const of = candidate.toLowerCase();
    const edits = Math.abs(of.length - wanted.length) > most ? most + 1 : editDistance(wanted, of);
    const distance = edits <= most ? edits : sharesWords(wanted, of) ? most + 0.5 : most + 1;
    if (distance < least) [best, least] = [[candidate], distance];
    else if (distance === least && distance <= most + 0.5) best.push(candidate);
  }
  return best.slice(0, MOST_SUGGESTED);
}

export interface HintWords {
  /** Where all names stand, in words: `whorl finetune --help lists them`. */
  readonly list?: string;
  /** Each name as a person would write it. Default: as it is. */
  readonly shown?: (name: string) => string;
  /** What else may stand there, after a list: `a JSON file`. */
  readonly or?: string;
}

/** The second half of an error about `name`, which is none of `names`. */
export function nameHint(name: string, names: Iterable<string>, words: HintWords = {}): string {
  const { list, shown = String, or } = words;
  const all = [...new Set(names)];
  const near = nearestNames(name, all).map(shown);
  if (near.length > 0) return `did you mean ${near.join(' or ')}?`;
  const other = or === undefined ? '' : `, or ${or}`;
  const known = all.map(shown);
  if (known.length === 0) return `${list ?? 'there is none'}${other}`;
  if (known.length === 1) return `there is ${known[0]!}${other}`;
  const line = known.join(', ');
  if (known.length <= MOST_LISTED && line.length <= MOST_CHARACTERS) return `one of ${line}${other}`;
  if (list !== undefined) return `${list}${other}`;
  return `one of ${short(known)} and ${known.length - Math.min(SOME, known.length)} more${other}`;
}

const short = (names: readonly string[]): string =>
  names
    .slice(0, SOME)
    .map((name) =>
      name.length > MOST_CHARACTERS / SOME ? `${name.slice(0, MOST_CHARACTERS / SOME - 1)}…` : name,
    )
    .join(', ');

const wordsIn = (name: string): string[] => name.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');

/** Whether the words of one stand in the other, one after the other; single letters say nothing. */
function sharesWords(a: string, b: string): boolean {
  const [few, many] = [wordsIn(a), wordsIn(b)].sort((one, other) => one.length - other.length);
  if (few!.join('').length < 2) return false;
  return `-${many!.join('-')}-`.includes(`-${few!.join('-')}-`);
}

/** Insertions, deletions, substitutions, and neighbours that changed places. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const changed = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(
        Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + same, changed ? before[j - 2]! + 1 : Infinity),
      );
    }
    [before, row] = [row, next];
  }
  return row[b.length]!;
}
