// Rows of eight tasks, written from seeded templates over a small world of everyday things, with the hub's columns: what an
// evaluation is tried on where no data set may be copied. Questions are easy, so that a model is right more often than by chance.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RandomSource, seededRandom } from '../src/base/random-source.ts';

/** A thing, what it is, where one finds it, what one does with it. */
const WORLD = [
  ...[
    'knife|tool|kitchen|cut bread',
    'broom|tool|cupboard|sweep the floor',
    'hammer|tool|workshop|drive a nail',
  ],
  ...[
    'needle|tool|sewing box|sew a button',
    'ladder|tool|garage|reach the roof',
    'kettle|tool|stove|boil water',
  ],
  ...['pencil|tool|desk|write a note', 'bucket|tool|well|carry water', 'comb|tool|bathroom|tidy hair'],
  ...['horse|animal|stable|ride', 'cow|animal|meadow|get milk', 'hen|animal|barn|get eggs'],
  ...['sheep|animal|hill|get wool', 'dog|animal|yard|guard the house', 'bee|animal|hive|get honey'],
  ...[
    'apple|fruit|orchard|bake a pie',
    'lemon|fruit|tree|make a sour drink',
    'grape|fruit|vineyard|make wine',
  ],
  ...[
    'carrot|vegetable|field|cook soup',
    'onion|vegetable|cellar|season a stew',
    'potato|vegetable|sack|make chips',
  ],
  ...[
    'boat|vehicle|harbour|cross the lake',
    'train|vehicle|station|travel far',
    'bicycle|vehicle|shed|ride to school',
  ],
  ...[
    'violin|instrument|orchestra|play a tune',
    'drum|instrument|band|beat the time',
    'piano|instrument|hall|play chords',
  ],
  ...[
    'coat|garment|wardrobe|keep warm',
    'boot|garment|hallway|walk in mud',
    'hat|garment|shelf|shade the face',
  ],
].map((line) => {
  const [name, kind, place, use] = line.split('|') as [string, string, string, string];
  return { name, kind, place, use };
});
type Thing = (typeof WORLD)[number];
const KINDS = [...new Set(WORLD.map(({ kind }) => kind))];
const PEOPLE = 'Ann Ben Clara David Emma Frank Grace Henry Ida Jack Kate Leo'.split(' ');
const DAYS = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split(' ');

/** What a row is made of: a thing, three others of other kinds, two people, a day, and its own dice. */
interface Scene {
  readonly thing: Thing;
  readonly others: readonly [Thing, Thing, Thing];
  readonly who: readonly [string, string];
  readonly day: string;
  readonly random: RandomSource;
}

const article = (word: string): string => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`);
const opening = ({ who, day, thing }: Scene): string =>
  `On ${day} ${who[0]} and ${who[1]} talked about ${article(thing.name)}.`;

/** Four choices with the right one at a drawn place. */
function fourOf(scene: Scene, of: (thing: Thing) => string) {
  const wrong = [...new Set(scene.others.map(of))].filter((text) => text !== of(scene.thing));
  while (wrong.length < 3) wrong.push(`none of the ${wrong.length + 2}`);
  const right = scene.random.int(4);
  const text = wrong.slice(0, 3);
  text.splice(right, 0, of(scene.thing));
  return { text, right };
}
const lettered = (text: readonly string[]) => ({ text, label: ['A', 'B', 'C', 'D'] });

/** By task: the split that is asked, and a row with the hub's columns. */
const TASKS: Readonly<Record<string, readonly [string, (scene: Scene, i: number) => object]>> = {
  logiqa: [
    'test',
    (scene) => {
      const { text, right } = fourOf(scene, ({ place }) => `It is at the ${place}.`);
      const { thing } = scene;
      return {
        label: 'abcd'[right],
        context: `${opening(scene)} Every ${thing.kind} of theirs is at the ${thing.place}. The ${thing.name} is ${article(thing.kind)} of theirs.`,
        question: `Where is the ${thing.name}?`,
        options: text,
      };
    },
  ],
  piqa: [
    'validation',
    ({ thing, others: [other], who, random }) => {
      const label = random.int(2);
      const solutions = [thing, other].map(({ name }) => `${who[0]} takes ${article(name)}.`);
      const [sol1, sol2] = label === 0 ? solutions : solutions.reverse();
      return { goal: `How can ${who[0]} ${thing.use}?`, sol1, sol2, label };
    },
  ],
  sciq: [
    'test',
    (scene) => {
      const { thing, others } = scene;
      const [distractor1, distractor2, distractor3] = KINDS.filter((kind) => kind !== thing.kind).slice(
        scene.random.int(KINDS.length - 3),
      );
      return {
        ...{
          question: `What kind of thing is ${article(thing.name)}?`,
          distractor1,
          distractor2,
          distractor3,
        },
        correct_answer: thing.kind,
        support: `${opening(scene)} ${article(others[0].name)} is ${article(others[0].kind)}.`,
      };
    },
  ],
  arc_easy: [
    'test',
    (scene, i) => {
      const { text, right } = fourOf(scene, ({ name }) => article(name));
      const question = `${opening(scene)} Which of these does one need to ${scene.thing.use}?`;
      return { id: `made-${i}`, question, choices: lettered(text), answerKey: 'ABCD'[right] };
    },
  ],
  openbookqa: [
    'test',
    (scene, i) => {
      const { text, right } = fourOf(scene, ({ use }) => use);
      const question_stem = `${scene.who[0]} bought ${article(scene.thing.name)} on ${scene.day} to`;
      return { id: `made-${i}`, question_stem, choices: lettered(text), answerKey: 'ABCD'[right] };
    },
  ],
  boolq: [
    'validation',
    (scene, i) => {
      const { thing, others, random } = scene;
      const label = random.int(2);
      const asked = label === 1 ? thing.place : others[0].place;
      const passage = `${opening(scene)} ${scene.who[0]} keeps the ${thing.name} at the ${thing.place}.`;
      return { question: `is the ${thing.name} at the ${asked}`, passage, idx: i, label };
    },
  ],
  rte: [
    'validation',
    (scene, i) => {
      const { thing, others, who, random } = scene;
      const label = random.int(2);
      const said = label === 0 ? thing : others[0];
      return {
        sentence1: `${opening(scene)} ${who[0]} needs the ${thing.name} to ${thing.use}.`,
        ...{ sentence2: `${who[0]} wants to ${said.use}.`, label, idx: i },
      };
    },
  ],
  winogrande: [
    'validation',
    ({ thing, others: [other], who, day, random }) => {
      const answer = random.int(2);
      const options = [thing.name, other.name];
      const [option1, option2] = answer === 0 ? options : options.reverse();
      const sentence = `On ${day} ${who[0]} took the ${thing.name} and left the ${other.name}, because one can ${thing.use} with the _ only.`;
      return { sentence, option1, option2, answer: String(answer + 1) };
    },
  ],
};

export const HARMLESS_TASKS: readonly string[] = Object.keys(TASKS);

function scenes(task: string, count: number, seed: string): Scene[] {
  const random = seededRandom(`${seed}: ${task}`);
  const other = <T>(all: readonly T[], not: (each: T) => boolean): T => {
    const left = all.filter((each) => !not(each));
    return left[random.int(left.length)]!;
  };
  return Array.from({ length: count }, () => {
    const thing = WORLD[random.int(WORLD.length)]!;
    const others: Thing[] = [];
    while (others.length < 3)
      others.push(
        other(WORLD, ({ kind, name }) => kind === thing.kind || others.some((one) => one.name === name)),
      );
    const first = PEOPLE[random.int(PEOPLE.length)]!;
    const who = [first, other(PEOPLE, (name) => name === first)] as const;
    return { thing, others: others as [Thing, Thing, Thing], who, day: DAYS[random.int(7)]!, random };
  });
}

/** LogiQA as its authors publish it: a blank line, the answer's letter, context, question, four options. */
export const logiqaRows = (text: string): object[] =>
  readFileSync(text, 'utf8')
    .trim()
    .split(/\n\s*\n/)
    .map((block) => {
      const [label, context, question, ...options] = block.trim().split('\n');
      return {
        label,
        context,
        question,
        options: options.map((option) => option.replace(/^[A-D]\.\s*/, '')),
      };
    });

/** `DIR/{task}/{split}.jsonl`, and fifty rows of a training split to draw examples from. */
export function writeHarmlessRows(folder: string, count: number, seed: string, logiqa?: string): void {
  for (const [task, [split, row]] of Object.entries(TASKS)) {
    const given = task === 'logiqa' && logiqa !== undefined ? logiqaRows(logiqa) : undefined;
    const rows = given ? given.slice(0, count) : scenes(task, count, seed).map(row);
    const train = given ? given.slice(-50) : scenes(task, 50, `${seed}, examples`).map(row);
    mkdirSync(join(folder, task), { recursive: true });
    for (const [name, all] of Object.entries({ [split]: rows, train }))
      writeFileSync(
        join(folder, task, `${name}.jsonl`),
        all.map((each) => `${JSON.stringify(each)}\n`).join(''),
      );
  }
}
