"""Where things are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "Benchmarks"
BUILD = ROOT / ".build" / "bench"
FILES = BUILD / "files"  # that servers send in the subject http
CERTIFICATE, KEY = FILES / "certificate.pem", FILES / "key.pem"
PEERS = ROOT / ".build" / "peers"


def shown(path):
    """A path as a reader of the output would type it."""
    try:
        return str(Path(path).relative_to(ROOT))
    except ValueError:
        return str(path)
