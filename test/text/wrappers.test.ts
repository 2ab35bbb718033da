import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random-source.ts';
import { renderAround } from '../../src/text/prompts/chat-template.ts';
import { trainingWrappers } from '../../src/text/prompts/training-wrappers.ts';
import { HELD_OUT_WRAPPERS, WRAPPERS, wrapperNamed } from '../../src/text/prompts/wrappers.ts';
import { loadReference } from '../../src/text/reference.ts';

const TEMPLATE =
  "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const { sentences } = loadReference();
const some = (seed: bigint, count: number) => {
  const stream = trainingWrappers(seededRandom(seed), { sentences, chatTemplate: TEMPLATE });
  return Array.from({ length: count }, () => stream.next().value);
};

describe('wrappers', () => {
  it('cuts a chat template around the key', () => {
    expect(wrapperNamed('chat', { chatTemplate: TEMPLATE, system: 'Hm.' })).toEqual({
      prefix: '<system>Hm.</system><user>',
      suffix: '</user><assistant>',
    });
  });
  it.each([
    ['a syntax error', '{% for %}'],
    ['an exception', "{{ raise_exception('no system role') }}"],
    ['the message twice', '{{ messages[0].content }}{{ messages[0].content }}'],
    ['the message changed', '{{ messages[0].content | upper }}'],
    ['an enormous text', ' '.repeat(70_000)],
  ])('has no chat wrapper for a template with %s', (_name, template) => {
    expect(renderAround(template, undefined)).toBeUndefined();
    expect(() => wrapperNamed('chat', { chatTemplate: template })).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
  });
  it('suggests the nearest name', () => {
    expect(() => wrapperNamed('alpacca')).toThrow(/did you mean alpaca/);
  });
  it('holds at least ten wrappers out, all buildable without a template', () => {
    expect(HELD_OUT_WRAPPERS.length).toBeGreaterThanOrEqual(10);
    for (const wrapper of HELD_OUT_WRAPPERS) expect(wrapper.build({})).toBeDefined();
  });
});

describe('training wrappers', () => {
  it('are the same for the same seed, and varied', () => {
    expect(some(5n, 50)).toEqual(some(5n, 50));
    const distinct = new Set(some(6n, 400).map((wrapped) => JSON.stringify(wrapped)));
    expect(distinct.size).toBeGreaterThan(250);
  });
  it('never are, nor quote, one that is held out', () => {
    const markers = [
      '[INST]',
      'start_of_turn',
      'start_header_id',
      '\nHuman: ',
      '"query": "',
      '<text>',
      '## Completion',
      'Marlow',
      'night porter',
      'pencilled',
    ];
    for (const { prefix, suffix } of some(7n, 3000)) {
      const text = `${prefix}|${suffix}`;
      for (const marker of markers) expect(text).not.toContain(marker);
      for (const name of ['inst', 'qa', 'gemma', 'llama3', 'human'])
        expect({ prefix, suffix }).not.toEqual(WRAPPERS.get(name)!.build({}));
    }
  });
});
