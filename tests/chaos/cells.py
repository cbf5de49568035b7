"""The cells of the kill matrix: which part is killed at which moment of a cycle."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum


class Victim(StrEnum):
    """What is killed with SIGKILL, or what else happens."""

    SCHEDULER = "scheduler"
    TRIGGERER = "triggerer"
    SUPERVISOR = "task supervisor"
    TASK = "task process"
    API_SERVER = "api-server"
    DAG_PROCESSOR = "dag-processor"
    EVERYTHING = "everything"
    DATABASE = "metadata database"
    LOCKED = "locks held in the metadata database"
    SLOW = "the metadata database slow"
    CONNECTIONS = "no connection left in the metadata database"
    DISK_FULL = "the evidence's disk full"
    READ_ONLY = "the evidence's disk read-only"
    REMOVED = "the run's directory gone"
    PAUSED = "the try stopped, and continued when another one is there"
    CODE = "another version of the package"
    BACKUP = "the metadata database dumped"
    RESTORE = "the metadata database restored from that dump"
    CRASH = "a task dies"
    FLAKY = "store and HTTP fail"


KILLED = (
    Victim.SCHEDULER, Victim.TRIGGERER, Victim.SUPERVISOR, Victim.TASK, Victim.API_SERVER, Victim.DAG_PROCESSOR, Victim.EVERYTHING,
    Victim.DATABASE,
)  # fmt: skip


# They last until the ride is over, or need two moments.
WHOLE_RIDE = (Victim.FLAKY, Victim.BACKUP, Victim.RESTORE, Victim.CODE)


class Moment(Enum):
    """Where in the cycle: the tasks that are worked on then, and the load that is sent."""

    PREREQUISITES = "prerequisites"
    PHASE_1 = "phase 1"
    PHASE_2 = "phase 2"
    WAIT = "approval wait"
    PHASE_3 = "phase 3"
    PHASE_4 = "phase 4"

    @property
    def group(self) -> str:
        """Prefix of the ids of its tasks."""
        return {"prerequisites": "prerequisites.", "phase 1": "intake_and_baseline.", "phase 4": "governance."}.get(self.value, "")

    @property
    def task(self) -> str:
        """The task that it has to be, if not any of the group."""
        return {"phase 2": "run_load_tests", "phase 3": "measure_blocks"}.get(self.value, "")

    @property
    def loading(self) -> str:
        """The scenario of the load that is being sent."""
        return {"phase 2": "stress", "phase 3": "measurement"}.get(self.value, "")


# In the order in which a cycle comes to them.
MOMENTS = tuple(Moment)


@dataclass(frozen=True, slots=True)
class Cell:
    """One kill, or another disturbance.

    `down`: seconds until the part is started again. `delay`: seconds into the moment. `detail`: the crash point, or the share of calls
    that fail. `clears`: how often an operator may have to clear what halted.
    """

    id: str
    victim: Victim
    moment: Moment
    down: float = 0.0
    delay: float = 0.0
    detail: str = ""
    clears: int = 0

    @property
    def words(self) -> str:
        """For people."""
        if self.victim not in KILLED:
            return f"{self.victim.value}{f' ({self.detail})' if self.detail else ''} in {self.moment.value}"
        again = f", up again after {self.down:g} s" if self.down else ""
        return f"{self.victim.value} killed in {self.moment.value}{again}"


# evidence.md counts the moments as prerequisites, phases 1 to 4, approval wait.
_NUMBERS = {Moment.PREREQUISITES: 0, Moment.PHASE_1: 1, Moment.PHASE_2: 2, Moment.PHASE_3: 3, Moment.PHASE_4: 4, Moment.WAIT: 5}


def _row(first: int, victim: Victim, *, down: float = 0.0, suffix: str = "") -> list[Cell]:
    return [Cell(f"F{first + _NUMBERS[moment]:02d}{suffix}", victim, moment, down=down) for moment in MOMENTS]


# Each list is one ride: a cycle in which the same part is killed at every moment.
RIDES: dict[str, list[Cell]] = {
    "F01-F06": _row(1, Victim.SCHEDULER),
    "F07-F12": _row(7, Victim.TRIGGERER),
    "F13-F18": _row(13, Victim.SUPERVISOR),
    "F19-F24": _row(19, Victim.TASK),
    "F25-F30": _row(25, Victim.API_SERVER, down=5.0, suffix="a"),
    "F25-F30 long": _row(25, Victim.API_SERVER, down=60.0, suffix="b"),
    "F31": [Cell(f"F31.{_NUMBERS[moment]}", Victim.DAG_PROCESSOR, moment, down=10.0) for moment in (Moment.PHASE_2, Moment.WAIT)],
    "F32": [Cell(f"F32.{_NUMBERS[moment]}", Victim.EVERYTHING, moment, down=5.0) for moment in (Moment.PHASE_2, Moment.WAIT)],
    "F34": [
        Cell("F34.0", Victim.CRASH, Moment.PREREQUISITES, detail="after object"),
        Cell("F34.1", Victim.CRASH, Moment.PHASE_1, detail="after entry"),
        Cell("F34.2", Victim.CRASH, Moment.PHASE_2, detail="after view"),
        Cell("F34.3", Victim.CRASH, Moment.PHASE_3, detail="after checkpoint"),
        Cell("F34.4", Victim.CRASH, Moment.PHASE_4, detail="before success"),
    ],
    "F35": [Cell("F35.0", Victim.FLAKY, Moment.PREREQUISITES, detail="0.01", clears=20)],
    "F35 often": [Cell("F35.1", Victim.FLAKY, Moment.PREREQUISITES, detail="0.1", clears=200)],
    "F37": [
        Cell("F37.1", Victim.DISK_FULL, Moment.PHASE_1, clears=1),
        Cell("F37.4", Victim.DISK_FULL, Moment.PHASE_4, clears=1),
    ],
    "F38": [
        Cell("F38.1", Victim.READ_ONLY, Moment.PHASE_1, clears=1),
        Cell("F38.4", Victim.REMOVED, Moment.PHASE_4, clears=1),
    ],
    "F39": [Cell(f"F39.{_NUMBERS[moment]}", Victim.DATABASE, moment) for moment in MOMENTS],
    "F39 slow": [
        Cell("F39.6", Victim.LOCKED, Moment.PHASE_1),
        Cell("F39.7", Victim.SLOW, Moment.PHASE_2),
        Cell("F39.8", Victim.CONNECTIONS, Moment.PHASE_3),
    ],
    "F40": [Cell("F40.1", Victim.BACKUP, Moment.PHASE_1), Cell("F40.5", Victim.RESTORE, Moment.WAIT)],
    "F56": [
        Cell("F56.1", Victim.PAUSED, Moment.PHASE_1),
        Cell("F56.2", Victim.PAUSED, Moment.PHASE_2),
        Cell("F56.4", Victim.PAUSED, Moment.PHASE_4),
    ],
    "F57": [Cell("F57", Victim.CODE, Moment.WAIT)],
}


def chosen(pattern: str) -> dict[str, list[Cell]]:
    """The rides with the cells that `pattern` names: all, `F01-F12`, or cells by id, joined by commas."""
    if pattern == "all":
        return RIDES
    wanted: set[str] = set()
    for part in pattern.split(","):
        first, _, last = part.partition("-")
        low, high = int(first[1:3]), int((last or first)[1:3])
        exact = not last and len(first) > 3
        wanted |= {cell.id for ride in RIDES.values() for cell in ride if (cell.id == first if exact else low <= int(cell.id[1:3]) <= high)}
    rides = {name: [cell for cell in ride if cell.id in wanted] for name, ride in RIDES.items()}
    return {name: ride for name, ride in rides.items() if ride}


def mixed(rides: Mapping[str, Sequence[Cell]]) -> dict[str, list[Cell]]:
    """The same cells with another part killed at each moment of a ride. What changes a whole ride keeps one of its own."""
    alone = {name: list(ride) for name, ride in rides.items() if any(cell.victim in WHOLE_RIDE for cell in ride)}
    at: dict[Moment, list[Cell]] = {moment: [] for moment in MOMENTS}
    for cell in (cell for name, ride in rides.items() if name not in alone for cell in ride):
        at[cell.moment].append(cell)
    for number, cells in enumerate(at.values()):
        turned = number % max(1, len(cells))
        cells[:] = cells[turned:] + cells[:turned]
    longest = max(map(len, at.values()))
    made = [[cells[number] for cells in at.values() if number < len(cells)] for number in range(longest)]
    return {f"mixed {number}": ride for number, ride in enumerate(made, start=1)} | alone


def drawn(count: int, seed: int) -> dict[str, list[Cell]]:
    """Rides of a random schedule: `count` kills, at most one at each moment of a ride, each with a delay and a time down of its own."""
    draw = random.Random(seed)
    rides: dict[str, list[Cell]] = {}
    left = count
    while left > 0:
        moments: Sequence[Moment] = sorted(draw.sample(MOMENTS, min(left, draw.randint(2, len(MOMENTS)))), key=MOMENTS.index)
        name = f"random {len(rides) + 1}"
        cells = []
        for moment in moments:
            victim = draw.choice(KILLED)
            down = draw.choice((0.0, 1.0, 5.0, 20.0, 45.0))
            cells.append(
                Cell(f"R{seed}.{len(rides) + 1}.{_NUMBERS[moment]}", victim, moment, down=down, delay=round(draw.uniform(0, 3), 1))
            )
        rides[name] = cells
        left -= len(cells)
    return rides
