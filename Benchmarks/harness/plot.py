"""A drawing of two figures over the number of connections, as SVG that follows the reader's light or dark mode."""

from html import escape
from math import ceil, floor, log10

WIDTH, PANEL_HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM, GAP = 64, 176, 40, 44, 34
LINES = (("#1769aa", "#6cb6ff"), ("#b3261e", "#ff8a80"), ("#2e7d32", "#81c995"), ("#8e4a00", "#ffb74d"))
LINES += (("#6a1b9a", "#ce93d8"), ("#00695c", "#80cbc4"), ("#5d4037", "#bcaaa4"), ("#455a64", "#b0bec5"))
LINES += (("#ad1457", "#f48fb1"), ("#827717", "#dce775"))
DASHES = ("", "7 3", "2 3", "9 3 2 3")
LABEL_HEIGHT = 14


def _style():
    text = "text{font:12px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd}path{fill:none;stroke-width:2}"
    dark = "text{fill:#ddd}.grid{stroke:#444}"
    for number, (light, other) in enumerate(LINES):
        text += f".s{number}{{stroke:{light}}}text.s{number}{{stroke:none;fill:{light}}}"
        dark += f".s{number}{{stroke:{other}}}text.s{number}{{stroke:none;fill:{other}}}"
    return f"<style>{text}@media(prefers-color-scheme:dark){{{dark}}}</style>"


def _ticks(low, high):
    """1, 2 and 5 times the powers of ten between two numbers, and one beyond each."""
    values = [digit * 10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1) for digit in (1, 2, 5)]
    below = max((value for value in values if value <= low), default=values[0])
    above = min((value for value in values if value >= high), default=values[-1])
    return [value for value in values if below <= value <= above]


def _name(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _spread(wanted):
    """Moves labels apart that would overlap; keeps their order."""
    places, last = {}, -LABEL_HEIGHT
    for key, y in sorted(wanted.items(), key=lambda item: item[1]):
        last = places[key] = max(y, last + LABEL_HEIGHT)
    return places


def _panel(title, series, xs, top):
    """One diagram; series: (name, {connections: value}), both axes logarithmic."""
    values = [value for _, points in series for value in points.values() if value > 0]
    ticks = _ticks(min(values), max(values))
    right, bottom = WIDTH - RIGHT, top + PANEL_HEIGHT - BOTTOM

    def x_of(value):
        first, last = log10(xs[0]), log10(xs[-1])
        return LEFT + (log10(value) - first) / ((last - first) or 1) * (right - LEFT)

    def y_of(value):
        first, last = log10(ticks[0]), log10(ticks[-1])
        return bottom - (log10(value) - first) / ((last - first) or 1) * (bottom - top)

    parts = [f'<text x="{LEFT}" y="{top - 14}" font-weight="bold">{escape(title)}</text>']
    for value in ticks:
        y = y_of(value)
        parts.append(f'<path class="grid" stroke-width="1" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_name(value)}</text>')
    for value in xs:
        parts.append(f'<text x="{x_of(value):.1f}" y="{bottom + 18}" text-anchor="middle">{value:,}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">connections</text>')
    ends = {}
    for number, (_, points) in enumerate(series):
        known = [(x_of(x), y_of(points[x])) for x in xs if points.get(x)]
        if not known:
            continue
        line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in known)
        dash = DASHES[number % len(DASHES)]
        parts.append(f'<path class="s{number % len(LINES)}" stroke-dasharray="{dash}" d="{line}"/>')
        ends[number] = known[-1][1]
    for number, y in _spread(ends).items():
        name = escape(series[number][0])
        parts.append(f'<text class="s{number % len(LINES)}" x="{right + 10}" y="{y + 4:.1f}">{name}</text>')
    return parts


def svg(panels):
    """The document; panels: (title, series) as in _panel."""
    height = TOP + len(panels) * PANEL_HEIGHT + (len(panels) - 1) * GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    parts = [head, f"<title>{escape('; '.join(title for title, _ in panels))}</title>", _style()]
    for number, (title, series) in enumerate(panels):
        xs = sorted({x for _, points in series for x in points})
        parts += _panel(title, series, xs, TOP + number * (PANEL_HEIGHT + GAP))
    return "\n".join([*parts, "</svg>", ""])
