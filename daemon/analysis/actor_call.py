"""A line to an actor that keeps nothing between calls: one call at a time, and a new process when it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call."""

    value: Any
    trouble: str = ""
    """Why there is no value."""
    process_ended: bool = False
    """The call itself may do no harm: it can be made again."""


class ActorCall:
    """See the module. `step` never waits. `name` is what the log calls it; `options` go to the actor."""

    def __init__(self, ray: Any, actor: type, name: str, **options: Any) -> None:
        self._ray, self._actor_class, self._name, self._options = ray, actor, name, options
        self._call: Any = None
        self._then: Callable[[Answer], None] | None = None
        self._start()

    def _start(self) -> None:
        self._actor = self._ray.remote(self._actor_class).options(num_cpus=0, max_restarts=0).remote(**self._options)

    @property
    def busy(self) -> bool:
        return self._call is not None

    def ask(self, then: Callable[[Answer], None], method: str, *arguments: Any) -> None:
        """Call a method of the actor; `then` is told of the answer, in a later `step`."""
        assert not self.busy
        self._then = then
        self._call = getattr(self._actor, method).remote(*arguments)

    def step(self) -> bool:
        """Hand over an answer that has come; True: there is none yet."""
        if self._call is None:
            return False
        ready, _ = self._ray.wait([self._call], timeout=0)
        if not ready:
            return True
        self._call, then = None, self._then
        assert then is not None
        try:
            answer = Answer(self._ray.get(ready[0]))
        except self._ray.exceptions.RayActorError as error:
            _log.warning("%s: its process ended; it is started again", self._name)
            self._start()
            answer = Answer(None, str(error), process_ended=True)
        except self._ray.exceptions.RayError as error:
            answer = Answer(None, str(getattr(error, "cause", None) or error))
        then(answer)
        return False

    def close(self) -> None:
        """End the process, with whatever it has in hand."""
        self._ray.kill(self._actor, no_restart=True)
