"""Small rows in the columns of each data set on the hub, made up here; the first rows of what is evaluated hold the traps.

ROWS[(path, config)][split] is a list of rows. Pools of examples have seven rows or more, two of them equal to rows that
are evaluated where a task draws from the split beside it.
"""

ROWS = {}


def add(path, config, **splits):
    ROWS[(path, config)] = splits


NAMES = ["ferry", "lamp", "river", "stone", "orchard", "harbour", "kettle", "meadow", "window", "ladder"]

# anli: labels 0..2, text that ends in blanks, a premise of two lines.
def anli(n, at=0):
    return [{"uid": f"u{at}{i}", "premise": f"The {NAMES[i]} was built in {1900 + i}.", "hypothesis": f"The {NAMES[i]} is old.",
             "label": i % 3, "reason": ""} for i in range(n)]


ANLI = {}
for r in (1, 2, 3):
    ANLI[f"train_r{r}"] = anli(8, r)
    ANLI[f"dev_r{r}"] = anli(2, r)
    ANLI[f"test_r{r}"] = [
        {"uid": "t0", "premise": "It rained.\nAll day ", "hypothesis": "It was dry. ", "label": 2, "reason": ""},
        {"uid": "t1", "premise": f"{{{{not a template}}}} Round {r}.", "hypothesis": "“Quoted” 日本 🎉.", "label": 1, "reason": ""},
        {"uid": "t2", "premise": "", "hypothesis": "An empty premise.", "label": 0, "reason": ""},
    ]
add("facebook/anli", None, **ANLI)


def arc(n, letters="ABCD"):
    return [{"id": f"a{i}", "question": f"What is near the {NAMES[i]}?", "choices": {"text": [f"a {NAMES[(i + j) % 10]}" for j in range(len(letters))],
             "label": list(letters)}, "answerKey": letters[i % len(letters)]} for i in range(n)]


ARC_TEST = [
    {"id": "t0", "question": "Which number? ", "choices": {"text": ["1", "2.5", "-3", "0"], "label": ["1", "2", "3", "4"]}, "answerKey": "3"},
    {"id": "t1", "question": "Five choices, one of them long:", "choices": {"text": ["it's", 'a "quoted" one', "back\\slash", "naïve café 🎉", "x" * 30],
     "label": ["A", "B", "C", "D", "E"]}, "answerKey": "D"},
    {"id": "t2", "question": "Three choices\nand a line", "choices": {"text": [" leading", "trailing ", ""], "label": ["A", "B", "C"]}, "answerKey": "B"},
]
add("allenai/ai2_arc", "ARC-Easy", train=arc(9), validation=arc(2), test=ARC_TEST)
add("allenai/ai2_arc", "ARC-Challenge", train=arc(8, "1234"), validation=arc(2), test=ARC_TEST[1:] + ARC_TEST[:1])

PIQA = [{"goal": f"To clean a {n}", "sol1": f"wash the {n} with water.", "sol2": f"paint the {n} blue.", "label": i % 2} for i, n in enumerate(NAMES)]
PIQA_VALID = [
    {"goal": "How to stop? ", "sol1": "wait", "sol2": "wait  ", "label": 1},
    {"goal": "Cut {wood} 50%", "sol1": "use a saw 🪚", "sol2": "it's 'so' simple", "label": 0},
    PIQA[3], PIQA[4],
]
# Two copies of an evaluated row in the pool: both are dropped when drawn.
add("baber/piqa", None, train=PIQA[:7] + [PIQA[3], PIQA[3]], validation=PIQA_VALID)


def openbook(n):
    return [{"id": f"o{i}", "question_stem": f"A {NAMES[i]} is", "choices": {"text": [f"kind {j} of {NAMES[i]}" for j in range(4)], "label": list("ABCD")},
             "answerKey": "ABCD"[i % 4]} for i in range(n)]


add("allenai/openbookqa", "main", train=openbook(8), validation=openbook(2), test=[
    {"id": "t0", "question_stem": "Stars are", "choices": {"text": ["hot", "cold", "7", "far "], "label": list("ABCD")}, "answerKey": " C"},
    {"id": "t1", "question_stem": "choices", "choices": {"text": ["a", "b", "c", "d"], "label": list("ABCD")}, "answerKey": "D"},
    {"id": "t2", "question_stem": "ends in blanks \n", "choices": {"text": ["a\nb", "b", "c", "d"], "label": list("ABCD")}, "answerKey": "A"},
])


def headqa(n, word):
    return [{"name": "x", "year": "2017", "category": "c", "qid": i, "qtext": f"{word} {NAMES[i]}:", "ra": 1 + i % 4,
             "answers": [{"aid": j + 1, "atext": f"{NAMES[i]} {j}."} for j in range(4)]} for i in range(n)]


HEAD_TEST = [
    {"name": "x", "year": "2017", "category": "c", "qid": 1, "qtext": "¿Cuál? ", "ra": 5, "answers": [{"aid": j + 1, "atext": t} for j, t in enumerate(["sí", "no", "10", "0,5 %", "l'uno"])]},
    {"name": "x", "year": "2017", "category": "c", "qid": 2, "qtext": "Four:", "ra": 1, "answers": [{"aid": j + 1, "atext": t} for j, t in enumerate(["One", "Two ", " Three", "4"])]},
    {"name": "x", "year": "2017", "category": "c", "qid": 3, "qtext": "No right answer:", "ra": 0, "answers": [{"aid": j + 1, "atext": t} for j, t in enumerate(["One", "Two", "Three", "4"])]},
]
add("EleutherAI/headqa", "en", train=headqa(7, "The"), validation=headqa(2, "The"), test=HEAD_TEST)
add("EleutherAI/headqa", "es", train=headqa(7, "El"), validation=headqa(2, "El"), test=HEAD_TEST[:2])

WINO = [{"sentence": f"The {n} did not fit the box because the _ was too big.", "option1": n, "option2": "box", "answer": "12"[i % 2]} for i, n in enumerate(NAMES)]
add("allenai/winogrande", "winogrande_xl", train=WINO[:8], validation=[
    {"sentence": "Ann asked Eve, so _ answered __ twice. ", "option1": "Ann", "option2": "Eve", "answer": "2"},
    {"sentence": "_ slept", "option1": "Ann", "option2": "Eve", "answer": "1"},
    {"sentence": "It was the _", "option1": "cat", "option2": "dog", "answer": "1"},
    WINO[2],
])

LOGI = [{"label": "abcd"[i % 4] + ("\n" if i == 2 else ""), "context": f"All {n}s are red.", "question": f"What of the {n}?",
         "options": [f"{n} {c}" for c in "wxyz"]} for i, n in enumerate(NAMES)]
add("EleutherAI/logiqa", "logiqa", train=LOGI[:8], validation=LOGI[:1], test=[
    {"label": "c", "context": "Some. ", "question": "Which? ", "options": ["one", "two ", "3", "four\\n"]},
    {"label": " d ", "context": "Läßt 🎉.", "question": "Why?", "options": ["it's", "b", "c", 'd "e"']},
])

SCIQ = [{"question": f"What lights the {n}?", "distractor3": f"a {n}", "distractor1": "moon", "distractor2": "star", "correct_answer": "sun", "support": f" The sun lights the {n}."} for n in NAMES]
add("allenai/sciq", None, train=SCIQ[:7], validation=SCIQ[:1], test=[
    {"question": "How many?", "distractor3": "3", "distractor1": "1", "distractor2": "2", "correct_answer": "4", "support": "\n\t  Four legs. "},
    {"question": "Empty support?", "distractor3": "c\nd", "distractor1": "", "distractor2": "b'", "correct_answer": "yes", "support": ""},
])

HELLA = [{"ind": i, "activity_label": "Washing", "ctx_a": f"A man stands by the {n}.", "ctx_b": "he", "ctx": "x", "endings": [f"moves  the {n}.", "sings.", "sleeps.", "[step] jumps."],
          "source_id": "s", "split": "train", "split_type": "indomain", "label": str(i % 4)} for i, n in enumerate(NAMES)]
add("Rowan/hellaswag", None, train=HELLA[:8], validation=[
    {"ind": 1, "activity_label": "Home", "ctx_a": " [header] How to [title] Sweep [step] Take a broom.", "ctx_b": "tHE Broom IS é", "ctx": "x",
     "endings": [" [title] New one [substeps] a", "two  spaces   three", "a [b\nc] d", "[x] [y] z]"], "source_id": "s", "split": "val", "split_type": "zeroshot", "label": "0"},
    {"ind": 2, "activity_label": "ßtart", "ctx_a": "Long", "ctx_b": "ßtraße ÉCOLE", "ctx": "x", "endings": ["1", "2", "3", "4"], "source_id": "s", "split": "val", "split_type": "zeroshot", "label": "3"},
    {"ind": 3, "activity_label": "Empty", "ctx_a": "End. ", "ctx_b": "", "ctx": "x", "endings": ["a", "b", "c", "d"], "source_id": "s", "split": "val", "split_type": "zeroshot", "label": "2"},
    HELLA[1],
])

GLUE = "aps/super_glue"
BOOL = [{"question": f"is the {n} new", "passage": f"The {n} is new.", "idx": i, "label": i % 2} for i, n in enumerate(NAMES)]
add(GLUE, "boolq", train=BOOL[:8], validation=[
    {"question": "does it end with a blank ", "passage": "Passage. \n", "idx": 0, "label": 1},
    {"question": "is 50% “half”", "passage": "Half {{x}} 🎉", "idx": 1, "label": 0}, BOOL[0]])
CB = [{"premise": f"A: I saw the {n}.", "hypothesis": f"the {n} was seen", "idx": i, "label": i % 3} for i, n in enumerate(NAMES)]
add(GLUE, "cb", train=CB[:8], validation=[
    {"premise": "B: No. ", "hypothesis": "it was yes", "idx": 0, "label": 1}, {"premise": "Maybe", "hypothesis": "it was", "idx": 1, "label": 2},
    {"premise": "Yes", "hypothesis": "it is ", "idx": 2, "label": 0}, CB[4], CB[5], CB[6]])
WIC = [{"word": "bank", "sentence1": f"The bank by the {n}.", "sentence2": "A bank pays.", "start1": 4, "start2": 2, "end1": 8, "end2": 6, "idx": i, "label": i % 2} for i, n in enumerate(NAMES)]
add(GLUE, "wic", train=WIC[:8], validation=[
    {"word": "run", "sentence1": "🎉🎉 We run it.", "sentence2": "A run. ", "start1": 6, "start2": 2, "end1": 9, "end2": 5, "idx": 0, "label": 1},
    {"word": "é", "sentence1": "Café é bar", "sentence2": "x", "start1": 5, "start2": 0, "end1": 6, "end2": 1, "idx": 1, "label": 0}, WIC[3]])
WSC = [{"text": f"Mark told Pete many lies about the {n}, which he included.", "span1_index": 0, "span2_index": 9, "span1_text": "Mark", "span2_text": "he", "idx": i, "label": i % 2} for i, n in enumerate(NAMES)]
add(GLUE, "wsc.fixed", train=WSC[:8], validation=[
    {"text": "He did n't say ( ever ) , \" it \" . He left", "span1_index": 0, "span2_index": 11, "span1_text": "He", "span2_text": "He", "idx": 0, "label": 1},
    {"text": "Two  blanks before it , and \u00a0 it came .", "span1_index": 0, "span2_index": 3, "span1_text": "Two", "span2_text": "it", "idx": 1, "label": 0}, WSC[2]])
COPA = [{"premise": f"The {n} fell.", "choice1": "It was windy.", "choice2": "I slept.", "question": ["cause", "effect"][i % 2], "idx": i, "label": i % 2} for i, n in enumerate(NAMES)]
add(GLUE, "copa", train=COPA[:8], validation=[
    {"premise": "  I ran! ", "choice1": "ÉTÉ came.", "choice2": "A", "question": "effect", "idx": 0, "label": 1},
    {"premise": "Ice melted🎉", "choice1": "\u0130t", "choice2": "ẞx.", "question": "cause", "idx": 1, "label": 0}, COPA[1]])
MULTI = [{"paragraph": f"The {n} is by the sea.", "question": f"Where is the {n}?", "answer": ["by the sea", "far away"][i % 2], "idx": {"paragraph": i, "question": 0, "answer": 0}, "label": 1 - i % 2} for i, n in enumerate(NAMES)]
add(GLUE, "multirc", train=MULTI[:8], validation=[
    {"paragraph": "P. ", "question": "Q ", "answer": "back\\slash \\n new \\t tab \\x41 \\u00e9 \\101 \\q \\' it's", "idx": {"paragraph": 0, "question": 0, "answer": 0}, "label": 1},
    {"paragraph": "P", "question": "Q", "answer": "'quoted' \"twice\" 7", "idx": {"paragraph": 0, "question": 0, "answer": 1}, "label": 0}, MULTI[5]])
REC = [{"passage": f"The {n} opened.\n@highlight\nIt is in Rome\n@highlight\nBob came", "query": "@placeholder opened it.", "entities": ["Rome", "Bob", "Rome", "Ann"],
        "entity_spans": {"text": ["Rome"], "start": [0], "end": [4]}, "answers": ["Bob", "Ann", "Bob"][: 1 + i % 3], "idx": {"passage": i, "query": i}} for i, n in enumerate(NAMES)]
add(GLUE, "record", train=REC[:8], validation=[
    {"passage": " The U.S. won. \n@highlight\nThe Team\n@highlight\n", "query": "@placeholder and @placeholder $& won", "entities": ["the U.S.", "US", "Äbc", "Zed", "🎉", "\ue000"],
     "entity_spans": {"text": ["x"], "start": [0], "end": [4]}, "answers": ["U.S.", "a US"], "idx": {"passage": 0, "query": 0}},
    {"passage": "No highlight", "query": "Who? @placeholder", "entities": ["A the", "New York City", "York"], "entity_spans": {"text": ["x"], "start": [0], "end": [4]},
     "answers": ["New York", "the"], "idx": {"passage": 1, "query": 1}}, REC[2]])

COLA = [{"sentence": f"The {n} is here.", "label": i % 2, "idx": i} for i, n in enumerate(NAMES)]
add("nyu-mll/glue", "cola", train=COLA[:8], validation=[
    {"sentence": "Him sleeps. ", "label": 0, "idx": 0}, {"sentence": "What 50% {x}?", "label": 1, "idx": 1}, *COLA[2:8]])
RTE = [{"sentence1": f"The {n} is here.", "sentence2": f"A {n} exists.", "label": i % 2, "idx": i} for i, n in enumerate(NAMES)]
add("nyu-mll/glue", "rte", train=RTE[:8], validation=[
    {"sentence1": "S1 \n", "sentence2": "S2 ", "label": 1, "idx": 0}, {"sentence1": "It's", "sentence2": "“so”.", "label": 0, "idx": 1}, RTE[0]])

LAMBADA = [{"text": f"They went to the {n} to see the {n}"} for n in NAMES]
add("EleutherAI/lambada_openai", "default", test=[
    {"text": "two  blanks  before the  end"}, {"text": "word"}, {"text": "a line\nbreak and it's"}, {"text": "ends in a blank "}, *LAMBADA[:5]])
add("cimec/lambada", None, validation=[{**row, "domain": "x"} for row in LAMBADA[:8]], test=[
    {"text": "`` hello , '' said bob", "domain": "x"}, {"text": "number 42", "domain": "x"}, {"text": "a b", "domain": "x"}])

def truth(i):
    return {"question": f"Is the {NAMES[i]} wet?", "mc1_targets": {"choices": ["No.", f"Yes, the {NAMES[i]}.", "Maybe"][: 2 + i % 2], "labels": [1, 0, 0][: 2 + i % 2]},
            "mc2_targets": {"choices": ["No.", "Never.", "Yes.", "it's 🎉"], "labels": [1, 1, 0, 0]}}


add("truthfulqa/truthful_qa", "multiple_choice", validation=[truth(i) for i in range(3)])

GSM = [{"question": f"{i} boats and {i + 1} more?", "answer": f"{i} + {i + 1} = <<{i}+{i + 1}={2 * i + 1}>>{2 * i + 1}\n#### {2 * i + 1}"} for i in range(8)]
add("openai/gsm8k", "main", train=GSM, test=[
    {"question": "How much is $1,000 and 2? ", "answer": "so\n#### 1,002"}, {"question": "Minus 5?", "answer": "#### -5"}, {"question": "Half?", "answer": "#### 0.5"}])

IF = [("punctuation:no_comma", {}), ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}), ("startend:quotation", {}), ("keywords:existence", {"keywords": ["half"]})]
add("google/IFEval", None, train=[
    {"key": i, "prompt": p, "instruction_id_list": [IF[j][0] for j in which], "kwargs": [{"num_words": None, "relation": None, "keywords": None, **IF[j][1]} for j in which]}
    for i, (p, which) in enumerate([("Write it. ", [0, 1]), ("{{x}} 🎉\nTwo lines", [1, 3]), ("\nQuote", [2]), ("All of it", [0, 1, 2, 3])])])


def pro(i, category):
    return {"question_id": i, "question": f"{category} {i}? ", "options": [f" o{j} " for j in range(3 + i % 9)], "answer": "ABCDEFGHIJ"[i % 3], "answer_index": i % 3,
            "cot_content": f"A: Let's think step by step. It is {i}. The answer is (" + "ABC"[i % 3] + ").", "category": category, "src": "x"}


PRO_NAMES = ["biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history", "law", "math", "other", "philosophy", "physics", "psychology"]
add("TIGER-Lab/MMLU-Pro", None, validation=[pro(i, c) for c in PRO_NAMES for i in range(5)], test=[pro(i, c) for i in range(7, 10) for c in PRO_NAMES][:-3])

MMLU = {
    "stem": "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics high_school_physics high_school_statistics machine_learning".split(),
    "other": "business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology".split(),
    "social_sciences": "econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations security_studies sociology us_foreign_policy".split(),
    "humanities": "formal_logic high_school_european_history high_school_us_history high_school_world_history international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law world_religions".split(),
}
for at, subject in enumerate([subject for subjects in MMLU.values() for subject in subjects]):
    def question(i, mark=""):
        return {"question": f"{mark}{subject[:6]} {i}?{mark}", "subject": subject, "choices": [f"{i}", "b", f"c{at}", "d"], "answer": (i + at) % 4}
    add("cais/mmlu", subject, dev=[question(i) for i in range(5)], test=[question(i, " " if i == 0 else "") for i in range(2 + at % 3)])
