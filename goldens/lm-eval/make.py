"""Goldens for how context and continuation become tokens: lm-evaluation-harness's own TemplateLM over our small tokenizers.

usage: make.py        (writes pairs.json)

The tokenizers are those of ../tokenizers/kinds; `loglikelihood` of TemplateLM splits the pairs, so an empty context and
white space at the seam go lm-eval's way. Post-processors that append EOS are told not to: lm-eval would score it.
"""
import json
from pathlib import Path

import lm_eval
import tokenizers
import transformers
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import has_bos_prefix

HERE = Path(__file__).parent
KINDS = HERE.parent / "tokenizers" / "kinds"
SPACES = "".join(chr(c) for c in range(0x110000) if chr(c).isspace())
PAIRS = [
    ["The answer is: ", "the old house"], ["The answer is:", " the old house"], ["Hello ", "world"], ["Hello", "world"],
    ["Hello  \n\t ", "world"], ["Hello\n", "\nworld"], ["", "the old house"], ["", " the old house"], ["", "<s>the house"],
    ["a\u00a0", "b"], ["a\ufeff", "b"], ["a\x1c\x1d\x1e\x1f", "b"], ["a\x85", "b"], ["a\u3000\u2028", "b"], ["a\u200b", "b"],
    ["Q: 1+1 = ", "2"], ["word </s> ", "x"], ["def f(x):\n    ", "return x"], ["日本語 ", "テキスト"], ["x " * 20, "y"],
    ["<s>the river", " bank"], ["<s> the river ", "bank"], ["<s>", "the river"], ["a <s>river", " bank"],
    *[["a" + c, "b"] for c in SPACES],
]


class Splitter(TemplateLM):
    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @property
    def eot_token_id(self):
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self):  # as HFLM's
        return self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id

    def tok_encode(self, string, add_special_tokens=None, **kwargs):
        if add_special_tokens is None:  # as HFLM's
            add_special_tokens = not has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id))
        ids = self.tokenizer.encode(string, add_special_tokens=add_special_tokens)
        return ids[:-1] if add_special_tokens and self.appends else ids

    @property
    def appends(self):
        return self.tokenizer.convert_ids_to_tokens(self.tokenizer.encode("a"))[-1] == self.tokenizer.eos_token

    def _loglikelihood_tokens(self, requests, **kwargs):
        return [[context, continuation] for _, context, continuation in requests]

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError

    def generate_until(self, requests):
        raise NotImplementedError


def main():
    kinds = {}
    for folder in sorted(path for path in KINDS.iterdir() if path.is_dir()):
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
        requests = [Instance("loglikelihood", {}, tuple(pair), i) for i, pair in enumerate(PAIRS)]
        kinds[folder.name] = Splitter(tokenizer).loglikelihood(requests)
    made_by = {"lm_eval": lm_eval.__version__, "transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    text = json.dumps({"made_by": made_by, "spaces": SPACES, "pairs": PAIRS, "kinds": kinds}, separators=(",", ":"))
    (HERE / "pairs.json").write_text(text + "\n")
    print("pairs.json", len(text))


if __name__ == "__main__":
    main()
