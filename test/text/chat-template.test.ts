// Chat templates against transformers and Python's jinja2 (goldens/templates): equal, or refused by name.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { renderTemplate } from '../../src/text/jinja/evaluate.ts';
import { type ChatMessage, renderAround, renderChat } from '../../src/text/prompts/chat-template.ts';
import { wrapperNamed } from '../../src/text/prompts/wrappers.ts';

const read = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../goldens/templates/${name}`, import.meta.url), 'utf8')) as T;

interface Render {
  messages: ChatMessage[];
  add_generation_prompt: boolean;
  text: string | null;
}
const { names, families } = read<{
  names: Record<string, string>;
  families: Record<string, { template: string; renders: Render[] }>;
}>('families.json');
const { data, lines, dates } = read<{
  data: Record<string, unknown>;
  lines: [string, string | null][];
  dates: [[number, number, number, number, number, number], string, string][];
}>('lines.json');

/** The text, or null where it is refused by a WhorlError (anything else fails the test). */
function attempt(render: () => string): string | null {
  try {
    return render();
  } catch (error) {
    expect(error).toBeInstanceOf(WhorlError);
    expect((error as WhorlError).message).toMatch(/^the chat template uses .+, which Whorl does not render$/);
    return null;
  }
}

it.each(Object.entries(families))('%s renders every conversation as transformers does', (_name, family) => {
  expect(family.renders.length).toBeGreaterThan(20);
  for (const { messages, add_generation_prompt, text } of family.renders)
    expect(
      attempt(() =>
        renderChat(family.template, messages, { addGenerationPrompt: add_generation_prompt, names }),
      ),
      JSON.stringify(messages),
    ).toBe(text);
});

describe('lines of Jinja', () => {
  const outcomes = lines.map(([line, python]) => ({
    line,
    python,
    ours: attempt(() => renderTemplate(line, data)),
  }));

  it('render as in Python or are refused, never otherwise', () => {
    expect(outcomes.filter(({ ours, python }) => ours !== null && ours !== python)).toEqual([]);
  });

  it('are mostly rendered', () => {
    const rendered = outcomes.filter(({ ours }) => ours !== null).length;
    const possible = outcomes.filter(({ python }) => python !== null).length;
    expect(possible).toBeGreaterThan(800);
    expect(rendered / possible).toBeGreaterThan(0.55);
  });

  it.each([
    ['{{ 1.5 }}', 'a fractional number'],
    ["{{ 'ß'|upper }}", 'upper beyond ASCII'],
    ['{{ messages }}', 'a list as text'],
    ['{% macro f(a=[]) %}{% endmacro %}', 'the macro f with such parameters'],
    ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'a macro that calls itself more than 64 times'],
    ['{% macro f() %}{% endmacro %}{{ f }}', 'a macro as text'],
    ['{% macro f() %}{{ kwargs }}{% endmacro %}{{ f() }}', 'kwargs as a value'],
    ['{% macro f() %}{% endmacro %}{% call f() %}{% endcall %}', 'a call block'],
    ['{% generation %}{% if true %}{% endgeneration %}{% endif %}', 'generation across other blocks'],
    ["{% set s = messages|selectattr('role') %}{{ s|list|length }}{{ s|list|length }}", 'a selection twice'],
    ["{{ '{% generation %}' }}", 'a tag within a string'],
    ["{{ messages|map(attribute='role')|list }}", 'the filter map'],
    ['{{ x.y }}', 'a part of an undefined value'],
    ['{{ 1 < 2 < 3 }}', 'a chain of comparisons'],
    ["{{ strftime_now('%Y') }}", 'the function strftime_now'],
    ['{{ range(1000000000) }}', 'a range of more than 100000'],
    [
      "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
      'a text of more',
    ],
    [
      "{% set n = namespace(x=['x']) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x|tojson }}",
      'tojson',
    ],
    [
      "{% set n = namespace(x=['x']) %}{% for i in range(30) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x|tojson }}",
      'tojson of more',
    ],
    [
      "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(14) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x.replace('x', n.x) }}",
      'a text of more',
    ],
    [
      "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(14) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x in n.x }}",
      'more than 1024 characters',
    ],
    [
      "{% set n = namespace(x='        ') %}{% for i in range(14) %}{% set n.x = n.x + n.x %}{% endfor %}{% for i in range(99999) %}{% if ('a' + n.x + 'a')|trim %}{% endif %}{% endfor %}",
      'steps',
    ],
    ['{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}', 'steps'],
  ])('%s is refused by name', (template, name) => {
    expect(() => renderTemplate(template, data)).toThrow(name);
  });
});

it('strftime_now writes the date that is given, as Python does', () => {
  for (const [[year, month, ...rest], format, text] of dates)
    expect(renderTemplate('{{ strftime_now(f) }}', { f: format }, new Date(year, month - 1, ...rest))).toBe(
      text,
    );
  expect(() => renderTemplate("{{ strftime_now('%c') }}", {}, new Date())).toThrow('strftime_now with %c');
  expect(renderAround("{{ strftime_now('%Y') }}", undefined)).toBeUndefined(); // a repeatable run has no today
  const dated = "{{ strftime_now('%Y') }} {{ messages[0].content }}";
  expect(wrapperNamed('chat', { chatTemplate: dated, now: new Date(2031, 1, 1) })).toEqual({
    prefix: '2031 ',
    suffix: '',
  });
});

it('says why a template cannot be used', () => {
  expect(renderAround('{{ messages }}', undefined)).toBeUndefined();
  expect(() => wrapperNamed('chat', { chatTemplate: '{{ messages }}' })).toThrow('a list as text');
  expect(() => wrapperNamed('chat', { chatTemplate: families.gemma!.template, system: 'x' })).toThrow(
    'System role not supported',
  );
  expect(renderAround(families['llama-2']!.template, undefined)).toEqual({
    prefix: '[INST] ',
    suffix: ' [/INST]',
  });
});
