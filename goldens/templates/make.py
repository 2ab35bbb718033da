"""Goldens for chat templates, by transformers' apply_chat_template and its Jinja environment.

usage: make.py
families.json  templates as the families publish them, with renders of several conversations
lines.json     lines of Jinja, plain and nasty, each with Python's output, or null where Python raises
"""
import json
from pathlib import Path

import jinja2
import transformers
from tokenizers import Tokenizer, models
from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = Path(__file__).parent
MADE_BY = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}
LLAMA2 = "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
FAMILIES = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "smollm2": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "llama-2": LLAMA2,
    "llama-3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "vicuna": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = \"A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.\" %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 %}{{ system_message }}{% endif %}{% if message['role'] == 'user' %}{{ ' USER: ' + message['content'].strip() }}{% elif message['role'] == 'assistant' %}{{ ' ASSISTANT: ' + message['content'].strip() + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}",
    "mistral-instruct": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "yi": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% endif %}{% if system_message is defined %}{{ system_message }}{% endif %}{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|im_start|>user\\n' + content + '<|im_end|>\\n<|im_start|>assistant\\n' }}{% elif message['role'] == 'assistant' %}{{ content + '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}",
}
U, A, S = (lambda c: {"role": "user", "content": c}), (lambda c: {"role": "assistant", "content": c}), (lambda c: {"role": "system", "content": c})
CHATS = [
    [U("Hello")], [S("Be brief."), U("Hi")], [U("One"), A("Two"), U("Three")], [S(" You  are\nhelpful. "), U("a"), A(" b "), U("c\n")],
    [U("  spaced \u00a0\u3000")], [U("ハリネズミ 😀 {{ x }} {% if %}")], [U("")], [A("first")], [U("x"), U("y")], [U("\ufeffbom\x1f\x85")], [U("a"), A("b")],
]
NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
DATA = {"messages": [S("Sys"), U("Hi 😀"), A(" Yo ")], "add_generation_prompt": True, "tools": None, "documents": None, **NAMES}
EXPRESSIONS = """
true|True|None|none|false|undefined_name|messages|messages[0]|messages[0].role|messages[0]['role']|messages[-1].content|messages[9]
messages[1].content|length~messages|length~'😀'|length~'😀é'|upper~'abc'|upper~'ABC'|lower~'ß'|upper~'aXbX'.rstrip('X')~' a '.strip()~'xxaxx'.strip('x')~'xya'.lstrip('yx')~' a'|trim
1 + 2~1 - 2~2 * 3~7 // 2~-7 // 2~(0 - 7) % 3~7 % (0 - 3)~7 / 2~2 ** 3~1.5~1.0~1e3~1 // 0~10000000000000000000~9007199254740991 + 1~-1~- 1~1 -1~1 - -1
'a' + 'b'~'a' ~ 1~1 ~ 2~1 ~ 2 + 3~'a' ~ true~'a' ~ none~'a' ~ undefined_name~'a' + 1~'a' * 3~true + 1~[1] + [2]~'%s' % 'a'~'a' 'b'~'\\x41'~'\\u00e9'~'\\ud83d\\ude00'~'\\a'~'\\q'~"it's"~'a\\\\n'
1 == 1.0~1 == true~'1' == 1~none == undefined_name~none == none~undefined_name == other_name~[1] == [1]~messages[0] == messages[0]~'' == false~0 == false~1 == 1 == 1~1 < 2 < 3~3 > 2 > 1~1 == 1 == true~'a' < 'b'~'😀' < 'ﬀ'~1 < true
'a' in 'abc'~'z' not in 'abc'~1 in [1,2]~true in [1]~'role' in messages[0]~'x' in undefined_name~1 in 'a'~none in [none]~not 'a' in 'b'~'a' in {'a': 1}~'a' in ('a', 'b')
messages[0].items~messages[0].keys()~messages[0]['keys']~messages[0].get('role')~messages[0].get('x')~messages[0].get('x', 'd')~messages[0].foo~messages[0].foo.bar~messages[0].foo is defined~messages[0]['foo'] is none~messages.append(1)~messages[0].__class__~messages.length~'abc'.length~'abc'[1]~'abc'[5]~'abc'[-1]~'a😀c'[1]
messages[1:]|length~messages[:-1]|length~messages[::-1]|first|length~'abcdef'[1:3]~'a😀c'[1:]~'abcdef'[::2]~'abc'[::-1]~'abc'[-2:]~messages[1:][0].role~'abc'[:none]~'abc'[5:1]
tools is defined~tools is none~tools~documents is not none~x is defined~x is undefined~x is none~1 is number~true is number~true is integer~1 is integer~'a' is string~messages is iterable~messages is sequence~messages[0] is mapping~messages[0] is iterable~messages[0] is sequence~'a' is iterable~x is iterable~x is sequence~x is string~none is string~1 is odd~-1 is odd~2 is even~2 is divisibleby(2)~2 is divisibleby 2~'a' is lower~'a' is eq('a')~'a' is in ['a']~true is true~1 is true~false is boolean~0 is false
x|default('d')~none|default('d')~none|default('d', true)~''|default('d', true)~''|default('d', boolean=true)~x|d~x|default~'a'|default('b')~messages|first~messages|last~[]|first~''|first~'abc'|last~'abc'|list~[1,2]|join~[1,2]|join(',')~['a', none, true]|join('-')~'abc'|join('.')~'abc'|join(d='.')~messages|map(attribute='role')|join(',')~messages|map(attribute='role')|list~messages|selectattr('role', 'equalto', 'user')|list|length~messages|rejectattr('role', 'equalto', 'user')|list|length~messages|length|string~'5'|int~'x'|int~' 7 '|int~5|float~3.7|int~[3,1,2]|sort~[3,1,2]|sort|join~'abc'|reverse~'hello world'|title~"they're bill's"|title~'hELLO wORLD'|capitalize~'é'|capitalize
'a'|tojson~'é😀'|tojson~'<&>'|tojson~messages|tojson~messages[0]|tojson~none|tojson~true|tojson~x|tojson~[1,'a']|tojson~messages[0]|tojson(indent=2)~1.0|tojson~'\u007f'|tojson~{'a': 1}|tojson
'a-b-c'.split('-')[1]~'a b  c'.split()|length~'a-b'.split('')~'a-b-c'.split('-', 1)[1]~'a-b-c'.split('-')[-1]~'a,b'.split(',')|join(';')~'abc'.startswith('a')~'abc'.startswith(('x','a'))~'abc'.endswith('bc')~'abc'.replace('b','x')~'aaa'.replace('a','b',2)~'abc'|replace('b','x')~'abc'|replace('','-')~'$&'.replace('$&','$$')~'abc'.find('c')~'abc'.upper()~'abc'.title()~'abc'.capitalize()~'aBc'.capitalize()~'abc'.isdigit()~'a'.join(['x','y'])~'{}'.format(1)~'abc'.count('a')~'é'.upper()
'yes' if true else 'no'~'yes' if x else 'no'~'yes' if false~'a' if true else 'b' if false else 'c'~not true~not x~not not 1~'a' and 'b'~'' or 'b'~none or 'x'~x or 'y'~0 or ''~1 and 0~[] or 'e'~'a' or undefined_function()~'a' + 'b' | upper~('a' + 'b') | upper~1 + 2 | string~'a' ~ 'b' | upper
range(3)|join~range(1, 3)|join(',')~range(5, 1)|join~range(0, 10, 3)|join~range(3)~range(100001)|length~range(-1)|length~strftime_now('x')[0]~dict(a=1)~lipsum()~cycler('a')~joiner~namespace~namespace(a=1).a~namespace(a=1).b~namespace(a=1)['a']~raise_exception('no')~undefined_function()~loop~loop.index~self~messages[0]|attr('role')~messages[1]['content']|e~'<'|e~'<'|escape~'a'|safe~'x'|indent~'a\\nb'|indent(2)~'abc'|wordcount~[1,2]|sum~[1,2]|max~[2,1]|min~[1,1]|unique|list~-5|abs~5.5|round~'a'|center(5)~{'b':1}|dictsort~messages|groupby('role')|list|length~'abc'|truncate(2)
'İ'|lower~'ǆ'|title~'\u00a0a\u00a0'|trim~'\ufeffa'|trim~'\u0085a'|trim~' a\\n'|trim~'\\x1fa'|trim~'\\x1fa'|trim|length~'a'|trim('a')~'aab'.strip('ab')~''~''|length~[]~[]|length~{}~{}|length~{'a': 1}.a~{'a': 1}['a']~(1, 2)~(1,)~[1, 2]~[1, 'a']~['it\\'s']~true and 'x'~none ~ none~[none]|join
"""
LINES = [
    "a\n", "a\n\n", "{% if true %}\nx\n{% endif %}\ny", "  {% if true %}\n  x\n  {% endif %}\n", "a {% if true %} b {% endif %} c", "a {%- if true -%} b {%- endif -%} c",
    "{{ 'a' }}\n{{ 'b' }}\n", "{{- 'a' -}}\n b", "x \n {{- 'a' }}", "{# c #}\nx", "  {# c #}\nx", "a{# -#} b", "{%+ if true %}x{% endif %}", "  {%+ if true %}x{% endif %}", "{% if true +%}\nx{% endif %}",
    "-}\nx", "#}\nx", "%}\nx", "  {-}", "a }} b", "{{ '%}\n' }}", "{{ '-}\n' }}", "{{ '}}' }}", "{{ '{{' }}", "{{ '{%' }}", "{{ '#}\n' }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{ '  {% x' }}", "{{ \"\n  {# x\" }}",
    "\r\n{% if true %}\r\nx{% endif %}", "{% raw %}{{ x }}{% endraw %}", "{% generation %}x{% endgeneration %}", "{%- generation %} x {% endgeneration -%} y", "{{ 'é' }}\x85{%- if true %}x{% endif %}", "\ufeff{%- if true %}x{% endif %}", "x\u2028  {% if true %}y{% endif %}",
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }};{% endfor %}", "{% for m in messages %}{{ loop }}{% endfor %}", "{% for m in messages %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ m.content }}{{ loop.index }}{% endfor %}", "{% for m in messages if m.role == 'x' %}{% else %}none{% endfor %}", "{% for m in (messages if false) %}x{% endfor %}", "{% for m in (messages if m) %}x{% endfor %}", "{% for m in messages if true else [] %}x{% endfor %}", "{% for m in [] %}x{% else %}e{% endfor %}",
    "{% for m in x %}a{% else %}b{% endfor %}", "{% for m in none %}a{% endfor %}", "{% for c in 'a😀' %}[{{ c }}]{% endfor %}", "{% for k in messages[0] %}{{ k }}{% endfor %}", "{% for k, v in messages[0].items() %}{{ k }}{% endfor %}", "{% for a, b in [[1,2]] %}{{ a }}{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for i in range(3) %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in range(3) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "{% for i in range(2) %}{% for j in range(2) %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}", "{% for i in range(2) %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in range(2) %}{{ loop.changed(i) }}{% endfor %}", "{% for i in [1,[2]] recursive %}x{% endfor %}",
    "{% set x = 1 %}{{ x }}", "{% set x %}ab{% endset %}{{ x }}", "{% set x %}\nab\n{% endset %}{{ x|length }}", "{% set x, y = 1, 2 %}{{ x }}", "{% set x = 1, 2 %}{{ x }}", "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "{% for i in range(2) %}{{ x }}{% set x = i %}{% endfor %}{{ x }}", "{% set x = 0 %}{% for i in range(3) %}{{ x }}{% set x = x + 1 %}{% endfor %}{{ x }}", "{% if true %}{% set x = 3 %}{% endif %}{{ x }}", "{% set ns = namespace(a=1) %}{% for i in range(3) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}", "{% set ns = namespace() %}{{ ns.a }}", "{% set ns = namespace() %}{{ ns }}", "{% set messages[0].role = 1 %}x", "{% set x.y = 1 %}", "{% set messages = [] %}{{ messages|length }}", "{% for i in [1] %}{% set messages = [] %}{% endfor %}{{ messages|length }}", "{% set true = 1 %}x", "{% set loop = 1 %}{{ loop }}", "{% set range = 1 %}{{ range }}", "{% for i in range(2) %}{% set y = i %}{% else %}{% endfor %}{{ y }}", "{% for x in [1] %}{% endfor %}{{ x }}", "{% set x = 5 %}{% for x in [1] %}{{ x }}{% endfor %}{{ x }}", "{% for i in range(2) %}{% if i == 1 %}{{ z }}{% endif %}{% set z = 'q' %}{% endfor %}",
    "{% macro f(a) %}[{{ a }}]{% endmacro %}{{ f(1) }}", "{% filter upper %}a{% endfilter %}", "{% call f() %}{% endcall %}", "{% include 'x' %}", "{% block b %}x{% endblock %}", "{% with a = 1 %}{{ a }}{% endwith %}", "{% do x %}", "{% if x %}a{% elif true %}b{% else %}c{% endif %}", "{% if 0 %}a{% endif %}", "{% if '' %}a{% else %}b{% endif %}", "{% if [] %}a{% else %}b{% endif %}", "{% if messages[0] %}a{% endif %}", "{% if 'false' %}a{% endif %}", "{% if not tools %}n{% endif %}", "{% if tools is not none %}n{% else %}m{% endif %}", "{% if messages[0].content is string and messages|length > 1 %}y{% endif %}", "{{ messages[0]['content'] | trim + 'x' }}", "{{ (messages[0]['content'] + ' ') | trim + 'x' }}", "{{ 1 }}{{ 2 }}", "{{ }}", "{{ 1 + }}", "{% if %}", "{{ 'a", "{% for %}", "{{ messages.0.role }}", "{{ messages[0].0 }}", "{{ x.y.z }}", "{{ x['y'] }}", "{{ none.x }}", "{{ true.x }}", "{{ (1).real }}", "{{ 'a'.x }}", "{{ messages['x'] }}", "{{ messages[none] }}", "{{ messages[true] }}", "{{ messages[0][0] }}", "{{ 'abc'['x'] }}", "{{ bos_token }}{{ eos_token }}{{ unk_token }}", "{{ bos_token is defined }}{{ unk_token is defined }}", "{{ loop_messages }}", "{{ caller }}", "{{ varargs }}", "{{ context }}", "{{ _x }}", "{{ ünïcode }}", "{{ 'a'\n+\n'b' }}", "{{- 'a'\n -}} b", "{{ 1_000 }}", "{{ 0x10 }}", "{{ 0b1 }}", "{{ 007 }}", "{{ 'a' !='b' }}", "{{ !true }}", "{{ true && false }}", "{{ 'a' is not string }}", "{{ not 'a' is string }}", "{{ -messages|length }}", "{{ (-1)|string }}", "{{ - 1 ~ 'a' }}", "{{ 2 - 1 - 1 }}", "{{ 2 * 3 + 4 * 5 }}", "{{ 10 - 2 * 3 }}", "{{ 7 // 2 * 2 }}", "{{ 'a' if x else 'b' ~ 'c' }}", "{{ ('a' if x else 'b') ~ 'c' }}", "{{ 1 if 1 else 0 + 5 }}", "{{ 'x' in 'xy' and 'y' in 'xy' }}", "{{ 1 + 1 == 2 }}", "{{ 1 + 1 in [2] }}", "{{ 'a' ~ 'b' == 'ab' }}", "{{ not 1 == 2 }}", "{{ 1 or 0 and 0 }}",
    "{{ [none][0] }}", "{{ [none]|first }}{{ [none]|last }}", "{{ [none][0] is defined }}", "{% for m in [none, 1] %}{{ loop.previtem is defined }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}", "{{ {'a': none}.get('a', 'd') }}", "{% set ns = namespace(a=none) %}{{ ns.a }}",
    "{{ (1 == 1) != (2 == 3) }}", "{{ 1 == 1 != 2 }}", "{{ 1 == (1 != 2) }}", "{{ 1 == 2 not in [0] }}", "{{ not 1 == 2 and 3 == 3 }}", "{{ ('a' == 'a') == true }}", "{{ [1 == 1, 2 == 2]|length }}", "{{ 'a' if 1 == 1 else 2 == 3 }}", "{{ 'x == y == z' }}", "{{ '\\'' == \"'\" }}", "{% if ('a' if true else 'b') == 'a' %}T{% endif %}", "{% if ('a' if true else 'b') %}T{% endif %}",
    "{{ 00 }}", "{{ 0 }}", "{{ 10 }}", "{{ '007' }}", "{{ (0 - 7) // 2 }}", "{{ 7 // (0 - 2) }}", "{{ 9007199254740991 // 2 }}", "{{ 9007199254740991 % 4503599627370495 }}", "{{ (0 - 9007199254740991) % 1000 }}", "{{ 6 % (0 - 3) }}", "{{ self is defined }}", "{{ super }}", "{{ cycler is defined }}", "{{ dict }}", "{{ lipsum is string }}", "{{ [[1, [none, true]], 'a']|tojson }}", "{{ '\\x1c a\\x1d'|trim }}", "{{ ' \u3000a\u3000 '|trim }}", "{{ 'a'.replace('a', 'aa').replace('a', 'b') }}", "{{ 'a,b'.split(',')[1] }}", "{{ ['a', 1, none]|join('--') }}",
]


def python(template):
    try:
        return _compile_jinja_template(template).render(**DATA)
    except Exception:
        return None


if __name__ == "__main__":
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **NAMES)
    families = {}
    for name, template in FAMILIES.items():
        renders = []
        for chat in CHATS:
            for prompt in (False, True):
                try:
                    text = tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False, add_generation_prompt=prompt)
                except jinja2.exceptions.TemplateError:
                    text = None
                renders.append({"messages": chat, "add_generation_prompt": prompt, "text": text})
        families[name] = {"template": template, "renders": renders}
    expressions = []
    for line in EXPRESSIONS.strip().split("\n"):
        # `~` between spaces is Jinja's own operator; one without parts the expressions
        parts = line.split("|") if line.startswith("true|True") else __import__("re").split(r"(?<! )~(?! )", line)
        expressions += parts
    lines = [t for e in expressions for t in ("{{ " + e + " }}", "{% if " + e + " %}T{% else %}F{% endif %}", "{% set v = " + e + " %}[{{ v }}]")] + LINES
    for file, content in (("families.json", {"names": NAMES, "families": families}), ("lines.json", {"data": DATA, "lines": [[t, python(t)] for t in lines]})):
        text = json.dumps({"made_by": MADE_BY, **content}, ensure_ascii=True, separators=(",", ":"))
        (HERE / file).write_text(text + "\n", encoding="utf-8")
        print(file, len(text))
    print(len(lines), "lines, Python raises in", sum(python(t) is None for t in lines), "; renders", sum(r["text"] is not None for f in families.values() for r in f["renders"]))
