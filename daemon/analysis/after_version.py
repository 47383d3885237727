"""What follows from a new version of the prior: advice for the newest movies, newer losses for those before them.

Both are computed by the causal prior's process whenever it has nothing to learn.
"""

from __future__ import annotations

from collections.abc import Callable

from frazil.daemon.analysis.actor_call import ActorCall, Answer, ProcessEndedError
from frazil.daemon.analysis.advice import Advice
from frazil.daemon.analysis.evidence import EvidenceCache
from frazil.daemon.analysis.losses import LossesOfEarlierMovies
from frazil.daemon.session.context import SessionContext
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.records import MovieResult

_VERSIONS_PER_ADVICE = 2
"""While movies arrive: advice costs seconds, more than everything else of the causal model."""


class AfterVersion:
    """See the module. `PriorVersions` says when there is time."""

    def __init__(self, actor: ActorCall, context: SessionContext, *, snapshot: Callable[[int], PriorSnapshot]) -> None:
        self._notices = context.notices
        self._evidence = EvidenceCache(context.session_dir)
        self._advice = Advice(actor, context, self._evidence, snapshot=snapshot, failed=self._failed)
        self._losses = LossesOfEarlierMovies(actor, context, self._evidence, snapshot=snapshot, failed=self._failed)
        self._advice_due = False
        self._off = False
        self._nothing_left: object = None
        """The version for which everything has been done, and whether that was for the session's end."""

    def has_result(self, movie_id: str) -> None:
        """A movie has a result, for the first time or again."""
        self._evidence.forget(movie_id)
        self._losses.has_result(movie_id)
        self._nothing_left = None

    def has_read(self, result: MovieResult) -> None:
        """Its evidence need not be read again."""
        self._evidence.add(result)

    def new_version(self, version: int, *, changed: bool) -> None:
        """`changed`: the session became another one, and the old advice is of the one before."""
        self._advice_due = self._advice_due or changed or version % _VERSIONS_PER_ADVICE == 0 or version == 1
        self._losses.new_version()

    def ask_next(self, version: int, *, quiet: bool = False, final: bool = False) -> bool:
        """Give the process something to do; False: there is nothing. `quiet`: no movie is on its way; `final`: none
        will come, and the map is the last one."""
        everything = quiet or final
        if self._off or self._nothing_left == (version, final):
            return False
        if self._advice_due or everything:
            asked = self._advice.ask(version, everything=everything, together=self._losses.together)
            self._advice_due = False
            if asked:
                return True
        if self._losses.ask(version, everything=everything, final=final):
            return True
        if everything:
            self._nothing_left = version, final
        return False

    @property
    def movies_left(self) -> int:
        """Whose losses are to be told anew, as far as is known."""
        return self._losses.left

    def _failed(self, answer: Answer, meaning: str) -> bool:
        """Whether there is no answer: then a person is told what that means. A process that ends time after time is
        asked no more; nothing is delayed by it."""
        if answer.error is None:
            return False
        self._off = self._off or isinstance(answer.error, ProcessEndedError)
        self._notices.alert(
            "warning", "prior", f"{meaning}: {answer.error}", "nothing: movies are processed; see logs/daemon.log"
        )
        return True
