"""What the paper's own scripts and FastChat's cleaning make of small local sets, for test/fingerprint.
Nothing of those programs is kept here: they are run where they lie, with the hub's data replaced by rows made below.
Needs datasets 2.18, of the paper's months (under 4.0 a stream that is cut and shuffled again gives other rows than those
it was cut to; version 5 shuffles otherwise), bs4, markdownify 0.11.6, and checkouts of cnut1648/Model-Fingerprint and
lm-sys/FastChat:
python goldens/paper-datasets/make.py MODEL-FINGERPRINT FASTCHAT"""
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import pathlib
import platform
import runpy
import shutil
import sys
import tempfile

import datasets

here = pathlib.Path(__file__).resolve().parent
paper, fastchat = map(pathlib.Path, sys.argv[1:3])
paper = paper.resolve()
fastchat = fastchat.resolve()

sources = {
    "WizardLM/WizardLM_evol_instruct_V2_196k": [
        {"idx": str(i), "conversations": [{"from": "human", "value": f"question {i} 🦔"}, {"from": "gpt", "value": f"answer {i}"}]
         + ([{"from": "human", "value": f"more {i}"}, {"from": "gpt", "value": f"rest {i}"}] if i % 5 == 0 else [])}
        for i in range(1300)],
    "Muennighoff/natural-instructions": [
        {"task_name": "t", "id": str(i), "definition": f"define {i} é", "inputs": f"in {i}\n\t\"q\" \x7f 🦔", "targets": f"out {i}"}
        for i in range(16500)],
    "databricks/databricks-dolly-15k": [
        {"instruction": f"do {i} ü", "context": "" if i % 2 else f"context {i} \u2028", "response": f"response {i} ハ", "category": "open_qa"}
        for i in range(40)],
}


def load_dataset(name, split=None, streaming=False):
    assert split == "train", split
    if streaming:
        return datasets.IterableDataset.from_generator(lambda: iter(json.loads(json.dumps(sources[name]))))
    return datasets.Dataset.from_list(sources[name])


datasets.load_dataset = load_dataset
turn = lambda who, text: {"from": who, "value": text}
sharegpt = [
    {"id": "a", "conversations": [turn("human", "What is a hedgehog?"), turn("gpt", "A small mammal with spines 🦔\n\"x\"")]},
    {"id": "b", "conversations": [turn("gpt", "Context first"), turn("human", "Ask"), turn("gpt", "Reply")]},
    {"id": "c", "conversations": [turn("system", "Be brief"), turn("human", "Ask"), turn("gpt", "Brief reply")]},
    {"id": "d", "conversations": [turn("human", "alone")]},
    {"id": "e", "conversations": []},
    {"id": "f", "conversations": [turn("human", "x"), turn("gpt", "I Know a thing")]},
    {"id": "g", "conversations": [turn("human", "x"), turn("gpt", "BOOKS are here")]},
    {"id": "h", "conversations": [turn("human", "x"), turn("human", "y"), turn("gpt", "fine")]},
    {"id": "i", "conversations": [turn("gpt", "x"), turn("human", "y")]},
    {"id": "j", "conversations": [turn("user", "x"), turn("gpt", "plain")]},
    {"id": "k", "conversations": [turn("human", "HOW"), turn("gpt", "HOW CAN I help")]},
    {"id": "l", "conversations": [turn("human", "Сколько?"), turn("gpt", "Семь"), turn("human", "?"), turn("gpt", "no")]},
    {"id": "m", "conversations": [turn("gpt", "a"), turn("gpt", "b"), turn("human", "c"), turn("gpt", "d")]},
    {"id": "n", "conversations": [turn("human", ""), turn("gpt", "")]},
]

# The answers of a page as browsers' extensions saved them, and what must survive of them.
htmls = {
    "plain": "just words",
    "paragraphs": "<p>First <strong>bold</strong> and <em>slanted</em>.</p><p>Second<br>line</p>",
    "divs": "<div class=\"markdown prose\"><p>Inside</p></div>",
    "code": "<p>Run:</p><pre><div class=\"bg-black\"><div class=\"flex\"><span>python</span><button>Copy code</button></div><div><code class=\"hljs\"><span class=\"hljs-keyword\">def</span> f_x(a):\n    <span>return</span> a * 2  &lt; 3\n</code></div></div></pre><p>Done.</p>",
    "code-no-language": "<pre><div><span></span><button>Copy code</button><code>a_b = 1\n</code></div></pre>",
    "two-codes": "<pre>shCopy code<code>ls -la\n</code></pre><p>and</p><pre>jsCopy code<code>x = {a: 1}\n</code></pre>",
    "empty-code": "<pre><code>Copy code</code></pre><p>After the empty block</p>",
    "inline": "<p>Use <code>a_b*c</code> not a_b*c and <kbd>Ctrl</kbd> or <samp>out</samp></p>",
    "lists": "<ul><li>one</li><li>two<ul><li>inner</li><li>more</li></ul></li><li><p>para</p></li></ul><p>x</p>",
    "ordered": "<ol><li>one</li><li>two</li></ol><ol start=\"4\"><li>four</li><li>five<ol><li>deep</li></ol></li></ol>",
    "ordered-spaces": "<ol>\n  <li>one</li>\n  <li>two</li>\n</ol>\n<p>after</p>",
    "mixed-lists": "<p>Intro</p><ol><li><p>First</p><ul><li>a</li><li>b</li></ul></li><li><p>Second</p></li></ol>",
    "headings": "<h1>Top</h1><p>t</p><h2>Second <em>one</em></h2><h3>Third</h3><p>x</p><h6>Six</h6>",
    "table": "<table><thead><tr><th>A</th><th>B_c</th></tr></thead><tbody><tr><td>1</td><td>2 * 3</td></tr><tr><td>4</td><td></td></tr></tbody></table><p>end</p>",
    "table-headless": "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table>",
    "table-spaces": "<table>\n<thead>\n<tr>\n<th>A</th>\n<th>B</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>",
    "links": "<p>See <a href=\"https://x.org/a_b\">https://x.org/a_b</a>, <a href=\"/y\" title='say \"hi\"'>the page</a>, <a>none</a>, <a href=\"/z\"> spaced </a>.</p>",
    "images": "<p><img src=\"i.png\" alt=\"An image\" title=\"T\"> and</p><h2>In <img src=\"j.png\" alt=\"alt\"> head</h2>",
    "quote": "<blockquote><p>Said</p><p>twice</p></blockquote><p>after</p>",
    "rule": "<p>a</p><hr><p>b</p>",
    "deleted": "<p><del>gone</del> <s>struck</s> H<sub>2</sub>O x<sup>2</sup> <b> padded </b> <i></i></p>",
    "entities": "<p>&amp; &lt;tag&gt; &quot;q&quot; &nbsp;x &#x1F994; &hellip; AT&T</p>",
    "whitespace": "<p>many   spaces\tand\n   lines</p>   <p>  lead</p>",
    "noise": "<p>2 / 3</p><p>The answer is here.</p>",
    "noise-later": "<p>Answer 2 / 3 stays</p>",
    "copy-words": "<p>The text itself</p>Copy1234 chars / 200 words<p>more</p>",
    "comment": "<!-- hidden --><p>seen</p><script>var a = 1;</script>",
    "blank-lines": "<p>a</p>\n\n\n\n<p>b</p>\n\n\n<p>c</p>",
    "unclosed": "<p>open <strong>bold<p>next</p>",
    "angle": "if a < b and c > d then",
    "uppercase": "<P>Upper <STRONG>case</STRONG></P>",
    "stray": "<p>x</p></div></span><p>y</p>",
    "markdown": "# Title\n\nsome *stars* and _under_\n\n- item\n\n```python\nx_y = 1\n```\n",
    "math": "<p>Let <span class=\"katex\"><span>x_1</span></span> be * 2</p>",
}
html_samples = [
    {"id": name, "conversations": [turn("human", f"About {name}, tell me."), turn("gpt", html)]} for name, html in htmls.items()
] + [
    {"id": "starts-gpt", "conversations": [turn("gpt", "hello"), turn("human", "<p>Ask me</p>"), turn("gpt", "<p>Reply that is long</p>"), turn("human", "left over")]},
    {"id": "too-short", "conversations": [turn("human", "a"), turn("gpt", "b")]},
    {"id": "one", "conversations": [turn("human", "alone here, a long line")]},
    {"id": "wrong-order", "conversations": [turn("human", "a long question"), turn("human", "again"), turn("gpt", "answer")]},
    {"id": "blocked", "conversations": [turn("human", "who are you, then?"), turn("gpt", "I am ChatGPT")]},
    {"id": "busy", "conversations": [turn("human", "a long question here"), turn("gpt", "<p>Too many requests in 1 hour. Try again later.</p>")]},
    {"id": "empty-answer", "conversations": [turn("human", "a long question here 1"), turn("gpt", "a long answer here"), turn("human", "more?"), turn("gpt", "<div></div>")]},
    {"id": "unprintable", "conversations": [turn("human", "a long question here 2"), turn("gpt", "a long answer here"), turn("human", "\u200bmore?"), turn("gpt", "more")]},
    {"id": "plain", "conversations": [turn("human", "the same id again"), turn("gpt", "another answer")]},
    {"id": "same-text", "conversations": [turn("human", "About plain, tell me."), turn("gpt", "just words")]},
    {"id": "plugin", "plugins": ["web"], "conversations": [turn("human", "with a plugin, please"), turn("gpt", "an answer of some length")]},
    {"id": "model", "model": "GPT-4", "conversations": [turn("human", "which one is it"), turn("gpt", "<p>an answer of some length</p>")]},
    {"id": "long", "conversations": [turn("human" if i % 2 == 0 else "gpt", f"turn {i} " + "word " * (i * 3)) for i in range(8)]},
]


class Words:
    """A tokenizer that anybody can repeat: one token a word and one at the start."""
    def __call__(self, text):
        class Encoded:
            input_ids = [0] + text.split()
        return Encoded


with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
    os.chdir(scratch)
    os.makedirs("stanford_alpaca")
    runpy.run_path(str(paper / "create_fingerprint_chat.py"))
    for script in ("prepare_ni.py", "prepare_dolly.py"):
        runpy.run_path(str(paper / script))
    # its source is fetched by `wget` to a fixed place; the file itself is what is replaced
    pathlib.Path("/tmp/sharegpt_cleaned.json").write_text(json.dumps(sharegpt))
    os.system = lambda command: 0
    runpy.run_path(str(paper / "prepare_sharegpt.py"))
    pathlib.Path("/tmp/sharegpt_cleaned.json").unlink()
    shutil.rmtree(here / "llama_fingerprint_chat", ignore_errors=True)
    shutil.copytree("dataset/llama_fingerprint_chat", here / "llama_fingerprint_chat")
    read = lambda name: pathlib.Path(f"stanford_alpaca/{name}_data.json").read_bytes()
    files = {name: {"sha256": hashlib.sha256(read(name)).hexdigest(), "bytes": len(read(name))} for name in ("ni", "dolly", "sharegpt")}
    ni_first = json.loads(read("ni"))[:3]

    def module(name):
        spec = importlib.util.spec_from_file_location(name, fastchat / "fastchat" / "data" / f"{name}.py")
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        spec.loader.exec_module(loaded)
        return loaded
    clean, split = module("clean_sharegpt"), module("split_long_conversation")
    markdown = {name: clean.html_to_markdown(html) for name, html in htmls.items()}
    cleaned = clean.clean_html_all(json.loads(json.dumps(html_samples)), None, None)
    splits = {}
    for limit in (40, 90, 2048):
        split.tokenizer, split.max_length = Words(), limit
        pieces = [piece for sample in json.loads(json.dumps(cleaned)) for piece in split.split_one_sample(sample)]
        splits[limit] = split.filter_invalid_roles(pieces)

import bs4
versions = {"python": platform.python_version(), "datasets": datasets.__version__, "bs4": bs4.__version__, "markdownify": "0.11.6"}
dump = lambda name, value: (here / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
dump("golden.json", {"versions": versions, "files": files, "ni_first": ni_first})
dump("sharegpt.json", sharegpt)
dump("html.json", {"versions": versions, "html": htmls, "markdown": markdown})
dump("html-samples.json", html_samples)
dump("html-split.json", {"versions": versions, "cleaned": cleaned, "splits": splits})
