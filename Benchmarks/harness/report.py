"""Medians, ratios and Markdown."""

from statistics import median

from .servers import REFERENCES

NOISY_CORES = 0.1
# For each kind of result: the key of the figure to compare, its column, and the column after the ratios.
CPU = ("cpu_ns", "CPU ns per {unit}", "rate", "rate /s")
MEMORY = ("pss_per_conn", "bytes per connection", "cpu_ns_per_open", "CPU ns to open")


def number(value):
    return f"{value:,.0f}"


def ratio(value, other):
    if value is None or other is None or other <= 0:
        return ""
    return f"{value / other:.2f}"


class Row:
    def __init__(self, server):
        self.server = server
        self.rounds = []
        self.failure = None

    def figure(self, key):
        if self.failure or not self.rounds:
            return None
        return median(one[key] for one in self.rounds)

    def spread(self, key):
        values = [one[key] for one in self.rounds]
        return f"{number(min(values))} – {number(max(values))}"

    def as_dict(self):
        return {"server": self.server.name, "failure": self.failure, "rounds": self.rounds}


def curves(results, figures):
    """The medians of the scenarios of "connections" as panels for plot.svg; figures: (key, title, divisor)."""
    panels = []
    for key, title, divisor in figures:
        series = {}
        for scenario, rows in results:
            conns = scenario.arguments[scenario.arguments.index("-c") + 1]
            for row in rows:
                if (value := row.figure(key)) is not None:
                    series.setdefault(row.server.name, {})[conns] = value / divisor
        panels.append((title, list(series.items())))
    return panels


def markdown(scenario, rows):
    key, column, second, second_column = MEMORY if "--idle" in scenario.arguments else CPU
    figures = {row.server.name: row.figure(key) for row in rows}
    reference = next((name for name in REFERENCES if name in figures), rows[0].server.name)
    with_base = any(row.server.base for row in rows)
    head = ["server", column.format(unit=scenario.unit), "range", f"× {reference}"]
    head += ["× own base"] if with_base else []
    head += [second_column]
    rule = "|---" + "|---:" * (len(head) - 1) + "|"
    lines = [f"## {scenario.title}", "", "| " + " | ".join(head) + " |", rule]
    for row in sorted(rows, key=lambda row: (figures[row.server.name] is None, figures[row.server.name])):
        value = figures[row.server.name]
        if value is None:
            cells = [row.server.name, f"failed: {row.failure}"] + [""] * (len(head) - 2)
        else:
            cells = [row.server.name, number(value), row.spread(key), ratio(value, figures[reference])]
            cells += [ratio(value, figures.get(row.server.base))] if with_base else []
            cells += [number(row.figure(second))]
        lines.append("| " + " | ".join(cells) + " |")
    foreign = [one["foreign"] for row in rows for one in row.rounds if "foreign" in one]
    if foreign and median(foreign) > NOISY_CORES:
        cores = f"{median(foreign):.2f}"
        lines += ["", f"Other programs used {cores} cores meanwhile: believe the ratios, not the rates."]
    return "\n".join(lines) + "\n"
