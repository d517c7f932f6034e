"""Deliveries per second, as ratios to a minimal receiver: python benchmarks/compare.py [--plot FILE.svg]

Each receiver runs in a process of its own, all on the same core, and the load is generated on another core; the
receivers get it in turn, in short rounds. Every delivery has its own id and is signed with SHA-256. Requires: pip
install aiohttp gidgethub matplotlib, and PostgreSQL for the column of that name.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from load import Sample, github, measure, push
from servers import DIALECTS, SECRET

from change_hooks.testing.simulate import Push, simulate
from change_hooks.vcs import Commit

KINDS = {
    "minimal": "minimal",
    "plain": "without journal",
    "plain+own": "without journal, serve",
    "journal": "SQLite",
    "journal+own": "SQLite, serve",
    "postgresql": "PostgreSQL",
    "buildbot": "Buildbot",
    "gidgethub": "gidgethub, aiohttp",
}
#: The time of the front of ``serve`` itself, compared with that of a whole delivery.
FRONT = {
    "minimal": "minimal",
    "minimal+own": "minimal, serve",
    "plain+own": "without journal, serve",
    "gidgethub": "gidgethub, aiohttp",
}
COMMITS = (1, 20, 2048)
CONNECTIONS = (1, 16, 64)


def ratio(samples: dict[str, list[Sample]], kind: str, to: str = "minimal") -> float:
    pairs = zip(samples[kind], samples[to], strict=True)
    return statistics.median(each.rate / other.rate for each, other in pairs)


def median(samples: list[Sample], what: Any) -> float:
    return statistics.median(what(each) for each in samples)


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def table(*names: str) -> None:
    print()
    row(*names)
    row(*["---"] * len(names))


def compare(options: Any) -> dict[tuple[int, int], dict[str, list[Sample]]]:
    found = {}
    table("commits", "connections", "minimal, per second", *list(KINDS.values())[1:])
    for commits in COMMITS:
        body = push(commits)
        for connections in CONNECTIONS:
            samples = measure(
                list(KINDS), github(body), body, connections, rounds=options.rounds, seconds=options.seconds
            )
            found[commits, connections] = samples
            rate = median(samples["minimal"], lambda each: each.rate)
            ratios = [f"{ratio(samples, kind):.2f}" for kind in list(KINDS)[1:]]
            row(commits, connections, f"{rate:.0f}", *ratios)
    table("commits", "connections", *(f"{name}: p50, p99 (ms)" for name in KINDS.values()))
    for (commits, connections), samples in found.items():
        cells = []
        for kind in KINDS:
            p50 = median(samples[kind], lambda each: each.quantile(0.5)) * 1000
            p99 = median(samples[kind], lambda each: each.quantile(0.99)) * 1000
            cells.append(f"{p50:.1f}, {p99:.1f}")
        row(commits, connections, *cells)
    table("commits (16 connections)", *(f"{name}: CPU (ms), peak (MiB)" for name in KINDS.values()))
    for commits in COMMITS:
        samples = found[commits, 16]
        cells = [
            f"{median(samples[kind], lambda each: each.cpu) * 1000:.2f},"
            f" {median(samples[kind], lambda each: each.peak) / 2**20:.0f}"
            for kind in KINDS
        ]
        row(commits, *cells)
    return found


def group_commit(options: Any) -> None:
    table("connections", "one commit per delivery", "group commit", "ratio")
    body = push(1)
    for connections in CONNECTIONS:
        kinds = ("one_by_one", "journal")
        samples = measure(
            kinds, github(body), body, connections, rounds=options.rounds, seconds=options.seconds
        )
        rates = [f"{median(samples[kind], lambda each: each.rate):.0f}" for kind in samples]
        row(connections, *rates, f"{ratio(samples, 'journal', 'one_by_one'):.2f}")


def front(options: Any) -> None:
    table("commits", *(f"{name}: CPU (µs)" for name in FRONT.values()))
    for commits in COMMITS:
        body = push(commits)
        samples = measure(list(FRONT), github(body), body, 16, rounds=options.rounds, seconds=options.seconds)
        took = {kind: median(samples[kind], lambda each: each.cpu) * 1e6 for kind in FRONT}
        row(commits, *(f"{each:.0f} ({took['minimal'] / each:.2f})" for each in took.values()))


def dialects(options: Any) -> None:
    commit = Commit(
        "1f" * 20, "Ann <ann@example.com>", "Ann <ann@example.com>", 1_800_000_000, "Fix it", ["a", "b"]
    )
    told = Push([commit], "main", "https://forge.example/octo-org/api", "0" * 40)
    table("dialect", "deliveries per second, without journal", "SQLite")
    for dialect in DIALECTS:
        simulated = simulate(dialect, told, SECRET)
        headers = "".join(
            f"{name}: {value}\r\n" for name, value in simulated.headers.items() if "-D" not in name
        )
        start = (
            f"POST /change_hook/{dialect} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(simulated.body)}\r\n"
        )
        head = (start + headers).encode()
        found = measure(
            ("plain", "journal"), head, simulated.body, 16, rounds=options.rounds, seconds=options.seconds
        )
        row(dialect, *(f"{median(samples, lambda each: each.rate):.0f}" for samples in found.values()))


def plot(found: dict[tuple[int, int], dict[str, list[Sample]]], path: str) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "change_hooks"
    from matplotlib import pyplot

    _, axes = pyplot.subplots(figsize=(8, 3.5))
    width = 0.8 / len(KINDS)
    for place, (kind, name) in enumerate(KINDS.items()):
        heights = [ratio(found[commits, 16], kind) for commits in COMMITS]
        bars = axes.bar([index + place * width for index in range(len(COMMITS))], heights, width, label=name)
        axes.bar_label(bars, fmt="%.2f", fontsize=6)
    axes.set_xticks([index + 0.4 - width / 2 for index in range(len(COMMITS))])
    axes.set_xticklabels([f"{commits} commit{'s' if commits > 1 else ''}" for commits in COMMITS])
    axes.set_ylabel("deliveries per second, minimal = 1")
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    pyplot.savefig(path, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    found = compare(options)
    front(options)
    group_commit(options)
    dialects(options)
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
