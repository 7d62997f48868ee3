"""Files full of junk: every line is counted once, and reading ends."""

import random

import pytest
from tests.engine.homes import SYSTEM, settings_in
from tests.fuzz import junk
from tests.fuzz.bases import bases

from earshot.engine.replay import replay
from earshot.model.schema import FLOW_CLASSES


@pytest.mark.parametrize("name", ["x_v1", "jetstream", "mastodon", "reddit"])
def test_an_archive_with_junk_in_it_is_read_to_its_end(tmp_path, name):
    rng, good = random.Random(name), bases(posts=300)[name]
    ways = (junk.flipped, junk.cut, junk.sprinkled, junk.smuggled, junk.said_otherwise, junk.hollow)
    lines = [rng.choice(good) for _ in range(60)]
    lines += [rng.choice(ways)(rng.choice(good), rng) for _ in range(60)]
    file = tmp_path / f"{name}.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    done = replay(settings_in(tmp_path), SYSTEM, [str(file)], options={"format": name}).flat()
    assert done["consumed"] == sum(done[c] for c in FLOW_CLASSES)
    assert done["consumed"] >= 60
    assert done["quarantined"] > 0
    assert done["unique"] + done["duplicate"] > 0
