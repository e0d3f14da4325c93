"""How many bytes a row takes on disk: 10,000,000 rows of a realistic mix through the real decoder and writer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import load
from recorder.decode import Block, Decoder
from recorder.folder import RecordingFolder
from recorder.writer import SEGMENT_ROWS

ROWS = 10_000_000
_ROW_GROUP = 125_000
_FIELDS = [
    *[(name, "u8") for name in ("_header", "ts_ns", "start_ns", "cgroup_id")],
    *[(name, "u4") for name in ("pid", "tid", "ppid", "uid", "pid_ns", "net_ns", "pid_ns_level", "_reserved")],
    ("comm", "S16"),
    ("latency_ns", "u8"),
    ("saddr", "u1", (16,)),
    ("daddr", "u1", (16,)),
    ("sport", "u2"),
    ("dport", "u2"),
    ("_padding", "u4"),
]


class Host:
    """A host with 400 processes in 40 containers that connect, by Zipf's law, to 5,000 addresses, at some 20,000 connects a second."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(20_261_123)
        self._now_ns = 3_600 * 10**9
        self.pids = self._random.choice(4_000_000, 400, replace=False).astype(np.uint32) + 2
        self.starts = self._random.integers(10**9, 3_000 * 10**9, 400).astype(np.uint64)
        self.comms = np.array([f"service-{index % 60}".encode() for index in range(400)], "S16")
        self._addresses = self._random.integers(0, 256, (5_000, 16)).astype(np.uint8)
        self._addresses[:, :10] = 0
        self._addresses[:, 10:12] = 0xFF

    def block(self, rows: int) -> Block:
        """Return the next ``rows`` records, in order of time."""
        random, block = self._random, np.zeros(rows, np.dtype(_FIELDS))
        times = self._now_ns + np.cumsum(random.exponential(50_000, rows).astype(np.int64) + 1)
        self._now_ns = int(times[-1])
        process = (random.zipf(1.3, rows) - 1) % 400
        block["ts_ns"], block["start_ns"] = times, self.starts[process]
        block["pid"] = self.pids[process]
        block["tid"] = self.pids[process] + random.integers(0, 16, rows)
        block["ppid"], block["uid"] = self.pids[process // 10], process % 7 * 1_000
        block["cgroup_id"], block["comm"] = 5_000 + process // 10, self.comms[process]
        block["pid_ns"], block["net_ns"], block["pid_ns_level"] = 4_026_531_836 + process // 10, 4_026_531_840 + process // 10, 1
        block["latency_ns"] = (random.lognormal(13, 1, rows)).astype(np.uint64)
        block["saddr"], block["daddr"] = self._addresses[process // 10], self._addresses[(random.zipf(1.2, rows) - 1) % 5_000]
        block["sport"] = random.integers(32_768, 61_000, rows)
        block["dport"] = random.choice(np.array([443, 80, 5_432, 6_379, 53], np.uint16), rows, p=[0.6, 0.15, 0.1, 0.1, 0.05])
        return block


def measure() -> dict[str, Any]:
    """Write the rows; return how large they became."""
    host, decoder = Host(), Decoder(load.TABLE, np.dtype(_FIELDS), 1_700_000_000 * 10**9, {})
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".run-") as temporary:
        folder = RecordingFolder(Path(temporary) / "recording")
        for _ in range(ROWS // SEGMENT_ROWS):
            segment = folder.segment(load.TABLE)
            while segment.rows < SEGMENT_ROWS:
                decoder.append(host.block(_ROW_GROUP))
                segment.write(decoder.flush(), None)
            segment.finish()
            segment.seal()
        total = folder.bytes
        folder.close()
    print(f"  {ROWS:,} rows: {total:,} bytes")
    return {"rows": ROWS, "bytes": total, "bytes_a_row": round(total / ROWS, 2)}
