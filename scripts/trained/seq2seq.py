"""What an encoder-decoder learns from, and how much what it reads is worth to it. Texts that go on after what was read are worth
nothing (.05 nats): a decoder goes by its own words. Here the answer stands in what is read, or fits a gap of it."""
import numpy as np, torch

TURN, TURN_END, LINE_END = 1, 2, 13  # tokens: `<|im_start|>` and whose turn it is up to the end of a line; `<|im_end|>`
GAP = TURN  # as T5's sentinels: a text has none
COPIED, GAPPED, ASKED = 32, 16, 16  # examples of each kind in a step
LONGEST_COPY, LONGEST_GAP, READ, LONGEST_ANSWER = 8, 3, 24, 12  # tokens


def pairs(stream):
    """Questions and answers of the chats, without what marks a turn: (question, answer) as lists of tokens."""
    turns = np.split(stream, np.flatnonzero(stream == TURN))[1:]
    at = lambda turn, token: int(np.flatnonzero(turn == token)[0])
    said = [turn[at(turn, LINE_END) + 1 : at(turn, TURN_END)].tolist() for turn in turns if TURN_END in turn]
    return [(q, a) for q, a in zip(said[::2], said[1::2]) if 0 < len(q) <= READ and 0 < len(a) <= LONGEST_ANSWER]


def part(stream, length, random):
    at = random.integers(len(stream) - length)
    return stream[at : at + length].tolist()


def copied(stream, random):
    words = part(stream, int(random.integers(1, LONGEST_COPY + 1)), random)
    return words, words


def gapped(stream, random):
    words = part(stream, READ, random)
    length = int(random.integers(1, LONGEST_GAP + 1))
    at = int(random.integers(2, READ - length - 2))
    return words[:at] + [GAP] + words[at + length :], words[at : at + length]


def examples(streams, shares, asked, step):
    """{kind: [(read, said)]} of one step."""
    random = np.random.default_rng([9, step])
    stream = lambda: streams[random.choice(list(shares), p=list(shares.values()))]
    return dict(
        copied=[copied(stream(), random) for _ in range(COPIED)],
        gapped=[gapped(stream(), random) for _ in range(GAPPED)],
        asked=[asked[i] for i in random.integers(len(asked), size=ASKED)],
    )


def loss(model, rows):
    """Mean over the tokens said, and over the ends after them."""
    end = model.config.eos_token_id
    pad = lambda rows, fill: torch.tensor([row + [fill] * (max(map(len, rows)) - len(row)) for row in rows])
    read, said = [read + [end] for read, _ in rows], [said + [end] for _, said in rows]
    mask = pad([[1] * len(row) for row in read], 0)
    return model(input_ids=pad(read, end), attention_mask=mask, labels=pad(said, -100), use_cache=False).loss


def worth_of_source(model, rows):
    """Mean loss while another row's text is read, less that while its own is: nats."""
    other = [(rows[i - 1][0], said) for i, (_, said) in enumerate(rows)]
    with torch.no_grad():
        return (loss(model, other) - loss(model, rows)).item()
