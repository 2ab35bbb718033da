"""Keeps transformers from saying on every model that is opened what the scripts beside this ask on purpose."""
import logging
import warnings

import transformers


def quiet():
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(60)
    transformers.logging.disable_progress_bar()
    logging.disable(logging.ERROR)
