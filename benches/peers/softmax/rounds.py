"""The parent: workers, and the order in which they give their samples."""

import statistics
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from peers.child import Child, ChildEndedError
from peers.softmax.cases import Case
from peers.softmax.contenders import CONTENDERS

ANSWER_SECONDS = 180
SETTLE_SECONDS = 0.015
"""Between contenders: thread pools spin for a while after their work, and would be in the way."""


class Worker:
    """A child with one contender; started anew for the next case after it has ended."""

    def __init__(self, name: str, threads: int):
        self.name = name
        self.threads = threads
        self.versions: dict[str, str] = {}
        self._child: Child | None = None

    def ask(self, do: str, **arguments) -> dict:
        self.send(do, **arguments)
        return self.answer()

    def send(self, do: str, **arguments) -> None:
        if self._child is not None:
            self._child.send({"do": do, **arguments})

    def answer(self) -> dict:
        if self._child is None:
            return {"status": "failed", "reason": "its process had ended"}
        try:
            return self._child.answer(ANSWER_SECONDS)
        except ChildEndedError as error:
            self.close()
            return {"status": "failed", "reason": str(error)}

    def launch(self) -> bool:
        """Start the process if there is none, and return whether that was so."""
        if self._child is not None:
            return False
        words = ("peers.softmax.worker", self.name, self.threads)
        environment = CONTENDERS[self.name].environment
        self._child = Child(*words, threads=self.threads, **environment)
        self.send("start")
        return True

    def started(self) -> dict:
        """Return the answer to the start: the versions, or why it could not import."""
        answer = self.answer()
        self.versions = answer.get("versions", {})
        if answer["status"] != "ok":
            self.close()
        return answer

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


@dataclass
class Cell:
    """What a contender takes for a case in one form."""

    worker: Worker
    form: str
    status: str = "ok"
    reason: str = ""
    first: float | None = None
    samples: list[dict] = field(default_factory=list)

    def take_first(self) -> None:
        answer = self._ask("first")
        self.first = answer.get("first")

    def take_sample(self) -> None:
        answer = self._ask("sample")
        if self.status == "ok":
            self.samples.append(answer)

    def _ask(self, do: str) -> dict:
        answer = self.worker.ask(do, form=self.form)
        self.status, self.reason = answer.pop("status"), answer.pop("reason", "")
        return answer

    def figures(self) -> dict:
        found = {"contender": self.worker.name, "form": self.form, "status": self.status}
        if self.status != "ok":
            return found | {"reason": self.reason}
        seconds = [sample["seconds"] for sample in self.samples]
        return found | {
            "first": self.first,
            "median": statistics.median(seconds),
            "minimum": min(seconds),
            "samples": seconds,
            "calls": self.samples[0]["calls"],
            # More than the threads allowed would mean that it did not keep to them.
            "cpu_per_wall": statistics.median(s["cpu_per_wall"] for s in self.samples),
        }


class Workers:
    """One worker for each contender, all with the same number of threads."""

    def __init__(self, contenders: Iterable[str], threads: int):
        self.threads = threads
        self.all = [Worker(name, threads) for name in contenders]

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_) -> None:
        for worker in self.all:
            worker.close()

    def versions(self) -> dict[str, str]:
        merged = {}
        for worker in self.all:
            merged |= worker.versions
        return merged

    def ask_all(self, do: str, **arguments) -> dict[str, dict]:
        """Ask all at the same time, where nothing is timed; return the answers by name.

        Who cannot start answers with the reason.
        """
        launched = [worker for worker in self.all if worker.launch()]
        failed = {worker.name: worker.started() for worker in launched}
        failed = {name: answer for name, answer in failed.items() if answer["status"] != "ok"}
        for worker in self.all:
            worker.send(do, **arguments)
        return {worker.name: worker.answer() for worker in self.all} | failed

    def run(self, case: Case, repeats: int, forms: Collection[str] = ()) -> list[dict]:
        """Return the figures of every contender in every form; in those given, if any are."""
        cells = self._prepare(case, forms)
        for cell in running(cells):
            cell.take_first()
        for turn in range(repeats):
            previous = None
            for cell in rotated(running(cells), turn):
                if cell.worker is not previous:
                    time.sleep(SETTLE_SECONDS)
                cell.take_sample()
                previous = cell.worker
        for worker in self.all:
            worker.ask("drop")
        key = {"case": case.name, "threads": self.threads, **case._asdict()}
        return [key | cell.figures() for cell in cells]

    def _prepare(self, case: Case, forms: Collection[str]) -> list[Cell]:
        answers = self.ask_all("prepare", case=case)
        cells = []
        for worker in self.all:
            answer = answers[worker.name]
            if answer["status"] != "ok":
                cells.append(Cell(worker, "", answer["status"], answer["reason"]))
                continue
            chosen = [form for form in answer["forms"] if not forms or form in forms]
            cells += [Cell(worker, form) for form in chosen]
        return cells


def running(cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.status == "ok"]


def rotated(cells: list[Cell], turn: int) -> list[Cell]:
    """Begin with another contender each time, so that nobody always follows the same one."""
    names = list(dict.fromkeys(cell.worker.name for cell in cells))
    begin = turn % len(names) if names else 0
    order = names[begin:] + names[:begin]
    return sorted(cells, key=lambda cell: order.index(cell.worker.name))
