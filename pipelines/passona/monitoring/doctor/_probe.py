"""Asks: several requests beside each other, each answered by an `Answer`, whatever comes."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

from passona.errors import RequestFailed, TokenRefused
from passona.monitoring.doctor._answers import Answer, Ask, read_answer
from passona.reports.definitions import CAMPAIGNS
from passona.source.client import Client
from passona.source.page_pool import PagePool
from passona.source.paginator import may_be_the_size


class Probe:
    """Asks for pages of `per_page` rows, and for plain ones where the server cannot answer those.

    `answers`: all so far, in the order in which they were asked for.
    """

    def __init__(self, client: Client, pool: PagePool, per_page: int) -> None:
        self._client, self._pool = client, pool
        # By the kind of path: the list may bear what the reports do not.
        self._sizes: dict[bool, int | None] = {True: per_page, False: per_page}
        self.answers: list[Answer] = []

    def ask(self, *asks: Ask) -> list[Answer]:
        """The answers to these requests.

        :raises TokenRefused: 401; no request follows.
        """
        turn = self._pool.turn()
        found = _results([self._pool.submit(turn, self._answer, ask) for ask in asks])
        self.answers += found
        return found

    def _answer(self, ask: Ask) -> Answer:
        kind = ask.report == CAMPAIGNS.name
        size = self._sizes[kind]
        answer = self._try(ask, size)
        if size is None or answer.status == 200 or not may_be_the_size(answer.status):
            return answer
        plain = self._try(ask, None)
        if plain.page is None:
            return answer
        self._sizes[kind] = None
        return replace(plain, plain=True, trouble=answer.trouble)

    def _try(self, ask: Ask, size: int | None) -> Answer:
        try:
            return read_answer(ask, size, self._client.get(ask.path, ask.page, size))
        except RequestFailed as error:
            return Answer(ask, error.status, size, trouble=str(error))


def _results(futures: list[Future[Answer]]) -> list[Answer]:
    """The results of all, or the error that matters most: after a 401 the others are merely stopped."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: not isinstance(error, TokenRefused)):
        raise error
    return [future.result() for future in futures]
