"""How many rows each report of a made-up campaign has, so that they agree and add up."""

from itertools import pairwise
from typing import NamedTuple

PEOPLE_PERCENT = 30  # of a campaign's rows: a message makes rows in three reports, the rest are clicks
UNSENT_PERMILLE = 15
SECOND_GROUP_PERMILLE = 30
ROWS_OF_A_MESSAGE = 4  # delivery, alt_delivery, recipient, and the batch
AT_ONCE = 100  # messages that go out in one batch


class Counts(NamedTuple):
    """Rows per report; `people` and `second_groups` make up the recipient report."""

    people: int = 0
    messages: int = 0
    unsent: int = 0
    second_groups: int = 0
    clicks: int = 0
    batches: int = 0

    def of(self, report: str) -> int:
        return {
            "clicks": self.clicks,
            "delivery": self.messages,
            "alt_delivery": self.messages,
            "recipient": self.people + self.second_groups,
            "sent": self.batches,
            "unsent": self.unsent,
        }[report]


def finished(rows: int, die: int) -> Counts:
    """Divide this many rows among the reports of a finished campaign, exactly."""
    if rows < ROWS_OF_A_MESSAGE:
        return Counts(people=rows)
    people = max(1, rows * PEOPLE_PERCENT // 100)
    unsent = people * UNSENT_PERMILLE // 1000
    messages = people - unsent
    second = people * SECOND_GROUP_PERMILLE // 1000
    batches = 1 + die % 3 if messages > AT_ONCE else 1
    clicks = rows - 2 * messages - people - second - unsent - batches
    return Counts(people, messages, unsent, second, clicks, batches)


def sending(people: int) -> Counts:
    """Count the rows of a campaign that has reached two thirds of these people."""
    messages = people * 2 // 3
    return Counts(people, messages, people - messages, people // 30, messages // 10, 1 if messages else 0)


def shares(total: int, parts: int) -> list[int]:
    """Divide a total among parts of very different sizes (one, a half, a third ...), exactly."""
    weights = [1 / (part + 1) for part in range(parts)]
    edges, seen = [0], 0.0
    for weight in weights:
        seen += weight
        edges.append(round(total * seen / sum(weights)))
    return [high - low for low, high in pairwise(edges)]
