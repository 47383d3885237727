"""Questions to an actor in a process of its own: started by the first one, one at a time, and a new process when that
one ends. Nobody asks for minutes: its process is ended, and the next question starts another.

The one place where an actor of the analysis is supervised. A question whose process ends is asked again, as often as
`Retry` says. An answer is handed over again and again until it has been taken in without an error, so that nothing that
was computed is lost while the store is busy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frazil.config.errors import RetryLaterError, StopDaemonError

_log = logging.getLogger(__name__)


class ProcessEndedError(Exception):
    """The actor's process ended `ends` times over one question; the text says why it ended last."""

    def __init__(self, why: str, ends: int) -> None:
        super().__init__(why)
        self.ends = ends


class BadAnswerError(Exception):
    """The actor's answer is not of the kind that was asked for."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often something is tried before it is given up."""

    most_ends: int = 3
    """So many ends of the process over one question are its answer."""
    most_refusals: int = 3
    """So many failures to take in an answer that nobody has to have (`optional`) are its answer. A store or a disk that
    is not ready does not count."""


ONCE = Retry(most_ends=1)
"""For an actor that keeps something between calls: whoever asks has to give it that again."""


REST_S = 120.0
"""After so long without a question an actor's memory (300 to 500 MB) is worth more than the seconds that starting takes
it: a session that only watches has none of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question."""

    value: Any = None
    error: Exception | None = None
    """Why there is no value: `ProcessEndedError`, `BadAnswerError`, or what the call raised."""


@dataclass(frozen=True, slots=True)
class _Question:
    then: Callable[[Answer], None]
    method: str
    arguments: tuple[object, ...]
    accepts: Callable[[Any], bool]
    optional: bool


def is_a(kind: type) -> Callable[[Any], bool]:
    """An answer of this type."""
    return lambda value: isinstance(value, kind)


def tuple_of(kind: type, length: int | None = None) -> Callable[[Any], bool]:
    """A tuple (or list) of values of this type; `length` None: however many."""

    def accepts(value: Any) -> bool:
        return (
            isinstance(value, tuple | list)
            and (length is None or len(value) == length)
            and all(isinstance(item, kind) for item in value)
        )

    return accepts


class ActorCall:
    """See the module. No method waits. `name` is what the log calls it; `arguments` and `options` make the actor.

    `rest_s`: after so long without a question its process is ended; None: never, it keeps something between calls.
    """

    def __init__(
        self,
        ray: Any,
        actor: type,
        name: str,
        *arguments: object,
        retry: Retry | None = None,
        rest_s: float | None = REST_S,
        clock: Callable[[], float] = time.monotonic,
        **options: object,
    ) -> None:
        self._ray, self._actor_class, self._name = ray, actor, name
        self._arguments, self._options = arguments, options
        self._retry = retry or Retry()
        self._rest_s, self._clock = rest_s, clock
        self._asked_s = float("-inf")
        """When it had something to do last."""
        self._question: _Question | None = None
        self._call: Any = None
        self._answer: Answer | None = None
        """It has come and is not taken in yet."""
        self._actor: Any = None
        """None: nobody has asked it anything yet, and its imports do not stand in the way of the first movie."""
        self._ends = 0
        """Of the process, over this question."""
        self._refusals = 0

    def _start(self) -> None:
        remote = self._ray.remote(self._actor_class).options(num_cpus=0, max_restarts=0, max_task_retries=0)
        self._actor = remote.remote(*self._arguments, **self._options)

    @property
    def busy(self) -> bool:
        """A question has been asked and its answer is not taken in yet."""
        return self._question is not None

    def ask(
        self,
        then: Callable[[Answer], None],
        method: str,
        *arguments: object,
        accepts: Callable[[Any], bool],
        optional: bool = False,
    ) -> None:
        """Call a method of the actor; a later `step` hands its answer to `then`.

        Parameters
        ----------
        then:
            Takes the answer in. If it raises, it is given the same answer again: so it must change nothing of its own
            before what it writes is durable. It may ask the next question only after a `restart`.
        accepts:
            Whether a value is an answer to this question.
        optional:
            The session can do without it: an answer that cannot be taken in is given up in the end, so that it does not
            stand in the way of other questions.
        """
        assert not self.busy
        self._question = _Question(then, method, arguments, accepts, optional)
        self._asked_s = self._clock()
        self._ends = self._refusals = 0
        self._call_actor(self._question)

    def _call_actor(self, question: _Question) -> None:
        if self._actor is None:
            self._start()
        self._call = getattr(self._actor, question.method).remote(*question.arguments)

    def step(self) -> bool:
        """Hand over an answer that has come. True: there is none yet. Raises what taking it in raises."""
        question = self._question
        if question is None:
            if self._rest_s is not None and self._clock() - self._asked_s > self._rest_s:
                self.close()
            return False
        self._asked_s = self._clock()
        if self._answer is None:
            ready, _ = self._ray.wait([self._call], timeout=0)
            if ready:
                self._answer = self._received(question)
            if self._answer is None:
                return True
        self._hand_over(question, self._answer)
        if self._question is question:  # else it was dropped by a restart, and perhaps another is asked already
            self._question = self._call = self._answer = None
        return False

    def _hand_over(self, question: _Question, answer: Answer) -> None:
        try:
            question.then(answer)
        except (RetryLaterError, StopDaemonError):
            raise
        except Exception as error:
            self._refusals += 1
            if question.optional and self._refusals >= self._retry.most_refusals:
                self._answer = Answer(error=error)
            raise

    def _received(self, question: _Question) -> Answer | None:
        """None: the process ended, and the question has been asked again."""
        try:
            value = self._ray.get(self._call)
        except self._ray.exceptions.RayActorError as error:
            self._ends += 1
            _log.warning("%s: its process ended (%s)", self._name, error)
            self._actor = None
            if self._ends < self._retry.most_ends:
                self._call_actor(question)
                return None
            return Answer(error=ProcessEndedError(str(error), self._ends))
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            return Answer(error=cause if isinstance(cause, Exception) else error)
        if not question.accepts(value):
            kind = type(value).__name__
            return Answer(error=BadAnswerError(f"{self._name} gave an answer of an unknown form ({kind})"))
        return Answer(value)

    def restart(self) -> None:
        """Go on with a process that has been asked nothing."""
        self._question = self._call = self._answer = None
        self.close()

    def close(self) -> None:
        """End the process, with whatever it has in hand."""
        if self._actor is not None:
            self._ray.kill(self._actor, no_restart=True)
            self._actor = None
